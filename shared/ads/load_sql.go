package ads

// createStage makes the tables of one load. They are gone with its transaction,
// so a transaction pooler may hand the connection on.
const createStage = `
	CREATE TEMPORARY TABLE import_rows (
		line integer NOT NULL, ad_id text NOT NULL, day date, campaign_id text, campaign_name text, adset_id text, name text, status text,
		daily_budget bigint, adset_budget bigint, campaign_budget bigint, creative_dna jsonb, created_at timestamptz,
		impressions bigint NOT NULL, clicks bigint NOT NULL, spend bigint NOT NULL, reach bigint, frequency double precision,
		leads bigint, conversions bigint, pipeline bigint, revenue bigint
	) ON COMMIT DROP;
	CREATE TEMPORARY TABLE import_ads (
		ad_id text NOT NULL, campaign_id text NOT NULL, campaign_name text, adset_id text, name text, status text,
		daily_budget bigint, adset_budget bigint, campaign_budget bigint, creative_dna jsonb, created_at timestamptz, first_day date
	) ON COMMIT DROP`

var stageColumns = []string{
	"line", "ad_id", "day", "campaign_id", "campaign_name", "adset_id", "name", "status",
	"daily_budget", "adset_budget", "campaign_budget", "creative_dna", "created_at",
	"impressions", "clicks", "spend", "reach", "frequency", "leads", "conversions", "pipeline", "revenue",
}

// refuse takes out the rows whose ad or campaign belongs to another account of
// the tenant: an ad does not move between accounts.
const refuse = `
	WITH wrong AS (
		DELETE FROM import_rows r USING gv.ads a
		WHERE  a.tenant_id = gv.tenant() AND a.ad_id = r.ad_id AND a.account_id <> @account
		RETURNING r.line, 'ad_id' AS field, 'belongs to your account ' || a.account_id AS reason
	), elsewhere AS (
		DELETE FROM import_rows r USING gv.campaigns c
		WHERE  c.tenant_id = gv.tenant() AND c.campaign_id = r.campaign_id AND c.account_id <> @account
		AND    NOT EXISTS (SELECT FROM gv.ads a WHERE a.tenant_id = gv.tenant() AND a.ad_id = r.ad_id AND a.account_id <> @account)
		RETURNING r.line, 'campaign_id' AS field, 'belongs to your account ' || c.account_id AS reason
	)
	SELECT line, field, reason, count(*) OVER () AS refused
	FROM   (TABLE wrong UNION ALL TABLE elsewhere) AS r
	ORDER BY line
	LIMIT  @n`

