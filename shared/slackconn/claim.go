package slackconn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/pg"
)

// Claimed is a channel that one run has for a time.
type Claimed struct {
	TenantID              string
	URL                   string // Secret Manager name
	AtOnce, Daily, Weekly bool
	TimeZone              string
	Hour, Weekday         int
	DailyFrom, DailyAt    time.Time
	WeeklyFrom, WeeklyAt  time.Time
	Failures              int
	FailingSince          *time.Time
	Claim                 string
}

// Claim takes, until then, the channel that has waited longest among those that are due
// at now.
func Claim(ctx context.Context, w *pg.Worker, now, until time.Time) (c Claimed, found bool, err error) {
	err = pg.Across(ctx, w, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `
			UPDATE gv.slack_connections SET claim = @claim::uuid, claimed_until = @until
			WHERE  tenant_id = (
				SELECT s.tenant_id FROM gv.slack_connections s
				WHERE  s.disabled_at IS NULL AND s.next_at <= @now AND (s.claimed_until IS NULL OR s.claimed_until < @now)
				AND   (s.daily AND s.daily_at <= @now OR s.weekly AND s.weekly_at <= @now
				       OR s.at_once AND EXISTS (SELECT FROM gv.slack_notices n WHERE n.tenant_id = s.tenant_id AND n.sent_at IS NULL))
				ORDER  BY s.next_at, s.tenant_id LIMIT 1 FOR UPDATE SKIP LOCKED)
			RETURNING tenant_id::text, url, at_once, daily, weekly, time_zone, hour::int, weekday::int, daily_from, daily_at, weekly_from, weekly_at,
			          failures, failing_since, claim::text`,
			pgx.StrictNamedArgs{"claim": uuid.NewString(), "now": now, "until": until})
		c, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Claimed])
		if found = err == nil; errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return c, false, fmt.Errorf("claim a Slack channel: %w", err)
	}
	return c, found, nil
}

// Outcome is what becomes of a channel after a run.
type Outcome struct {
	Failures     int
	FailingSince *time.Time
	Reason       *string
	Next         time.Time
	Off          string // why it is switched off
}

// Release gives the channel back. One that was set anew meanwhile keeps its new state.
func (c Claimed) Release(ctx context.Context, tx pgx.Tx, o Outcome, sent bool) error {
	_, err := tx.Exec(ctx, `
		UPDATE gv.slack_connections
		SET    claim = NULL, claimed_until = NULL, failures = @failures, failing_since = @since, last_error = @reason, next_at = @next,
		       last_sent_at = CASE WHEN @sent THEN now() ELSE last_sent_at END,
		       disabled_at = CASE WHEN @off <> '' THEN now() END, disabled_reason = nullif(@off, '')
		WHERE  tenant_id = gv.tenant() AND claim = @claim::uuid`,
		pgx.StrictNamedArgs{
			"claim": c.Claim, "failures": o.Failures, "since": o.FailingSince, "reason": o.Reason, "next": o.Next, "off": o.Off, "sent": sent,
		})
	if err != nil {
		return fmt.Errorf("record what came of posting to Slack: %w", err)
	}
	return nil
}

// Posted records that the summary of the time until then was posted, and when the next
// is due.
func (c Claimed) Posted(ctx context.Context, tx pgx.Tx, weekly bool, until, next time.Time) error {
	sql := `UPDATE gv.slack_connections SET daily_from = @until, daily_at = @next WHERE tenant_id = gv.tenant() AND claim = @claim::uuid`
	if weekly {
		sql = `UPDATE gv.slack_connections SET weekly_from = @until, weekly_at = @next WHERE tenant_id = gv.tenant() AND claim = @claim::uuid`
	}
	if _, err := tx.Exec(ctx, sql, pgx.StrictNamedArgs{"until": until, "next": next, "claim": c.Claim}); err != nil {
		return fmt.Errorf("record a summary that Slack took: %w", err)
	}
	return nil
}
