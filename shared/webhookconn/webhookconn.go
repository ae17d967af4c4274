// Package webhookconn stores which webhook a tenant has, and what became of the
// notices that were posted to it.
package webhookconn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Webhook is a tenant's webhook, its zero value where there is none. Secrets are
// Secret Manager names.
type Webhook struct {
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

// Overlapping reports whether the secret before signs, too.
func (w Webhook) Overlapping() bool {
	return w.PreviousSecret != nil && w.PreviousUntil != nil && w.PreviousUntil.After(w.Now)
}

// Signing names the secrets that sign now, the newest first.
func (w Webhook) Signing() []string {
	names := []string{w.Secret}
	if w.Overlapping() {
		names = append(names, *w.PreviousSecret)
	}
	return names
}

const columns = `url, kinds, secret, previous_secret, previous_until, secret_set_at, updated_by, updated_at, disabled_at, disabled_reason,
	last_delivered_at, last_failed_at, last_error, failing_since, now() AS now`

// Read returns the tenant's webhook, one that is switched off, too.
func Read(ctx context.Context, tx pgx.Tx) (Webhook, error) {
	rows, _ := tx.Query(ctx, `SELECT `+columns+` FROM gv.webhooks WHERE tenant_id = gv.tenant()`)
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Webhook])
	if errors.Is(err, pgx.ErrNoRows) {
		return Webhook{}, nil
	}
	if err != nil {
		return row, fmt.Errorf("read webhook: %w", err)
	}
	return row, nil
}

// Setting is what the webhook is to be.
type Setting struct {
	URL      string
	Kinds    []string
	Secret   string        // a new one's name; empty: it stays
	Overlap  time.Duration // how long the secret before signs beside a new one
	Disabled bool
	Who      string
}

// Save returns the webhook as it is now and the names of the secrets that sign no
// more.
func Save(ctx context.Context, tx pgx.Tx, set Setting) (row Webhook, retired []string, err error) {
	rows, _ := tx.Query(ctx, `SELECT `+columns+` FROM gv.webhooks WHERE tenant_id = gv.tenant() FOR UPDATE`)
	was, err := pgx.CollectRows(rows, pgx.RowToStructByName[Webhook])
	if err != nil {
		return row, nil, fmt.Errorf("lock webhook: %w", err)
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
		RETURNING `+columns,
		pgx.StrictNamedArgs{
			"url": set.URL, "kinds": set.Kinds, "secret": set.Secret, "who": set.Who, "off": set.Disabled,
			"reason": "switched off by a member", "overlap": set.Overlap,
		})
	row, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Webhook])
	if err != nil {
		return row, nil, fmt.Errorf("save webhook: %w", err)
	}
	for _, w := range was {
		for _, name := range w.named() {
			if name != "" && !slices.Contains(row.named(), name) && !slices.Contains(retired, name) {
				retired = append(retired, name)
			}
		}
	}
	return row, retired, nil
}

// named are the names that the row holds.
func (w Webhook) named() []string {
	names := []string{w.Secret}
	if w.PreviousSecret != nil {
		names = append(names, *w.PreviousSecret)
	}
	return names
}
