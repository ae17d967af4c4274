package ads

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/winners/figures"
)

// WinnerFound is the topic of ads that have just become winners.
const WinnerFound = "winner-found"

// An ad is a winner while its pipeline ROAS is above WinnerROAS with at least
// WinnerSpend units of money spent; an account's settings may say otherwise
// (winner_roas, winner_spend). A value that is only assumed does not count.
const (
	WinnerROAS  = 3.0
	WinnerSpend = 50
)

// Winner is the body of a winner-found message: which ad. The handler reads all
// else, so that an old message cannot bring back old figures.
type Winner struct {
	AdID string `json:"ad_id"`
}

// Totals are an ad's figures after Recompute.
type Totals struct {
	AdID      string
	Currency  money.Currency
	Pipeline  money.Amount
	Revenue   money.Amount
	Spend     money.Amount
	IsWinner  bool
	WasWinner bool
}

// NewWinner reports whether the ad has just become a winner: a message of it
// waits in the outbox.
func (t Totals) NewWinner() bool { return t.IsWinner && !t.WasWinner }

// ROAS returns pipeline value over spend, spend counted as at least 1 unit.
func (t Totals) ROAS() float64 {
	return t.Pipeline.Units(t.Currency) / max(t.Spend.Units(t.Currency), 1)
}

// Recompute sums the figures of ads anew, in the transaction that changed what
// they are made of. Nothing is incremented, so any order and any number of calls
// end the same. Delivery comes from the source that has more impressions: days
// and imported periods, totals to date, or feedback. Value comes from the deal
// ledger where it has ever credited a deal to the ad, else from feedback, else
// from reports; a conversion without a value counts at the assumed one, which is
// never revenue and makes no winner. An ad that has just become a winner gets a
// winner-found message; one in the winner memory gets its figures there
// corrected, and leaves the search while it is no winner.
//
// It locks the ads' rows in ad_id order first, so that two deals of one ad cannot
// lose each other. Unknown ids are passed over.
func Recompute(ctx context.Context, tx pgx.Tx, adIDs []string) ([]Totals, error) {
	if len(adIDs) == 0 {
		return nil, nil
	}
	if _, err := tx.Exec(ctx, `
		SELECT ad_id FROM gv.ads WHERE tenant_id = gv.tenant() AND ad_id = ANY ($1) ORDER BY ad_id FOR UPDATE`, adIDs); err != nil {
		return nil, fmt.Errorf("lock ads: %w", err)
	}
	rows, _ := tx.Query(ctx, recompute, pgx.StrictNamedArgs{"ads": adIDs, "roas": WinnerROAS, "spend": WinnerSpend})
	type result struct {
		Totals
		KnownROAS float64 `db:"known_roas"`
		CTR       *float64
	}
	results, err := pgx.CollectRows(rows, pgx.RowToStructByName[result])
	if err != nil {
		return nil, fmt.Errorf("recompute the totals of ads: %w", err)
	}
	all := make([]Totals, len(results))
	var (
		found   []message.Message
		winners []figures.Ad
	)
	for i, r := range results {
		t := r.Totals
		all[i] = t
		if t.IsWinner || t.WasWinner {
			winners = append(winners, figures.Ad{AdID: t.AdID, IsWinner: t.IsWinner, ROAS: r.KnownROAS, CTR: r.CTR})
		}
		if !t.NewWinner() {
			continue
		}
		data, err := json.Marshal(Winner{AdID: t.AdID})
		if err != nil {
			return nil, err
		}
		found = append(found, message.Message{Topic: WinnerFound, Data: data})
	}
	if err := figures.Correct(ctx, tx, winners); err != nil {
		return nil, err
	}
	if err := outbox.Put(ctx, tx, found...); err != nil {
		return nil, err
	}
	return all, nil
}

// recompute looks every ad up by its id (hence LATERAL, and OFFSET 0, which stops
// the planner from turning the look-ups into joins): right after an import it has
// no statistics, and would join whole tables row by row.
//
// dated has two readings of days and periods. With both Meta's days and imported
// periods, a period that no stored day falls into adds to the days; but Meta keeps
// fewer days than an old report covers, so the import by itself may know more.
const recompute = `
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
	WHERE  a.tenant_id = gv.tenant() AND a.ad_id = ANY (@ads)
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
	       f.spend_minor >= coalesce((f.settings->>'winner_spend')::numeric, @spend) * f.minor
	       AND f.known / greatest(f.spend_minor::numeric, f.minor) > coalesce((f.settings->>'winner_roas')::numeric, @roas) AS is_winner
	FROM   fresh f
)
UPDATE gv.ads a
SET    impressions = j.impressions::bigint, clicks = j.clicks::bigint, spend_minor = j.spend_minor::bigint,
       pipeline_minor = (j.known + j.assumed)::bigint,
       assumed_minor = j.assumed::bigint, revenue_minor = j.revenue::bigint, attribution_confidence = least(greatest(j.confidence, 0), 1),
       value_source = j.source, is_winner = j.is_winner, updated_at = now()
FROM   judged j
WHERE  a.tenant_id = gv.tenant() AND a.ad_id = j.ad_id
RETURNING a.ad_id, j.currency, a.pipeline_minor AS pipeline, a.revenue_minor AS revenue, a.spend_minor AS spend, j.is_winner, j.was_winner,
          j.roas::float8 AS known_roas, j.clicks::float8 / nullif(j.impressions::float8, 0) AS ctr`
