package telemetry

import (
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
)

// Transport returns base, http.DefaultTransport where it is nil, with a span and a
// measurement of each call of service. A path may name a person and a query a token:
// neither is recorded. The service does not learn of the trace.
func Transport(service string, base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return transport{service, base}
}

type transport struct {
	service string
	base    http.RoundTripper
}

// RoundTrip sends r.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, span := r.Context(), Span{}
	if Traced(ctx) {
		ctx, span = Begin(ctx, Client, t.service+" "+r.Method,
			attribute.String("http.request.method", r.Method), attribute.String("server.address", r.URL.Hostname()))
		r = r.WithContext(ctx)
	}
	began := time.Now()
	answer, err := t.base.RoundTrip(r)
	class, failure := "none", ""
	switch {
	case err != nil:
		failure = "no answer"
	case answer.StatusCode >= 400:
		failure = http.StatusText(answer.StatusCode)
	}
	if err == nil {
		class = Class(answer.StatusCode)
		span.Named(t.service+" "+r.Method, attribute.Int("http.response.status_code", answer.StatusCode))
	}
	CallSeconds.Record(ctx, time.Since(began).Seconds(), FunctionOf(ctx), t.service, class)
	span.End(failure)
	return answer, err
}

// Class is the class of an HTTP status, such as 2xx.
func Class(status int) string {
	if status < 100 || status > 599 {
		return "none"
	}
	return string('0'+byte(status/100)) + "xx"
}
