package telemetry

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

type (
	traceKey    struct{}
	functionKey struct{}
)

// Trace is a request's place in a trace.
type Trace struct {
	ID      string // 32 hexadecimal digits
	Span    string // 16, or empty
	Sampled bool   // whether the caller exports its spans
}

// WithTrace returns ctx with the trace that its log lines and spans belong to.
func WithTrace(ctx context.Context, t Trace) context.Context {
	id, errID := trace.TraceIDFromHex(t.ID)
	span, errSpan := trace.SpanIDFromHex(t.Span)
	if errID == nil && errSpan == nil {
		flags := trace.TraceFlags(0).WithSampled(t.Sampled)
		ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: span, TraceFlags: flags}))
	}
	return context.WithValue(ctx, traceKey{}, t)
}

// TraceOf returns the trace of ctx, empty where it has none.
func TraceOf(ctx context.Context) Trace {
	t, _ := ctx.Value(traceKey{}).(Trace)
	return t
}

var (
	traceparent = regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$`)
	cloudTrace  = regexp.MustCompile(`^([0-9a-fA-F]{32})(?:/([0-9]+))?(;o=1)?`)
)

// TraceFrom reads a request's trace from traceparent or X-Cloud-Trace-Context.
func TraceFrom(h http.Header) Trace {
	if t := ParseTraceparent(h.Get("Traceparent")); t.ID != "" {
		return t
	}
	if m := cloudTrace.FindStringSubmatch(h.Get("X-Cloud-Trace-Context")); m != nil {
		return Trace{ID: strings.ToLower(m[1]), Span: hexadecimal(m[2]), Sampled: m[3] != ""}
	}
	return Trace{}
}

// ParseTraceparent reads a trace as W3C writes it; it is empty where text is none.
func ParseTraceparent(text string) Trace {
	m := traceparent.FindStringSubmatch(text)
	if m == nil {
		return Trace{}
	}
	flags, _ := strconv.ParseUint(m[3], 16, 8)
	return Trace{ID: m[1], Span: m[2], Sampled: flags&1 == 1}
}

// Traceparent writes the trace of ctx as W3C does; "" where it has none.
func Traceparent(ctx context.Context) string {
	t := TraceOf(ctx)
	if t.ID == "" || t.Span == "" {
		return ""
	}
	flags := "00"
	if t.Sampled {
		flags = "01"
	}
	return "00-" + t.ID + "-" + t.Span + "-" + flags
}

// hexadecimal puts the older header's decimal span id into the form of logs.
func hexadecimal(span string) string {
	id, err := strconv.ParseUint(span, 10, 64)
	if err != nil || id == 0 {
		return ""
	}
	return fmt.Sprintf("%016x", id)
}

var tracer atomic.Pointer[trace.Tracer]

// UseTracer makes t begin all spans from now on; with nil there are none, as before.
func UseTracer(t trace.Tracer) {
	if t == nil {
		tracer.Store(nil)
		return
	}
	tracer.Store(&t)
}

// Span is a piece of work in a trace. The zero Span records nothing.
type Span struct{ span trace.Span }

// Kinds of spans.
const (
	Server   = trace.SpanKindServer
	Client   = trace.SpanKindClient
	Producer = trace.SpanKindProducer
	Consumer = trace.SpanKindConsumer
)

// Begin begins a span below that of ctx. Its attributes must hold no personal data.
func Begin(ctx context.Context, kind trace.SpanKind, name string, attributes ...attribute.KeyValue) (context.Context, Span) {
	t := tracer.Load()
	if t == nil {
		return ctx, Span{}
	}
	ctx, span := (*t).Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(attributes...))
	c := span.SpanContext()
	ctx = context.WithValue(ctx, traceKey{}, Trace{c.TraceID().String(), c.SpanID().String(), c.IsSampled()})
	return ctx, Span{span}
}

// Traced reports whether ctx is in a span that will be exported: what is below it
// need not be recorded otherwise.
func Traced(ctx context.Context) bool { return trace.SpanFromContext(ctx).IsRecording() }

// Named gives the span another name.
func (s Span) Named(name string, attributes ...attribute.KeyValue) {
	if s.span != nil {
		s.span.SetName(name)
		s.span.SetAttributes(attributes...)
	}
}

// End ends the span; failure says in a word why it failed, "" that it did not.
func (s Span) End(failure string) {
	if s.span == nil {
		return
	}
	if failure != "" {
		s.span.SetStatus(codes.Error, failure)
	}
	s.span.End()
}

// WithFunction returns ctx with the function that its metrics are counted for.
func WithFunction(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, functionKey{}, name)
}

// FunctionOf returns the function of ctx, Other where it has none.
func FunctionOf(ctx context.Context) string {
	if name, ok := ctx.Value(functionKey{}).(string); ok {
		return name
	}
	return Other
}
