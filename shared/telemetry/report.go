package telemetry

import (
	"context"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
)

// reportedError is how Error Reporting recognizes an error in a log line.
const reportedError = "type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent"

// Report is an error that was logged at ERROR.
type Report struct {
	Message string // the line's message
	Error   string // its error, "" where it names none
	Stack   string // as Go prints it
	// Function, Method and Path are of the request under way; empty outside one.
	Function, Method, Path string
	Trace                  Trace
	// Origin is the stack as program counters, the innermost call first.
	Origin []uintptr
}

var reporter atomic.Pointer[func(Report)]

// UseReporter makes f get each error that is logged at ERROR. f must not wait.
func UseReporter(f func(Report)) { reporter.Store(&f) }

type requestKey struct{}

type request struct{ method, path string }

// WithRequest returns ctx with the request that its errors are reported of. path is
// the route's pattern or a path without personal data.
func WithRequest(ctx context.Context, method, path string) context.Context {
	return context.WithValue(ctx, requestKey{}, request{method, path})
}

type originKey struct{}

// WithOrigin returns ctx with the stack of where its error was made, which its report
// shows in the place of the stack of who logs; nil changes nothing.
func WithOrigin(ctx context.Context, origin []uintptr) context.Context {
	if len(origin) == 0 {
		return ctx
	}
	return context.WithValue(ctx, originKey{}, origin)
}

// reported adds to an error's line what Error Reporting groups and shows it by: the
// type, the stack, the function and the request.
func reported(ctx context.Context, r slog.Record) slog.Record {
	one := Report{Message: r.Message, Function: FunctionOf(ctx), Trace: TraceOf(ctx)}
	one.Origin, _ = ctx.Value(originKey{}).([]uintptr)
	req, _ := ctx.Value(requestKey{}).(request)
	one.Method, one.Path = req.method, req.path
	status := int64(0)
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "error":
			one.Error = a.Value.String()
		case "stack":
			one.Stack = a.Value.String() // of a panic, where it happened
		case "httpRequest":
			for _, part := range a.Value.Group() {
				if part.Key == "status" {
					status = part.Value.Int64()
				}
			}
		}
		return true
	})
	if len(one.Origin) == 0 {
		one.Origin = callers()
	}
	if one.Stack == "" {
		one.Stack = stack(one.Origin)
	}
	text := one.Message
	if one.Error != "" {
		text += ": " + one.Error
	}
	service := os.Getenv("K_SERVICE")
	if service == "" {
		service = one.Function
	}
	r.AddAttrs(
		slog.String("@type", reportedError),
		slog.String("stack_trace", text+"\n\n"+one.Stack),
		slog.Group("serviceContext", "service", service, "version", os.Getenv("K_REVISION")),
	)
	if one.Method != "" {
		r.AddAttrs(slog.Group("context", slog.Group("httpRequest", "method", one.Method, "url", one.Path, "responseStatusCode", status)))
	}
	if send := reporter.Load(); send != nil {
		(*send)(one)
	}
	return r
}

// callers is the stack of who logs.
func callers() []uintptr {
	counters := make([]uintptr, 64)
	return counters[:runtime.Callers(4, counters)]
}

// stack writes a stack as a panic would print it, without the frames of the logger
// itself.
func stack(counters []uintptr) string {
	frames := runtime.CallersFrames(counters)
	var b strings.Builder
	b.WriteString("goroutine 1 [running]:\n")
	for {
		f, more := frames.Next()
		if f.Function != "" && !strings.HasPrefix(f.Function, "log/slog.") && !strings.Contains(f.Function, "shared/telemetry.handler.") {
			b.WriteString(f.Function + "(...)\n\t" + f.File + ":" + strconv.Itoa(f.Line) + " +0x0\n")
		}
		if !more {
			return b.String()
		}
	}
}
