package ads

// The figures of a report by key. Without a breakdown every row is a key of its
// own; with one, import_keys has the sums of the parts, whose rows are counted
// already.
const (
	plainKeys = `SELECT ad_id, first_day, last_day, 1 AS n, impressions, clicks, spend, reach, frequency, leads, conversions, pipeline, revenue FROM import_rows`
	splitKeys = `SELECT * FROM import_keys`
)

// removeParts removes the parts of the report's keys that are split in another
// way: they are the same figures, and do not add up with the new ones.
const removeParts = `
	DELETE FROM gv.report_parts p USING import_rows r
	WHERE  p.tenant_id = gv.tenant() AND p.ad_id = r.ad_id AND p.view <> @view::bigint
	AND    p.first_day = coalesce(r.first_day, '-infinity') AND p.last_day = coalesce(r.last_day, '-infinity')
	AND    EXISTS (SELECT FROM gv.report_parts o WHERE o.tenant_id = gv.tenant())`

// putParts writes the rows of a report with a breakdown.
const putParts = `
	WITH joined AS MATERIALIZED (
		SELECT r.ad_id, coalesce(r.first_day, '-infinity') AS first_day, coalesce(r.last_day, '-infinity') AS last_day, r.part, r.impressions,
		       r.clicks, r.spend,
		       coalesce(r.reach, p.reach) AS reach, coalesce(r.frequency, p.frequency) AS frequency, coalesce(r.leads, p.leads) AS leads,
		       coalesce(r.conversions, p.conversions) AS conversions, coalesce(r.pipeline, p.pipeline_minor) AS pipeline,
		       CASE WHEN r.pipeline IS NULL THEN p.revenue_minor ELSE r.revenue END AS revenue, p.ad_id IS NOT NULL AS known,
		       (p.impressions, p.clicks, p.spend_minor, p.reach, p.frequency, p.leads, p.conversions, p.pipeline_minor, p.revenue_minor) AS was
		FROM   import_rows r
		LEFT   JOIN gv.report_parts p ON p.tenant_id = gv.tenant() AND p.ad_id = r.ad_id AND p.first_day = coalesce(r.first_day, '-infinity')
		       AND p.last_day = coalesce(r.last_day, '-infinity') AND p.part = r.part
	), put AS (
		INSERT INTO gv.report_parts (tenant_id, ad_id, first_day, last_day, part, view, impressions, clicks, spend_minor, reach, frequency, leads,
		                             conversions, pipeline_minor, revenue_minor)
		SELECT gv.tenant(), ad_id, first_day, last_day, part, @view::bigint, impressions, clicks, spend, reach, frequency, leads, conversions,
		       pipeline, revenue
		FROM   joined ORDER BY ad_id, first_day, last_day, part
		ON CONFLICT (tenant_id, ad_id, first_day, last_day, part) DO UPDATE
		SET    impressions = excluded.impressions, clicks = excluded.clicks, spend_minor = excluded.spend_minor, reach = excluded.reach,
		       frequency = excluded.frequency, leads = excluded.leads, conversions = excluded.conversions,
		       pipeline_minor = excluded.pipeline_minor,
		       revenue_minor = excluded.revenue_minor
	)
	SELECT count(*) FILTER (WHERE NOT known), count(*) FILTER (WHERE known),
	       count(*) FILTER (WHERE known AND was IS NOT DISTINCT FROM
	                        (impressions, clicks, spend, reach, frequency, leads, conversions, pipeline, revenue))
	FROM   joined`

// sumParts adds up the parts of the report's keys, those of earlier reports
// included. Reach does not add up: who was reached twice is counted once.
const sumParts = `
	INSERT INTO import_keys
	SELECT k.ad_id, nullif(k.first_day, '-infinity'), nullif(k.last_day, '-infinity'), 0, sum(p.impressions), sum(p.clicks),
	       sum(p.spend_minor),
	       CASE WHEN count(*) = 1 THEN max(p.reach) END, CASE WHEN count(*) = 1 THEN max(p.frequency) END,
	       sum(p.leads), sum(p.conversions), sum(p.pipeline_minor), sum(p.revenue_minor)
	FROM  (SELECT DISTINCT ad_id, coalesce(first_day, '-infinity') AS first_day, coalesce(last_day, '-infinity') AS last_day
	       FROM import_rows) k
	JOIN   gv.report_parts p ON p.tenant_id = gv.tenant() AND p.ad_id = k.ad_id AND p.first_day = k.first_day AND p.last_day = k.last_day
	GROUP  BY k.ad_id, k.first_day, k.last_day`

