package export

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// These tests share the process's one meter, and run one after the other.

// collector takes metrics when take lets it.
type collector struct {
	sdkmetric.Exporter
	asked chan struct{}
	take  func(context.Context) error
	got   []metricdata.Metrics
}

func (c *collector) Export(ctx context.Context, all *metricdata.ResourceMetrics) error {
	c.asked <- struct{}{}
	if err := c.take(ctx); err != nil {
		return err
	}
	c.got = nil
	for _, scope := range all.ScopeMetrics {
		c.got = append(c.got, scope.Metrics...)
	}
	return nil
}

func (c *collector) point(name string, labels string) (value float64, found bool) {
	for _, m := range c.got {
		if m.Name != name {
			continue
		}
		switch data := m.Data.(type) {
		case metricdata.Sum[float64]:
			for _, p := range data.DataPoints {
				if p.Attributes.Encoded(encoder{}) == labels {
					return p.Value, true
				}
			}
		case metricdata.Gauge[float64]:
			for _, p := range data.DataPoints {
				if p.Attributes.Encoded(encoder{}) == labels {
					return p.Value, true
				}
			}
		}
	}
	return 0, false
}

// never is a clock at which nothing comes due.
func never(time.Duration) <-chan time.Time { return nil }

// exporter returns one whose clock is a minute on at each look.
func exporter(t *testing.T, take func(context.Context) error, after func(time.Duration) <-chan time.Time) (*Exporter, *collector) {
	t.Helper()
	to := &collector{asked: make(chan struct{}, 100), take: take}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	e, err := start(Sink{Metrics: to, Resource: resource.Empty()}, func() time.Time { at = at.Add(every); return at }, after)
	if err != nil {
		t.Fatal(err)
	}
	return e, to
}

func TestACollectorThatHangsHoldsUpNoRequest(t *testing.T) {
	release := make(chan struct{})
	e, to := exporter(t, func(context.Context) error { <-release; return nil }, never)
	for range 5 {
		e.RequestEnded(false) // would not return before release
	}
	<-to.asked
	e.RequestEnded(true) // nor this: an export is under way
	telemetry.GateDecisions.Add(t.Context(), 1, "value", "proceed")
	close(release)
	e.Flush(t.Context())
	if n := len(to.asked); n > 3 {
		t.Errorf("%d exports were begun beside one that hangs", n)
	}
	if got, _ := to.point("gv_gate_decisions_total", "decision=proceed,gate=value"); got != 1 {
		t.Errorf("what was counted meanwhile: %v", got)
	}
}

func TestACollectorThatHangsHoldsUpAStopForAsLongAsItMay(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	e, to := exporter(t, func(context.Context) error { <-release; return nil }, never)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-to.asked; cancel() }()
	e.Flush(ctx) // returns because ctx ends
}

func TestAnAnswerThatNobodyWaitsForIsPutOffOnlyForAWhile(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	var waits []time.Duration
	over := make(chan time.Time)
	close(over)
	e, _ := exporter(t, func(context.Context) error { <-release; return nil }, func(d time.Duration) <-chan time.Time {
		if d == every {
			return nil
		}
		waits = append(waits, d)
		return over
	})
	e.RequestEnded(true) // returns because patience is over
	e.RequestEnded(true)
	if !slices.Equal(waits, []time.Duration{patience}) {
		t.Errorf("waited %v", waits)
	}
}

func TestADeadCollectorIsCountedAndCostsNoWait(t *testing.T) {
	dead := true
	e, to := exporter(t, func(context.Context) error {
		if dead {
			return errors.New("connection refused")
		}
		return nil
	}, never)
	<-e.begin()
	e.RequestEnded(true) // returns though nothing ends a wait: it was refused before
	e.Flush(t.Context())
	dead = false
	<-e.begin()
	if got, _ := to.point("gv_telemetry_export_failures_total", "signal=metrics"); got < 2 {
		t.Errorf("counted %v failures", got)
	}
}

