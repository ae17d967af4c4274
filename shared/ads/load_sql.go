package ads

// createStage makes the tables of one load. They are gone with its transaction,
// so a transaction pooler may hand the connection on.
const createStage = `
	CREATE TEMPORARY TABLE import_rows (
		line integer NOT NULL, ad_id text NOT NULL, first_day date, last_day date, part uuid,
		campaign_id text, campaign_name text, adset_id text, name text, status text,
		daily_budget bigint, adset_budget bigint, campaign_budget bigint, creative_dna jsonb, created_at timestamptz,
		impressions bigint NOT NULL, clicks bigint NOT NULL, spend bigint NOT NULL, reach bigint, frequency double precision,
		leads bigint, conversions bigint, pipeline bigint, revenue bigint
	) ON COMMIT DROP;
	CREATE TEMPORARY TABLE import_ads (
		ad_id text NOT NULL, campaign_id text NOT NULL, campaign_name text, adset_id text, name text, status text,
		daily_budget bigint, adset_budget bigint, campaign_budget bigint, creative_dna jsonb, created_at timestamptz, first_day date,
		described_on date NOT NULL, budget_on date NOT NULL, today date NOT NULL
	) ON COMMIT DROP;
	CREATE TEMPORARY TABLE import_keys (
		ad_id text NOT NULL, first_day date, last_day date, n bigint NOT NULL, impressions bigint, clicks bigint, spend bigint,
		reach bigint, frequency double precision, leads bigint, conversions bigint, pipeline bigint, revenue bigint
	) ON COMMIT DROP`

var stageColumns = []string{
	"line", "ad_id", "first_day", "last_day", "part", "campaign_id", "campaign_name", "adset_id", "name", "status",
	"daily_budget", "adset_budget", "campaign_budget", "creative_dna", "created_at",
	"impressions", "clicks", "spend", "reach", "frequency", "leads", "conversions", "pipeline", "revenue",
}

// refuseConflicts takes out the rows of ads that have different rows of one key.
const refuseConflicts = `
	WITH wrong AS (
		DELETE FROM import_rows r USING unnest(@ads::text[], @reasons::text[]) AS c (ad_id, reason)
		WHERE  r.ad_id = c.ad_id
		RETURNING r.line, 'ad_id' AS field, c.reason
	)
	SELECT line, field, reason, count(*) OVER () AS refused FROM wrong ORDER BY line LIMIT @n`

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

