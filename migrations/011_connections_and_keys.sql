-- Who belongs to a tenant, which keys its web pages use, and which CRM portals
-- and ad accounts it has connected. Credentials live in Secret Manager; only
-- their resource names are here.

CREATE TABLE gv.members (
	tenant_id  uuid        NOT NULL REFERENCES gv.tenants,
	email      text        NOT NULL CHECK (email = lower(email) AND email LIKE '%_@_%'),
	role       text        NOT NULL CHECK (role IN ('viewer', 'editor', 'admin')),
	added_by   text        NOT NULL,
	added_at   timestamptz NOT NULL DEFAULT now(),
	removed_at timestamptz,
	PRIMARY KEY (tenant_id, email)
);
CALL gv.protect('gv.members', 'SELECT, INSERT, UPDATE');

CREATE TABLE gv.publishable_keys (
	tenant_id  uuid        NOT NULL REFERENCES gv.tenants,
	key_hash   bytea       PRIMARY KEY CHECK (length(key_hash) = 32),
	prefix     text        NOT NULL,
	origins    text[]      NOT NULL DEFAULT '{}',
	created_by text        NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	revoked_at timestamptz
);
COMMENT ON COLUMN gv.publishable_keys.key_hash IS 'SHA-256 of the key. The key is public by nature, but the table should not be a list of them.';
COMMENT ON COLUMN gv.publishable_keys.origins IS 'Web origins that may use the key; empty: any.';
CREATE INDEX publishable_keys_tenant ON gv.publishable_keys (tenant_id);
CALL gv.protect('gv.publishable_keys', 'SELECT, INSERT, UPDATE');

CREATE TABLE gv.hubspot_connections (
	tenant_id           uuid        NOT NULL REFERENCES gv.tenants,
	portal_id           bigint      PRIMARY KEY CHECK (portal_id > 0),
	client_secret       text,
	previous_secret     text,
	previous_until      timestamptz,
	access_token        text        NOT NULL,
	connected_by        text        NOT NULL,
	connected_at        timestamptz NOT NULL DEFAULT now(),
	disconnected_at     timestamptz
);
COMMENT ON COLUMN gv.hubspot_connections.client_secret IS 'Secret Manager name of the app''s client secret; null: the deployment''s own HUBSPOT_CLIENT_SECRET.';
COMMENT ON COLUMN gv.hubspot_connections.previous_secret IS 'Still accepted until previous_until, while a secret is rotated.';
COMMENT ON COLUMN gv.hubspot_connections.access_token IS 'Secret Manager name of the token that reads the portal.';
CREATE INDEX hubspot_connections_tenant ON gv.hubspot_connections (tenant_id);
CALL gv.protect('gv.hubspot_connections', 'SELECT, INSERT, UPDATE', 'SELECT');

CREATE TABLE gv.meta_connections (
	tenant_id       uuid        NOT NULL,
	account_id      text        NOT NULL,
	access_token    text        NOT NULL,
	connected_by    text        NOT NULL,
	connected_at    timestamptz NOT NULL DEFAULT now(),
	disconnected_at timestamptz,
	synced_through  date,
	last_error      text,
	PRIMARY KEY (tenant_id, account_id),
	FOREIGN KEY (tenant_id, account_id) REFERENCES gv.accounts
);
COMMENT ON COLUMN gv.meta_connections.access_token IS 'Secret Manager name of the token.';
CALL gv.protect('gv.meta_connections', 'SELECT, INSERT, UPDATE', 'SELECT, UPDATE');

-- The only two questions that may be asked without knowing the tenant; each
-- returns the tenant and nothing else.
CREATE FUNCTION gv.portal_tenant(portal bigint) RETURNS uuid
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT tenant_id FROM gv.hubspot_connections WHERE portal_id = portal AND disconnected_at IS NULL $$;
CREATE FUNCTION gv.key_tenant(hash bytea) RETURNS uuid
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT tenant_id FROM gv.publishable_keys WHERE key_hash = hash AND revoked_at IS NULL $$;
REVOKE ALL ON FUNCTION gv.portal_tenant, gv.key_tenant FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gv.portal_tenant, gv.key_tenant TO gv_app;
GRANT EXECUTE ON FUNCTION gv.portal_tenant TO gv_worker;
