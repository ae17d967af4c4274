-- Deals from any other CRM or tool: each source is an address of its own with a
-- secret of its own. A source has a number below 0 where a HubSpot portal has its
-- id, and its deals and contacts get numbers, so that both share one ledger.

ALTER TABLE gv.contact_keys DROP CONSTRAINT contact_keys_kind_check;
ALTER TABLE gv.contact_keys ADD CONSTRAINT contact_keys_kind_check CHECK (kind IN ('click_id', 'fbclid', 'gclid', 'fingerprint', 'lead_id'));

CREATE SEQUENCE gv.deal_source_numbers AS bigint INCREMENT -1 MAXVALUE -1 MINVALUE -9007199254740991 START -1;
GRANT USAGE ON SEQUENCE gv.deal_source_numbers TO gv_app;

CREATE TABLE gv.deal_sources (
	tenant_id       uuid        NOT NULL REFERENCES gv.tenants,
	source          text        PRIMARY KEY CHECK (source <> ''),
	portal_id       bigint      NOT NULL UNIQUE DEFAULT nextval('gv.deal_source_numbers') CHECK (portal_id < 0),
	name            text        NOT NULL CHECK (name <> ''),
	secret          text        NOT NULL,
	previous_secret text,
	previous_until  timestamptz,
	contact_salt    text        NOT NULL,
	created_by      text        NOT NULL,
	created_at      timestamptz NOT NULL DEFAULT now(),
	revoked_by      text,
	revoked_at      timestamptz,
	last_at         timestamptz
);
COMMENT ON COLUMN gv.deal_sources.source IS 'The last part of the address; opaque, and no secret.';
COMMENT ON COLUMN gv.deal_sources.portal_id IS 'Stands in the ledger where a HubSpot portal has its id.';
COMMENT ON COLUMN gv.deal_sources.secret IS 'Secret Manager name of the version that signs; previous_secret does too until previous_until.';
COMMENT ON COLUMN gv.deal_sources.contact_salt IS 'A contact''s id of the other CRM, which may be an address, is stored only as a hash with this.';
CREATE INDEX deal_sources_tenant ON gv.deal_sources (tenant_id);
CALL gv.protect('gv.deal_sources', 'SELECT, INSERT, UPDATE');

CREATE FUNCTION gv.source_tenant(wanted text) RETURNS uuid
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT tenant_id FROM gv.deal_sources WHERE source = wanted AND revoked_at IS NULL $$;
REVOKE ALL ON FUNCTION gv.source_tenant FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gv.source_tenant TO gv_app;

CREATE TABLE gv.source_ids (
	tenant_id   uuid   NOT NULL REFERENCES gv.tenants,
	portal_id   bigint NOT NULL,
	kind        text   NOT NULL CHECK (kind IN ('deal', 'contact')),
	external_id text   NOT NULL CHECK (external_id <> ''),
	id          bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
	PRIMARY KEY (tenant_id, portal_id, kind, external_id)
);
COMMENT ON TABLE gv.source_ids IS 'The number of a source''s deal or contact in the ledger; a contact''s external_id is a hash.';
CREATE UNIQUE INDEX source_ids_id ON gv.source_ids (tenant_id, portal_id, id);
CALL gv.protect('gv.source_ids', 'SELECT, INSERT, DELETE');

CREATE TABLE gv.source_reports (
	tenant_id   uuid        NOT NULL REFERENCES gv.tenants,
	portal_id   bigint      NOT NULL,
	deal_id     bigint      NOT NULL,
	report_key  text        NOT NULL CHECK (report_key <> ''),
	occurred_at timestamptz NOT NULL,
	stage       text        NOT NULL CHECK (stage <> ''),
	amount      numeric     CHECK (amount >= 0),
	currency    text,
	deleted     boolean     NOT NULL DEFAULT false,
	contact_id  bigint,
	keys        jsonb       NOT NULL DEFAULT '[]',
	PRIMARY KEY (tenant_id, portal_id, deal_id, report_key)
);
COMMENT ON COLUMN gv.source_reports.keys IS 'What the contact is known by, by this report: [{"kind": "fbclid", "value": "..."}].';
CREATE INDEX source_reports_contact ON gv.source_reports (tenant_id, portal_id, contact_id) WHERE contact_id IS NOT NULL;
COMMENT ON TABLE gv.source_reports IS 'All that a source has said of its deals. A deal''s row in the ledger follows from these, in whatever order they came.';
CALL gv.protect('gv.source_reports', 'SELECT, INSERT, DELETE');
