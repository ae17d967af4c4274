-- The ground everything stands on (schema, roles, tenants), then the history of
-- every change made or attempted on an ad platform.
--
-- Plain SQL, forward only: psql -f, the Supabase CLI and infra/migrate all run it.

CREATE SCHEMA IF NOT EXISTS gv;
COMMENT ON SCHEMA gv IS 'geminivideo. Not exposed by the REST API: anon and authenticated get no grants.';
REVOKE ALL ON SCHEMA gv FROM PUBLIC;

-- Roles belong to the whole cluster, so two databases may create them at once.
-- They get a password, and with it the ability to log in, from the operator.
DO $$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY ARRAY['gv_app', 'gv_worker'] LOOP
		BEGIN
			EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS', name);
		EXCEPTION WHEN duplicate_object OR unique_violation THEN
			NULL;
		END;
	END LOOP;
END
$$;
GRANT USAGE ON SCHEMA gv TO gv_app, gv_worker;

-- The tenant of this transaction; null, and so no rows, where none is set.
CREATE FUNCTION gv.tenant() RETURNS uuid
	LANGUAGE sql STABLE PARALLEL SAFE
	AS $$ SELECT nullif(current_setting('gv.tenant_id', true), '')::uuid $$;

-- protect puts a table under row-level security. gv_app gets app_grants on its
-- own tenant's rows; gv_worker gets worker_grants, where given, on every row.
CREATE PROCEDURE gv.protect(target regclass, app_grants text, worker_grants text DEFAULT NULL)
	LANGUAGE plpgsql
	AS $$
BEGIN
	EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
	EXECUTE format('CREATE POLICY tenant ON %s TO gv_app USING (tenant_id = (SELECT gv.tenant())) WITH CHECK (tenant_id = (SELECT gv.tenant()))', target);
	IF app_grants <> '' THEN
		EXECUTE format('GRANT %s ON %s TO gv_app', app_grants, target);
	END IF;
	IF worker_grants IS NOT NULL THEN
		EXECUTE format('CREATE POLICY worker ON %s TO gv_worker USING (true) WITH CHECK (true)', target);
		EXECUTE format('GRANT %s ON %s TO gv_worker', worker_grants, target);
	END IF;
END
$$;
REVOKE ALL ON PROCEDURE gv.protect FROM PUBLIC;

-- How many decimals a currency has (ISO 4217); shared/money holds the same list
-- and a test compares them.
CREATE FUNCTION gv.decimals(currency text) RETURNS integer
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	AS $$
SELECT CASE
	WHEN currency IN ('BIF','CLP','DJF','GNF','ISK','JPY','KMF','KRW','PYG','RWF','UGX','UYI','VND','VUV','XAF','XOF','XPF') THEN 0
	WHEN currency IN ('BHD','IQD','JOD','KWD','LYD','OMR','TND') THEN 3
	WHEN currency IN ('CLF','UYW') THEN 4
	ELSE 2
END $$;

CREATE TABLE gv.tenants (
	tenant_id  uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
	name       text        NOT NULL CHECK (name <> ''),
	currency   text        NOT NULL DEFAULT 'USD' CHECK (currency ~ '^[A-Z]{3}$'),
	paused     boolean     NOT NULL DEFAULT false,
	created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN gv.tenants.currency IS 'The CRM''s home currency: deals and stages are valued in it.';
COMMENT ON COLUMN gv.tenants.paused IS 'Stops every write to the ad platforms for all of the tenant''s accounts.';
CALL gv.protect('gv.tenants', 'SELECT, UPDATE', 'SELECT');

CREATE TABLE gv.ad_change_history (
	history_id     uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
	tenant_id      uuid        NOT NULL REFERENCES gv.tenants,
	change_id      uuid,
	account_id     text        NOT NULL,
	campaign_id    text        NOT NULL,
	ad_id          text        NOT NULL,
	budget_object  text        NOT NULL,
	action         text        NOT NULL CHECK (action <> ''),
	outcome        text        NOT NULL CHECK (outcome IN ('applied', 'dry_run', 'held', 'failed', 'unknown', 'superseded', 'rejected', 'undone')),
	before_minor   bigint      CHECK (before_minor >= 0),
	after_minor    bigint      CHECK (after_minor >= 0),
	reason         text        NOT NULL,
	initiator      text        NOT NULL,
	platform_trace text,
	duration_ms    integer     CHECK (duration_ms >= 0),
	at             timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN gv.ad_change_history.budget_object IS 'What holds the money on the platform: adset/ID or campaign/ID; an ad has no budget of its own.';
COMMENT ON COLUMN gv.ad_change_history.initiator IS 'Who asked: a member''s subject, or the function that decided.';
CREATE INDEX ad_change_history_recent ON gv.ad_change_history (tenant_id, at DESC);
CREATE INDEX ad_change_history_ad ON gv.ad_change_history (tenant_id, ad_id, at DESC);
CREATE INDEX ad_change_history_object ON gv.ad_change_history (tenant_id, budget_object, at DESC);
CREATE INDEX ad_change_history_campaign ON gv.ad_change_history (tenant_id, campaign_id, at DESC);
CALL gv.protect('gv.ad_change_history', 'SELECT, INSERT', 'SELECT, INSERT');
