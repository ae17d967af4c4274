-- What attribution found stays when what it was found by goes. Each deal has its
-- matches recorded; what an erasure has to find is kept as hashes, which outlive
-- the contact.

CREATE TABLE gv.deal_touches (
	tenant_id   uuid        NOT NULL REFERENCES gv.tenants,
	portal_id   bigint      NOT NULL,
	deal_id     bigint      NOT NULL,
	click_id    text        NOT NULL CHECK (click_id <> ''),
	contact_id  bigint,
	ad_id       text        NOT NULL CHECK (ad_id <> ''),
	campaign_id text        NOT NULL DEFAULT '',
	clicked_at  timestamptz NOT NULL,
	method      text        NOT NULL CHECK (method IN ('lead_id', 'url_param', 'fingerprint', 'probabilistic')),
	layer       smallint    NOT NULL CHECK (layer >= 0),
	confidence  real        NOT NULL CHECK (confidence BETWEEN 0 AND 1),
	reason      text        NOT NULL,
	eligible    boolean     NOT NULL,
	PRIMARY KEY (tenant_id, portal_id, deal_id, click_id)
);
COMMENT ON TABLE gv.deal_touches IS 'Every click that a deal''s contacts were found to have made before they converted. The deal''s credit is worked out from these rows by the account''s attribution_model. The rows of a deal that is gone wait for its return.';
COMMENT ON COLUMN gv.deal_touches.contact_id IS 'Whose click it was; null once that contact''s data was erased.';
COMMENT ON COLUMN gv.deal_touches.layer IS 'Which layer found it: a smaller number is surer.';
COMMENT ON COLUMN gv.deal_touches.eligible IS 'Within the window before the conversion. Others are credited with nothing; they show which ads the contact had clicked before.';
CREATE INDEX deal_touches_click ON gv.deal_touches (tenant_id, click_id);
CREATE INDEX deal_touches_ad ON gv.deal_touches (tenant_id, ad_id);
CREATE INDEX deal_touches_contact ON gv.deal_touches (tenant_id, portal_id, contact_id) WHERE contact_id IS NOT NULL;
CALL gv.protect('gv.deal_touches', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT, DELETE');

INSERT INTO gv.deal_touches (tenant_id, portal_id, deal_id, click_id, contact_id, ad_id, campaign_id, clicked_at, method, layer, confidence, reason, eligible)
SELECT d.tenant_id, d.portal_id, d.deal_id, d.click_id, d.contact_id, d.ad_id, coalesce(d.campaign_id, ''),
       coalesce(c.clicked_at, d.converted_at, d.created_at, d.processed_at), d.attribution_method,
       CASE d.attribution_method WHEN 'url_param' THEN 2 WHEN 'fingerprint' THEN 3 ELSE 4 END, d.attribution_confidence, d.attribution_reason, true
FROM   gv.deals d LEFT JOIN gv.clicks c ON c.tenant_id = d.tenant_id AND c.click_id = d.click_id
WHERE  d.state = 'live' AND d.click_id <> '' AND d.ad_id <> '' AND d.attribution_method IN ('url_param', 'fingerprint', 'probabilistic');

ALTER TABLE gv.deals ADD COLUMN split boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN gv.deals.split IS 'Several ads share the deal''s credit, as gv.deal_credits says; ad_id is the one with most of it.';

CREATE TABLE gv.deal_credits (
	tenant_id  uuid    NOT NULL REFERENCES gv.tenants,
	portal_id  bigint  NOT NULL,
	deal_id    bigint  NOT NULL,
	ad_id      text    NOT NULL CHECK (ad_id <> ''),
	share_from numeric NOT NULL CHECK (share_from >= 0),
	share_to   numeric NOT NULL CHECK (share_to <= 1),
	PRIMARY KEY (tenant_id, portal_id, deal_id, ad_id),
	CHECK (share_from < share_to)
);
COMMENT ON TABLE gv.deal_credits IS 'Which part of a deal''s credit an ad has, where several share it.';
COMMENT ON COLUMN gv.deal_credits.share_from IS 'The parts lie end to end from 0 to 1. An ad''s money is round(value * share_to) - round(value * share_from), so the parts add up to the deal''s value.';
CREATE INDEX deal_credits_ad ON gv.deal_credits (tenant_id, ad_id);
CALL gv.protect('gv.deal_credits', 'SELECT, INSERT, UPDATE, DELETE');

ALTER TABLE gv.deal_stages ADD COLUMN dated_at timestamptz;
COMMENT ON COLUMN gv.deal_stages.dated_at IS 'What the CRM said, where that lay ahead of our clock: occurred_at is then when we heard of it.';

CREATE FUNCTION gv.key_hash(tenant uuid, kind text, value text) RETURNS bytea
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
	AS $$ SELECT sha256(convert_to(tenant::text || ' ' || kind || ' ' || value, 'UTF8')) $$;
REVOKE ALL ON FUNCTION gv.key_hash FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gv.key_hash TO gv_app, gv_worker;

CREATE TABLE gv.contact_hashes (
	tenant_id  uuid   NOT NULL REFERENCES gv.tenants,
	portal_id  bigint NOT NULL,
	contact_id bigint NOT NULL,
	kind       text   NOT NULL,
	hash       bytea  NOT NULL CHECK (length(hash) = 32),
	PRIMARY KEY (tenant_id, portal_id, contact_id, kind, hash)
);
COMMENT ON TABLE gv.contact_hashes IS 'What a contact was known by, hashed with its tenant. It stays when the contact goes, so that an erasure that comes later still finds the clicks, and a click that comes later is known to be of somebody who was erased.';
CREATE INDEX contact_hashes_hash ON gv.contact_hashes (tenant_id, hash);
CALL gv.protect('gv.contact_hashes', 'SELECT, INSERT, DELETE');

INSERT INTO gv.contact_hashes (tenant_id, portal_id, contact_id, kind, hash)
SELECT tenant_id, portal_id, contact_id, kind, gv.key_hash(tenant_id, kind, value) FROM gv.contact_keys;

CREATE INDEX clicks_click_hash ON gv.clicks (gv.key_hash(tenant_id, 'click_id', click_id));
CREATE INDEX clicks_fbclid_hash ON gv.clicks (gv.key_hash(tenant_id, 'fbclid', fbclid)) WHERE fbclid IS NOT NULL;
CREATE INDEX clicks_gclid_hash ON gv.clicks (gv.key_hash(tenant_id, 'gclid', gclid)) WHERE gclid IS NOT NULL;
CREATE INDEX clicks_gbraid_hash ON gv.clicks (gv.key_hash(tenant_id, 'gbraid', gbraid)) WHERE gbraid IS NOT NULL;
CREATE INDEX clicks_wbraid_hash ON gv.clicks (gv.key_hash(tenant_id, 'wbraid', wbraid)) WHERE wbraid IS NOT NULL;
CREATE INDEX clicks_ttclid_hash ON gv.clicks (gv.key_hash(tenant_id, 'ttclid', ttclid)) WHERE ttclid IS NOT NULL;
CREATE INDEX clicks_fingerprint_hashed ON gv.clicks (gv.key_hash(tenant_id, 'fingerprint', fingerprint_hash)) WHERE fingerprint_hash IS NOT NULL;
CREATE INDEX conversions_click_hash ON gv.conversions (gv.key_hash(tenant_id, 'click_id', key_click_id)) WHERE key_click_id IS NOT NULL;
CREATE INDEX conversions_fbclid_hash ON gv.conversions (gv.key_hash(tenant_id, 'fbclid', fbclid)) WHERE fbclid IS NOT NULL;
CREATE INDEX conversions_gclid_hash ON gv.conversions (gv.key_hash(tenant_id, 'gclid', gclid)) WHERE gclid IS NOT NULL;
CREATE INDEX conversions_gbraid_hash ON gv.conversions (gv.key_hash(tenant_id, 'gbraid', gbraid)) WHERE gbraid IS NOT NULL;
CREATE INDEX conversions_wbraid_hash ON gv.conversions (gv.key_hash(tenant_id, 'wbraid', wbraid)) WHERE wbraid IS NOT NULL;
CREATE INDEX conversions_ttclid_hash ON gv.conversions (gv.key_hash(tenant_id, 'ttclid', ttclid)) WHERE ttclid IS NOT NULL;
CREATE INDEX conversions_fingerprint_hashed ON gv.conversions (gv.key_hash(tenant_id, 'fingerprint', fingerprint_hash)) WHERE fingerprint_hash IS NOT NULL;

-- The relay clears what has had its time.
CREATE POLICY worker ON gv.clicks TO gv_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON gv.conversions TO gv_worker USING (true) WITH CHECK (true);
CREATE POLICY worker ON gv.deals TO gv_worker USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE, DELETE ON gv.clicks TO gv_worker;
GRANT SELECT, UPDATE ON gv.conversions TO gv_worker;
GRANT SELECT ON gv.deals TO gv_worker;
CREATE INDEX clicks_personal ON gv.clicks (clicked_at)
	WHERE ip_address IS NOT NULL OR user_agent IS NOT NULL OR fingerprint_hash IS NOT NULL OR fbp IS NOT NULL;
CREATE INDEX clicks_unreviewed ON gv.clicks (tenant_id, clicked_at) WHERE reviewed_at IS NULL;
CREATE INDEX clicks_reviewed ON gv.clicks (reviewed_at) WHERE reviewed_at IS NOT NULL;
CREATE INDEX conversions_personal ON gv.conversions (converted_until)
	WHERE ip_address IS NOT NULL OR user_agent IS NOT NULL OR fingerprint_hash IS NOT NULL;
CREATE INDEX conversions_keyed ON gv.conversions (tenant_id, converted_until)
	WHERE key_click_id IS NOT NULL OR fbclid IS NOT NULL OR gclid IS NOT NULL OR gbraid IS NOT NULL OR wbraid IS NOT NULL OR ttclid IS NOT NULL;