// putDays writes the figures of days. A day that Meta has said stays, but for
// conversions where Meta has none.
const putDays = `
	WITH said AS MATERIALIZED (
		SELECT * FROM (/*keys*/) AS k WHERE first_day = last_day
	), joined AS MATERIALIZED (
		SELECT t.ad_id, t.first_day AS day, t.n, v.meta,
		       CASE WHEN v.meta THEN m.impressions ELSE t.impressions END AS impressions,
		       CASE WHEN v.meta THEN m.clicks ELSE t.clicks END AS clicks,
		       CASE WHEN v.meta THEN m.spend_minor ELSE t.spend END AS spend,
		       CASE WHEN v.meta THEN m.reach ELSE coalesce(t.reach, m.reach) END AS reach,
		       CASE WHEN v.meta THEN m.frequency ELSE coalesce(t.frequency::real, m.frequency) END AS frequency,
		       CASE WHEN v.valued THEN m.conversions ELSE coalesce(t.conversions, m.conversions, 0) END AS conversions,
		       CASE WHEN v.valued THEN m.value_minor ELSE coalesce(t.pipeline, m.value_minor, 0) END AS value_minor,
		       CASE WHEN v.valued OR t.pipeline IS NULL THEN m.revenue_minor ELSE coalesce(t.revenue, 0) END AS revenue_minor,
		       CASE WHEN v.valued THEN m.conversion_value_minor ELSE @worth::bigint END AS worth,
		       v.meta AND (v.valued OR m.value_from_meta AND coalesce(t.conversions, 0) = 0 AND coalesce(t.pipeline, 0) = 0) AS value_from_meta,
		       m.ad_id IS NOT NULL AS known,
		       (m.impressions, m.clicks, m.spend_minor, m.reach, m.frequency, m.conversions, m.value_minor, m.revenue_minor) AS was,
		       m.imported AS was_imported, m.conversion_value_minor AS was_worth, m.value_from_meta AS was_from_meta
		FROM   said t
		LEFT   JOIN gv.ad_metrics m ON m.tenant_id = gv.tenant() AND m.ad_id = t.ad_id AND m.day = t.first_day
		CROSS  JOIN LATERAL (SELECT coalesce(m.from_meta, false) AS meta,
		                            coalesce(m.from_meta AND m.value_from_meta AND (m.conversions > 0 OR m.value_minor > 0), false) AS valued) v
	), compared AS MATERIALIZED (
		SELECT *, known AND was IS NOT DISTINCT FROM (impressions, clicks, spend, reach, frequency, conversions, value_minor,
		       revenue_minor) AS same FROM joined
	), put AS (
		INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor, reach, frequency, conversions, value_minor,
		       revenue_minor,
		                           from_meta, value_from_meta, imported, conversion_value_minor)
		SELECT gv.tenant(), ad_id, day, impressions, clicks, spend, reach, frequency, conversions, value_minor, revenue_minor, meta,
		       value_from_meta, true, worth
		FROM   compared
		WHERE  NOT same OR NOT was_imported OR was_worth IS DISTINCT FROM worth OR was_from_meta <> value_from_meta
		ORDER  BY ad_id, day
		ON CONFLICT (tenant_id, ad_id, day) DO UPDATE
		SET    impressions = excluded.impressions, clicks = excluded.clicks, spend_minor = excluded.spend_minor, reach = excluded.reach,
		       frequency = excluded.frequency, conversions = excluded.conversions, value_minor = excluded.value_minor,
		       revenue_minor = excluded.revenue_minor,
		       value_from_meta = excluded.value_from_meta, imported = true, conversion_value_minor = excluded.conversion_value_minor
	)
	SELECT coalesce(sum(n) FILTER (WHERE NOT known), 0)::bigint, coalesce(sum(n) FILTER (WHERE known), 0)::bigint,
	       coalesce(sum(n) FILTER (WHERE same), 0)::bigint, count(*) FILTER (WHERE meta)
	FROM   compared`

// oneKept names one of the report's days that Meta has said.
const oneKept = `
	SELECT r.ad_id, r.first_day::text FROM import_rows r
	JOIN   gv.ad_metrics m ON m.tenant_id = gv.tenant() AND m.ad_id = r.ad_id AND m.day = r.first_day AND m.from_meta
	WHERE  r.first_day = r.last_day ORDER BY r.line LIMIT 1`

