// Package budgets writes an ad's budget and status after a change at the platform. It
// stands apart from ads because the queue of changes uses it, and the domain packages do
// not import each other.
package budgets

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Set writes the daily budgets of ads in minor units, by ad id, and ad's status;
// an empty status stays as it is.
func Set(ctx context.Context, tx pgx.Tx, tenant string, byAd map[string]int64, ad, status string) error {
	ids, budgets := []string{ad}, map[string]int64{}
	for id, minor := range byAd {
		ids, budgets[id] = append(ids, id), minor
	}
	_, err := tx.Exec(ctx, `
		UPDATE gv.ads a
		SET    daily_budget_minor = coalesce((@budgets::jsonb ->> a.ad_id)::bigint, a.daily_budget_minor),
		       status = CASE WHEN a.ad_id = @ad AND @status <> '' THEN @status ELSE a.status END, updated_at = now()
		WHERE  a.tenant_id = @tenant AND a.ad_id = ANY (@ads::text[])`,
		pgx.StrictNamedArgs{"tenant": tenant, "ad": ad, "ads": ids, "status": status, "budgets": budgets})
	if err != nil {
		return fmt.Errorf("write the budgets of ads: %w", err)
	}
	return nil
}
