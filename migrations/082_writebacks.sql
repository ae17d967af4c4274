-- What was written back to the CRM's deals: the ad that brought each, by properties
-- of our own. functions/reconcile compares it with the ledger and sends what differs.

CREATE TABLE gv.writebacks (
	tenant_id     uuid        NOT NULL REFERENCES gv.tenants,
	portal_id     bigint      NOT NULL,
	deal_id       bigint      NOT NULL,
	sent          jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(sent) = 'object'),
	attributed_at timestamptz,
	sent_at       timestamptz,
	erased        boolean     NOT NULL DEFAULT false,
	PRIMARY KEY (tenant_id, portal_id, deal_id)
);
COMMENT ON COLUMN gv.writebacks.sent IS 'The properties as the CRM has them from us; an absent one is empty there.';
COMMENT ON COLUMN gv.writebacks.erased IS 'A contact of the deal was erased: the properties are emptied and stay so.';
CREATE INDEX writebacks_sent ON gv.writebacks (tenant_id, portal_id) WHERE sent <> '{}';
CALL gv.protect('gv.writebacks', 'SELECT, INSERT, UPDATE', 'SELECT');

ALTER TABLE gv.crm_syncs
	ADD COLUMN write_back_ready_at timestamptz,
	ADD COLUMN write_back_error    text;
COMMENT ON COLUMN gv.crm_syncs.write_back_ready_at IS 'When the portal was found to have the properties that are written back.';