func TestLabelsAreBounded(t *testing.T) {
	e, to := exporter(t, func(context.Context) error { return nil }, never)
	for _, value := range []string{"applied", "no such outcome", "' OR 1=1"} {
		telemetry.Changes.Add(t.Context(), 1, value, "none")
	}
	for i := range 500 {
		telemetry.DeadLetters.Add(t.Context(), 1, "topic"+strings.Repeat("x", i))
	}
	telemetry.InboxDuplicates.Add(t.Context(), 1) // without its label
	<-e.begin()
	if got, _ := to.point("gv_changes_total", "outcome=other,why_not=none"); got != 2 {
		t.Errorf("outcomes outside the set: %v", got)
	}
	if got, _ := to.point("gv_dead_letters_total", "topic=other"); got != 460 {
		t.Errorf("topics beyond the bound: %v", got)
	}
	if got, _ := to.point("gv_inbox_duplicates_total", "consumer=other"); got != 1 {
		t.Errorf("without a label: %v", got)
	}
}

func TestAGaugeForgetsWhatIsNoLongerMeasured(t *testing.T) {
	e, to := exporter(t, func(context.Context) error { return nil }, never)
	telemetry.OutboxMessages.Replace(telemetry.Value{Value: 7, Labels: []string{"a"}}, telemetry.Value{Value: 1, Labels: []string{"b"}})
	<-e.begin()
	if got, _ := to.point("gv_outbox_messages", "topic=a"); got != 7 {
		t.Errorf("a: %v", got)
	}
	telemetry.OutboxMessages.Replace(telemetry.Value{Value: 2, Labels: []string{"b"}})
	<-e.begin()
	_, a := to.point("gv_outbox_messages", "topic=a")
	if b, _ := to.point("gv_outbox_messages", "topic=b"); a || b != 2 {
		t.Errorf("a is there: %t, b: %v", a, b)
	}
	telemetry.OutboxMessages.Replace()
}

func TestNothingIsExportedWhereNothingIsSet(t *testing.T) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "K_SERVICE", "SENTRY_DSN"} {
		t.Setenv(name, "")
	}
	if e := Start("f"); e != nil {
		t.Error("it exports")
	}
	if e := StartErrors(); e != nil {
		t.Error("it sends errors")
	}
	t.Setenv("K_SERVICE", "f")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", Off)
	if e := Start("f"); e != nil {
		t.Error("it exports though that is switched off")
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")
	if e := Start("f"); e != nil {
		t.Error("it exports to what is no address")
	}
	(*Exporter)(nil).RequestEnded(true)
	(*Exporter)(nil).Flush(t.Context())
	(*Errors)(nil).Flush(t.Context())
}

func TestOneSettingSendsMetricsAndTracesToACollector(t *testing.T) {
	got := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got <- r.URL.Path + " " + r.Header.Get("Content-Type") + " " + r.Header.Get("Authorization")
	}))
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL+"/base")
	e := Start("f")
	_, span := telemetry.Begin(t.Context(), telemetry.Server, "s")
	span.End("")
	e.Flush(t.Context())
	var paths []string
	for len(got) > 0 {
		paths = append(paths, <-got)
	}
	slices.Sort(paths)
	want := []string{"/base/v1/metrics application/x-protobuf ", "/base/v1/traces application/x-protobuf "}
	if !slices.Equal(slices.Compact(paths), want) {
		t.Errorf("the collector got %q", paths)
	}
}

func TestSentryGetsTheErrorWithItsStackAndNoPersonalData(t *testing.T) {
	got := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- string(body)
	}))
	defer server.Close()
	e, err := newErrors(strings.Replace(server.URL, "http://", "http://key@", 1)+"/1", nil)
	if err != nil {
		t.Fatal(err)
	}
	e.report(telemetry.Report{
		Message: "GET /api/people/ana@example.com 500", Error: "store bob.b+c@mail.example.org: broken", Function: "privacy", Method: "GET",
		Path: "/api/people/ana@example.com", Trace: telemetry.Trace{ID: "0af7651916cd43dd8448eb211c80319c"},
	})
	e.Flush(t.Context())
	body := <-got
	for _, want := range []string{"export_test.go", "0af7651916cd43dd8448eb211c80319c", "privacy", "store [e-mail]: broken"} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is not in %s", want, body)
		}
	}
	for _, private := range []string{"ana@", "bob.b", "example.org"} {
		if strings.Contains(body, private) {
			t.Errorf("%s is in %s", private, body)
		}
	}
	if _, err := newErrors("https://secret@", nil); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a DSN that is none: %v", err)
	}
}
