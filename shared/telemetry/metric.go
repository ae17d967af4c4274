package telemetry

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Kind is how a metric's values combine.
type Kind string

// The kinds, as Prometheus names them.
const (
	CounterKind   Kind = "counter"
	GaugeKind     Kind = "gauge"
	HistogramKind Kind = "histogram"
)

// Label is a metric's label and the values that it may have.
type Label struct {
	Name string
	// Values is the closed set; empty where the deployment decides, with at most Max.
	Values []string
	Max    int
}

// Other is the value of a label that would be one too many.
const Other = "other"

// Metric is one line of the list.
type Metric struct {
	Name   string
	Kind   Kind
	Unit   string // "s", or "1" for a number
	Help   string
	Labels []Label
	// Buckets are a histogram's upper bounds.
	Buckets []float64

	mu   sync.Mutex
	seen []map[string]bool // of each label without a closed set
}

// instrument is a metric that can be made on a meter.
type instrument interface {
	line() *Metric
	make(metric.Meter) error
}

var instruments []instrument

// Line is what the list says of a metric.
type Line struct {
	Name    string
	Kind    Kind
	Unit    string
	Help    string
	Labels  []Label
	Buckets []float64
}

// Metrics returns the list, in the order of the file.
func Metrics() []Line {
	all := make([]Line, len(instruments))
	for i, one := range instruments {
		m := one.line()
		all[i] = Line{m.Name, m.Kind, m.Unit, m.Help, slices.Clone(m.Labels), slices.Clone(m.Buckets)}
	}
	return all
}

func oneOf(name string, values ...string) Label { return Label{Name: name, Values: values} }
func upTo(name string, most int) Label          { return Label{Name: name, Max: most} }

func (m *Metric) line() *Metric { return m }

// labels returns the values under their labels' names, each within its bounds. A
// value that is missing is Other.
func (m *Metric) labels(values []string) attribute.Set {
	all := make([]attribute.KeyValue, len(m.Labels))
	for i, l := range m.Labels {
		value := Other
		if i < len(values) {
			value = m.admitted(i, values[i])
		}
		all[i] = attribute.String(l.Name, value)
	}
	return attribute.NewSet(all...)
}

