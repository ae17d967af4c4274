-- Clicks on ads, what the CRM's contacts are known by, and the conversions
-- credited to a click.

CREATE TABLE gv.clicks (
	tenant_id        uuid        NOT NULL REFERENCES gv.tenants,
	click_id         text        NOT NULL CHECK (click_id <> ''),
	ad_id            text        NOT NULL CHECK (ad_id <> ''),
	campaign_id      text        NOT NULL,
	clicked_at       timestamptz NOT NULL,
	fbclid           text        CHECK (fbclid <> ''),
	gclid            text        CHECK (gclid <> ''),
	fingerprint_hash text        CHECK (fingerprint_hash <> ''),
	ip_address       text        CHECK (ip_address <> ''),
	user_agent       text        CHECK (user_agent <> ''),
	device_type      text,
	landing_page_url text,
	extra            jsonb       NOT NULL DEFAULT '{}',
	consent          boolean,
	recorded_at      timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, click_id),
	CHECK (consent IS NOT false OR (ip_address IS NULL AND user_agent IS NULL AND fingerprint_hash IS NULL))
);
COMMENT ON COLUMN gv.clicks.extra IS 'utm_* and other members of the open body.';
COMMENT ON COLUMN gv.clicks.consent IS 'null: not said. false: no address, agent or fingerprint is ever kept.';
CREATE INDEX clicks_fbclid ON gv.clicks (tenant_id, fbclid, clicked_at DESC) WHERE fbclid IS NOT NULL;
CREATE INDEX clicks_gclid ON gv.clicks (tenant_id, gclid, clicked_at DESC) WHERE gclid IS NOT NULL;
CREATE INDEX clicks_fingerprint ON gv.clicks (tenant_id, fingerprint_hash, clicked_at DESC) WHERE fingerprint_hash IS NOT NULL;
CREATE INDEX clicks_address ON gv.clicks (tenant_id, ip_address, md5(user_agent), clicked_at DESC) WHERE ip_address IS NOT NULL;
CREATE INDEX clicks_ad ON gv.clicks (tenant_id, ad_id, clicked_at DESC);
CREATE INDEX clicks_recent ON gv.clicks (tenant_id, clicked_at DESC);
CALL gv.protect('gv.clicks', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE gv.contacts (
	tenant_id    uuid        NOT NULL REFERENCES gv.tenants,
	portal_id    bigint      NOT NULL,
	contact_id   bigint      NOT NULL,
	converted_at timestamptz NOT NULL,
	PRIMARY KEY (tenant_id, portal_id, contact_id)
);
COMMENT ON TABLE gv.contacts IS 'What attribution needs of a CRM contact, and no more.';
COMMENT ON COLUMN gv.contacts.converted_at IS 'The contact''s first conversion: its deals are attributed as of then.';
CALL gv.protect('gv.contacts', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE gv.contact_keys (
	tenant_id  uuid   NOT NULL REFERENCES gv.tenants,
	portal_id  bigint NOT NULL,
	contact_id bigint NOT NULL,
	kind       text   NOT NULL CHECK (kind IN ('click_id', 'fbclid', 'gclid', 'fingerprint')),
	value      text   NOT NULL CHECK (value <> ''),
	PRIMARY KEY (tenant_id, portal_id, contact_id, kind, value),
	FOREIGN KEY (tenant_id, portal_id, contact_id) REFERENCES gv.contacts ON DELETE CASCADE
);
COMMENT ON TABLE gv.contact_keys IS 'Every click id the CRM has ever known the contact by: a later click overwrites the one that counts.';
CREATE INDEX contact_keys_value ON gv.contact_keys (tenant_id, kind, value);
CALL gv.protect('gv.contact_keys', 'SELECT, INSERT, DELETE');

CREATE TABLE gv.erasures (
	tenant_id  uuid        NOT NULL REFERENCES gv.tenants,
	portal_id  bigint      NOT NULL,
	contact_id bigint      NOT NULL,
	erased_at  timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, portal_id, contact_id)
);
COMMENT ON TABLE gv.erasures IS 'Tombstones: a contact named here is never stored again, whatever is delivered later.';
CALL gv.protect('gv.erasures', 'SELECT, INSERT');

CREATE TABLE gv.conversions (
	tenant_id        uuid        NOT NULL REFERENCES gv.tenants,
	conversion_id    text        NOT NULL CHECK (conversion_id <> ''),
	conversion_type  text        NOT NULL,
	value_minor      bigint      NOT NULL CHECK (value_minor >= 0),
	converted_at     timestamptz NOT NULL,
	converted_until  timestamptz NOT NULL,
	key_click_id     text        CHECK (key_click_id <> ''),
	fbclid           text        CHECK (fbclid <> ''),
	gclid            text        CHECK (gclid <> ''),
	fingerprint_hash text        CHECK (fingerprint_hash <> ''),
	ip_address       text        CHECK (ip_address <> ''),
	user_agent       text        CHECK (user_agent <> ''),
	click_id         text,
	ad_id            text,
	campaign_id      text,
	method           text        NOT NULL CHECK (method IN ('url_param', 'fingerprint', 'probabilistic', 'unattributed')),
	confidence       real        NOT NULL CHECK (confidence BETWEEN 0 AND 1),
	reason           text        NOT NULL,
	attributed_at    timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, conversion_id),
	CHECK (converted_at <= converted_until),
	CHECK ((method = 'unattributed') = (click_id IS NULL))
);
COMMENT ON COLUMN gv.conversions.converted_until IS 'The end of the moment as it was written: a time in whole seconds lasts a second.';
COMMENT ON COLUMN gv.conversions.key_click_id IS 'What the conversion said of its click, with the five columns after it: a click that arrives late is matched against them.';
COMMENT ON COLUMN gv.conversions.click_id IS 'The click it is credited to.';
CREATE INDEX conversions_ad ON gv.conversions (tenant_id, ad_id) WHERE ad_id IS NOT NULL;
CREATE INDEX conversions_click ON gv.conversions (tenant_id, click_id) WHERE click_id IS NOT NULL;
CREATE INDEX conversions_key_click ON gv.conversions (tenant_id, key_click_id) WHERE key_click_id IS NOT NULL;
CREATE INDEX conversions_fbclid ON gv.conversions (tenant_id, fbclid) WHERE fbclid IS NOT NULL;
CREATE INDEX conversions_gclid ON gv.conversions (tenant_id, gclid) WHERE gclid IS NOT NULL;
CREATE INDEX conversions_fingerprint ON gv.conversions (tenant_id, fingerprint_hash) WHERE fingerprint_hash IS NOT NULL;
CREATE INDEX conversions_address ON gv.conversions (tenant_id, ip_address, md5(user_agent)) WHERE ip_address IS NOT NULL;
CALL gv.protect('gv.conversions', 'SELECT, INSERT, UPDATE, DELETE');
