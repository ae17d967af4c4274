// Package meter reads the process's metrics in tests.
package meter

import (
	"strings"
	"sync"
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/geminivideo/geminivideo/shared/telemetry"
)

var reader = sync.OnceValues(func() (*sdkmetric.ManualReader, error) {
	r := sdkmetric.NewManualReader()
	return r, telemetry.UseMeter(sdkmetric.NewMeterProvider(sdkmetric.WithReader(r)).Meter("test"))
})

// Value returns what a counter or a gauge has, and how many values a histogram has,
// under labels such as "service=pubsub"; those that are not named are added up. The
// metrics are the process's: a test that runs beside others compares labels of its own.
func Value(t *testing.T, name string, labels ...string) (sum float64) {
	t.Helper()
	r, err := reader()
	if err != nil {
		t.Fatal(err)
	}
	telemetry.Measure()
	var all metricdata.ResourceMetrics
	if err := r.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name == name {
				sum += total(m.Data, labels)
			}
		}
	}
	return sum
}

// Start begins to count: what came before the first Value or Start is not counted.
func Start(t *testing.T) {
	t.Helper()
	if _, err := reader(); err != nil {
		t.Fatal(err)
	}
}

func total(data metricdata.Aggregation, labels []string) (sum float64) {
	switch d := data.(type) {
	case metricdata.Sum[float64]:
		for _, p := range d.DataPoints {
			if has(p, labels) {
				sum += p.Value
			}
		}
	case metricdata.Gauge[float64]:
		for _, p := range d.DataPoints {
			if has(p, labels) {
				sum += p.Value
			}
		}
	case metricdata.Histogram[float64]:
		for _, p := range d.DataPoints {
			if has(metricdata.DataPoint[float64]{Attributes: p.Attributes}, labels) {
				sum += float64(p.Count)
			}
		}
	}
	return sum
}

func has(p metricdata.DataPoint[float64], labels []string) bool {
	for _, label := range labels {
		name, value, _ := strings.Cut(label, "=")
		found := false
		for _, one := range p.Attributes.ToSlice() {
			found = found || string(one.Key) == name && one.Value.AsString() == value
		}
		if !found {
			return false
		}
	}
	return true
}
