-- Lead forms on Meta: whose a page is, the leads among the clicks, and what people
-- are recognised by without their address being stored.

CREATE TABLE gv.meta_pages (
	tenant_id           uuid        NOT NULL REFERENCES gv.tenants,
	page_id             text        NOT NULL CHECK (page_id ~ '^[0-9]{1,20}$'),
	name                text        NOT NULL DEFAULT '',
	access_token        text        NOT NULL,
	access_token_set_at timestamptz NOT NULL DEFAULT now(),
	connected_by        text        NOT NULL,
	connected_at        timestamptz NOT NULL DEFAULT now(),
	disconnected_at     timestamptz,
	last_lead_at        timestamptz,
	last_error          text,
	last_error_at       timestamptz,
	PRIMARY KEY (tenant_id, page_id)
);
COMMENT ON TABLE gv.meta_pages IS 'A page whose lead forms are read. It belongs to one tenant at a time.';
COMMENT ON COLUMN gv.meta_pages.access_token IS 'Secret Manager name of the page''s token.';
CREATE UNIQUE INDEX meta_pages_page ON gv.meta_pages (page_id) WHERE disconnected_at IS NULL;
CALL gv.protect('gv.meta_pages', 'SELECT, INSERT, UPDATE');

CREATE FUNCTION gv.page_tenant(page text) RETURNS uuid
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT tenant_id FROM gv.meta_pages WHERE page_id = page AND disconnected_at IS NULL $$;
REVOKE ALL ON FUNCTION gv.page_tenant FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gv.page_tenant TO gv_app;

CREATE TABLE gv.lead_keys (
	tenant_id uuid        PRIMARY KEY REFERENCES gv.tenants,
	secret    text        NOT NULL CHECK (secret <> ''),
	made_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE gv.lead_keys IS 'Secret Manager name of the key that a tenant''s e-mail addresses and phone numbers are hashed with. A tenant without one has connected no page, and then neither is read.';
CALL gv.protect('gv.lead_keys', 'SELECT, INSERT');

ALTER TABLE gv.hubspot_connections ADD COLUMN lead_property text NOT NULL DEFAULT 'gv_lead_id'
	CHECK (lead_property ~ '^[a-z][a-z0-9_]{0,99}$');
COMMENT ON COLUMN gv.hubspot_connections.lead_property IS 'The contact property that holds the id of the lead on Meta.';

ALTER TABLE gv.clicks
	ADD COLUMN lead_id         text CHECK (lead_id <> ''),
	ADD COLUMN email_hash      text CHECK (email_hash <> ''),
	ADD COLUMN phone_hash      text CHECK (phone_hash <> ''),
	ADD COLUMN lead_portal_id  bigint,
	ADD COLUMN lead_contact_id bigint;
COMMENT ON COLUMN gv.clicks.lead_id IS 'Set where the row is no click but a lead form that somebody filled in at an ad.';
COMMENT ON COLUMN gv.clicks.email_hash IS 'HMAC of the lead''s e-mail address under the tenant''s key, as phone_hash of its phone number: until a contact is found by it, at most 90 days.';
COMMENT ON COLUMN gv.clicks.lead_contact_id IS 'The contact that the lead was found to be, of the portal lead_portal_id.';
CREATE INDEX clicks_lead ON gv.clicks (tenant_id, lead_id) WHERE lead_id IS NOT NULL;
CREATE INDEX clicks_email ON gv.clicks (tenant_id, email_hash) WHERE email_hash IS NOT NULL;
CREATE INDEX clicks_phone ON gv.clicks (tenant_id, phone_hash) WHERE phone_hash IS NOT NULL;
CREATE INDEX clicks_lead_contact ON gv.clicks (tenant_id, lead_portal_id, lead_contact_id) WHERE lead_contact_id IS NOT NULL;
CREATE INDEX clicks_people ON gv.clicks (clicked_at) WHERE email_hash IS NOT NULL OR phone_hash IS NOT NULL;
CREATE INDEX clicks_lead_hash ON gv.clicks (gv.key_hash(tenant_id, 'lead_id', lead_id)) WHERE lead_id IS NOT NULL;
CREATE INDEX clicks_email_hash ON gv.clicks (gv.key_hash(tenant_id, 'email_hash', email_hash)) WHERE email_hash IS NOT NULL;
CREATE INDEX clicks_phone_hash ON gv.clicks (gv.key_hash(tenant_id, 'phone_hash', phone_hash)) WHERE phone_hash IS NOT NULL;

ALTER TABLE gv.conversions ADD COLUMN lead_id text CHECK (lead_id <> '');
CREATE INDEX conversions_lead ON gv.conversions (tenant_id, lead_id) WHERE lead_id IS NOT NULL;
CREATE INDEX conversions_lead_hash ON gv.conversions (gv.key_hash(tenant_id, 'lead_id', lead_id)) WHERE lead_id IS NOT NULL;
ALTER TABLE gv.conversions DROP CONSTRAINT conversions_method_check;
ALTER TABLE gv.conversions ADD CONSTRAINT conversions_method_check
	CHECK (method IN ('lead_id', 'url_param', 'fingerprint', 'probabilistic', 'unattributed'));
ALTER TABLE gv.deals DROP CONSTRAINT deals_attribution_method_check;
ALTER TABLE gv.deals ADD CONSTRAINT deals_attribution_method_check
	CHECK (attribution_method IN ('lead_id', 'url_param', 'fingerprint', 'probabilistic', 'unattributed'));

ALTER TABLE gv.contact_keys DROP CONSTRAINT contact_keys_kind_check;
ALTER TABLE gv.contact_keys ADD CONSTRAINT contact_keys_kind_check CHECK (kind IN (
	'click_id', 'fbclid', 'gclid', 'gbraid', 'wbraid', 'ttclid', 'fingerprint', 'lead_id', 'email_hash', 'phone_hash'));
ALTER TABLE gv.contact_hashes ADD COLUMN saved_at timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN gv.contact_hashes.saved_at IS 'Hashes of e-mail addresses and phone numbers go 90 days later.';
CREATE INDEX contact_hashes_people ON gv.contact_hashes (saved_at) WHERE kind IN ('email_hash', 'phone_hash');

-- The relay clears what contacts are recognised by when its time is over.
CREATE POLICY worker ON gv.contact_keys TO gv_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON gv.contact_hashes TO gv_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON gv.contacts TO gv_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON gv.deal_contacts TO gv_worker USING (true) WITH CHECK (true);
GRANT SELECT, DELETE ON gv.contact_keys, gv.contact_hashes TO gv_worker;
GRANT SELECT ON gv.contacts, gv.deal_contacts TO gv_worker;
CREATE INDEX contact_keys_people ON gv.contact_keys (tenant_id, portal_id, contact_id) WHERE kind IN ('email_hash', 'phone_hash');
