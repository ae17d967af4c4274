-- The heart: one row per deal, its latest stage, its value, the click it is
-- credited to. An ad's pipeline value is the sum over these rows.

CREATE TABLE gv.stage_maps (
	tenant_id   uuid        NOT NULL REFERENCES gv.tenants,
	portal_id   bigint      NOT NULL,
	pipeline_id text        NOT NULL CHECK (pipeline_id <> ''),
	stage_id    text        NOT NULL CHECK (stage_id <> ''),
	stage_name  text        NOT NULL CHECK (stage_name <> ''),
	label       text        NOT NULL DEFAULT '',
	mapped_by   text        NOT NULL DEFAULT 'prefilled',
	updated_at  timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, portal_id, pipeline_id, stage_id),
	FOREIGN KEY (tenant_id, stage_name) REFERENCES gv.stage_values
);
COMMENT ON TABLE gv.stage_maps IS 'A portal''s stage ids, per pipeline, to the tenant''s stages.';
CALL gv.protect('gv.stage_maps', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE gv.deals (
	tenant_id              uuid        NOT NULL REFERENCES gv.tenants,
	portal_id              bigint      NOT NULL,
	deal_id                bigint      NOT NULL,
	state                  text        NOT NULL CHECK (state IN ('live', 'gone')),
	merged_into            bigint,
	pipeline_id            text        NOT NULL DEFAULT '',
	stage_id               text        NOT NULL DEFAULT '',
	stage_name             text,
	stage_at               timestamptz,
	amount_minor           bigint      CHECK (amount_minor >= 0),
	amount_issue           text,
	value_minor            bigint      NOT NULL DEFAULT 0 CHECK (value_minor >= 0),
	stage_confidence       real        NOT NULL DEFAULT 0 CHECK (stage_confidence BETWEEN 0 AND 1),
	contact_id             bigint,
	created_at             timestamptz,
	converted_at           timestamptz,
	click_id               text,
	ad_id                  text,
	campaign_id            text,
	attribution_method     text        NOT NULL DEFAULT 'unattributed' CHECK (attribution_method IN ('url_param', 'fingerprint', 'probabilistic', 'unattributed')),
	attribution_confidence real        NOT NULL DEFAULT 0 CHECK (attribution_confidence BETWEEN 0 AND 1),
	attribution_reason     text        NOT NULL DEFAULT '',
	processed_at           timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, portal_id, deal_id),
	CHECK (state = 'live' OR value_minor = 0)
);
COMMENT ON COLUMN gv.deals.stage_name IS 'null where the portal''s stage is not mapped: the deal is valued 0 and reported.';
COMMENT ON COLUMN gv.deals.contact_id IS 'The contact whose click the deal is credited to, else its primary contact.';
COMMENT ON COLUMN gv.deals.converted_at IS 'That contact''s first conversion.';
COMMENT ON COLUMN gv.deals.amount_minor IS 'In the tenant''s currency; null where the CRM has none.';
COMMENT ON COLUMN gv.deals.amount_issue IS 'Why the deal''s amount could not be used, such as a foreign currency with no home amount.';
CREATE INDEX deals_ad ON gv.deals (tenant_id, ad_id) WHERE ad_id IS NOT NULL;
CREATE INDEX deals_contact ON gv.deals (tenant_id, portal_id, contact_id) WHERE contact_id IS NOT NULL;
CREATE INDEX deals_stage ON gv.deals (tenant_id, stage_name);
CREATE INDEX deals_click ON gv.deals (tenant_id, click_id) WHERE click_id IS NOT NULL;
CALL gv.protect('gv.deals', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE gv.deal_contacts (
	tenant_id  uuid    NOT NULL REFERENCES gv.tenants,
	portal_id  bigint  NOT NULL,
	deal_id    bigint  NOT NULL,
	contact_id bigint  NOT NULL,
	position   integer NOT NULL CHECK (position >= 0),
	PRIMARY KEY (tenant_id, portal_id, deal_id, contact_id),
	FOREIGN KEY (tenant_id, portal_id, deal_id) REFERENCES gv.deals,
	FOREIGN KEY (tenant_id, portal_id, contact_id) REFERENCES gv.contacts ON DELETE CASCADE
);
COMMENT ON COLUMN gv.deal_contacts.position IS '0 is the deal''s primary contact.';
CREATE INDEX deal_contacts_contact ON gv.deal_contacts (tenant_id, portal_id, contact_id);
CALL gv.protect('gv.deal_contacts', 'SELECT, INSERT, DELETE');

CREATE TABLE gv.deal_stages (
	tenant_id   uuid        NOT NULL REFERENCES gv.tenants,
	portal_id   bigint      NOT NULL,
	deal_id     bigint      NOT NULL,
	stage_id    text        NOT NULL CHECK (stage_id <> ''),
	occurred_at timestamptz NOT NULL,
	PRIMARY KEY (tenant_id, portal_id, deal_id, occurred_at, stage_id)
);
COMMENT ON TABLE gv.deal_stages IS 'Every stage change known of a deal, from its history in the CRM and from events; the delay curve is learned from it.';
CALL gv.protect('gv.deal_stages', 'SELECT, INSERT, DELETE');
