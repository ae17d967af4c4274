-- A tenant's own webhook, what its connections tell of themselves, keys that can
-- be revoked by name, and who a member is when they log in.

CREATE TABLE gv.webhooks (
	tenant_id         uuid        PRIMARY KEY REFERENCES gv.tenants,
	url               text        NOT NULL CHECK (url <> ''),
	kinds             text[]      NOT NULL DEFAULT '{}',
	secret            text        NOT NULL,
	previous_secret   text,
	previous_until    timestamptz,
	secret_set_at     timestamptz NOT NULL DEFAULT now(),
	updated_by        text        NOT NULL,
	updated_at        timestamptz NOT NULL DEFAULT now(),
	disabled_at       timestamptz,
	disabled_reason   text,
	last_delivered_at timestamptz,
	last_failed_at    timestamptz,
	last_error        text,
	CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL))
);
COMMENT ON TABLE gv.webhooks IS 'Where a tenant is told of cuts, held changes and failures.';
COMMENT ON COLUMN gv.webhooks.kinds IS 'The kinds of notices that are wanted; empty: all.';
COMMENT ON COLUMN gv.webhooks.secret IS 'Secret Manager name of the version that signs.';
COMMENT ON COLUMN gv.webhooks.previous_secret IS 'Signs beside the other until previous_until, while the secret is rotated.';
COMMENT ON COLUMN gv.webhooks.disabled_reason IS 'Why nothing is sent: a member switched it off, or the receiver answered 410 Gone.';
CALL gv.protect('gv.webhooks', 'SELECT, INSERT, UPDATE', 'SELECT');

-- The sweep and the executor tell of what they did for any tenant.
GRANT INSERT ON gv.outbox TO gv_worker;

-- A portal belongs to one tenant at a time; the tenant that gave it up keeps its
-- row, and another may connect it.
ALTER TABLE gv.hubspot_connections DROP CONSTRAINT hubspot_connections_pkey;
ALTER TABLE gv.hubspot_connections ADD PRIMARY KEY (tenant_id, portal_id);
CREATE UNIQUE INDEX hubspot_connections_portal ON gv.hubspot_connections (portal_id) WHERE disconnected_at IS NULL;
ALTER TABLE gv.hubspot_connections
	ADD COLUMN client_secret_set_at timestamptz,
	ADD COLUMN access_token_set_at  timestamptz,
	ADD COLUMN last_error           text,
	ADD COLUMN last_error_at        timestamptz;
COMMENT ON COLUMN gv.hubspot_connections.previous_secret IS 'Still accepted until previous_until, while a secret is rotated; empty: the deployment''s own.';
COMMENT ON COLUMN gv.hubspot_connections.last_error IS 'Why HubSpot refused the connection last; null once it works.';

ALTER TABLE gv.meta_connections ADD COLUMN access_token_set_at timestamptz;

ALTER TABLE gv.publishable_keys
	ADD COLUMN key_id     uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
	ADD COLUMN label      text NOT NULL DEFAULT '',
	ADD COLUMN revoked_by text;
COMMENT ON COLUMN gv.publishable_keys.key_id IS 'Names the key in lists and when it is revoked.';

CREATE INDEX members_email ON gv.members (email) WHERE removed_at IS NULL;

-- Supabase's custom access token hook (Authentication, Hooks): every token that
-- is issued says which tenant its bearer is a member of, and with which role.
-- gv.members decides, so a member who was removed, or has another role now, has
-- it so from the next token on, within an hour. An address counts once Supabase
-- has confirmed it: anybody can sign up with anybody's. A member of several
-- tenants is in the one that their own app_metadata names, else in the first.
CREATE FUNCTION gv.access_token_hook(event jsonb) RETURNS jsonb
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	address   text    := lower(event #>> '{claims,email}');
	metadata  jsonb   := coalesce(nullif(event #> '{claims,app_metadata}', 'null'), '{}');
	confirmed boolean := true;
	member    record;
BEGIN
	IF to_regclass('auth.users') IS NOT NULL THEN
		EXECUTE 'SELECT email_confirmed_at IS NOT NULL FROM auth.users WHERE id = $1 AND lower(email) = $2'
			INTO confirmed USING (event ->> 'user_id')::uuid, address;
	END IF;
	SELECT m.tenant_id, m.role INTO member FROM gv.members m
	WHERE  m.email = address AND m.removed_at IS NULL AND confirmed
	ORDER BY (m.tenant_id::text = metadata ->> 'tenant_id') DESC NULLS LAST, m.added_at, m.tenant_id
	LIMIT  1;
	IF FOUND THEN
		metadata := metadata || jsonb_build_object('tenant_id', member.tenant_id, 'role', member.role);
	ELSE
		metadata := metadata - 'tenant_id' - 'role';
	END IF;
	RETURN jsonb_set(event, '{claims,app_metadata}', metadata);
END
$$;
REVOKE ALL ON FUNCTION gv.access_token_hook FROM PUBLIC;
DO $$
BEGIN
	IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'supabase_auth_admin') THEN
		GRANT USAGE ON SCHEMA gv TO supabase_auth_admin;
		GRANT EXECUTE ON FUNCTION gv.access_token_hook TO supabase_auth_admin;
	END IF;
END
$$;
