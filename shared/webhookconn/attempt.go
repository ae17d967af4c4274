package webhookconn

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/webhook"
)

// Attempt is one try to deliver a notice.
type Attempt struct {
	Key, Kind string
	Number    int // from 1
	Took      time.Duration
	Failure   *webhook.Failure // nil: delivered
	Next      time.Duration    // 0: it is not sent again
}

// Record stores the attempt and reports whether nobody has before.
func (a Attempt) Record(ctx context.Context, tx pgx.Tx) (bool, error) {
	var status *int
	var reason *string
	if f := a.Failure; f != nil {
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
			"key": a.Key, "number": a.Number, "kind": a.Kind, "delivered": a.Failure == nil, "status": status, "reason": reason,
			"took": int(a.Took.Milliseconds()), "next": a.Next.Seconds(),
		})
	if err != nil {
		return false, fmt.Errorf("record the delivery: %w", err)
	}
	return done.RowsAffected() == 1, nil
}

// The outcome of a delivery is recorded with the webhook that it was made to, not
// with one that was set meanwhile.

// Delivered records that the receiver took a notice.
func (w Webhook) Delivered(ctx context.Context, tx pgx.Tx) error {
	return mark(ctx, tx, `
		UPDATE gv.webhooks SET last_delivered_at = now(), last_error = NULL, failing_since = NULL
		WHERE  tenant_id = gv.tenant() AND updated_at = @set`, pgx.StrictNamedArgs{"set": w.UpdatedAt})
}

// Failed records a failure and returns why the webhook is switched off by it, ""
// where it is not.
func (w Webhook) Failed(ctx context.Context, tx pgx.Tx, f *webhook.Failure) (off string, err error) {
	args := pgx.StrictNamedArgs{"set": w.UpdatedAt, "reason": f.Reason}
	if f.Gone() {
		off = "the receiver answered 410 Gone"
	} else {
		var aWeek bool
		err := tx.QueryRow(ctx, `
			SELECT coalesce(bool_or(failing_since < now() - interval '7 days'), false) FROM gv.webhooks
			WHERE  tenant_id = gv.tenant() AND updated_at = $1 AND disabled_at IS NULL`, w.UpdatedAt).Scan(&aWeek)
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
