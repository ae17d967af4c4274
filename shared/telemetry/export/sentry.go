package export

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"slices"
	"time"

	"github.com/getsentry/sentry-go"

	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// Errors sends errors to Sentry. A nil one does nothing.
type Errors struct{ client *sentry.Client }

// StartErrors sends each error that is logged at ERROR to the project of SENTRY_DSN;
// without one it returns nil.
func StartErrors() *Errors {
	dsn := os.Getenv("SENTRY_DSN")
	if dsn == "" {
		return nil
	}
	e, err := newErrors(dsn, nil)
	if err != nil {
		slog.Error("telemetry: errors do not go to Sentry", "error", err.Error())
		return nil
	}
	telemetry.UseReporter(e.report)
	return e
}

func newErrors(dsn string, through http.RoundTripper) (*Errors, error) {
	client, err := sentry.NewClient(sentry.ClientOptions{
		Dsn: dsn, Release: os.Getenv("K_REVISION"), HTTPTransport: through, // which adds no personal data by default
		Integrations: func([]sentry.Integration) []sentry.Integration { return nil }, // nothing of the machine, and no source text
	})
	if err != nil {
		return nil, errors.New("SENTRY_DSN is not a DSN") // Sentry's own text holds it
	}
	return &Errors{client}, nil
}

// address is an e-mail address in a text.
var address = regexp.MustCompile(`[\w.+%-]+@[\w-]+(\.[\w-]+)+`)

func withoutAddresses(text string) string { return address.ReplaceAllString(text, "[e-mail]") }

// report queues one error: what failed, where, in which function and trace. No body,
// header, address or query goes with it. It does not wait; where the queue is full the
// event is dropped.
func (e *Errors) report(r telemetry.Report) {
	event := sentry.NewEvent()
	event.Level, event.Message = sentry.LevelError, withoutAddresses(r.Message)
	event.Tags = map[string]string{"function": r.Function}
	if r.Trace.ID != "" {
		event.Tags["trace"] = r.Trace.ID
	}
	kind := withoutAddresses(r.Message)
	if r.Method != "" {
		kind = r.Function + " " + r.Method // a path may name a person
	}
	event.Exception = []sentry.Exception{{Type: kind, Value: withoutAddresses(r.Error), Stacktrace: stack(r.Origin)}}
	e.client.CaptureEvent(event, nil, nil)
}

// stack is where the error was made as Sentry shows it, the innermost call last.
func stack(origin []uintptr) *sentry.Stacktrace {
	if len(origin) == 0 {
		return sentry.NewStacktrace()
	}
	var all sentry.Stacktrace
	frames := runtime.CallersFrames(origin)
	for more := true; more; {
		var f runtime.Frame
		if f, more = frames.Next(); f.Function != "" {
			all.Frames = append(all.Frames, sentry.NewFrame(f))
		}
	}
	slices.Reverse(all.Frames)
	return &all
}

// Flush sends what is queued, until ctx ends.
func (e *Errors) Flush(ctx context.Context) {
	if e == nil {
		return
	}
	left := time.Second
	if end, ok := ctx.Deadline(); ok {
		left = time.Until(end)
	}
	e.client.Flush(left)
}
