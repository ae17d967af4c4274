package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// checker is a handler that knows whether what it depends on is there. Health
// returns an error that names what is down.
type checker interface {
	Health(ctx context.Context) error
}

type checked struct {
	http.Handler
	checker
}

// Wrap returns h with the log line, deadline, recovery, span, measurement and /health of
// a function.
func Wrap(name string, h http.Handler) http.Handler { return wrap(name, KindHTTP, h) }

func wrap(name string, kind Kind, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o, rec := &outcome{}, &recorder{ResponseWriter: w}
		ctx := telemetry.WithTrace(telemetry.WithFunction(r.Context(), name), telemetry.TraceFrom(r.Header))
		ctx = telemetry.WithRequest(ctx, r.Method, r.URL.Path)
		if r.URL.Path != "/health" {
			var end func(*recorder, *outcome)
			ctx, end = measured(ctx, name, kind, r.Method)
			defer func() { end(rec, o) }()
		}
		ctx, cancel := context.WithTimeout(ctx, timeout())
		defer cancel()
		ctx = context.WithValue(ctx, outcomeKey{}, o)
		began := time.Now()
		r = r.WithContext(ctx)
		body := paceBody(w, r, slowest)
		defer body.finish()
		r = r.WithContext(context.WithValue(ctx, pacedKey{}, body))
		func() {
			defer recovered(rec, r)
			if r.URL.Path == "/health" {
				health(rec, r, h)
				return
			}
			h.ServeHTTP(rec, r)
		}()
		if r.URL.Path != "/health" || rec.status >= 400 {
			logRequest(name, r, rec, o, time.Since(began))
		}
	})
}

// outcome gathers what a request's one log line says beyond the request itself.
type outcome struct {
	mu     sync.Mutex
	err    error
	tenant string
	report any
	ids    []any
	route  string          // the pattern that the request matched
	within context.Context // the trace of the message that the request delivers
}

type outcomeKey struct{}

func note(ctx context.Context, set func(*outcome)) {
	if o, ok := ctx.Value(outcomeKey{}).(*outcome); ok {
		o.mu.Lock()
		defer o.mu.Unlock()
		set(o)
	}
}

// Note adds ids to the request's log line, as slog's key and value pairs.
func Note(ctx context.Context, pairs ...any) {
	note(ctx, func(o *outcome) { o.ids = append(o.ids, pairs...) })
}

// recorder records what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// recovered turns a panic into a plain 500 and a log line with the stack.
func recovered(w *recorder, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, is := v.(error); is && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	slog.ErrorContext(r.Context(), "panic", "panic", fmt.Sprint(v), "stack", string(debug.Stack()), "path", r.URL.Path)
	if w.status == 0 {
		WriteError(w, r, fmt.Errorf("panic: %v", v))
		return
	}
	panic(http.ErrAbortHandler) // half an answer is out: break the connection rather than pretend it is whole
}

func health(w http.ResponseWriter, r *http.Request, h http.Handler) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	if c, ok := h.(checker); ok {
		if err := c.Health(ctx); err != nil {
			WriteError(w, r, fault.Down("not healthy: "+public(err), err))
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"status": "ok"})
}

// host is an address without its port, of either family.
func host(address string) string {
	if h, _, err := net.SplitHostPort(address); err == nil {
		return h
	}
	return address
}

// balancerAddresses is how many addresses Google's load balancer adds to
// X-Forwarded-For: the visitor's, and its own. On Cloud Run strangers come through it
// alone; Pub/Sub and Scheduler come without it.
const balancerAddresses = 2

// onCloudRun is set by the platform.
var onCloudRun = os.Getenv("K_SERVICE") != ""

// Visitor is the address that a request's log line names: behind the load balancer the
// visitor's, whatever the visitor wrote before it.
func Visitor(r *http.Request) string { return visitorOf(r, onCloudRun) }

func visitorOf(r *http.Request, behind bool) string {
	all := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	if one := strings.TrimSpace(all[max(len(all)-balancerAddresses, 0)]); behind && one != "" {
		return one
	}
	return host(r.RemoteAddr)
}

// logRequest writes the request's one line, with Cloud Logging's httpRequest.
func logRequest(name string, r *http.Request, rec *recorder, o *outcome, took time.Duration) {
	if rec.status == 0 {
		rec.status = http.StatusOK
	}
	level := slog.LevelInfo
	switch {
	case rec.status >= 500:
		level = slog.LevelError
	case rec.status >= 400:
		level = slog.LevelWarn
	}
	attrs := []any{
		"function", name,
		slog.Group("httpRequest", "requestMethod", r.Method, "requestUrl", r.URL.Path, "status", rec.status,
			"responseSize", rec.bytes, "latency", fmt.Sprintf("%.6fs", took.Seconds()),
			"userAgent", r.UserAgent(), "remoteIp", Visitor(r)),
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.tenant != "" {
		attrs = append(attrs, "tenant", o.tenant)
	}
	attrs = append(attrs, o.ids...)
	if o.err != nil {
		attrs = append(attrs, "error", o.err.Error())
	}
	if o.report != nil {
		attrs = append(attrs, "report", o.report)
	}
	ctx := r.Context()
	if o.within != nil {
		ctx = o.within
	}
	ctx = telemetry.WithOrigin(ctx, fault.Origin(o.err))
	slog.Log(ctx, level, fmt.Sprintf("%s %s %d", r.Method, r.URL.Path, rec.status), attrs...)
}
