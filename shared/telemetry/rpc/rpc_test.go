package rpc

import (
	"context"
	"errors"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/geminivideo/geminivideo/infra/testkit/meter"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// TestACallIsASpanAndAMeasurement runs alone: the tracer is the process's.
func TestACallIsASpanAndAMeasurement(t *testing.T) {
	meter.Start(t)
	spans := tracetest.NewInMemoryExporter()
	telemetry.UseTracer(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)).Tracer("test"))
	t.Cleanup(func() { telemetry.UseTracer(nil) })
	ctx, request := telemetry.Begin(telemetry.WithFunction(t.Context(), "sync"), telemetry.Server, "request")
	for class, answer := range map[string]error{
		"2xx": nil, "4xx": status.Error(codes.NotFound, "no such secret"), "5xx": status.Error(codes.Unavailable, "down"), "none": context.DeadlineExceeded,
	} {
		within := ""
		call := func(ctx context.Context, _ string, _, _ any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
			within = telemetry.TraceOf(ctx).Span
			return answer
		}
		if class == "none" {
			answer = status.FromContextError(answer).Err()
		}
		err := intercept("secretmanager")(ctx, "/google.cloud.secretmanager.v1.SecretManagerService/AccessSecretVersion", nil, nil, nil, call)
		if !errors.Is(err, answer) {
			t.Errorf("%s: %v came of %v", class, err, answer)
		}
		all := spans.GetSpans()
		last := all[len(all)-1]
		if last.Name != "secretmanager AccessSecretVersion" || last.SpanContext.SpanID().String() != within ||
			last.Parent.SpanID().String() != telemetry.TraceOf(ctx).Span || (last.Status.Description == "") != (answer == nil) {
			t.Errorf("%s: the span is %s %+v, below %s", class, last.Name, last.Status, last.Parent.SpanID())
		}
		if n := meter.Value(t, "gv_call_duration_seconds", "function=sync", "service=secretmanager", "class="+class); n != 1 {
			t.Errorf("%s: %v calls are measured", class, n)
		}
	}
	request.End("")
}
