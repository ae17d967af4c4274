package ads

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/outbox"
)

// WinnerFound is the topic of ads that have just become winners.
const WinnerFound = "winner-found"

// An ad is a winner while its pipeline ROAS is above WinnerROAS with at least
// WinnerSpend units of money spent; an account's settings may say otherwise
// (winner_roas, winner_spend).
const (
	WinnerROAS  = 3.0
	WinnerSpend = 50
)

// Winner is what a winner-found message says: which ad. All else is read when it
// is handled, so that an old message cannot bring back old figures.
type Winner struct {
	AdID string `json:"ad_id"`
}

// Settled is an ad's state after settling.
type Settled struct {
	AdID      string
	Currency  money.Currency
	Pipeline  money.Amount
	Revenue   money.Amount
	Spend     money.Amount
	IsWinner  bool
	WasWinner bool
}

// New reports whether the ad has just become a winner: there is a message to be
// sent of it.
func (s Settled) New() bool { return s.IsWinner && !s.WasWinner }

// ROAS returns pipeline value over spend, spend counted as at least 1 unit.
func (s Settled) ROAS() float64 {
	return s.Pipeline.Units(s.Currency) / max(s.Spend.Units(s.Currency), 1)
}

// Settle brings the figures of ads up to what the rest of the database says, in
// the transaction that changed it. Figures are summed anew, never incremented,
// so any order and any number of calls end the same: totals from the daily
// metrics or whatever told of more, the value from the deal ledger where it
// knows the ad's deals, else from feedback, else from an import. An ad that has
// just become a winner gets a winner-found message; one that is remembered gets
// its figures there corrected, and leaves the search while it is no winner.
//
// The ads' rows are locked in ad_id order first, so that two deals of one ad
// cannot lose each other. Unknown ids are passed over.
func Settle(ctx context.Context, tx pgx.Tx, adIDs []string) ([]Settled, error) {
	if len(adIDs) == 0 {
		return nil, nil
	}
	if _, err := tx.Exec(ctx, `
		SELECT ad_id FROM gv.ads WHERE tenant_id = gv.tenant() AND ad_id = ANY ($1) ORDER BY ad_id FOR UPDATE`, adIDs); err != nil {
		return nil, fmt.Errorf("lock ads: %w", err)
	}
	rows, _ := tx.Query(ctx, settle, pgx.StrictNamedArgs{"ads": adIDs, "roas": WinnerROAS, "spend": WinnerSpend})
	settled, err := pgx.CollectRows(rows, pgx.RowToStructByName[Settled])
	if err != nil {
		return nil, fmt.Errorf("settle ads: %w", err)
	}
	var found []message.Message
	for _, s := range settled {
		if !s.New() {
			continue
		}
		data, err := json.Marshal(Winner{AdID: s.AdID})
		if err != nil {
			return nil, err
		}
		found = append(found, message.Message{Topic: WinnerFound, Data: data})
	}
	if err := outbox.Put(ctx, tx, found...); err != nil {
		return nil, err
	}
	return settled, nil
}

