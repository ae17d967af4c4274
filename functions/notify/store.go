package notify

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/webhook"
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

// attempt is one try to deliver a notice.
type attempt struct {
	key, kind string
	number    int
	took      time.Duration
	failure   *webhook.Failure
	next      time.Duration // 0: it is not sent again
}

// save records the attempt and reports whether nobody has before.
func (a attempt) save(ctx context.Context, tx pgx.Tx) (bool, error) {
	var status *int
	var reason *string
	if f := a.failure; f != nil {
		reason = &f.Reason
		if f.Status != 0 {
			status = &f.Status
		}
	}
	done, err := tx.Exec(ctx, `
		INSERT INTO gv.webhook_attempts (tenant_id, notice_id, attempt, kind, delivered, status, reason, took_ms, next_at)
		VALUES (gv.tenant(), @key, @number, @kind, @delivered, @status, @reason, @took,
		       CASE WHEN @next > 0 THEN now() + @next * interval '1 second' END)
		ON CONFLICT DO NOTHING`,
		pgx.StrictNamedArgs{
			"key": a.key, "number": a.number, "kind": a.kind, "delivered": a.failure == nil, "status": status, "reason": reason,
			"took": int(a.took.Milliseconds()), "next": a.next.Seconds(),
		})
	if err != nil {
		return false, fmt.Errorf("record the delivery: %w", err)
	}
	return done.RowsAffected() == 1, nil
}

// The outcome of a delivery is recorded with the webhook that it was made to, not
// with one that was set meanwhile.

func delivered(ctx context.Context, tx pgx.Tx, t target) error {
	return mark(ctx, tx, `
		UPDATE gv.webhooks SET last_delivered_at = now(), last_error = NULL, failing_since = NULL
		WHERE  tenant_id = gv.tenant() AND updated_at = @set`, pgx.StrictNamedArgs{"set": t.UpdatedAt})
}

// failed records a failure and returns why the webhook is switched off by it, ""
// where it is not.
func failed(ctx context.Context, tx pgx.Tx, t target, f *webhook.Failure) (off string, err error) {
	args := pgx.StrictNamedArgs{"set": t.UpdatedAt, "reason": f.Reason}
	if f.Gone() {
		off = "the receiver answered 410 Gone"
	} else {
		var aWeek bool
		err := tx.QueryRow(ctx, `
			SELECT coalesce(bool_or(failing_since < now() - interval '7 days'), false) FROM gv.webhooks
			WHERE  tenant_id = gv.tenant() AND updated_at = $1 AND disabled_at IS NULL`, t.UpdatedAt).Scan(&aWeek)
		if err != nil {
			return "", fmt.Errorf("read since when the webhook fails: %w", err)
		}
		if aWeek {
			off = "every delivery failed for a week, the last one because " + f.Reason
		}
	}
	if off == "" {
		return "", mark(ctx, tx, `
			UPDATE gv.webhooks SET last_failed_at = now(), last_error = @reason, failing_since = coalesce(failing_since, now())
			WHERE  tenant_id = gv.tenant() AND updated_at = @set`, args)
	}
	args["off"] = off
	return off, mark(ctx, tx, `
		UPDATE gv.webhooks SET disabled_at = now(), disabled_reason = @off, last_failed_at = now(), last_error = @reason
		WHERE  tenant_id = gv.tenant() AND updated_at = @set`, args)
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
