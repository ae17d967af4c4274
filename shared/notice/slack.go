package notice

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// waiting are notices for Slack channels.
type waiting struct {
	tenants, kinds, ads, texts []string
	at                         []time.Time
}

func (w *waiting) add(tenant string, n Notice) {
	w.tenants, w.kinds, w.ads = append(w.tenants, tenant), append(w.kinds, n.Kind), append(w.ads, n.AdID)
	w.texts = append(w.texts, address.ReplaceAllString(cut(n.Text), "a member"))
	w.at = append(w.at, cmp.Or(n.At, time.Now()).UTC())
}

func (w *waiting) save(ctx context.Context, tx pgx.Tx) error {
	if len(w.tenants) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO gv.slack_notices (tenant_id, kind, ad_id, text, at)
		SELECT * FROM unnest(@tenants::uuid[], @kinds::text[], @ads::text[], @texts::text[], @at::timestamptz[])`,
		pgx.StrictNamedArgs{"tenants": w.tenants, "kinds": w.kinds, "ads": w.ads, "texts": w.texts, "at": w.at})
	if err != nil {
		return fmt.Errorf("write notices for Slack: %w", err)
	}
	return nil
}

// Waiting is a notice that waits for its Slack message.
type Waiting struct {
	ID   string
	Kind string
	AdID string
	Text string
	At   time.Time
}

// ForSlack returns up to n of the tenant's notices that wait, oldest first.
func ForSlack(ctx context.Context, tx pgx.Tx, n int) ([]Waiting, error) {
	rows, _ := tx.Query(ctx, `
		SELECT notice_id::text, kind, ad_id, text, at FROM gv.slack_notices
		WHERE  tenant_id = gv.tenant() AND sent_at IS NULL ORDER BY put_at, at, notice_id LIMIT $1`, n)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Waiting])
	if err != nil {
		return nil, fmt.Errorf("read notices for Slack: %w", err)
	}
	return all, nil
}

// SentToSlack records that notices were posted.
func SentToSlack(ctx context.Context, tx pgx.Tx, ids []string) error {
	_, err := tx.Exec(ctx, `UPDATE gv.slack_notices SET sent_at = now() WHERE tenant_id = gv.tenant() AND notice_id = ANY ($1::uuid[])`, ids)
	if err != nil {
		return fmt.Errorf("record notices that Slack took: %w", err)
	}
	return nil
}
