package serve

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// measured begins a request's span and measurement. A message's span is begun once the
// message is read, for it belongs to the trace of the message.
func measured(ctx context.Context, name string, kind Kind, method string) (context.Context, func(*recorder, *outcome)) {
	began := time.Now()
	telemetry.RequestsInFlight.Add(ctx, 1, name)
	span := telemetry.Span{}
	if kind != KindPubSub {
		ctx, span = telemetry.Begin(ctx, telemetry.Server, name+" "+method)
	}
	return ctx, func(rec *recorder, o *outcome) {
		o.mu.Lock()
		route := o.route
		o.mu.Unlock()
		if kind != KindHTTP {
			route = string(kind)
		}
		status := cmp.Or(rec.status, http.StatusOK)
		telemetry.RequestsInFlight.Add(ctx, -1, name)
		telemetry.RequestSeconds.Record(ctx, time.Since(began).Seconds(), name, cmp.Or(route, telemetry.Other), telemetry.Class(status))
		failure := ""
		if status >= http.StatusInternalServerError {
			failure = http.StatusText(status)
		}
		if route != "" {
			span.Named(name + " " + route)
		}
		span.End(failure)
	}
}

// received begins the span of a message's handling, in the trace that the message was
// written in, and returns what measures its end.
func received(ctx context.Context, name string, m message.Message) (context.Context, func(outcome string)) {
	if from := telemetry.ParseTraceparent(m.Attributes[message.TraceAttribute]); from.ID != "" {
		ctx = telemetry.WithTrace(ctx, from)
	}
	ctx, span := telemetry.Begin(ctx, telemetry.Consumer, name+" handle")
	note(ctx, func(o *outcome) { o.within = ctx })
	return ctx, func(came string) {
		telemetry.MessagesHandled.Add(ctx, 1, name, came)
		if came == "handled" && !m.PublishedAt.IsZero() {
			telemetry.MessageLagSeconds.Record(ctx, time.Since(m.PublishedAt).Seconds(), name)
		}
		if came == "handled" {
			came = ""
		}
		span.End(came)
	}
}
