package reconcile_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

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
	w := newWorld(t, c)
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
		t.Log(fmt.Sprintf("%6.2f a deal: %s", float64(count[name])/of, name))
	}
	t.Logf("%.2f trips and %.1f ms of Postgres's processor time a deal", float64(trips)/of, float64(cost.Milliseconds())/of)
	if trips > of*allowed {
		t.Errorf("%d deals took %d trips to Postgres, want at most %d", of, trips, of*allowed)
	}
}