// gatherAds makes one row of all that the report says of an ad: of each field the
// newest value, and of two of one day the greater, so that the order of rows does
// not matter. An ad whose campaign is not named keeps the one it has; a campaign
// that has a name and no id is known by its name.
const gatherAds = `
	INSERT INTO import_ads
	SELECT r.ad_id,
	       coalesce(r.campaign_id, a.campaign_id, known.campaign_id, @account || ':' || coalesce(r.campaign_name, 'unassigned')),
	       coalesce(r.campaign_name, CASE WHEN r.campaign_id IS NULL AND a.campaign_id IS NULL THEN 'Unassigned' END),
	       r.adset_id, r.name, r.status, r.daily_budget, r.adset_budget, r.campaign_budget, r.creative_dna, r.created_at, r.first_day,
	       coalesce(r.described_on, now.today), coalesce(r.budget_on, now.today), now.today
	FROM  (SELECT r.ad_id,
	              (array_agg(r.campaign_id     ORDER BY r.last_day DESC NULLS LAST,
	              r.campaign_id DESC)     FILTER (WHERE r.campaign_id IS NOT NULL))[1] AS campaign_id,
	              (array_agg(r.campaign_name   ORDER BY r.last_day DESC NULLS LAST,
	              r.campaign_name DESC)   FILTER (WHERE r.campaign_name IS NOT NULL))[1] AS campaign_name,
	              (array_agg(r.adset_id        ORDER BY r.last_day DESC NULLS LAST,
	              r.adset_id DESC)        FILTER (WHERE r.adset_id IS NOT NULL))[1] AS adset_id,
	              (array_agg(r.name            ORDER BY r.last_day DESC NULLS LAST,
	              r.name DESC)            FILTER (WHERE r.name IS NOT NULL))[1] AS name,
	              (array_agg(r.status          ORDER BY r.last_day DESC NULLS LAST,
	              r.status DESC)          FILTER (WHERE r.status IS NOT NULL))[1] AS status,
	              (array_agg(r.daily_budget    ORDER BY r.last_day DESC NULLS LAST,
	              r.daily_budget DESC)    FILTER (WHERE r.daily_budget IS NOT NULL))[1] AS daily_budget,
	              (array_agg(r.adset_budget    ORDER BY r.last_day DESC NULLS LAST,
	              r.adset_budget DESC)    FILTER (WHERE r.adset_budget IS NOT NULL))[1] AS adset_budget,
	              (array_agg(r.campaign_budget ORDER BY r.last_day DESC NULLS LAST,
	              r.campaign_budget DESC) FILTER (WHERE r.campaign_budget IS NOT NULL))[1] AS campaign_budget,
	              (array_agg(r.creative_dna    ORDER BY r.last_day DESC NULLS LAST,
	              r.creative_dna DESC)    FILTER (WHERE r.creative_dna IS NOT NULL))[1] AS creative_dna,
	              (array_agg(r.created_at      ORDER BY r.last_day DESC NULLS LAST,
	              r.created_at)           FILTER (WHERE r.created_at IS NOT NULL))[1] AS created_at,
	              min(r.first_day) AS first_day, max(r.last_day) AS described_on,
	              max(r.last_day) FILTER (WHERE coalesce(r.daily_budget, r.adset_budget, r.campaign_budget) IS NOT NULL) AS budget_on
	       FROM   import_rows r GROUP BY r.ad_id) AS r
	CROSS JOIN (SELECT (now() AT TIME ZONE time_zone)::date AS today FROM gv.accounts WHERE tenant_id = gv.tenant()
	       AND account_id = @account) AS now
	LEFT  JOIN gv.ads a ON a.tenant_id = gv.tenant() AND a.ad_id = r.ad_id
	LEFT  JOIN (SELECT c.name, min(c.campaign_id) AS campaign_id FROM gv.campaigns c
	            WHERE c.tenant_id = gv.tenant() AND c.account_id = @account AND c.name <> '' GROUP BY c.name) AS known
	      ON known.name = r.campaign_name`

// putCampaigns writes campaigns. A report of an earlier day replaces neither a
// later name nor a budget that is known of today.
const putCampaigns = `
	WITH said AS MATERIALIZED (
		SELECT campaign_id, max(described_on) AS described_on, max(budget_on) FILTER (WHERE campaign_budget IS NOT NULL) AS budget_on,
		       max(today) AS today,
		       (array_agg(campaign_name   ORDER BY described_on DESC, campaign_name DESC) FILTER (WHERE campaign_name IS NOT NULL))[1] AS name,
		       (array_agg(campaign_budget ORDER BY budget_on DESC, campaign_budget DESC)  FILTER (WHERE campaign_budget IS NOT NULL))[1] AS budget
		FROM   import_ads GROUP BY campaign_id
	), fresh AS (
		SELECT s.campaign_id, s.described_on,
		       CASE WHEN c.campaign_id IS NULL OR c.name = '' THEN coalesce(s.name, '')
		            WHEN (NOT c.from_meta OR s.described_on >= s.today)
		            AND s.described_on >= coalesce(c.described_on, '-infinity') THEN coalesce(s.name, c.name)
		            ELSE c.name END AS name,
		       b.takes, CASE WHEN b.takes THEN s.budget ELSE c.daily_budget_minor END AS budget,
		       CASE WHEN b.takes THEN s.budget_on ELSE c.budget_on END AS budget_on
		FROM   said s
		LEFT   JOIN gv.campaigns c ON c.tenant_id = gv.tenant() AND c.campaign_id = s.campaign_id
		CROSS  JOIN LATERAL (SELECT s.budget IS NOT NULL AND (c.campaign_id IS NULL OR s.budget_on >= s.today
			OR NOT c.from_meta AND (c.daily_budget_minor IS NULL OR s.budget_on >= c.budget_on)) AS takes) b
	), put AS (
		INSERT INTO gv.campaigns AS c (tenant_id, campaign_id, account_id, name, daily_budget_minor, described_on, budget_on)
		SELECT gv.tenant(), campaign_id, @account, name, budget, described_on, budget_on FROM fresh ORDER BY campaign_id
		ON CONFLICT (tenant_id, campaign_id) DO UPDATE
		SET name = excluded.name, daily_budget_minor = excluded.daily_budget_minor, budget_on = excluded.budget_on,
		    described_on = greatest(c.described_on, excluded.described_on)
		WHERE (c.name, c.daily_budget_minor, c.budget_on) IS DISTINCT FROM (excluded.name, excluded.daily_budget_minor, excluded.budget_on)
		OR    excluded.described_on > coalesce(c.described_on, '-infinity')
	)
	SELECT count(*) FROM said WHERE NOT EXISTS (
		SELECT FROM gv.campaigns c WHERE c.tenant_id = gv.tenant() AND c.campaign_id = said.campaign_id)`