// admitted returns value, or Other where the label has enough different ones.
func (m *Metric) admitted(label int, value string) string {
	l := m.Labels[label]
	if l.Max == 0 {
		if slices.Contains(l.Values, value) {
			return value
		}
		return Other
	}
	if value == "" {
		return Other
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen == nil {
		m.seen = make([]map[string]bool, len(m.Labels))
	}
	if m.seen[label] == nil {
		m.seen[label] = map[string]bool{}
	}
	if known := m.seen[label]; !known[value] {
		if len(known) >= l.Max {
			return Other
		}
		known[value] = true
	}
	return value
}

// Counter only grows.
type Counter struct {
	Metric
	to atomic.Pointer[metric.Float64Counter]
}

// Add adds n under the values of the labels, in the order of the list.
func (c *Counter) Add(ctx context.Context, n float64, values ...string) {
	if to := c.to.Load(); to != nil && n > 0 {
		(*to).Add(ctx, n, metric.WithAttributeSet(c.labels(values)))
	}
}

func (c *Counter) make(m metric.Meter) error {
	made, err := m.Float64Counter(c.Name, metric.WithDescription(c.Help), metric.WithUnit(c.Unit))
	c.to.Store(&made)
	return err
}

// UpDown is a gauge that is counted up and down.
type UpDown struct {
	Metric
	to atomic.Pointer[metric.Float64UpDownCounter]
}

// Add adds n, which may be negative.
func (u *UpDown) Add(ctx context.Context, n float64, values ...string) {
	if to := u.to.Load(); to != nil {
		(*to).Add(ctx, n, metric.WithAttributeSet(u.labels(values)))
	}
}

func (u *UpDown) make(m metric.Meter) error {
	made, err := m.Float64UpDownCounter(u.Name, metric.WithDescription(u.Help), metric.WithUnit(u.Unit))
	u.to.Store(&made)
	return err
}

// Histogram is how values are spread.
type Histogram struct {
	Metric
	to atomic.Pointer[metric.Float64Histogram]
}

// Record records value under the values of the labels, in the order of the list.
func (h *Histogram) Record(ctx context.Context, value float64, values ...string) {
	if to := h.to.Load(); to != nil {
		(*to).Record(ctx, max(value, 0), metric.WithAttributeSet(h.labels(values)))
	}
}

func (h *Histogram) make(m metric.Meter) error {
	made, err := m.Float64Histogram(h.Name, metric.WithDescription(h.Help), metric.WithUnit(h.Unit),
		metric.WithExplicitBucketBoundaries(h.Buckets...))
	h.to.Store(&made)
	return err
}

// Measured is a metric whose values are taken as they are when they are exported: a
// gauge, or a total that somebody else counts.
type Measured struct {
	Metric
	mu     sync.Mutex
	values map[attribute.Distinct]point
}

type point struct {
	labels attribute.Set
	value  float64
}

// Value is one value of a Measured, under its labels.
type Value struct {
	Value  float64
	Labels []string
}

// Set sets the value under the values of the labels, in the order of the list.
func (g *Measured) Set(value float64, values ...string) {
	set := g.labels(values)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.values == nil {
		g.values = map[attribute.Distinct]point{}
	}
	g.values[set.Equivalent()] = point{set, value}
}

// Replace makes all the only values: what is not among them is no longer exported.
// Of those that a bound puts together, the largest counts.
func (g *Measured) Replace(all ...Value) {
	g.Metric.mu.Lock()
	g.seen = nil
	g.Metric.mu.Unlock()
	values := make(map[attribute.Distinct]point, len(all))
	for _, one := range all {
		set := g.labels(one.Labels)
		if before, ok := values[set.Equivalent()]; !ok || one.Value > before.value {
			values[set.Equivalent()] = point{set, one.Value}
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.values = values
}

func (g *Measured) observe(_ context.Context, o metric.Float64Observer) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.values {
		o.Observe(p.value, metric.WithAttributeSet(p.labels))
	}
	return nil
}

func (g *Measured) make(m metric.Meter) (err error) {
	if g.Kind == CounterKind {
		_, err = m.Float64ObservableCounter(g.Name, metric.WithDescription(g.Help), metric.WithUnit(g.Unit),
			metric.WithFloat64Callback(g.observe))
		return err
	}
	_, err = m.Float64ObservableGauge(g.Name, metric.WithDescription(g.Help), metric.WithUnit(g.Unit), metric.WithFloat64Callback(g.observe))
	return err
}

func counter(name, help string, labels ...Label) *Counter {
	return listed(&Counter{Metric: Metric{Name: name, Kind: CounterKind, Unit: "1", Help: help, Labels: labels}})
}

func total(name, help string, labels ...Label) *Measured {
	return listed(&Measured{Metric: Metric{Name: name, Kind: CounterKind, Unit: "1", Help: help, Labels: labels}})
}

func gauge(name, unit, help string, labels ...Label) *Measured {
	return listed(&Measured{Metric: Metric{Name: name, Kind: GaugeKind, Unit: unit, Help: help, Labels: labels}})
}

func upDown(name, help string, labels ...Label) *UpDown {
	return listed(&UpDown{Metric: Metric{Name: name, Kind: GaugeKind, Unit: "1", Help: help, Labels: labels}})
}

func histogram(name, help string, buckets []float64, labels ...Label) *Histogram {
	return listed(&Histogram{Metric: Metric{Name: name, Kind: HistogramKind, Unit: "s", Help: help, Labels: labels, Buckets: buckets}})
}

func listed[I instrument](one I) I {
	instruments = append(instruments, one)
	return one
}

// UseMeter makes every metric of the list on m. Until then recording does nothing.
func UseMeter(m metric.Meter) error {
	for _, one := range instruments {
		if err := one.make(m); err != nil {
			return err
		}
	}
	measured.Store(true)
	return nil
}

var measured atomic.Bool

// Exported reports whether anybody reads the metrics: what costs a query to measure is
// measured only then.
func Exported() bool { return measured.Load() }

// watched are what is asked for its values before each export, such as pools.
var watched struct {
	mu   sync.Mutex
	next int
	all  map[int]func()
}

// Watch calls measure before each export of metrics, until stop is called. measure
// sets values and must not wait.
func Watch(measure func()) (stop func()) {
	watched.mu.Lock()
	defer watched.mu.Unlock()
	if watched.all == nil {
		watched.all = map[int]func(){}
	}
	id := watched.next
	watched.next++
	watched.all[id] = measure
	return func() {
		watched.mu.Lock()
		defer watched.mu.Unlock()
		delete(watched.all, id)
	}
}

// Measure asks all that is watched for its values.
func Measure() {
	watched.mu.Lock()
	defer watched.mu.Unlock()
	for _, measure := range watched.all {
		measure()
	}
}
