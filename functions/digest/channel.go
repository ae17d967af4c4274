package digest

import (
	"time"

	"github.com/geminivideo/geminivideo/shared/slack"
	"github.com/geminivideo/geminivideo/shared/slackconn"
)

// aWeek is how long a channel may fail until it is switched off.
const aWeek = 7 * 24 * time.Hour

// outcomeOf judges a failure, nil where all was taken. Slack's own wish counts as no
// failure; others are tried again after 1, 2, 4 minutes and so on, up to 4 hours.
func outcomeOf(c slackconn.Claimed, failure *slack.Failure, now time.Time) slackconn.Outcome {
	if failure == nil {
		return slackconn.Outcome{Next: now.Add(spacing)}
	}
	o := slackconn.Outcome{Failures: c.Failures, FailingSince: c.FailingSince, Reason: &failure.Reason}
	if failure.RetryAfter > 0 {
		o.Next = now.Add(failure.RetryAfter)
		return o
	}
	if o.FailingSince == nil {
		o.FailingSince = &now
	}
	o.Next = now.Add(min(time.Minute<<min(c.Failures, 8), 4*time.Hour))
	o.Failures++
	switch {
	case failure.Gone:
		o.Off = failure.Reason + ": the address takes no messages any more"
	case now.Sub(*o.FailingSince) > aWeek:
		o.Off = "every message failed for a week, the last one because " + failure.Reason
	}
	return o
}

// summary is one that is due, of the time from from until until.
type summary struct {
	weekly      bool
	from, until time.Time
	next        time.Time
}

// summaries are those of c that are due at now. One that was missed is made
// good by the next, which reaches back to the last that was posted.
func summaries(c slackconn.Claimed, now time.Time) []summary {
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
