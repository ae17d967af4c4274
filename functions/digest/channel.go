package digest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/slack"
)

// channel is a tenant's Slack channel, claimed by this run.
type channel struct {
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

// claim takes the channel that has waited longest among those that are due.
func (f *function) claim(ctx context.Context) (c channel, found bool, err error) {
	now := f.now()
	err = pg.Across(ctx, f.worker, func(tx pgx.Tx) error {
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
			pgx.StrictNamedArgs{"claim": uuid.NewString(), "now": now, "until": now.Add(claimFor)})
		c, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[channel])
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

// aWeek is how long a channel may fail until it is switched off.
const aWeek = 7 * 24 * time.Hour

// outcome is what becomes of a channel after a run.
type outcome struct {
	failures     int
	failingSince *time.Time
	reason       *string
	next         time.Time
	off          string // why it is switched off
}

// outcomeOf judges a failure, nil where all was taken. Slack's own wish counts as no
// failure; others are tried again after 1, 2, 4 minutes and so on, up to 4 hours.
func outcomeOf(c channel, failure *slack.Failure, now time.Time) outcome {
	if failure == nil {
		return outcome{next: now.Add(spacing)}
	}
	o := outcome{failures: c.Failures, failingSince: c.FailingSince, reason: &failure.Reason}
	if failure.RetryAfter > 0 {
		o.next = now.Add(failure.RetryAfter)
		return o
	}
	if o.failingSince == nil {
		o.failingSince = &now
	}
	o.next = now.Add(min(time.Minute<<min(c.Failures, 8), 4*time.Hour))
	o.failures++
	switch {
	case failure.Gone:
		o.off = failure.Reason + ": the address takes no messages any more"
	case now.Sub(*o.failingSince) > aWeek:
		o.off = "every message failed for a week, the last one because " + failure.Reason
	}
	return o
}

// release gives the channel back. One that was set anew meanwhile keeps its new state.
func release(ctx context.Context, tx pgx.Tx, c channel, o outcome, sent bool) error {
	_, err := tx.Exec(ctx, `
		UPDATE gv.slack_connections
		SET    claim = NULL, claimed_until = NULL, failures = @failures, failing_since = @since, last_error = @reason, next_at = @next,
		       last_sent_at = CASE WHEN @sent THEN now() ELSE last_sent_at END,
		       disabled_at = CASE WHEN @off <> '' THEN now() END, disabled_reason = nullif(@off, '')
		WHERE  tenant_id = gv.tenant() AND claim = @claim::uuid`,
		pgx.StrictNamedArgs{
			"claim": c.Claim, "failures": o.failures, "since": o.failingSince, "reason": o.reason, "next": o.next, "off": o.off, "sent": sent,
		})
	if err != nil {
		return fmt.Errorf("record what came of posting to Slack: %w", err)
	}
	return nil
}

// summary is one that is due, of the time from from until until.
type summary struct {
	weekly      bool
	from, until time.Time
	next        time.Time
}

// summaries are those of the channel that are due at now. One that was missed is made
// good by the next, which reaches back to the last that was posted.
func (c channel) summaries(now time.Time) []summary {
	zone, err := time.LoadLocation(c.TimeZone)
	if err != nil {
		zone = time.UTC
	}
	var due []summary
	if c.Daily && !c.DailyAt.After(now) {
		due = append(due, summary{from: c.DailyFrom, until: lastDue(now, zone, c.Hour, nil), next: slack.NextDue(now, zone, c.Hour, nil)})
	}
	if day := time.Weekday(c.Weekday); c.Weekly && !c.WeeklyAt.After(now) {
		due = append(due, summary{
			weekly: true, from: c.WeeklyFrom, until: lastDue(now, zone, c.Hour, &day),
			next: slack.NextDue(now, zone, c.Hour, &day),
		})
	}
	return due
}

// lastDue returns the latest time at or before now that a summary was due at.
func lastDue(now time.Time, zone *time.Location, hour int, day *time.Weekday) time.Time {
	for back := now.AddDate(0, 0, -9); ; {
		next := slack.NextDue(back, zone, hour, day)
		if next.After(now) {
			return back
		}
		back = next
	}
}

// posted records that a summary was posted, and when the next is due.
func posted(ctx context.Context, tx pgx.Tx, c channel, s summary) error {
	sql := `UPDATE gv.slack_connections SET daily_from = @until, daily_at = @next WHERE tenant_id = gv.tenant() AND claim = @claim::uuid`
	if s.weekly {
		sql = `UPDATE gv.slack_connections SET weekly_from = @until, weekly_at = @next WHERE tenant_id = gv.tenant() AND claim = @claim::uuid`
	}
	if _, err := tx.Exec(ctx, sql, pgx.StrictNamedArgs{"until": s.until, "next": s.next, "claim": c.Claim}); err != nil {
		return fmt.Errorf("record a summary that Slack took: %w", err)
	}
	return nil
}
