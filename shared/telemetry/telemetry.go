// Package telemetry writes logs as Cloud Logging reads them: one JSON line an
// outcome, with severity, message and the trace that it belongs to.
package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
)

type traceKey struct{}

// Trace is a request's place in a trace.
type Trace struct {
	ID   string // 32 hexadecimal digits
	Span string // 16, or empty
}

// WithTrace returns ctx with the trace that its log lines belong to.
func WithTrace(ctx context.Context, t Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

// TraceOf returns the trace of ctx, empty where it has none.
func TraceOf(ctx context.Context) Trace {
	t, _ := ctx.Value(traceKey{}).(Trace)
	return t
}

var (
	traceparent = regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$`)
	cloudTrace  = regexp.MustCompile(`^([0-9a-fA-F]{32})(?:/([0-9]+))?`)
)

// TraceFrom reads a request's trace from traceparent or X-Cloud-Trace-Context.
func TraceFrom(h http.Header) Trace {
	if m := traceparent.FindStringSubmatch(h.Get("Traceparent")); m != nil {
		return Trace{ID: m[1], Span: m[2]}
	}
	if m := cloudTrace.FindStringSubmatch(h.Get("X-Cloud-Trace-Context")); m != nil {
		return Trace{ID: strings.ToLower(m[1]), Span: hexadecimal(m[2])}
	}
	return Trace{}
}

// hexadecimal puts the older header's decimal span id into the form of logs.
func hexadecimal(span string) string {
	id, err := strconv.ParseUint(span, 10, 64)
	if err != nil || id == 0 {
		return ""
	}
	return fmt.Sprintf("%016x", id)
}

// NewLogger returns a logger that writes Cloud Logging's JSON to w. Traces are
// named in full where project is known, so that Cloud Logging links them.
func NewLogger(w io.Writer, project string) *slog.Logger {
	return slog.New(handler{slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: rename}), project})
}

// handler adds the trace of the context to each line.
type handler struct {
	slog.Handler
	project string
}

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if t := TraceOf(ctx); t.ID != "" {
		name := t.ID
		if h.project != "" {
			name = "projects/" + h.project + "/traces/" + t.ID
		}
		r.AddAttrs(slog.String("logging.googleapis.com/trace", name))
		if t.Span != "" {
			r.AddAttrs(slog.String("logging.googleapis.com/spanId", t.Span))
		}
	}
	return h.Handler.Handle(ctx, r)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs), h.project}
}

func rename(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.LevelKey:
		level := a.Value.String()
		if level == slog.LevelWarn.String() {
			level = "WARNING"
		}
		return slog.String("severity", level)
	case slog.MessageKey:
		a.Key = "message"
	}
	return a
}

// Setup makes the process's default logger write to standard error.
func Setup() {
	slog.SetDefault(NewLogger(os.Stderr, os.Getenv("GOOGLE_CLOUD_PROJECT")))
}
