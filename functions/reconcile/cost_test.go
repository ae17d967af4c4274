package reconcile_test

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// These tests use the process's one tracer and one meter, and run before the others.

// TestADealOfABackfillTakesFewStatements counts the trips to Postgres of a backfill and
// of the comparisons that follow it; -v lists them.
func TestADealOfABackfillTakesFewStatements(t *testing.T) {
	const of, allowed = 50, 5
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans), sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample())))
	telemetry.UseTracer(provider.Tracer("test"))
	t.Cleanup(func() { telemetry.UseTracer(nil) })
	c := newCRM(t, fakehubspot.PortalConfig{})
	c.populate(t, of, rand.New(rand.NewPCG(3, 3)))
	w := newWorld(t, c)                                                             // every deal is read twice: it has changed just now, and so has its contact
	for _, ping := range []func(context.Context) error{w.app.Ping, w.worker.Ping} { // connections are open before the cost is read
		if err := ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	before := w.urls.CPU(t)
	ctx := telemetry.WithTrace(t.Context(), telemetry.Trace{ID: "1af7651916cd43dd8448eb211c80319c", Span: "b7ad6b7169203331", Sampled: true})
	ctx, span := telemetry.Begin(ctx, telemetry.Server, "reconcile")
	if _, err := w.job().Run(ctx); err != nil {
		t.Fatal(err)
	}
	span.End("")
	cost := w.urls.CPU(t) - before
	count, trips := map[string]int{}, 0
	for _, span := range spans.GetSpans() {
		for _, a := range span.Attributes {
			if a.Key == "db.system.name" {
				count[span.Name]++
				trips++
			}
		}
	}
	if n := one[int](w, `SELECT count(*)::int FROM gv.deals WHERE state = 'live' AND ad_id IS NOT NULL`); n != of {
		t.Fatalf("%d deals are recorded with an ad, want %d", n, of)
	}
	for _, name := range slices.SortedFunc(maps.Keys(count), func(a, b string) int { return count[b] - count[a] }) {
		t.Logf("%6.2f a deal: %s", float64(count[name])/of, name)
	}
	t.Logf("%.2f trips and %.1f ms of Postgres's processor time a deal", float64(trips)/of, float64(cost.Milliseconds())/of)
	if trips > of*allowed {
		t.Errorf("%d deals took %d trips to Postgres, want at most %d", of, trips, of*allowed)
	}
}

func TestWhatAComparisonReadsAndRepairsIsCounted(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	if err := telemetry.UseMeter(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = telemetry.UseMeter(noop.Meter{}) })
	c := newCRM(t, fakehubspot.PortalConfig{})
	ids, _ := c.populate(t, 12, rand.New(rand.NewPCG(5, 5)))
	c.clock.pass(time.Hour)
	w := newWorld(t, c)
	w.run() // what the backfill brings was not lost
	first := compared(t, reader)
	if first["repaired"] != 0 {
		t.Errorf("the backfill counts %v", first)
	}
	c.clock.pass(time.Hour)
	for _, id := range ids[:2] { // of which no event comes
		if _, err := c.SetAmount(id, "4321"); err != nil {
			t.Fatal(err)
		}
	}
	report := w.run()
	got := compared(t, reader)
	if got["repaired"] != 2 || got["repaired"]+got["same"]-first["same"] != float64(report.Seen) {
		t.Errorf("the metric says %v after %v, want 2 repaired of the %d that were read", got, first, report.Seen)
	}
	w.run()
	if again := compared(t, reader); again["repaired"] != 2 {
		t.Errorf("a run that finds nothing counts %v", again)
	}
}

// compared are the values of gv_reconcile_deals_total by their result.
func compared(t *testing.T, reader sdkmetric.Reader) map[string]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != "gv_reconcile_deals_total" {
				continue
			}
			for _, p := range m.Data.(metricdata.Sum[float64]).DataPoints {
				result, _ := p.Attributes.Value("result")
				values[result.AsString()] += p.Value
			}
		}
	}
	return values
}