// gatherAds makes one row of all that the report says of an ad, its newest row
// first. An ad whose campaign is not named keeps the one it has; a campaign that
// has a name and no id is known by its name.
const gatherAds = `
	INSERT INTO import_ads
	SELECT told.ad_id,
	       coalesce(told.campaign_id, a.campaign_id, known.campaign_id, @account || ':' || coalesce(told.campaign_name, 'unassigned')),
	       coalesce(told.campaign_name, CASE WHEN told.campaign_id IS NULL AND a.campaign_id IS NULL THEN 'Unassigned' END),
	       told.adset_id, told.name, told.status, told.daily_budget, told.adset_budget, told.campaign_budget, told.creative_dna, told.created_at, told.first_day
	FROM  (SELECT r.ad_id,
	              (array_agg(r.campaign_id     ORDER BY r.day DESC NULLS LAST, r.line DESC) FILTER (WHERE r.campaign_id IS NOT NULL))[1] AS campaign_id,
	              (array_agg(r.campaign_name   ORDER BY r.day DESC NULLS LAST, r.line DESC) FILTER (WHERE r.campaign_name IS NOT NULL))[1] AS campaign_name,
	              (array_agg(r.adset_id        ORDER BY r.day DESC NULLS LAST, r.line DESC) FILTER (WHERE r.adset_id IS NOT NULL))[1] AS adset_id,
	              (array_agg(r.name            ORDER BY r.day DESC NULLS LAST, r.line DESC) FILTER (WHERE r.name IS NOT NULL))[1] AS name,
	              (array_agg(r.status          ORDER BY r.day DESC NULLS LAST, r.line DESC) FILTER (WHERE r.status IS NOT NULL))[1] AS status,
	              (array_agg(r.daily_budget    ORDER BY r.day DESC NULLS LAST, r.line DESC) FILTER (WHERE r.daily_budget IS NOT NULL))[1] AS daily_budget,
	              (array_agg(r.adset_budget    ORDER BY r.day DESC NULLS LAST, r.line DESC) FILTER (WHERE r.adset_budget IS NOT NULL))[1] AS adset_budget,
	              (array_agg(r.campaign_budget ORDER BY r.day DESC NULLS LAST, r.line DESC) FILTER (WHERE r.campaign_budget IS NOT NULL))[1] AS campaign_budget,
	              (array_agg(r.creative_dna    ORDER BY r.day DESC NULLS LAST, r.line DESC) FILTER (WHERE r.creative_dna IS NOT NULL))[1] AS creative_dna,
	              (array_agg(r.created_at      ORDER BY r.day DESC NULLS LAST, r.line DESC) FILTER (WHERE r.created_at IS NOT NULL))[1] AS created_at,
	              min(r.day) AS first_day
	       FROM   import_rows r GROUP BY r.ad_id) AS told
	LEFT  JOIN gv.ads a ON a.tenant_id = gv.tenant() AND a.ad_id = told.ad_id
	LEFT  JOIN (SELECT c.name, min(c.campaign_id) AS campaign_id FROM gv.campaigns c
	            WHERE c.tenant_id = gv.tenant() AND c.account_id = @account AND c.name <> '' GROUP BY c.name) AS known
	      ON known.name = told.campaign_name`

const putCampaigns = `
	WITH told AS MATERIALIZED (
		SELECT campaign_id, max(campaign_name) AS name, max(campaign_budget) AS budget FROM import_ads GROUP BY campaign_id
	), put AS (
		INSERT INTO gv.campaigns AS c (tenant_id, campaign_id, account_id, name, daily_budget_minor)
		SELECT gv.tenant(), campaign_id, @account, coalesce(name, ''), budget FROM told ORDER BY campaign_id
		ON CONFLICT (tenant_id, campaign_id) DO UPDATE
		SET name = coalesce(nullif(excluded.name, ''), c.name), daily_budget_minor = coalesce(excluded.daily_budget_minor, c.daily_budget_minor)
		WHERE (excluded.name <> '' AND excluded.name <> c.name) OR excluded.daily_budget_minor <> coalesce(c.daily_budget_minor, -1)
	)
	SELECT count(*) FROM told WHERE NOT EXISTS (
		SELECT FROM gv.campaigns c WHERE c.tenant_id = gv.tenant() AND c.campaign_id = told.campaign_id)`

// lockAccount lets one load of an account at a time write; lockAds takes the ads
// in the order in which everybody does.
const (
	lockAccount = `SELECT FROM gv.accounts WHERE tenant_id = gv.tenant() AND account_id = @account FOR NO KEY UPDATE`

	lockAds = `
	SELECT count(*) FROM (
		SELECT FROM gv.ads WHERE tenant_id = gv.tenant() AND ad_id IN (SELECT ad_id FROM import_ads) ORDER BY ad_id FOR UPDATE) AS locked`
)