// lockAccount lets one load of an account at a time write; lockAds takes the ads
// in the order in which everybody does.
const (
	lockAccount = `SELECT FROM gv.accounts WHERE tenant_id = gv.tenant() AND account_id = @account FOR NO KEY UPDATE`

	lockAds = `
	SELECT count(*) FROM (
		SELECT FROM gv.ads WHERE tenant_id = gv.tenant() AND ad_id IN (SELECT ad_id FROM import_ads) ORDER BY ad_id FOR UPDATE) AS locked`
)

// clickedAds are those of the new ads that have clicks already.
const clickedAds = `
	CREATE TEMPORARY TABLE import_clicked ON COMMIT DROP AS
	SELECT t.ad_id FROM import_ads t
	WHERE  NOT EXISTS (SELECT FROM gv.ads a WHERE a.tenant_id = gv.tenant() AND a.ad_id = t.ad_id) AND ` + clicked + `
	ORDER  BY t.ad_id`

// newAds takes an ad without a creation time to be as old as its first day.
const newAds = `
	WITH put AS (
		INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, adset_id, name, status, daily_budget_minor, creative_dna, created_at,
		       described_on, budget_on)
		SELECT gv.tenant(), t.ad_id, @account, t.campaign_id, coalesce(t.adset_id, ''), coalesce(t.name, ''), coalesce(t.status, 'ACTIVE'),
		       t.daily_budget,
		       coalesce(t.creative_dna, '{}'), coalesce(t.created_at, t.first_day::timestamp AT TIME ZONE acc.time_zone, now()),
		       t.described_on, CASE WHEN t.daily_budget IS NOT NULL THEN t.budget_on END
		FROM   import_ads t
		JOIN   gv.accounts acc ON acc.tenant_id = gv.tenant() AND acc.account_id = @account
		WHERE  NOT EXISTS (SELECT FROM gv.ads a WHERE a.tenant_id = gv.tenant() AND a.ad_id = t.ad_id)
		ORDER  BY t.ad_id
		ON CONFLICT (tenant_id, ad_id) DO NOTHING
		RETURNING ad_id
	)
	SELECT count(*) FROM put`

// takesBudget reports whether a report's budget replaces the ad's: one of an
// earlier day does so only where the ad is not read from the platform and nothing
// newer is known.
const takesBudget = `(t.budget_on >= t.today OR NOT a.from_meta AND (a.daily_budget_minor IS NULL OR t.budget_on >= a.budget_on))`

