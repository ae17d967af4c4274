SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '110s';

-- recompute_ads sums the figures of ads anew (shared/ads, Recompute, says how). It stands in
-- the database because its plan costs four times its work, and a transaction pooler keeps
-- no prepared statements: a function's plan is made once a connection. The plan is the
-- generic one, for any number of ads: it looks every ad up by its id (hence LATERAL, and
-- OFFSET 0, which stops the planner from turning the look-ups into joins), for right after
-- an import there are no statistics, and it would join whole tables row by row. It sees what
-- its caller sees. A later version gets another name, for builds of before call this one.
--
-- d has two readings of days and periods. With both Meta's days and imported periods, a
-- period that no stored day falls into adds to the days; but Meta keeps fewer days than an
-- old report covers, so the import by itself may know more.
CREATE FUNCTION gv.recompute_ads(wanted text[], least_roas float8, least_spend numeric)
	RETURNS TABLE (ad_id text, currency text, pipeline bigint, revenue bigint, spend bigint, is_winner boolean, was_winner boolean,
	               known_roas float8, ctr float8)
	LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan
	AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	WITH target AS MATERIALIZED (
		SELECT a.ad_id, a.is_winner AS was_winner, acc.currency,
		       -- a deal was once credited to the ad, or would be if it came back: no report takes the ledger's place
		       EXISTS (SELECT FROM gv.deal_touches x WHERE x.tenant_id = gv.tenant() AND x.ad_id = a.ad_id AND x.eligible) AS deal_credited,
		       acc.settings, coalesce(acc.conversion_value_minor, 0) AS worth,
		       acc.currency = t.currency AS same_currency,
		       (10 ^ gv.decimals(acc.currency))::numeric AS minor
		FROM   gv.ads a
		JOIN   gv.accounts acc USING (tenant_id, account_id)
		JOIN   gv.tenants t USING (tenant_id)
		WHERE  a.tenant_id = gv.tenant() AND a.ad_id = ANY (wanted)
	), valued AS (
		SELECT t.*, coalesce(o.impressions, 0) AS impressions, coalesce(o.clicks, 0) AS clicks,
		       coalesce(greatest(d.spend, fb.spend_minor, im.spend_minor), 0) AS spend_minor,
		       CASE WHEN l.deals > 0 OR t.deal_credited AND (fb.pipeline_minor IS NOT NULL OR r.known) THEN 'ledger'
		            WHEN fb.pipeline_minor IS NOT NULL THEN 'feedback' WHEN r.known THEN 'import' ELSE 'none' END AS source,
		       coalesce(l.pipeline, 0) AS ledger_pipeline, coalesce(l.revenue, 0) AS ledger_revenue, l.confidence,
		       fb.pipeline_minor AS fb_pipeline, coalesce(fb.revenue_minor, 0) AS fb_revenue,
		       r.value AS report_value, r.revenue AS report_revenue, least(r.assumed, 1000000000000000) AS report_assumed
		FROM   target t
		LEFT   JOIN LATERAL (
			SELECT sum(m.impressions) AS impressions, sum(m.clicks) AS clicks, sum(m.spend_minor) AS spend, sum(m.value_minor) AS value,
			       sum(least(coalesce(m.revenue_minor, m.value_minor), m.value_minor)) AS revenue, sum(m.conversions) AS conversions,
			       sum(m.conversions::numeric * coalesce(m.conversion_value_minor, t.worth)) FILTER (WHERE m.value_minor = 0) AS assumed,
			       sum(m.impressions) FILTER (WHERE m.imported) AS im_impressions, sum(m.clicks) FILTER (WHERE m.imported) AS im_clicks,
			       sum(m.spend_minor) FILTER (WHERE m.imported) AS im_spend, sum(m.value_minor) FILTER (WHERE m.imported) AS im_value,
			       sum(least(coalesce(m.revenue_minor, m.value_minor), m.value_minor)) FILTER (WHERE m.imported) AS im_revenue,
			       sum(m.conversions::numeric * coalesce(m.conversion_value_minor, t.worth)) FILTER (WHERE m.imported
			       AND m.value_minor = 0) AS im_assumed
			FROM   gv.ad_metrics m WHERE m.tenant_id = gv.tenant() AND m.ad_id = t.ad_id
		) dy ON true
		LEFT   JOIN LATERAL (
			SELECT sum(p.impressions) AS impressions, sum(p.clicks) AS clicks, sum(p.spend_minor) AS spend,
			       sum(p.impressions) FILTER (WHERE p.apart) AS more_impressions, sum(p.clicks) FILTER (WHERE p.apart) AS more_clicks,
			       sum(p.spend_minor) FILTER (WHERE p.apart) AS more_spend,
			       sum(p.pipeline_minor) FILTER (WHERE p.apart) AS value, sum(p.revenue_minor) FILTER (WHERE p.apart) AS revenue,
			       sum(p.conversions) FILTER (WHERE p.apart) AS conversions,
			       sum(p.conversions::numeric * coalesce(p.conversion_value_minor, t.worth)) FILTER (WHERE p.apart
			       AND coalesce(p.pipeline_minor, 0) = 0) AS assumed,
			       sum(p.pipeline_minor) AS all_value, sum(p.revenue_minor) AS all_revenue, sum(p.conversions) AS all_conversions,
			       sum(p.conversions::numeric * coalesce(p.conversion_value_minor, t.worth)) FILTER (WHERE
			       coalesce(p.pipeline_minor, 0) = 0) AS all_assumed
			FROM  (SELECT q.*, NOT EXISTS (SELECT FROM gv.ad_metrics m WHERE m.tenant_id = gv.tenant() AND m.ad_id = q.ad_id
			                               AND m.day BETWEEN q.first_day AND q.last_day) AS apart
			       FROM   gv.ad_periods q WHERE q.tenant_id = gv.tenant() AND q.ad_id = t.ad_id AND q.counted OFFSET 0) p
		) pe ON true
		LEFT   JOIN LATERAL (
			SELECT count(*) AS deals, sum(d.value_minor)::bigint AS pipeline,
			       -- A won deal without an amount counts at its stage's value, which nobody paid: pipeline, and no revenue.
			       coalesce(sum(d.value_minor) FILTER (WHERE d.paid), 0)::bigint AS revenue,
			       coalesce(sum(d.confidence * d.value_minor) / nullif(sum(d.value_minor), 0), avg(d.confidence)) AS confidence
			FROM  (SELECT d.value_minor, d.stage_name = 'closed_won' AND d.amount_minor IS NOT NULL AS paid, d.attribution_confidence AS confidence
			       FROM   gv.deals d WHERE d.tenant_id = gv.tenant() AND d.ad_id = t.ad_id AND d.state = 'live' AND NOT d.split
			       UNION ALL -- of a deal that several ads share, the ad's part: the parts add up to the minor unit
			       SELECT round(d.value_minor * c.share_to) - round(d.value_minor * c.share_from), d.stage_name = 'closed_won'
			              AND d.amount_minor IS NOT NULL,
			              d.attribution_confidence
			       FROM   gv.deal_credits c JOIN gv.deals d USING (tenant_id, portal_id, deal_id)
			       WHERE  c.tenant_id = gv.tenant() AND c.ad_id = t.ad_id AND d.state = 'live' AND d.split) AS d
		) l ON t.same_currency
		LEFT   JOIN LATERAL (
			SELECT f.* FROM gv.ad_figures f WHERE f.tenant_id = gv.tenant() AND f.ad_id = t.ad_id AND f.source = 'feedback' OFFSET 0
		) fb ON true
		LEFT   JOIN LATERAL (
			SELECT f.* FROM gv.ad_figures f WHERE f.tenant_id = gv.tenant() AND f.ad_id = t.ad_id AND f.source = 'import' OFFSET 0
		) im ON true
		LEFT   JOIN LATERAL (
			SELECT s.*
			FROM  (VALUES
				(coalesce(dy.impressions, 0) + coalesce(pe.more_impressions, 0), coalesce(dy.clicks, 0) + coalesce(pe.more_clicks, 0),
				coalesce(dy.spend, 0) + coalesce(pe.more_spend, 0), 1),
				(coalesce(dy.im_impressions, 0) + coalesce(pe.impressions, 0), coalesce(dy.im_clicks, 0) + coalesce(pe.clicks, 0),
				coalesce(dy.im_spend, 0) + coalesce(pe.spend, 0), 2)
			) AS s (impressions, clicks, spend, reading)
			WHERE  dy.impressions IS NOT NULL OR pe.impressions IS NOT NULL
			ORDER  BY s.impressions DESC, s.spend DESC, s.reading LIMIT 1
		) d ON true
		LEFT   JOIN LATERAL ( -- the report that knows of most value
			SELECT s.value, least(s.revenue, s.value) AS revenue, s.assumed, bool_or(s.known) OVER () AS known
			FROM  (VALUES
				(coalesce(dy.value, 0) + coalesce(pe.value, 0), coalesce(dy.revenue, 0) + coalesce(pe.revenue, 0),
				coalesce(dy.assumed, 0) + coalesce(pe.assumed, 0),
				 dy.value > 0 OR dy.conversions > 0 OR pe.value IS NOT NULL OR pe.conversions IS NOT NULL, 1),
				(coalesce(dy.im_value, 0) + coalesce(pe.all_value, 0), coalesce(dy.im_revenue, 0) + coalesce(pe.all_revenue, 0),
				 coalesce(dy.im_assumed, 0) + coalesce(pe.all_assumed, 0), pe.all_value IS NOT NULL OR pe.all_conversions IS NOT NULL, 2),
				(coalesce(im.pipeline_minor, 0), coalesce(im.revenue_minor, 0),
				 CASE WHEN im.pipeline_minor > 0 THEN 0 ELSE coalesce(im.conversions::numeric * coalesce(im.conversion_value_minor, t.worth), 0) END,
				 im.pipeline_minor IS NOT NULL OR im.conversions IS NOT NULL, 3)
			) AS s (value, revenue, assumed, known, reading)
			ORDER  BY s.value + s.assumed DESC, s.revenue DESC, s.reading LIMIT 1
		) r ON true
		LEFT   JOIN LATERAL ( -- clicks come from the source with most impressions, so they never exceed them
			SELECT s.impressions, s.clicks
			FROM   (VALUES (d.impressions, d.clicks), (fb.impressions, fb.clicks), (im.impressions, im.clicks)) AS s (impressions, clicks)
			WHERE  s.impressions IS NOT NULL ORDER BY s.impressions DESC, s.clicks DESC NULLS LAST LIMIT 1
		) o ON true
	), fresh AS (
		SELECT v.ad_id, v.was_winner, v.currency, v.impressions, v.clicks, v.spend_minor, v.source, v.minor, v.settings,
		       CASE v.source WHEN 'ledger' THEN v.ledger_pipeline WHEN 'feedback' THEN v.fb_pipeline WHEN 'import' THEN v.report_value
		                     ELSE 0 END AS known,
		       CASE v.source WHEN 'import' THEN v.report_assumed ELSE 0 END AS assumed,
		       CASE v.source WHEN 'ledger' THEN v.ledger_revenue WHEN 'feedback' THEN least(v.fb_revenue,
		       v.fb_pipeline) WHEN 'import' THEN v.report_revenue ELSE 0 END AS revenue,
		       CASE v.source WHEN 'ledger' THEN coalesce(v.confidence, 1) ELSE 1 END AS confidence
		FROM   valued v
	), judged AS (
		SELECT f.*, f.known / greatest(f.spend_minor::numeric, f.minor) AS roas,
		       f.spend_minor >= coalesce((f.settings->>'winner_spend')::numeric, least_spend) * f.minor
		       AND f.known / greatest(f.spend_minor::numeric, f.minor) > coalesce((f.settings->>'winner_roas')::numeric, least_roas) AS is_winner
		FROM   fresh f
	)
	UPDATE gv.ads a
	SET    impressions = j.impressions::bigint, clicks = j.clicks::bigint, spend_minor = j.spend_minor::bigint,
	       pipeline_minor = (j.known + j.assumed)::bigint,
	       assumed_minor = j.assumed::bigint, revenue_minor = j.revenue::bigint, attribution_confidence = least(greatest(j.confidence, 0), 1),
	       value_source = j.source, is_winner = j.is_winner, updated_at = now()
	FROM   judged j
	WHERE  a.tenant_id = gv.tenant() AND a.ad_id = j.ad_id
	RETURNING a.ad_id, j.currency::text, a.pipeline_minor, a.revenue_minor, a.spend_minor, j.is_winner, j.was_winner,
	          j.roas::float8, j.clicks::float8 / nullif(j.impressions::float8, 0);
END $$;
REVOKE ALL ON FUNCTION gv.recompute_ads FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gv.recompute_ads TO gv_app;
