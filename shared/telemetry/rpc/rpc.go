// Package rpc measures calls of Google's services over gRPC. It is a package of its
// own, so that only functions that link gRPC already link it: otelgrpc's handler,
// which those clients bring, would need the process's global providers.
package rpc

import (
	"context"
	"path"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// Measured makes a client's calls, each try on its own, spans and measurements of
// service. What is asked and answered is not recorded, and the service does not learn
// of the trace.
func Measured(service string) option.ClientOption {
	return option.WithGRPCDialOption(grpc.WithChainUnaryInterceptor(intercept(service)))
}

func intercept(service string) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, in, out any, conn *grpc.ClientConn, call grpc.UnaryInvoker,
		opts ...grpc.CallOption,
	) error {
		span := telemetry.Span{}
		if telemetry.Traced(ctx) {
			ctx, span = telemetry.Begin(ctx, telemetry.Client, service+" "+path.Base(method), attribute.String("rpc.system", "grpc"))
		}
		began := time.Now()
		err := call(ctx, method, in, out, conn, opts...)
		telemetry.CallSeconds.Record(ctx, time.Since(began).Seconds(), telemetry.FunctionOf(ctx), service, Class(err))
		failure := ""
		if err != nil {
			failure = status.Code(err).String()
		}
		span.End(failure)
		return err
	}
}

// Class is the class of the HTTP status that Google's APIs answer in a code's place.
func Class(err error) string {
	switch status.Code(err) {
	case codes.OK:
		return "2xx"
	case codes.Canceled, codes.DeadlineExceeded:
		return "none"
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.PermissionDenied, codes.ResourceExhausted,
		codes.FailedPrecondition, codes.Aborted, codes.OutOfRange, codes.Unauthenticated:
		return "4xx"
	default:
		return "5xx"
	}
}
