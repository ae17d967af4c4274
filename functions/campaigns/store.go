package campaigns

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/money"
)

// dealStore counts the deals of the transaction's tenant. Deals that are gone
// from the CRM do not count.
type dealStore struct{ tx pgx.Tx }

type stageRow struct {
	StageName  string
	Outcome    string
	Currency   money.Currency
	StageValue money.Amount
	Count      int64
	Value      money.Amount
}

// byStage returns every stage of the tenant, the closed ones last.
func (s dealStore) byStage(ctx context.Context) ([]stageRow, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   v.stage_name, o.outcome, t.currency, v.value_minor AS stage_value,
		         count(d.deal_id) AS count, coalesce(sum(d.value_minor), 0)::bigint AS value
		FROM     gv.stage_values v
		JOIN     gv.tenants t USING (tenant_id)
		CROSS    JOIN LATERAL (SELECT CASE v.stage_name WHEN 'closed_won' THEN 'won' WHEN 'closed_lost' THEN 'lost' ELSE 'open' END AS outcome) o
		LEFT     JOIN gv.deals d ON d.tenant_id = v.tenant_id AND d.stage_name = v.stage_name AND d.state = 'live'
		WHERE    v.tenant_id = gv.tenant()
		GROUP BY v.stage_name, o.outcome, t.currency, v.value_minor
		ORDER BY array_position(ARRAY['open', 'won', 'lost'], o.outcome), v.value_minor, v.stage_name`)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[stageRow])
	if err != nil {
		return nil, fmt.Errorf("count deals by stage: %w", err)
	}
	return found, nil
}

func (s dealStore) unmapped(ctx context.Context) ([]unmappedStage, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   portal_id, pipeline_id, stage_id, count(*) AS count
		FROM     gv.deals
		WHERE    tenant_id = gv.tenant() AND state = 'live' AND stage_name IS NULL
		GROUP BY portal_id, pipeline_id, stage_id
		ORDER BY count DESC, portal_id, pipeline_id, stage_id
		LIMIT    1000`)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[unmappedStage])
	if err != nil {
		return nil, fmt.Errorf("count deals in unmapped stages: %w", err)
	}
	return found, nil
}

func (s dealStore) unusable(ctx context.Context) ([]unusableAmount, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   amount_issue AS reason, count(*) AS count
		FROM     gv.deals
		WHERE    tenant_id = gv.tenant() AND state = 'live' AND amount_issue IS NOT NULL
		GROUP BY amount_issue
		ORDER BY count DESC, amount_issue
		LIMIT    1000`)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[unusableAmount])
	if err != nil {
		return nil, fmt.Errorf("count deals with unusable amounts: %w", err)
	}
	return found, nil
}

// wonWithoutAmount counts the won deals that are worth their stage's value
// because the CRM gives them no amount.
func (s dealStore) wonWithoutAmount(ctx context.Context) (t struct {
	Count int64
	Value money.Amount
}, err error,
) {
	err = s.tx.QueryRow(ctx, `
		SELECT count(*), coalesce(sum(value_minor), 0)::bigint
		FROM   gv.deals
		WHERE  tenant_id = gv.tenant() AND state = 'live' AND stage_name = 'closed_won' AND amount_minor IS NULL AND amount_issue IS NULL`).
		Scan(&t.Count, &t.Value)
	if err != nil {
		return t, fmt.Errorf("count won deals without an amount: %w", err)
	}
	return t, nil
}

// unknownAds counts the deals credited to ads that the tenant does not have.
func (s dealStore) unknownAds(ctx context.Context) (t struct {
	Count int64
	Value money.Amount
}, err error,
) {
	err = s.tx.QueryRow(ctx, `
		SELECT count(*), coalesce(sum(d.value_minor), 0)::bigint
		FROM   gv.deals d
		WHERE  d.tenant_id = gv.tenant() AND d.state = 'live' AND d.ad_id IS NOT NULL
		AND    NOT EXISTS (SELECT FROM gv.ads a WHERE a.tenant_id = d.tenant_id AND a.ad_id = d.ad_id)`).Scan(&t.Count, &t.Value)
	if err != nil {
		return t, fmt.Errorf("count deals of unknown ads: %w", err)
	}
	return t, nil
}

// clickedAnotherAd counts, by the ad that has the credit, the deals whose contacts
// had clicked another ad before.
func (s dealStore) clickedAnotherAd(ctx context.Context) (clickedBefore, error) {
	rows, _ := s.tx.Query(ctx, `
		WITH deal AS (
			SELECT d.ad_id, EXISTS (
			           SELECT FROM gv.deal_touches t
			           WHERE  t.tenant_id = d.tenant_id AND t.portal_id = d.portal_id AND t.deal_id = d.deal_id
			           AND    t.ad_id <> d.ad_id AND t.clicked_at < own.clicked_at) AS after
			FROM   gv.deals d
			JOIN   gv.deal_touches own USING (tenant_id, portal_id, deal_id, click_id)
			WHERE  d.tenant_id = gv.tenant() AND d.state = 'live'
		)
		SELECT   ad_id, count(*) AS deals, count(*) FILTER (WHERE after) AS after, count(*) FILTER (WHERE after)::float8 / count(*) AS share
		FROM     deal GROUP BY ad_id ORDER BY after DESC, deals DESC, ad_id`)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[adClickedBefore])
	if err != nil {
		return clickedBefore{}, fmt.Errorf("count deals whose contacts had clicked another ad: %w", err)
	}
	out := clickedBefore{Ads: []adClickedBefore{}}
	for i, ad := range all {
		out.Deals, out.After = out.Deals+ad.Deals, out.After+ad.After
		if i < maxAdsClickedBefore {
			out.Ads = append(out.Ads, ad)
		}
	}
	if out.Deals > 0 {
		share := float64(out.After) / float64(out.Deals)
		out.Share = &share
	}
	return out, nil
}

// maxAdsClickedBefore is how many ads are listed; the rest only counts.
const maxAdsClickedBefore = 200

type reasonRow struct {
	Reason string
	Count  int64
	Value  money.Amount
}

func (s dealStore) unattributed(ctx context.Context) ([]reasonRow, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   attribution_reason AS reason, count(*) AS count, sum(value_minor)::bigint AS value
		FROM     gv.deals
		WHERE    tenant_id = gv.tenant() AND state = 'live' AND attribution_method = 'unattributed'
		GROUP BY attribution_reason
		ORDER BY count DESC, attribution_reason`)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[reasonRow])
	if err != nil {
		return nil, fmt.Errorf("count deals without attribution: %w", err)
	}
	return found, nil
}