// newAds takes an ad without a creation time to be as old as its first day.
const newAds = `
	WITH put AS (
		INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, adset_id, name, status, daily_budget_minor, creative_dna, created_at)
		SELECT gv.tenant(), t.ad_id, @account, t.campaign_id, coalesce(t.adset_id, ''), coalesce(t.name, ''), coalesce(t.status, 'ACTIVE'), t.daily_budget,
		       coalesce(t.creative_dna, '{}'), coalesce(t.created_at, t.first_day::timestamp AT TIME ZONE acc.time_zone, now())
		FROM   import_ads t
		JOIN   gv.accounts acc ON acc.tenant_id = gv.tenant() AND acc.account_id = @account
		WHERE  NOT EXISTS (SELECT FROM gv.ads a WHERE a.tenant_id = gv.tenant() AND a.ad_id = t.ad_id)
		ORDER  BY t.ad_id
		ON CONFLICT (tenant_id, ad_id) DO NOTHING
		RETURNING ad_id
	)
	SELECT count(*) FROM put`

const knownAds = `
	UPDATE gv.ads a
	SET    campaign_id = t.campaign_id, adset_id = coalesce(t.adset_id, a.adset_id), name = coalesce(t.name, a.name), status = coalesce(t.status, a.status),
	       daily_budget_minor = coalesce(t.daily_budget, a.daily_budget_minor), creative_dna = coalesce(t.creative_dna, a.creative_dna),
	       created_at = coalesce(t.created_at, least(a.created_at, t.first_day::timestamp AT TIME ZONE acc.time_zone))
	FROM   import_ads t, gv.accounts acc
	WHERE  a.tenant_id = gv.tenant() AND a.ad_id = t.ad_id AND acc.tenant_id = gv.tenant() AND acc.account_id = @account
	AND    (a.campaign_id <> t.campaign_id OR a.adset_id <> t.adset_id OR a.name <> t.name OR a.status <> t.status
	        OR a.daily_budget_minor IS DISTINCT FROM coalesce(t.daily_budget, a.daily_budget_minor) OR a.creative_dna <> t.creative_dna
	        OR a.created_at <> t.created_at OR a.created_at > t.first_day::timestamp AT TIME ZONE acc.time_zone)`

// putBudgets gives an ad its ad set's budget where it is the only ad in there:
// how a shared budget is split is the platform's decision.
const putBudgets = `
	UPDATE gv.ads a SET daily_budget_minor = t.adset_budget
	FROM   import_ads t
	WHERE  a.tenant_id = gv.tenant() AND a.ad_id = t.ad_id AND t.adset_budget IS NOT NULL AND t.daily_budget IS NULL AND a.adset_id <> ''
	AND    a.daily_budget_minor IS DISTINCT FROM t.adset_budget
	AND    NOT EXISTS (SELECT FROM gv.ads b WHERE b.tenant_id = gv.tenant() AND b.adset_id = a.adset_id AND b.ad_id <> a.ad_id
	                   AND b.status NOT IN ('ARCHIVED', 'DELETED'))`

