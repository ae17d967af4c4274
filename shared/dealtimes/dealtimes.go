// Package dealtimes reads from the ledger how long an account's deals took, which
// is what a delay curve is learned from. It only reads.
package dealtimes

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

// Recent are enough deals for a delay curve.
const Recent = 1000

// Read returns the lives of the account's latest n deals, in the tenant's
// transaction. The clock is the last change that the ledger knows.
func Read(ctx context.Context, tx pgx.Tx, account string, n int) ([]sampler.Deal, error) {
	rows, _ := tx.Query(ctx, `
		WITH deal AS (
			SELECT d.portal_id, d.deal_id, d.pipeline_id, d.amount_minor,
			       coalesce(c.clicked_at, d.converted_at, d.created_at) AS began
			FROM   gv.deals d
			JOIN   gv.ads a ON a.tenant_id = d.tenant_id AND a.ad_id = d.ad_id
			LEFT   JOIN gv.clicks c ON c.tenant_id = d.tenant_id AND c.click_id = d.click_id
			WHERE  d.tenant_id = gv.tenant() AND a.account_id = @account AND d.state = 'live'
			AND    coalesce(c.clicked_at, d.converted_at, d.created_at) IS NOT NULL
			ORDER  BY began DESC, d.portal_id, d.deal_id
			LIMIT  @n
		)
		SELECT   d.portal_id, d.deal_id::text, d.began, s.occurred_at, v.stage_name,
		         CASE v.stage_name WHEN 'closed_won' THEN coalesce(d.amount_minor, v.value_minor) ELSE v.value_minor END
		FROM     deal d
		JOIN     gv.deal_stages s ON s.tenant_id = gv.tenant() AND s.portal_id = d.portal_id AND s.deal_id = d.deal_id
		JOIN     gv.stage_maps m ON m.tenant_id = gv.tenant() AND m.portal_id = d.portal_id AND m.pipeline_id = d.pipeline_id
		       AND m.stage_id = s.stage_id
		JOIN     gv.stage_values v ON v.tenant_id = gv.tenant() AND v.stage_name = m.stage_name
		ORDER BY d.portal_id, d.deal_id, s.occurred_at, s.stage_id`,
		pgx.StrictNamedArgs{"account": account, "n": n})
	type key struct {
		portal int64
		deal   string
	}
	var (
		all       []sampler.Deal
		begun     []time.Time
		last, k   key
		began, at time.Time
		now       time.Time
		stage     string
		value     money.Amount
	)
	_, err := pgx.ForEachRow(rows, []any{&k.portal, &k.deal, &began, &at, &stage, &value}, func() error {
		if len(all) == 0 || k != last {
			last = k
			all, begun = append(all, sampler.Deal{}), append(begun, began)
		}
		d := &all[len(all)-1]
		d.Steps = append(d.Steps, sampler.Step{Hours: hours(at.Sub(began)), Value: value})
		d.Won, d.Lost = stage == "closed_won", stage == "closed_lost"
		if at.After(now) {
			now = at
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read deals of account %s: %w", account, err)
	}
	for i := range all {
		all[i].Observed = hours(now.Sub(begun[i]))
	}
	return all, nil
}

func hours(d time.Duration) float64 { return math.Round(max(0, d.Hours())*100) / 100 }
