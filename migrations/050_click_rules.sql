-- What a click may carry and who may say so: further platforms' click ids, clicks
-- whose ad nobody knows, the time a page claims, and keys for servers.

ALTER TABLE gv.clicks DROP CONSTRAINT clicks_ad_id_check;
ALTER TABLE gv.clicks
	ADD COLUMN gbraid      text CHECK (gbraid <> ''),
	ADD COLUMN wbraid      text CHECK (wbraid <> ''),
	ADD COLUMN ttclid      text CHECK (ttclid <> ''),
	ADD COLUMN fbp         text CHECK (fbp <> ''),
	ADD COLUMN claimed_at  timestamptz,
	ADD COLUMN cleared_at  timestamptz,
	ADD COLUMN reviewed_at timestamptz,
	ADD CONSTRAINT clicks_fbp_consent CHECK (consent IS NOT false OR fbp IS NULL);
COMMENT ON COLUMN gv.clicks.ad_id IS 'Empty where the link''s macro was not filled in: such a click is credited with nothing.';
COMMENT ON COLUMN gv.clicks.fbp IS 'Meta''s browser id: it goes with the fingerprint, and matches nothing.';
COMMENT ON COLUMN gv.clicks.claimed_at IS 'When a page says that the click was. It decides nothing: clicked_at is the request''s own time, or what a server with its own key says.';
COMMENT ON COLUMN gv.clicks.cleared_at IS 'When retention or an erasure cleared what the click was found by: a match found by it stands.';
COMMENT ON COLUMN gv.clicks.reviewed_at IS 'When the click, older than click_retention_days, was last found to be credited and kept.';
CREATE INDEX clicks_gbraid ON gv.clicks (tenant_id, gbraid, clicked_at DESC) WHERE gbraid IS NOT NULL;
CREATE INDEX clicks_wbraid ON gv.clicks (tenant_id, wbraid, clicked_at DESC) WHERE wbraid IS NOT NULL;
CREATE INDEX clicks_ttclid ON gv.clicks (tenant_id, ttclid, clicked_at DESC) WHERE ttclid IS NOT NULL;

ALTER TABLE gv.conversions
	ADD COLUMN gbraid     text CHECK (gbraid <> ''),
	ADD COLUMN wbraid     text CHECK (wbraid <> ''),
	ADD COLUMN ttclid     text CHECK (ttclid <> ''),
	ADD COLUMN cleared_at timestamptz;
COMMENT ON COLUMN gv.conversions.cleared_at IS 'When retention or an erasure cleared what the conversion was known by: its credit stands.';
CREATE INDEX conversions_gbraid ON gv.conversions (tenant_id, gbraid) WHERE gbraid IS NOT NULL;
CREATE INDEX conversions_wbraid ON gv.conversions (tenant_id, wbraid) WHERE wbraid IS NOT NULL;
CREATE INDEX conversions_ttclid ON gv.conversions (tenant_id, ttclid) WHERE ttclid IS NOT NULL;

ALTER TABLE gv.contact_keys DROP CONSTRAINT contact_keys_kind_check;
ALTER TABLE gv.contact_keys ADD CONSTRAINT contact_keys_kind_check
	CHECK (kind IN ('click_id', 'fbclid', 'gclid', 'gbraid', 'wbraid', 'ttclid', 'fingerprint', 'lead_id'));

ALTER TABLE gv.publishable_keys ADD COLUMN kind text NOT NULL DEFAULT 'publishable' CHECK (kind IN ('publishable', 'server'));
ALTER TABLE gv.publishable_keys ADD CONSTRAINT publishable_keys_server_origins CHECK (kind = 'publishable' OR origins = '{}');
COMMENT ON COLUMN gv.publishable_keys.kind IS 'publishable: it stands in web pages. server: a secret of the tenant''s server, whose word on a click''s time, address and agent counts.';

-- As gv.key_tenant(hash), for one kind of key: neither opens the other's door.
CREATE FUNCTION gv.key_tenant(hash bytea, key_kind text) RETURNS uuid
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT tenant_id FROM gv.publishable_keys WHERE key_hash = hash AND kind = key_kind AND revoked_at IS NULL $$;
REVOKE ALL ON FUNCTION gv.key_tenant(bytea, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gv.key_tenant(bytea, text) TO gv_app;
