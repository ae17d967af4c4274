-- A member who was added is invited, and belongs to the tenant once they accept:
-- otherwise a tenant could decide about the login of anybody whose address it
-- knows. Somebody with several tenants chooses the one of their next token.

ALTER TABLE gv.members
	ADD COLUMN accepted_at timestamptz,
	ADD COLUMN chosen_at   timestamptz;
UPDATE gv.members SET accepted_at = added_at;
COMMENT ON COLUMN gv.members.accepted_at IS 'When the person accepted; null: an invitation, which decides nothing.';
COMMENT ON COLUMN gv.members.chosen_at IS 'The latest one of a person is the tenant of their next token.';

-- Whether Supabase has confirmed that the user holds the address. Where there is
-- no Supabase Auth, whoever issues the tokens answers for their addresses.
CREATE FUNCTION gv.address_confirmed(subject text, address text) RETURNS boolean
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	confirmed boolean := true;
BEGIN
	IF to_regclass('auth.users') IS NOT NULL THEN
		EXECUTE 'SELECT email_confirmed_at IS NOT NULL FROM auth.users WHERE id::text = $1 AND lower(email) = $2'
			INTO confirmed USING subject, address;
	END IF;
	RETURN coalesce(confirmed, false);
END
$$;
REVOKE ALL ON FUNCTION gv.address_confirmed FROM PUBLIC;

-- The role that an address has in a tenant now; null where it is no accepted
-- member. Writes ask this, because a token may be an hour old.
CREATE FUNCTION gv.member_role(tenant uuid, address text) RETURNS text
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$ SELECT role FROM gv.members WHERE tenant_id = tenant AND email = address AND removed_at IS NULL AND accepted_at IS NOT NULL $$;

-- The memberships and invitations of a user whose address is confirmed.
CREATE FUNCTION gv.memberships_of(subject text, address text)
	RETURNS TABLE (tenant_id uuid, name text, role text, accepted boolean, chosen boolean)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT m.tenant_id, t.name, m.role, m.accepted_at IS NOT NULL,
	       m.accepted_at IS NOT NULL AND row_number() OVER (
	           ORDER BY (m.accepted_at IS NOT NULL) DESC, m.chosen_at DESC NULLS LAST, m.added_at, m.tenant_id) = 1
	FROM   gv.members m JOIN gv.tenants t USING (tenant_id)
	WHERE  m.email = address AND m.removed_at IS NULL AND gv.address_confirmed(subject, address)
$$;
REVOKE ALL ON FUNCTION gv.member_role, gv.memberships_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gv.member_role, gv.memberships_of TO gv_app;

-- As in 021, but of accepted memberships only: the one that was chosen last, or
-- that the user's own app_metadata names, else the first.
CREATE OR REPLACE FUNCTION gv.access_token_hook(event jsonb) RETURNS jsonb
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	address  text  := lower(event #>> '{claims,email}');
	metadata jsonb := coalesce(nullif(event #> '{claims,app_metadata}', 'null'), '{}');
	member   record;
BEGIN
	SELECT m.tenant_id, m.role INTO member FROM gv.members m
	WHERE  m.email = address AND m.removed_at IS NULL AND m.accepted_at IS NOT NULL
	AND    gv.address_confirmed(event ->> 'user_id', address)
	ORDER BY m.chosen_at DESC NULLS LAST, (m.tenant_id::text = metadata ->> 'tenant_id') DESC NULLS LAST, m.added_at, m.tenant_id
	LIMIT  1;
	IF FOUND THEN
		metadata := metadata || jsonb_build_object('tenant_id', member.tenant_id, 'role', member.role);
	ELSE
		metadata := metadata - 'tenant_id' - 'role';
	END IF;
	RETURN jsonb_set(event, '{claims,app_metadata}', metadata);
END
$$;
