package connections

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/notice"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/slack"
	"github.com/geminivideo/geminivideo/shared/slackconn"
)

// SlackChannel is the tenant's Slack channel as it is shown: never its address, which
// is a secret.
type SlackChannel struct {
	Configured     bool       `json:"configured" doc:"Whether there is one at all."`
	Enabled        bool       `json:"enabled" doc:"Whether anything is posted."`
	AtOnce         bool       `json:"at_once" doc:"Notices are posted within a minute."`
	Daily          bool       `json:"daily" doc:"A summary of the day is posted at hour."`
	Weekly         bool       `json:"weekly" doc:"A summary of the week is posted on weekday at hour."`
	Kinds          []string   `json:"kinds" nullable:"false" doc:"The kinds of notices that are posted at once; empty: all."`
	AllKinds       []string   `json:"all_kinds" nullable:"false" doc:"What can be chosen from."`
	TimeZone       string     `json:"time_zone,omitempty" doc:"Whose clocks show hour."`
	Hour           int        `json:"hour"`
	Weekday        int        `json:"weekday" doc:"0 is Sunday."`
	URLSetAt       *time.Time `json:"url_set_at,omitempty"`
	NextDaily      *time.Time `json:"next_daily,omitempty"`
	NextWeekly     *time.Time `json:"next_weekly,omitempty"`
	LastSentAt     *time.Time `json:"last_sent_at,omitempty"`
	LastError      string     `json:"last_error,omitempty" doc:"Why Slack did not take the last message; absent while it does."`
	FailingSince   *time.Time `json:"failing_since,omitempty" doc:"Since when every message has failed; after a week the channel is switched off."`
	DisabledAt     *time.Time `json:"disabled_at,omitempty"`
	DisabledReason string     `json:"disabled_reason,omitempty"`
	UpdatedAt      *time.Time `json:"updated_at,omitempty"`
	UpdatedBy      string     `json:"updated_by,omitempty"`
}

type slackOutput struct{ Body SlackChannel }

func (f *function) getSlack(ctx context.Context, _ *struct{}) (*slackOutput, error) {
	out := &slackOutput{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
		row, err := slackconn.Read(ctx, tx)
		out.Body = slackShown(row)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

type slackInput struct {
	Body struct {
		URL      string   `json:"url,omitempty" maxLength:"1000" doc:"Of an incoming webhook of Slack. It is a secret and never shown. Absent: stays as it is."`
		AtOnce   bool     `json:"at_once,omitempty" doc:"Posts notices within a minute."`
		Daily    bool     `json:"daily,omitempty" doc:"Posts a summary of each day."`
		Weekly   bool     `json:"weekly,omitempty" doc:"Posts a summary of each week."`
		Kinds    []string `json:"kinds,omitempty" maxItems:"50" doc:"The kinds of notices that are posted at once; absent or empty: all."`
		TimeZone string   `json:"time_zone,omitempty" maxLength:"100" doc:"An IANA name such as America/Chicago; absent: stays as it is, the first ad account's at first."`
		Hour     *int     `json:"hour,omitempty" minimum:"0" maximum:"23" doc:"When summaries are posted; 8 at first."`
		Weekday  *int     `json:"weekday,omitempty" minimum:"0" maximum:"6" doc:"The day of the weekly summary, 0 is Sunday; Monday at first."`
		Disabled bool     `json:"disabled,omitempty" doc:"Posts nothing until the channel is set again without it."`
	}
}

func (f *function) putSlack(ctx context.Context, in *slackInput) (*slackOutput, error) {
	id := auth.From(ctx)
	serve.Note(ctx, "by", id.Subject)
	if answer, found, err := kept[SlackChannel](ctx, f); err != nil || found {
		return &slackOutput{answer}, err
	}
	if rule := f.Slack.Check(in.Body.URL); in.Body.URL != "" && rule != "" {
		return nil, fault.Field("body.url", rule)
	}
	for i, kind := range in.Body.Kinds {
		if !slices.Contains(notice.Kinds, kind) {
			return nil, fault.Field("body.kinds["+itoa(i)+"]", "is no kind of notice: GET this address lists them as all_kinds")
		}
	}
	if !in.Body.AtOnce && !in.Body.Daily && !in.Body.Weekly && !in.Body.Disabled {
		return nil, fault.Field("body.at_once", "or daily or weekly must be true: nothing would be posted otherwise")
	}
	if _, err := time.LoadLocation(in.Body.TimeZone); err != nil || in.Body.TimeZone == "Local" {
		return nil, fault.Field("body.time_zone", "must be an IANA name such as America/Chicago")
	}
	out := &slackOutput{}
	err := f.alone(ctx, "slack", func(ctx context.Context) error {
		var was slackconn.Channel
		err := pg.InTenant(ctx, f.db, id.Tenant, func(tx pgx.Tx) (err error) {
			if err = known(ctx, tx); err == nil {
				was, err = slackconn.Read(ctx, tx)
			}
			return err
		})
		if err != nil {
			return err
		}
		set := was
		if in.Body.URL != "" {
			if set.URL, err = f.store(ctx, id.Tenant, "slack-url", in.Body.URL); err != nil {
				return err
			}
		}
		if set.URL == "" {
			return fault.Field("body.url", "is required: there is no channel yet")
		}
		set.AtOnce, set.Daily, set.Weekly, set.Kinds, set.UpdatedBy = in.Body.AtOnce, in.Body.Daily, in.Body.Weekly, unique(in.Body.Kinds),
			id.Who()
		if in.Body.Hour != nil {
			set.Hour = *in.Body.Hour
		}
		if in.Body.Weekday != nil {
			set.Weekday = *in.Body.Weekday
		}
		if in.Body.TimeZone != "" {
			set.TimeZone = in.Body.TimeZone
		}
		out.Body, err = idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (SlackChannel, error) {
			row, err := slackconn.Save(ctx, tx, set, in.Body.Disabled)
			return slackShown(row), err
		})
		if err == nil {
			f.retire(ctx, id.Tenant, other(was.URL, set.URL)...)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

type slackTest struct {
	Body struct {
		Delivered bool   `json:"delivered"`
		Status    int    `json:"status,omitempty" doc:"What Slack answered, where it did not take the message."`
		Reason    string `json:"reason,omitempty" doc:"Why it did not."`
	}
}

// testSlack posts a message that says where it comes from, and nothing else.
func (f *function) testSlack(ctx context.Context, _ *struct{}) (*slackTest, error) {
	id := auth.From(ctx)
	var row slackconn.Channel
	err := pg.InTenant(ctx, f.db, id.Tenant, func(tx pgx.Tx) (err error) {
		row, err = slackconn.Read(ctx, tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	if row.URL == "" {
		return nil, fault.NotFoundf("there is no Slack channel")
	}
	address, err := f.Vault.Get(ctx, row.URL)
	if err != nil {
		return nil, err
	}
	out := &slackTest{}
	m, _ := slack.Pack("Geminivideo posts here.", [][]slack.Block{{slack.Section("Geminivideo posts here: somebody has asked for this test.")}})
	var failure *slack.Failure
	switch err := f.Slack.Post(ctx, address, m); {
	case err == nil:
		out.Body.Delivered = true
	case errors.As(err, &failure):
		out.Body.Status, out.Body.Reason = failure.Status, failure.Reason
	default:
		return nil, err
	}
	return out, nil
}
