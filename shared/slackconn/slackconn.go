// Package slackconn stores which Slack channel a tenant has, when its summaries are
// due, and what became of the messages that were posted to it.
package slackconn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/slack"
)

// Channel is a tenant's Slack channel; URL is its address's name in Secret Manager,
// empty where there is none.
type Channel struct {
	URL            string
	URLSetAt       *time.Time
	AtOnce         bool
	Daily          bool
	Weekly         bool
	Kinds          []string
	TimeZone       string
	Hour           int
	Weekday        int
	DailyAt        *time.Time
	WeeklyAt       *time.Time
	LastSentAt     *time.Time
	LastError      *string
	FailingSince   *time.Time
	DisabledAt     *time.Time
	DisabledReason *string
	UpdatedAt      *time.Time
	UpdatedBy      string
}

// Of a channel that nobody has set before.
const (
	firstHour    = 8
	firstWeekday = int(time.Monday)
)

const columns = `url, url_set_at, at_once, daily, weekly, kinds, time_zone, hour::int AS hour, weekday::int AS weekday, daily_at, weekly_at,
	last_sent_at, last_error, failing_since, disabled_at, disabled_reason, updated_at, updated_by`

// Read returns the tenant's channel; where there is none, what one would be at first.
func Read(ctx context.Context, tx pgx.Tx) (Channel, error) {
	rows, _ := tx.Query(ctx, `SELECT `+columns+` FROM gv.slack_connections WHERE tenant_id = gv.tenant()`)
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Channel])
	if !errors.Is(err, pgx.ErrNoRows) {
		if err != nil {
			err = fmt.Errorf("read the Slack channel: %w", err)
		}
		return row, err
	}
	row = Channel{Hour: firstHour, Weekday: firstWeekday}
	err = tx.QueryRow(ctx, `
		SELECT coalesce((SELECT time_zone FROM gv.accounts WHERE tenant_id = gv.tenant() ORDER BY account_id
		       LIMIT 1), 'Etc/UTC')`).Scan(&row.TimeZone)
	if err != nil {
		return row, fmt.Errorf("read the first account's time zone: %w", err)
	}
	return row, nil
}

// Save stores the channel; its next summaries cover the time from now on, unless
// they were due already.
func Save(ctx context.Context, tx pgx.Tx, set Channel, disabled bool) (Channel, error) {
	var now time.Time
	if err := tx.QueryRow(ctx, `SELECT now()`).Scan(&now); err != nil {
		return set, fmt.Errorf("read the clock: %w", err)
	}
	zone, err := time.LoadLocation(set.TimeZone)
	if err != nil {
		zone = time.UTC
	}
	day := time.Weekday(set.Weekday)
	rows, _ := tx.Query(ctx, `
		INSERT INTO gv.slack_connections AS s (tenant_id, url, at_once, daily, weekly, kinds, time_zone, hour, weekday,
		                                       daily_from, daily_at, weekly_from, weekly_at, updated_by, disabled_at, disabled_reason)
		VALUES (gv.tenant(), @url, @at_once, @daily, @weekly, @kinds, @zone, @hour, @weekday,
		        @daily_at::timestamptz - interval '1 day', @daily_at, @weekly_at::timestamptz - interval '7 days', @weekly_at,
		        @who, CASE WHEN @off THEN now() END, CASE WHEN @off THEN @reason::text END)
		ON CONFLICT (tenant_id) DO UPDATE
		SET url = excluded.url, url_set_at = CASE WHEN s.url <> excluded.url THEN now() ELSE s.url_set_at END,
		    at_once = excluded.at_once, daily = excluded.daily, weekly = excluded.weekly, kinds = excluded.kinds, time_zone = excluded.time_zone,
		    hour = excluded.hour, weekday = excluded.weekday,
		    daily_from = CASE WHEN s.daily AND s.disabled_at IS NULL THEN s.daily_from ELSE excluded.daily_from END, daily_at = excluded.daily_at,
		    weekly_from = CASE WHEN s.weekly AND s.disabled_at IS NULL THEN s.weekly_from ELSE excluded.weekly_from END,
		    weekly_at = excluded.weekly_at,
		    updated_by = excluded.updated_by, updated_at = now(), disabled_at = excluded.disabled_at, disabled_reason = excluded.disabled_reason,
		    next_at = now(), failures = 0, failing_since = NULL, last_error = NULL, claim = NULL, claimed_until = NULL
		RETURNING `+columns,
		pgx.StrictNamedArgs{
			"url": set.URL, "at_once": set.AtOnce, "daily": set.Daily, "weekly": set.Weekly, "kinds": set.Kinds, "zone": set.TimeZone,
			"hour": set.Hour, "weekday": set.Weekday, "daily_at": slack.NextDue(now, zone, set.Hour, nil),
			"weekly_at": slack.NextDue(now, zone, set.Hour, &day), "who": set.UpdatedBy, "off": disabled, "reason": "switched off by a member",
		})
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Channel])
	if err != nil {
		return row, fmt.Errorf("save the Slack channel: %w", err)
	}
	return row, nil
}
