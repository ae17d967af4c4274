package notify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// target is a tenant's webhook.
type target struct {
	URL            string
	Kinds          []string
	Secret         string
	PreviousSecret *string
	PreviousUntil  *time.Time
	UpdatedAt      time.Time
	Now            time.Time
}

// secrets names those that sign now.
func (t target) secrets() []string {
	names := []string{t.Secret}
	if t.PreviousSecret != nil && t.PreviousUntil != nil && t.PreviousUntil.After(t.Now) {
		names = append(names, *t.PreviousSecret)
	}
	return names
}

func find(ctx context.Context, tx pgx.Tx) (t target, found bool, err error) {
	rows, _ := tx.Query(ctx, `
		SELECT url, kinds, secret, previous_secret, previous_until, updated_at, now() AS now
		FROM   gv.webhooks WHERE tenant_id = gv.tenant() AND disabled_at IS NULL`)
	t, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[target])
	if errors.Is(err, pgx.ErrNoRows) {
		return t, false, nil
	}
	if err != nil {
		return t, false, fmt.Errorf("read webhook: %w", err)
	}
	return t, true, nil
}

// What came of a delivery is said of the webhook that it was made to, not of one
// that was set meanwhile.

func delivered(ctx context.Context, tx pgx.Tx, t target) error {
	return mark(ctx, tx, `
		UPDATE gv.webhooks SET last_delivered_at = now(), last_error = NULL
		WHERE  tenant_id = gv.tenant() AND updated_at = @set`, pgx.StrictNamedArgs{"set": t.UpdatedAt})
}

func failed(ctx context.Context, tx pgx.Tx, t target, reason string) error {
	return mark(ctx, tx, `
		UPDATE gv.webhooks SET last_failed_at = now(), last_error = @reason
		WHERE  tenant_id = gv.tenant() AND updated_at = @set`, pgx.StrictNamedArgs{"set": t.UpdatedAt, "reason": reason})
}

func switchOff(ctx context.Context, tx pgx.Tx, t target, reason string) error {
	return mark(ctx, tx, `
		UPDATE gv.webhooks SET disabled_at = now(), disabled_reason = @reason, last_failed_at = now(), last_error = @reason
		WHERE  tenant_id = gv.tenant() AND updated_at = @set`, pgx.StrictNamedArgs{"set": t.UpdatedAt, "reason": reason})
}

func mark(ctx context.Context, tx pgx.Tx, sql string, args pgx.StrictNamedArgs) error {
	if _, err := tx.Exec(ctx, sql, args); err != nil {
		return fmt.Errorf("record the delivery: %w", err)
	}
	return nil
}

// atOnce is how many deliveries of one tenant wait for its receiver at a time:
// one that hangs must not keep the others' notices waiting.
const atOnce = 8

// turnstile counts the deliveries under way, by tenant.
type turnstile struct {
	mu     sync.Mutex
	inside map[string]int
}

func (t *turnstile) enter(tenant string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inside[tenant] >= atOnce {
		return false
	}
	t.inside[tenant]++
	return true
}

func (t *turnstile) leave(tenant string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inside[tenant]--; t.inside[tenant] == 0 {
		delete(t.inside, tenant)
	}
}