// putDays writes the figures of days. Rows of one ad and day are parts of a
// breakdown and add up, but for reach: who was reached twice is counted once.
const putDays = `
	WITH told AS MATERIALIZED (
		SELECT ad_id, day, count(*) AS n, sum(impressions)::bigint AS impressions, sum(clicks)::bigint AS clicks, sum(spend)::bigint AS spend,
		       CASE WHEN count(*) = 1 THEN max(reach) END AS reach, CASE WHEN count(*) = 1 THEN max(frequency) END AS frequency,
		       sum(conversions)::bigint AS conversions, sum(pipeline)::bigint AS pipeline, sum(revenue)::bigint AS revenue
		FROM   import_rows WHERE day IS NOT NULL GROUP BY ad_id, day
	), joined AS MATERIALIZED (
		SELECT t.ad_id, t.day, t.n, t.impressions, t.clicks, t.spend,
		       coalesce(t.reach, m.reach) AS reach, coalesce(t.frequency::real, m.frequency) AS frequency,
		       coalesce(t.conversions, m.conversions, 0) AS conversions, coalesce(t.pipeline, m.value_minor, 0) AS value_minor,
		       CASE WHEN t.pipeline IS NULL THEN m.revenue_minor ELSE coalesce(t.revenue, 0) END AS revenue_minor,
		       m.ad_id IS NOT NULL AS known,
		       (m.impressions, m.clicks, m.spend_minor, m.reach, m.frequency, m.conversions, m.value_minor, m.revenue_minor) AS was
		FROM   told t LEFT JOIN gv.ad_metrics m ON m.tenant_id = gv.tenant() AND m.ad_id = t.ad_id AND m.day = t.day
	), put AS (
		INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor, reach, frequency, conversions, value_minor, revenue_minor)
		SELECT gv.tenant(), ad_id, day, impressions, clicks, spend, reach, frequency, conversions, value_minor, revenue_minor
		FROM   joined ORDER BY ad_id, day
		ON CONFLICT (tenant_id, ad_id, day) DO UPDATE
		SET    impressions = excluded.impressions, clicks = excluded.clicks, spend_minor = excluded.spend_minor, reach = excluded.reach,
		       frequency = excluded.frequency, conversions = excluded.conversions, value_minor = excluded.value_minor, revenue_minor = excluded.revenue_minor
	)
	SELECT coalesce(sum(n) FILTER (WHERE NOT known), 0)::bigint, coalesce(sum(n) FILTER (WHERE known), 0)::bigint,
	       coalesce(sum(n) FILTER (WHERE known AND was IS NOT DISTINCT FROM
	                (impressions, clicks, spend, reach, frequency, conversions, value_minor, revenue_minor)), 0)::bigint
	FROM   joined`

// putTotals writes the figures without a day: totals to date.
const putTotals = `
	WITH told AS MATERIALIZED (
		SELECT ad_id, count(*) AS n, sum(impressions)::bigint AS impressions, sum(clicks)::bigint AS clicks, sum(spend)::bigint AS spend,
		       sum(leads)::bigint AS leads, sum(conversions)::bigint AS conversions, sum(pipeline)::bigint AS pipeline, sum(revenue)::bigint AS revenue
		FROM   import_rows WHERE day IS NULL GROUP BY ad_id
	), joined AS MATERIALIZED (
		SELECT t.ad_id, t.n, t.impressions, t.clicks, t.spend, coalesce(t.leads, f.leads) AS leads, coalesce(t.conversions, f.conversions) AS conversions,
		       coalesce(t.pipeline, f.pipeline_minor) AS pipeline, CASE WHEN t.pipeline IS NULL THEN f.revenue_minor ELSE t.revenue END AS revenue,
		       f.ad_id IS NOT NULL AS known,
		       (f.impressions, f.clicks, f.spend_minor, f.leads, f.conversions, f.pipeline_minor, f.revenue_minor) AS was
		FROM   told t LEFT JOIN gv.ad_figures f ON f.tenant_id = gv.tenant() AND f.ad_id = t.ad_id AND f.source = 'import'
	), put AS (
		INSERT INTO gv.ad_figures (tenant_id, ad_id, source, impressions, clicks, spend_minor, leads, conversions, pipeline_minor, revenue_minor)
		SELECT gv.tenant(), ad_id, 'import', impressions, clicks, spend, leads, conversions, pipeline, revenue FROM joined ORDER BY ad_id
		ON CONFLICT (tenant_id, ad_id, source) DO UPDATE
		SET    impressions = excluded.impressions, clicks = excluded.clicks, spend_minor = excluded.spend_minor, leads = excluded.leads,
		       conversions = excluded.conversions, pipeline_minor = excluded.pipeline_minor, revenue_minor = excluded.revenue_minor, observed_at = now()
	)
	SELECT coalesce(sum(n) FILTER (WHERE NOT known), 0)::bigint, coalesce(sum(n) FILTER (WHERE known), 0)::bigint,
	       coalesce(sum(n) FILTER (WHERE known AND was IS NOT DISTINCT FROM (impressions, clicks, spend, leads, conversions, pipeline, revenue)), 0)::bigint
	FROM   joined`
