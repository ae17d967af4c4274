package connections

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/notice"
)

func itoa(n int) string { return strconv.Itoa(n) }

// webhookRow is the tenant's webhook, its zero value where there is none.
type webhookRow struct {
	URL             string
	Kinds           []string
	Secret          string
	PreviousSecret  *string
	PreviousUntil   *time.Time
	SecretSetAt     *time.Time
	UpdatedBy       string
	UpdatedAt       *time.Time
	DisabledAt      *time.Time
	DisabledReason  *string
	LastDeliveredAt *time.Time
	LastFailedAt    *time.Time
	LastError       *string
	FailingSince    *time.Time
	Now             time.Time
}

func (r webhookRow) overlapping() bool {
	return r.PreviousSecret != nil && r.PreviousUntil != nil && r.PreviousUntil.After(r.Now)
}

func (r webhookRow) shown() Webhook {
	w := Webhook{
		Configured: r.Secret != "", Enabled: r.Secret != "" && r.DisabledAt == nil, URL: r.URL, Kinds: r.Kinds, AllKinds: notice.Kinds,
		SecretSetAt: inUTC(r.SecretSetAt), DisabledAt: inUTC(r.DisabledAt), DisabledReason: deref(r.DisabledReason),
		LastDeliveredAt: inUTC(r.LastDeliveredAt), LastFailedAt: inUTC(r.LastFailedAt), LastError: deref(r.LastError),
		UpdatedAt: inUTC(r.UpdatedAt), UpdatedBy: r.UpdatedBy, FailingSince: inUTC(r.FailingSince),
	}
	if w.Kinds == nil {
		w.Kinds = []string{}
	}
	if r.overlapping() {
		w.PreviousSecretUntil = inUTC(r.PreviousUntil)
	}
	return w
}

const webhookColumns = `url, kinds, secret, previous_secret, previous_until, secret_set_at, updated_by, updated_at, disabled_at, disabled_reason,
	last_delivered_at, last_failed_at, last_error, failing_since, now() AS now`

func readWebhook(ctx context.Context, tx pgx.Tx) (webhookRow, error) {
	rows, _ := tx.Query(ctx, `SELECT `+webhookColumns+` FROM gv.webhooks WHERE tenant_id = gv.tenant()`)
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[webhookRow])
	if errors.Is(err, pgx.ErrNoRows) {
		return webhookRow{}, nil
	}
	if err != nil {
		return row, fmt.Errorf("read webhook: %w", err)
	}
	return row, nil
}

// webhookSetting is what the webhook is to be; secret is a new one's name, empty
// where it stays.
type webhookSetting struct {
	url      string
	kinds    []string
	secret   string
	disabled bool
	who      string
}

// saveWebhook returns the webhook as it is now and the secret's name that signs
// no more.
func saveWebhook(ctx context.Context, tx pgx.Tx, set webhookSetting) (row webhookRow, retired []string, err error) {
	var before []string
	rows, _ := tx.Query(ctx, `SELECT `+webhookColumns+` FROM gv.webhooks WHERE tenant_id = gv.tenant() FOR UPDATE`)
	was, err := pgx.CollectRows(rows, pgx.RowToStructByName[webhookRow])
	if err != nil {
		return row, nil, fmt.Errorf("lock webhook: %w", err)
	}
	for _, w := range was {
		before = append(before, w.Secret, deref(w.PreviousSecret))
	}
	rows, _ = tx.Query(ctx, `
		INSERT INTO gv.webhooks AS w (tenant_id, url, kinds, secret, updated_by, disabled_at, disabled_reason)
		VALUES (gv.tenant(), @url, @kinds, @secret, @who, CASE WHEN @off THEN now() END, CASE WHEN @off THEN @reason::text END)
		ON CONFLICT (tenant_id) DO UPDATE
		SET url = excluded.url, kinds = excluded.kinds, updated_by = excluded.updated_by, updated_at = now(),
		    disabled_at = excluded.disabled_at, disabled_reason = excluded.disabled_reason, last_error = NULL, failing_since = NULL,
		    previous_secret = CASE WHEN @secret <> '' THEN w.secret ELSE w.previous_secret END,
		    previous_until = CASE WHEN @secret <> '' THEN now() + @overlap::interval ELSE w.previous_until END,
		    secret_set_at = CASE WHEN @secret <> '' THEN now() ELSE w.secret_set_at END,
		    secret = coalesce(nullif(@secret, ''), w.secret)
		RETURNING `+webhookColumns,
		pgx.StrictNamedArgs{
			"url": set.url, "kinds": set.kinds, "secret": set.secret, "who": set.who, "off": set.disabled,
			"reason": "switched off by a member", "overlap": standardOverlap,
		})
	row, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[webhookRow])
	if err != nil {
		return row, nil, fmt.Errorf("save webhook: %w", err)
	}
	return row, unnamed(before, row.Secret, deref(row.PreviousSecret)), nil
}
