SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '110s';

-- Every batch of HubSpot's events and every event asks whose a portal is and which secrets
-- it goes by: in one trip to the server, where the tenant's own transaction after
-- gv.portal_tenant took six. It returns names of secrets, never a secret, and only of
-- portals that the caller names. plpgsql keeps the plan; a function in SQL is planned at
-- each call.
CREATE FUNCTION gv.portal_connections(portals bigint[])
	RETURNS TABLE (portal_id bigint, tenant_id uuid, currency text, client_secret text, previous_secret text, previous_until timestamptz,
	               access_token text, lead_property text, lead_key text, last_error text)
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT c.portal_id, c.tenant_id, t.currency::text, c.client_secret, c.previous_secret, c.previous_until,
	       c.access_token, c.lead_property, l.secret, c.last_error
	FROM   gv.hubspot_connections c JOIN gv.tenants t ON t.tenant_id = c.tenant_id LEFT JOIN gv.lead_keys l ON l.tenant_id = c.tenant_id
	WHERE  c.portal_id = ANY (portals) AND c.disconnected_at IS NULL;
END $$;
REVOKE ALL ON FUNCTION gv.portal_connections FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gv.portal_connections TO gv_app;
