SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '110s';

-- Deals that a portal does not let us read, or write our properties to: the others go
-- on without them, and they are tried again.

CREATE TABLE gv.crm_refusals (
	tenant_id uuid        NOT NULL REFERENCES gv.tenants,
	portal_id bigint      NOT NULL,
	deal_id   bigint      NOT NULL,
	reason    text        NOT NULL CHECK (reason <> ''),
	attempts  integer     NOT NULL DEFAULT 1 CHECK (attempts > 0),
	since     timestamptz NOT NULL DEFAULT now(),
	last_at   timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, portal_id, deal_id),
	FOREIGN KEY (tenant_id, portal_id) REFERENCES gv.hubspot_connections
);
COMMENT ON TABLE gv.crm_refusals IS 'A deal that the CRM refuses to show to a backfill or reconcile; each later run asks for it again.';
CREATE INDEX crm_refusals_last ON gv.crm_refusals (tenant_id, portal_id, last_at);
CALL gv.protect('gv.crm_refusals', 'SELECT, INSERT, UPDATE, DELETE');

ALTER TABLE gv.writebacks
	ADD COLUMN refused_reason text,
	ADD COLUMN refused_until  timestamptz;
COMMENT ON COLUMN gv.writebacks.refused_until IS 'The CRM refused the deal''s properties: they are not sent again before.';
CREATE INDEX writebacks_refused ON gv.writebacks (tenant_id, portal_id, refused_until) WHERE refused_until IS NOT NULL;

-- A run has one more phase: recorded contacts that the CRM has erased without an event reaching us.
ALTER TABLE gv.crm_syncs
	ADD COLUMN erasures_after bigint  NOT NULL DEFAULT 0,
	ADD COLUMN run_erased     integer NOT NULL DEFAULT 0 CHECK (run_erased >= 0),
	ADD COLUMN last_erased    integer NOT NULL DEFAULT 0 CHECK (last_erased >= 0),
	DROP CONSTRAINT crm_syncs_phase_check,
	ADD CONSTRAINT crm_syncs_phase_check CHECK (phase IN ('deals', 'contacts', 'compare', 'erasures'));
COMMENT ON COLUMN gv.crm_syncs.erasures_after IS 'The largest contact id that the search for erased contacts has passed; 0 at its beginning.';
COMMENT ON COLUMN gv.crm_syncs.run_erased IS 'Contacts that the run under way found erased in the CRM.';
