package export

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/compute/metadata"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// googleEndpoint is Google's Telemetry API: metrics go to Managed Service for
// Prometheus and traces to Cloud Trace.
const googleEndpoint = "https://telemetry.googleapis.com"

// Off is the value of OTEL_EXPORTER_OTLP_ENDPOINT that exports nothing on Cloud Run either.
const Off = "none"

// Start begins to export for the function of that name as the environment says, and
// returns nil where nothing is exported. A setting that is wrong is logged and stops
// nothing else. readers are further readers of the metrics.
func Start(function string, readers ...sdkmetric.Reader) *Exporter {
	sink := Sink{
		Readers: readers,
		Resource: resource.NewSchemaless(
			attribute.String("service.name", function), attribute.String("service.namespace", "geminivideo"),
			attribute.String("service.version", os.Getenv("K_REVISION")), attribute.String("service.instance.id", uuid.NewString())),
	}
	endpoint, onCloudRun := os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"), os.Getenv("K_SERVICE") != ""
	var err error
	switch {
	case endpoint != "" && endpoint != Off:
		err = sink.sendTo(endpoint, sdktrace.ParentBased(sdktrace.AlwaysSample()), http.DefaultTransport)
	case endpoint == "" && onCloudRun:
		sink.atGoogle(os.Getenv("GOOGLE_CLOUD_PROJECT"))
		// One in ten of the traces that nobody before us has decided on: Cloud Run's own
		// choice, which comes with a request, is followed.
		err = sink.sendTo(googleEndpoint, sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.1)), &authorized{base: http.DefaultTransport})
	case len(readers) == 0:
		return nil
	}
	if err == nil {
		var e *Exporter
		if e, err = New(sink); err == nil {
			return e
		}
	}
	slog.Error("telemetry: nothing is exported", "error", err.Error())
	return nil
}

// sendTo makes the exporters to the collector at endpoint.
func (s *Sink) sendTo(endpoint string, sampler sdktrace.Sampler, through http.RoundTripper) error {
	at, err := url.Parse(endpoint)
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" {
		return fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT must be %s or the collector's address, such as https://collector.example:4318", Off)
	}
	ctx, client := context.Background(), &http.Client{Transport: through}
	s.Metrics, err = otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(at.JoinPath("v1/metrics").String()),
		otlpmetrichttp.WithHTTPClient(client), otlpmetrichttp.WithTimeout(onTime), otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{})) // the next export repeats the totals
	if err != nil {
		return err
	}
	s.Sampler = sampler
	s.Spans, err = otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(at.JoinPath("v1/traces").String()),
		otlptracehttp.WithHTTPClient(client), otlptracehttp.WithTimeout(onTime), otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second,
			MaxElapsedTime: onTime,
		}))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { slog.Warn("telemetry", "error", err.Error()) }))
	return err
}

// atGoogle adds what Managed Service for Prometheus names a series by: the project,
// and the region, which only the metadata server knows.
func (s *Sink) atGoogle(project string) {
	known := []attribute.KeyValue{attribute.String("cloud.provider", "gcp"), attribute.String("cloud.platform", "gcp_cloud_run")}
	if project != "" {
		known = append(known, attribute.String("gcp.project_id", project))
	}
	s.Resource = resource.NewSchemaless(append(s.Resource.Attributes(), known...)...)
	s.Where = func(ctx context.Context) (*resource.Resource, error) {
		region, err := metadata.GetWithContext(ctx, "instance/region") // projects/NUMBER/regions/REGION
		if err != nil {
			return nil, fmt.Errorf("ask for the region: %w", err)
		}
		return resource.NewSchemaless(attribute.String("cloud.region", path.Base(strings.TrimSpace(region)))), nil
	}
}

// authorized adds the function's own access token. Its credentials are found at the
// first call, not at the start.
type authorized struct {
	base http.RoundTripper

	mu    sync.Mutex
	found *auth.Credentials
}

// RoundTrip sends r.
func (a *authorized) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := a.token(r.Context())
	if err != nil {
		return nil, fmt.Errorf("ask for an access token: %w", err)
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	return a.base.RoundTrip(r)
}

func (a *authorized) token(ctx context.Context) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.found == nil {
		found, err := credentials.DetectDefault(&credentials.DetectOptions{Scopes: []string{"https://www.googleapis.com/auth/cloud-platform"}})
		if err != nil {
			return "", err
		}
		a.found = found // it keeps its token until that runs out
	}
	token, err := a.found.Token(ctx)
	if err != nil {
		return "", err
	}
	return token.Value, nil
}