// settle looks every ad up by its id (hence LATERAL, and OFFSET 0, which keeps the
// look-ups from being turned into joins): right after an import the planner has
// no statistics, and would join whole tables row by row.
const settle = `
WITH target AS MATERIALIZED (
	SELECT a.ad_id, a.is_winner AS was_winner, acc.currency, acc.settings,
	       acc.currency = t.currency AS same_currency,
	       (10 ^ gv.decimals(acc.currency))::numeric AS minor
	FROM   gv.ads a
	JOIN   gv.accounts acc USING (tenant_id, account_id)
	JOIN   gv.tenants t USING (tenant_id)
	WHERE  a.tenant_id = gv.tenant() AND a.ad_id = ANY (@ads)
), valued AS (
	SELECT t.*, coalesce(o.impressions, 0) AS impressions, coalesce(o.clicks, 0) AS clicks,
	       coalesce(greatest(dy.spend_minor, fb.spend_minor, im.spend_minor), 0) AS spend_minor,
	       CASE WHEN l.deals > 0 THEN 'ledger' WHEN fb.pipeline_minor IS NOT NULL THEN 'feedback'
	            WHEN im.pipeline_minor IS NOT NULL OR im.conversions IS NOT NULL OR dy.value_minor > 0 OR dy.conversions > 0 THEN 'import' ELSE 'none' END AS source,
	       l.pipeline AS ledger_pipeline, l.revenue AS ledger_revenue, l.confidence,
	       fb.pipeline_minor AS fb_pipeline, coalesce(fb.revenue_minor, 0) AS fb_revenue,
	       greatest(coalesce(im.pipeline_minor, im.conversions * won.value_minor, 0),
	                CASE WHEN dy.value_minor > 0 THEN dy.value_minor ELSE dy.conversions * won.value_minor END) AS im_pipeline,
	       greatest(coalesce(im.revenue_minor, im.conversions * won.value_minor, 0),
	                CASE WHEN dy.value_minor > 0 THEN dy.revenue_minor ELSE dy.conversions * won.value_minor END) AS im_revenue
	FROM   target t -- a stage's value is in the tenant's currency and says nothing of an account in another
	LEFT   JOIN gv.stage_values won ON won.tenant_id = gv.tenant() AND won.stage_name = 'closed_won' AND t.same_currency
	LEFT   JOIN LATERAL (
		SELECT sum(m.impressions)::bigint AS impressions, sum(m.clicks)::bigint AS clicks, sum(m.spend_minor)::bigint AS spend_minor,
		       sum(m.value_minor)::bigint AS value_minor, sum(least(coalesce(m.revenue_minor, m.value_minor), m.value_minor))::bigint AS revenue_minor,
		       sum(m.conversions)::bigint AS conversions
		FROM   gv.ad_metrics m WHERE m.tenant_id = gv.tenant() AND m.ad_id = t.ad_id
	) dy ON true
	LEFT   JOIN LATERAL (
		SELECT count(*) AS deals, sum(d.value_minor)::bigint AS pipeline,
		       -- A won deal without an amount counts at its stage's value, which nobody paid: pipeline, and no revenue.
		       coalesce(sum(d.value_minor) FILTER (WHERE d.stage_name = 'closed_won' AND d.amount_minor IS NOT NULL), 0)::bigint AS revenue,
		       coalesce(sum(d.attribution_confidence * d.value_minor) / nullif(sum(d.value_minor), 0), avg(d.attribution_confidence)) AS confidence
		FROM   gv.deals d WHERE d.tenant_id = gv.tenant() AND d.ad_id = t.ad_id AND d.state = 'live'
	) l ON t.same_currency
	LEFT   JOIN LATERAL (
		SELECT f.* FROM gv.ad_figures f WHERE f.tenant_id = gv.tenant() AND f.ad_id = t.ad_id AND f.source = 'feedback' OFFSET 0
	) fb ON true
	LEFT   JOIN LATERAL (
		SELECT f.* FROM gv.ad_figures f WHERE f.tenant_id = gv.tenant() AND f.ad_id = t.ad_id AND f.source = 'import' OFFSET 0
	) im ON true
	LEFT   JOIN LATERAL ( -- clicks come from the source with most impressions, so they never exceed them
		SELECT s.impressions, s.clicks
		FROM   (VALUES (dy.impressions, dy.clicks), (fb.impressions, fb.clicks), (im.impressions, im.clicks)) AS s (impressions, clicks)
		WHERE  s.impressions IS NOT NULL ORDER BY s.impressions DESC, s.clicks DESC NULLS LAST LIMIT 1
	) o ON true
), fresh AS (
	SELECT v.ad_id, v.was_winner, v.currency, v.impressions, v.clicks, v.spend_minor, v.source, v.minor, v.settings,
	       CASE v.source WHEN 'ledger' THEN v.ledger_pipeline WHEN 'feedback' THEN v.fb_pipeline WHEN 'import' THEN v.im_pipeline ELSE 0 END AS pipeline,
	       CASE v.source WHEN 'ledger' THEN v.ledger_revenue WHEN 'feedback' THEN least(v.fb_revenue, v.fb_pipeline) WHEN 'import' THEN least(v.im_revenue, v.im_pipeline) ELSE 0 END AS revenue,
	       CASE v.source WHEN 'ledger' THEN coalesce(v.confidence, 1) ELSE 1 END AS confidence
	FROM   valued v
), judged AS (
	SELECT f.*, f.pipeline / greatest(f.spend_minor::numeric, f.minor) AS roas,
	       f.spend_minor >= coalesce((f.settings->>'winner_spend')::numeric, @spend) * f.minor
	       AND f.pipeline / greatest(f.spend_minor::numeric, f.minor) > coalesce((f.settings->>'winner_roas')::numeric, @roas) AS is_winner
	FROM   fresh f
), remembered AS (
	UPDATE gv.winners w SET active = j.is_winner, pipeline_roas = j.roas::double precision,
	       ctr = CASE WHEN j.impressions > 0 THEN j.clicks::double precision / j.impressions ELSE w.ctr END, updated_at = now()
	FROM   judged j
	WHERE  w.tenant_id = gv.tenant() AND w.ad_id = j.ad_id AND (j.is_winner OR j.was_winner)
)
UPDATE gv.ads a
SET    impressions = j.impressions, clicks = j.clicks, spend_minor = j.spend_minor, pipeline_minor = j.pipeline, revenue_minor = j.revenue,
       attribution_confidence = least(greatest(j.confidence, 0), 1), value_source = j.source, is_winner = j.is_winner, updated_at = now()
FROM   judged j
WHERE  a.tenant_id = gv.tenant() AND a.ad_id = j.ad_id
RETURNING a.ad_id, j.currency, j.pipeline::bigint AS pipeline, j.revenue::bigint AS revenue, a.spend_minor AS spend, j.is_winner, j.was_winner`
