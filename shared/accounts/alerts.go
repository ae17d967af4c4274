package accounts

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Alert is an alarm of an account whose ads fell together. shared/sweep writes it.
type Alert struct {
	AccountID      string
	Kind           string
	Since          time.Time // a day
	Ads            int
	FellBy         float64
	Detail, Action string
	ResolvedAt     *time.Time
}

// Alerts returns the account's alarms, or those of all accounts where id is "", that
// are open or were resolved within 30 days: open ones first, then the newest.
func (s Store) Alerts(ctx context.Context, id string) ([]Alert, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   account_id, kind, since, ads, fell_by, detail, action, resolved_at
		FROM     gv.account_alerts
		WHERE    tenant_id = gv.tenant() AND ($1 = '' OR account_id = $1) AND (resolved_at IS NULL OR resolved_at > now() - interval '30 days')
		ORDER BY resolved_at IS NOT NULL, opened_at DESC
		LIMIT    200`, id)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[Alert])
	if err != nil {
		return nil, fmt.Errorf("list the alarms of account %q: %w", id, err)
	}
	return all, nil
}