// putPeriods writes the figures of several days together, which count until
// countPeriods says otherwise.
const putPeriods = `
	WITH said AS MATERIALIZED (
		SELECT * FROM (/*keys*/) AS k WHERE first_day < last_day
	), joined AS MATERIALIZED (
		SELECT t.ad_id, t.first_day, t.last_day, t.n, t.impressions, t.clicks, t.spend, coalesce(t.leads, p.leads) AS leads,
		       coalesce(t.conversions, p.conversions) AS conversions, coalesce(t.pipeline, p.pipeline_minor) AS pipeline,
		       CASE WHEN t.pipeline IS NULL THEN p.revenue_minor ELSE t.revenue END AS revenue, p.ad_id IS NOT NULL AS known,
		       (p.impressions, p.clicks, p.spend_minor, p.leads, p.conversions, p.pipeline_minor, p.revenue_minor) AS was
		FROM   said t
		LEFT   JOIN gv.ad_periods p ON p.tenant_id = gv.tenant() AND p.ad_id = t.ad_id AND p.first_day = t.first_day AND p.last_day = t.last_day
	), put AS (
		INSERT INTO gv.ad_periods (tenant_id, ad_id, first_day, last_day, impressions, clicks, spend_minor, leads, conversions, pipeline_minor,
		       revenue_minor,
		                           conversion_value_minor)
		SELECT gv.tenant(), ad_id, first_day, last_day, impressions, clicks, spend, leads, conversions, pipeline, revenue, @worth::bigint
		FROM   joined ORDER BY ad_id, first_day, last_day
		ON CONFLICT (tenant_id, ad_id, first_day, last_day) DO UPDATE
		SET    impressions = excluded.impressions, clicks = excluded.clicks, spend_minor = excluded.spend_minor, leads = excluded.leads,
		       conversions = excluded.conversions, pipeline_minor = excluded.pipeline_minor, revenue_minor = excluded.revenue_minor,
		       conversion_value_minor = excluded.conversion_value_minor
	)
	SELECT coalesce(sum(n) FILTER (WHERE NOT known), 0)::bigint, coalesce(sum(n) FILTER (WHERE known), 0)::bigint,
	       coalesce(sum(n)
	       FILTER (WHERE known AND was IS NOT DISTINCT FROM (impressions, clicks, spend, leads, conversions, pipeline, revenue)), 0)::bigint
	FROM   joined`

// putTotals writes the figures without days: totals to date.
const putTotals = `
	WITH said AS MATERIALIZED (
		SELECT * FROM (/*keys*/) AS k WHERE first_day IS NULL
	), joined AS MATERIALIZED (
		SELECT t.ad_id, t.n, t.impressions, t.clicks, t.spend, coalesce(t.leads, f.leads) AS leads,
		       coalesce(t.conversions, f.conversions) AS conversions,
		       coalesce(t.pipeline, f.pipeline_minor) AS pipeline,
		       CASE WHEN t.pipeline IS NULL THEN f.revenue_minor ELSE t.revenue END AS revenue,
		       f.ad_id IS NOT NULL AS known,
		       (f.impressions, f.clicks, f.spend_minor, f.leads, f.conversions, f.pipeline_minor, f.revenue_minor) AS was
		FROM   said t LEFT JOIN gv.ad_figures f ON f.tenant_id = gv.tenant() AND f.ad_id = t.ad_id AND f.source = 'import'
	), put AS (
		INSERT INTO gv.ad_figures (tenant_id, ad_id, source, impressions, clicks, spend_minor, leads, conversions, pipeline_minor, revenue_minor,
		       conversion_value_minor)
		SELECT gv.tenant(), ad_id, 'import', impressions, clicks, spend, leads, conversions, pipeline, revenue, @worth::bigint FROM joined
		ORDER BY ad_id
		ON CONFLICT (tenant_id, ad_id, source) DO UPDATE
		SET    impressions = excluded.impressions, clicks = excluded.clicks, spend_minor = excluded.spend_minor, leads = excluded.leads,
		       conversions = excluded.conversions, pipeline_minor = excluded.pipeline_minor, revenue_minor = excluded.revenue_minor,
		       conversion_value_minor = excluded.conversion_value_minor, observed_at = now()
	)
	SELECT coalesce(sum(n) FILTER (WHERE NOT known), 0)::bigint, coalesce(sum(n) FILTER (WHERE known), 0)::bigint,
	       coalesce(sum(n)
	       FILTER (WHERE known AND was IS NOT DISTINCT FROM (impressions, clicks, spend, leads, conversions, pipeline, revenue)), 0)::bigint
	FROM   joined`

// countUnvalued counts the report's conversions that have no value of their own.
const countUnvalued = `
	SELECT coalesce(sum(conversions), 0)::bigint, count(DISTINCT ad_id) FROM import_rows WHERE conversions > 0 AND coalesce(pipeline, 0) = 0`
