package telemetry

import (
	"slices"
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
}

var list []*Metric

// Metrics returns the list, in the order of the file.
func Metrics() []Metric {
	all := make([]Metric, len(list))
	for i, m := range list {
		all[i] = *m
		all[i].Labels, all[i].Buckets = slices.Clone(m.Labels), slices.Clone(m.Buckets)
	}
	return all
}

func oneOf(name string, values ...string) Label { return Label{Name: name, Values: values} }
func upTo(name string, most int) Label          { return Label{Name: name, Max: most} }

func define(m Metric) *Metric {
	list = append(list, &m)
	return &m
}

// Counter only grows.
type Counter struct{ *Metric }

// Gauge is what was last measured.
type Gauge struct{ *Metric }

// UpDown is a gauge that is counted up and down.
type UpDown struct{ *Metric }

// Histogram is how values are spread.
type Histogram struct{ *Metric }

func counter(name, help string, labels ...Label) *Counter {
	return &Counter{define(Metric{Name: name, Kind: CounterKind, Unit: "1", Help: help, Labels: labels})}
}

func gauge(name, unit, help string, labels ...Label) *Gauge {
	return &Gauge{define(Metric{Name: name, Kind: GaugeKind, Unit: unit, Help: help, Labels: labels})}
}

func upDown(name, help string, labels ...Label) *UpDown {
	return &UpDown{define(Metric{Name: name, Kind: GaugeKind, Unit: "1", Help: help, Labels: labels})}
}

func histogram(name, help string, buckets []float64, labels ...Label) *Histogram {
	return &Histogram{define(Metric{Name: name, Kind: HistogramKind, Unit: "s", Help: help, Labels: labels, Buckets: buckets})}
}
