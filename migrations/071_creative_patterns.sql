-- What of the creative DNA has been found to pay in an account, and what accounts
-- that opted in share with others of their niche: effects, never texts or totals.

CREATE TABLE gv.creative_patterns (
	tenant_id   uuid             NOT NULL REFERENCES gv.tenants,
	account_id  text             NOT NULL CHECK (account_id <> ''),
	metric      text             NOT NULL CHECK (metric IN ('ctr', 'value')),
	feature     text             NOT NULL CHECK (feature <> ''),
	value       text             NOT NULL,
	status      text             NOT NULL CHECK (status IN ('active', 'refuted', 'retired')),
	lift        double precision NOT NULL,
	lift_low    double precision NOT NULL,
	lift_high   double precision NOT NULL CHECK (lift_high >= lift_low),
	p_value     double precision NOT NULL CHECK (p_value BETWEEN 0 AND 1),
	ads_with    integer          NOT NULL CHECK (ads_with >= 0),
	ads_without integer          NOT NULL CHECK (ads_without >= 0),
	examples    text[]           NOT NULL DEFAULT '{}',
	found_at    timestamptz      NOT NULL,
	changed_at  timestamptz      NOT NULL,
	PRIMARY KEY (tenant_id, account_id, metric, feature, value)
);
COMMENT ON TABLE gv.creative_patterns IS 'In place of gv.patterns, which nothing uses: a value of the DNA that lifts or lowers CTR, or value per impression.';
COMMENT ON COLUMN gv.creative_patterns.lift IS 'Shrunk: 0.3 is 30% more than the account''s other ads; lift_low and lift_high hold it with a probability of 95%.';
CALL gv.protect('gv.creative_patterns', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE gv.niche_contributions (
	tenant_id  uuid             NOT NULL REFERENCES gv.tenants,
	account_id text             NOT NULL CHECK (account_id <> ''),
	niche      text             NOT NULL CHECK (niche <> ''),
	metric     text             NOT NULL CHECK (metric IN ('ctr', 'value')),
	feature    text             NOT NULL,
	value      text             NOT NULL,
	effect     double precision NOT NULL,
	error      double precision NOT NULL CHECK (error > 0),
	updated_at timestamptz      NOT NULL,
	PRIMARY KEY (tenant_id, account_id, metric, feature, value)
);
COMMENT ON TABLE gv.niche_contributions IS 'What an account that opted in adds to its niche''s prior; deleted at the first cycle after it opts out.';
COMMENT ON COLUMN gv.niche_contributions.effect IS 'A logarithm; feature is empty for the account''s level.';
CREATE INDEX niche_contributions_niche ON gv.niche_contributions (niche);
CALL gv.protect('gv.niche_contributions', 'SELECT, INSERT, DELETE');

CREATE TABLE gv.niche_priors (
	tenant_id  uuid             NOT NULL REFERENCES gv.tenants,
	account_id text             NOT NULL CHECK (account_id <> ''),
	metric     text             NOT NULL CHECK (metric IN ('ctr', 'value')),
	feature    text             NOT NULL,
	value      text             NOT NULL,
	effect     double precision NOT NULL,
	error      double precision NOT NULL CHECK (error > 0),
	accounts   integer          NOT NULL CHECK (accounts >= 5),
	updated_at timestamptz      NOT NULL,
	PRIMARY KEY (tenant_id, account_id, metric, feature, value)
);
COMMENT ON TABLE gv.niche_priors IS 'What other tenants'' accounts of the niche have in common, as of the account''s last cycle; at least five accounts stand behind each cell.';
CALL gv.protect('gv.niche_priors', 'SELECT, INSERT, DELETE');

-- cells_of_niche is all that crosses tenants: means over at least five accounts of
-- other tenants, one voice for each tenant, rounded so that no single account's
-- figure can be reckoned out of them.
CREATE FUNCTION gv.cells_of_niche(wanted text)
	RETURNS TABLE (metric text, feature text, value text, effect double precision, error double precision, accounts integer)
	LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
	AS $$
SELECT   t.metric, t.feature, t.value, round(avg(t.effect)::numeric, 2)::float8,
         greatest(round((stddev_samp(t.effect))::numeric, 2)::float8, 0.05), sum(t.accounts)::int
FROM     (SELECT c.tenant_id, c.metric, c.feature, c.value, avg(c.effect) AS effect, count(*) AS accounts
          FROM   gv.niche_contributions c
          WHERE  c.niche = wanted AND c.tenant_id <> gv.tenant()
          GROUP BY c.tenant_id, c.metric, c.feature, c.value) AS t
GROUP BY t.metric, t.feature, t.value
HAVING   sum(t.accounts) >= 5 AND count(*) >= 3
$$;
REVOKE ALL ON FUNCTION gv.cells_of_niche FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gv.cells_of_niche TO gv_app;
