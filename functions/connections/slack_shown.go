package connections

import (
	"github.com/geminivideo/geminivideo/shared/notice"
	"github.com/geminivideo/geminivideo/shared/slackconn"
)

func slackShown(r slackconn.Channel) SlackChannel {
	c := SlackChannel{
		Configured: r.URL != "", Enabled: r.URL != "" && r.DisabledAt == nil, AtOnce: r.AtOnce, Daily: r.Daily, Weekly: r.Weekly, Kinds: r.Kinds,
		AllKinds: notice.Kinds, TimeZone: r.TimeZone, Hour: r.Hour, Weekday: r.Weekday, URLSetAt: inUTC(r.URLSetAt),
		LastSentAt: inUTC(r.LastSentAt),
		LastError:  deref(r.LastError), FailingSince: inUTC(r.FailingSince), DisabledAt: inUTC(r.DisabledAt),
		DisabledReason: deref(r.DisabledReason),
		UpdatedAt:      inUTC(r.UpdatedAt), UpdatedBy: r.UpdatedBy,
	}
	if c.Kinds == nil {
		c.Kinds = []string{}
	}
	if c.Enabled && r.Daily {
		c.NextDaily = inUTC(r.DailyAt)
	}
	if c.Enabled && r.Weekly {
		c.NextWeekly = inUTC(r.WeeklyAt)
	}
	return c
}