// knownAds writes what a report says of ads that are known. One of an earlier day
// than the newest only fills what is empty.
const knownAds = `
	UPDATE gv.ads a
	SET    campaign_id = f.campaign_id, adset_id = f.adset_id, name = f.name, status = f.status, creative_dna = f.creative_dna,
	       created_at = f.created_at,
	       daily_budget_minor = f.budget, budget_on = f.budget_on, described_on = f.described_on
	FROM  (SELECT a.ad_id,
	              CASE WHEN n.newest THEN t.campaign_id ELSE a.campaign_id END AS campaign_id,
	              CASE WHEN n.newest THEN coalesce(t.adset_id, a.adset_id) ELSE coalesce(nullif(a.adset_id, ''), t.adset_id,
	              '') END AS adset_id,
	              CASE WHEN n.newest THEN coalesce(t.name, a.name) ELSE coalesce(nullif(a.name, ''), t.name, '') END AS name,
	              CASE WHEN n.newest THEN coalesce(t.status, a.status) ELSE a.status END AS status,
	              CASE WHEN n.newest OR a.creative_dna = '{}' THEN coalesce(t.creative_dna,
	              a.creative_dna) ELSE a.creative_dna END AS creative_dna,
	              coalesce(t.created_at, least(a.created_at, t.first_day::timestamp AT TIME ZONE acc.time_zone)) AS created_at,
	              CASE WHEN n.budget THEN t.daily_budget ELSE a.daily_budget_minor END AS budget,
	              CASE WHEN n.budget THEN t.budget_on ELSE a.budget_on END AS budget_on,
	              greatest(a.described_on, t.described_on) AS described_on
	       FROM   import_ads t
	       JOIN   gv.ads a ON a.tenant_id = gv.tenant() AND a.ad_id = t.ad_id
	       JOIN   gv.accounts acc ON acc.tenant_id = gv.tenant() AND acc.account_id = @account
	       CROSS  JOIN LATERAL (SELECT (NOT a.from_meta OR t.described_on >= t.today)
	              AND t.described_on >= coalesce(a.described_on, '-infinity') AS newest,
	                                   t.daily_budget IS NOT NULL AND ` + takesBudget + ` AS budget) n) AS f
	WHERE  a.tenant_id = gv.tenant() AND a.ad_id = f.ad_id
	AND    (a.campaign_id, a.adset_id, a.name, a.status, a.creative_dna, a.created_at, a.daily_budget_minor, a.budget_on, a.described_on)
	       IS DISTINCT FROM (f.campaign_id, f.adset_id, f.name, f.status, f.creative_dna, f.created_at, f.budget, f.budget_on, f.described_on)`

// putBudgets gives an ad its ad set's budget where it is the only ad in there:
// how a shared budget is split is the platform's decision.
const putBudgets = `
	UPDATE gv.ads a SET daily_budget_minor = t.adset_budget, budget_on = t.budget_on
	FROM   import_ads t
	WHERE  a.tenant_id = gv.tenant() AND a.ad_id = t.ad_id AND t.adset_budget IS NOT NULL AND t.daily_budget IS NULL AND a.adset_id <> ''
	AND    (a.daily_budget_minor, a.budget_on) IS DISTINCT FROM (t.adset_budget, t.budget_on) AND ` + takesBudget + `
	AND    NOT EXISTS (SELECT FROM gv.ads b WHERE b.tenant_id = gv.tenant() AND b.adset_id = a.adset_id AND b.ad_id <> a.ad_id
	                   AND b.status NOT IN ('ARCHIVED', 'DELETED'))`

// staleBudgets counts the ads whose budget of an earlier day was not taken.
const staleBudgets = `
	SELECT count(*) FROM import_ads t JOIN gv.ads a ON a.tenant_id = gv.tenant() AND a.ad_id = t.ad_id
	WHERE  coalesce(t.daily_budget, t.adset_budget) IS NOT NULL AND t.budget_on < t.today
	AND    a.daily_budget_minor <> coalesce(t.daily_budget, t.adset_budget)`
