package functions

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// longest is how long a function of the trigger may take: Pub/Sub's longest
// acknowledgement deadline, Cloud Scheduler's longest attempt, Cloud Run's longest request.
func longest(t Trigger) time.Duration {
	switch t {
	case PubSub:
		return 10 * time.Minute
	case Schedule:
		return 30 * time.Minute
	}
	return time.Hour
}

var (
	pathForm  = regexp.MustCompile(`^(GET|POST|PUT|PATCH|DELETE) (/\S*)$`)
	topicForm = regexp.MustCompile(`^[a-z][a-z0-9-]{2,60}$`)
	cronForm  = regexp.MustCompile(`^[0-9*/,\-]+( [0-9A-Za-z*/,\-]+){4}$`)
)

// trigger checks and reads what goes with the function's trigger, and refuses
// what goes with another.
func (p *reader) trigger(say sayer, f *Function, e entry) {
	if !f.Trigger.known() {
		say("trigger", "trigger must be http, pubsub or schedule")
		return
	}
	for _, field := range []struct {
		key    string
		there  bool
		of     Trigger
		needed bool
	}{
		{"paths", len(e.Paths) > 0, HTTP, true},
		{"public", e.Public, HTTP, false},
		{"topic", e.Topic != "", PubSub, true},
		{"retry", e.Retry != nil, PubSub, true},
		{"schedule", e.Schedule != "", Schedule, true},
	} {
		switch {
		case field.there && f.Trigger != field.of:
			say(field.key, "%s is only for the trigger %s", field.key, field.of)
		case !field.there && field.needed && f.Trigger == field.of:
			say(field.key, "%s is missing: the trigger %s needs it", field.key, field.of)
		}
	}
	p.paths(say, f, e.Paths)
	if f.Topic != "" && !topicName(f.Topic) {
		say("topic", "topic must be 3 to 61 lower-case letters, digits and dashes, beginning with a letter other than of \"goog\"")
	}
	if f.Schedule != "" {
		if _, err := cron.ParseStandard(f.Schedule); !cronForm.MatchString(f.Schedule) {
			say("schedule", "schedule must be a cron expression of five fields, in UTC, such as \"0 */2 * * *\"")
		} else if err != nil {
			say("schedule", "schedule: %v", err)
		}
	}
	if e.Retry != nil {
		inner := func(key, format string, args ...any) { say("retry", "retry: "+format, args...) }
		f.Retry = Retry{
			MinBackoff:  p.seconds(inner, "min_backoff", e.Retry.MinBackoff, 0, 10*time.Minute),
			MaxBackoff:  p.seconds(inner, "max_backoff", e.Retry.MaxBackoff, 0, 10*time.Minute),
			MaxAttempts: e.Retry.MaxAttempts,
		}
		switch {
		case f.Retry.MaxAttempts < 5 || f.Retry.MaxAttempts > 100:
			inner("", "max_attempts must be a number from 5 to 100")
		case f.Retry.MinBackoff > f.Retry.MaxBackoff:
			inner("", "min_backoff %s is above max_backoff %s", f.Retry.MinBackoff, f.Retry.MaxBackoff)
		}
	}
}

func topicName(name string) bool {
	return topicForm.MatchString(name) && !strings.HasPrefix(name, "goog")
}

// reserved are served for all functions alike, here or on one machine.
var reserved = []string{"/health", "/healthz", "/_local", "/auth"}

func (p *reader) paths(say sayer, f *Function, paths []string) {
	for i, text := range paths {
		m := pathForm.FindStringSubmatch(text)
		if m == nil {
			say("paths", "path %q must be a method and a path, such as \"GET /api/campaigns/{id}\"", text)
			continue
		}
		first, _, _ := strings.Cut(m[2][1:], "/")
		if slices.Contains(reserved, "/"+first) {
			say("paths", "path %s: /%s is reserved", m[2], first)
			continue
		}
		_, entries := member(p.root, "functions")
		_, own := member(entries, f.Name)
		_, list := member(own, "paths")
		f.Paths = append(f.Paths, Path{Method: m[1], Pattern: m[2], line: list.Content[i].Line})
	}
}

// secondsForm is what Terraform and Cloud Run take as well: whole seconds.
var secondsForm = regexp.MustCompile(`^[0-9]{1,5}s$`)

func (p *reader) seconds(say sayer, key, text string, low, high time.Duration) time.Duration {
	v, err := time.ParseDuration(text)
	if !secondsForm.MatchString(text) || err != nil || v < low || v > high {
		say(key, "%s must be whole seconds from %ds to %ds", key, int(low.Seconds()), int(high.Seconds()))
		return 0
	}
	return v
}

var memoryForm = regexp.MustCompile(`^([0-9]{1,5})(Mi|Gi)$`)

// mebibytes reads 256Mi or 1Gi; 0 for what is neither.
func mebibytes(text string) int {
	m := memoryForm.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	if m[2] == "Gi" {
		n *= 1024
	}
	return n
}
