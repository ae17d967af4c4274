// Package telemetry is what a function says of itself: logs as Cloud Logging and Error
// Reporting read them, one JSON line an outcome; traces and metrics of OpenTelemetry.
// metrics.go is the list of all metrics. Nothing here exports: shared/telemetry/export
// does, and where it is not started spans and metrics cost next to nothing.
package telemetry

import (
	"context"
	"io"
	"log/slog"
	"os"
)

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
	if r.Level >= slog.LevelError {
		r = reported(ctx, r)
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
