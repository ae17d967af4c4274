// Package export sends a function's metrics and traces to a collector by OTLP over
// HTTP, and its errors to Sentry. It starts from the environment:
// OTEL_EXPORTER_OTLP_ENDPOINT names a collector; without it a function on Cloud Run
// sends to Google's Telemetry API, and any other program sends nothing.
//
// No request waits for a collector: spans are dropped where their queue is full,
// metrics are totals that the next export repeats, and a request that a person waits
// for only starts an export. Cloud Run gives an instance without requests no
// processor, so an export that is due also starts at the end of a request.
package export

import (
	"context"
	"log/slog"
	"sync"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/geminivideo/geminivideo/shared/telemetry"
)

const (
	// every is how often metrics are exported.
	every = 60 * time.Second
	// onTime is how long one export may take.
	onTime = 10 * time.Second
	// patience is how long the answer to Pub/Sub or Cloud Scheduler, for which nobody
	// waits, is put off for an export that is due.
	patience = 2 * time.Second
	// name is the instrumentation scope of all that is ours.
	name = "github.com/geminivideo/geminivideo"
)

// Sink is where metrics and spans go.
type Sink struct {
	Metrics sdkmetric.Exporter
	Spans   sdktrace.SpanExporter
	// Sampler decides which traces are exported.
	Sampler sdktrace.Sampler
	// Resource says who exports; Where adds what takes a call to find out, at the
	// first export. It may be nil.
	Resource *resource.Resource
	Where    func(context.Context) (*resource.Resource, error)
	// Readers are further readers of the metrics, such as a page.
	Readers []sdkmetric.Reader
}

// Exporter exports from time to time. A nil Exporter does nothing.
type Exporter struct {
	sink     Sink
	reader   *sdkmetric.ManualReader
	spans    *sdktrace.TracerProvider
	now      func() time.Time
	after    func(time.Duration) <-chan time.Time
	stopped  chan struct{}
	stopOnce sync.Once

	mu      sync.Mutex
	running chan struct{} // closed when the export under way ends; nil where none is
	last    time.Time     // when the last one began
	refused map[string]bool
	whole   *resource.Resource
}

// New begins to record for sink, and to export each minute.
func New(sink Sink) (*Exporter, error) { return start(sink, time.Now, time.After) }

func start(sink Sink, now func() time.Time, after func(time.Duration) <-chan time.Time) (*Exporter, error) {
	e := &Exporter{
		sink: sink, now: now, after: after, last: now(), refused: map[string]bool{}, whole: sink.Resource, stopped: make(chan struct{}),
		reader: sdkmetric.NewManualReader(),
	}
	options := []sdkmetric.Option{sdkmetric.WithResource(sink.Resource), sdkmetric.WithReader(e.reader)}
	for _, r := range sink.Readers {
		options = append(options, sdkmetric.WithReader(r))
	}
	if err := telemetry.UseMeter(sdkmetric.NewMeterProvider(options...).Meter(name)); err != nil {
		return nil, err
	}
	if sink.Spans != nil {
		e.spans = sdktrace.NewTracerProvider(sdktrace.WithResource(sink.Resource), sdktrace.WithSampler(sink.Sampler),
			sdktrace.WithBatcher(counted{sink.Spans, e}, sdktrace.WithExportTimeout(onTime)))
		telemetry.UseTracer(e.spans.Tracer(name))
	}
	go e.run()
	return e, nil
}

func (e *Exporter) run() {
	for {
		select {
		case <-e.stopped:
			return
		case <-e.after(every):
			<-e.begin()
		}
	}
}

// begin starts an export, or joins the one under way, and returns what is closed at
// its end.
func (e *Exporter) begin() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running != nil {
		return e.running
	}
	ended := make(chan struct{})
	e.running, e.last = ended, e.now()
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), onTime)
		defer cancel()
		e.export(ctx)
		e.mu.Lock()
		e.running = nil
		e.mu.Unlock()
		close(ended)
	}()
	return ended
}

func (e *Exporter) export(ctx context.Context) {
	if e.sink.Metrics != nil {
		e.took(ctx, "metrics", e.exportMetrics(ctx))
	}
	if e.spans != nil {
		_ = e.spans.ForceFlush(ctx) // counted has its errors
	}
}

func (e *Exporter) exportMetrics(ctx context.Context) error {
	if e.sink.Where != nil {
		found, err := e.sink.Where(ctx)
		if err != nil {
			return err
		}
		if e.whole, err = resource.Merge(e.sink.Resource, found); err != nil {
			return err
		}
		e.sink.Where = nil // only the export under way reads it
	}
	telemetry.Measure()
	var all metricdata.ResourceMetrics
	if err := e.reader.Collect(ctx, &all); err != nil {
		return err
	}
	all.Resource = e.whole
	return e.sink.Metrics.Export(ctx, &all)
}

// counted counts the exports of spans that fail: the batch is lost.
type counted struct {
	sdktrace.SpanExporter
	e *Exporter
}

func (c counted) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	c.e.took(ctx, "traces", c.SpanExporter.ExportSpans(ctx, spans))
	return nil
}

// took counts what the collector did not take, and logs it when that begins and ends.
func (e *Exporter) took(ctx context.Context, signal string, err error) {
	e.mu.Lock()
	before := e.refused[signal]
	e.refused[signal] = err != nil
	e.mu.Unlock()
	switch {
	case err != nil:
		telemetry.ExportFailures.Add(ctx, 1, signal)
		if !before {
			slog.Warn("telemetry: the collector does not take them", "signal", signal, "error", err.Error())
		}
	case before:
		slog.Info("telemetry: the collector takes them again", "signal", signal)
	}
}

// RequestEnded starts an export if one is due. wait says that nobody waits for the
// answer, so that it may be put off until the export ends or patience does; not where
// the collector refused the last one or is still at it.
func (e *Exporter) RequestEnded(wait bool) {
	if e == nil {
		return
	}
	e.mu.Lock()
	due, busy, refused := e.now().Sub(e.last) >= every, e.running != nil, e.refused["metrics"]
	e.mu.Unlock()
	if !due || busy {
		return
	}
	ended := e.begin()
	if !wait || refused {
		return
	}
	select {
	case <-ended:
	case <-e.after(patience):
	}
}

// Flush exports what there is, until ctx ends, and stops exporting.
func (e *Exporter) Flush(ctx context.Context) {
	if e == nil {
		return
	}
	e.stopOnce.Do(func() { close(e.stopped) })
	for range 2 { // the one under way began before what came last
		select {
		case <-e.begin():
		case <-ctx.Done():
			return
		}
	}
}
