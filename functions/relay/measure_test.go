package relay_test

import (
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// TestWhatWaitsIsMeasured runs alone: the metrics are the process's.
func TestWhatWaitsIsMeasured(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	if err := telemetry.UseMeter(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test")); err != nil {
		t.Fatal(err)
	}
	f := open(t)
	f.exec(t, `INSERT INTO gv.outbox (tenant_id, topic, data, created_at, due_at) VALUES ($1, 'no-such-topic', 'm', now(), now() - interval '1 hour'),
		($1, 'no-such-topic', 'm', now(), now() + interval '1 hour')`, tenant)
	f.exec(t, `INSERT INTO gv.dead_letters (tenant_id, topic, message_id, data, reason, attempts, received_at) VALUES
		($1, 'crm-events', '1', '', 'r', 1, now() - interval '2 hours'), ($1, 'crm-events', '2', '', 'r', 1, now())`, tenant)
	f.exec(t, `INSERT INTO gv.accounts (tenant_id, account_id) VALUES ($1, '7'), ($1, '8')`, tenant)
	f.exec(t, `INSERT INTO gv.meta_connections (tenant_id, account_id, access_token, connected_by, synced_at) VALUES
		($1, '7', 's', 'u', now() - interval '3 hours'), ($1, '8', 's', 'u', now())`, tenant)
	f.answer(t.Context()) // the message that no queue takes makes it a 503
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, m := range all.ScopeMetrics[0].Metrics {
		if data, ok := m.Data.(metricdata.Gauge[float64]); ok {
			for _, p := range data.DataPoints {
				label := ""
				for _, l := range p.Attributes.ToSlice() {
					label += " " + l.Value.AsString()
				}
				got[m.Name+label] = p.Value
			}
		}
	}
	for name, want := range map[string][2]float64{ // from and to
		"gv_dead_letters_open crm-events":           {2, 2},
		"gv_dead_letters_oldest_seconds crm-events": {7200, 10000},
		"gv_sync_age_seconds 7":                     {10800, 14000},
		"gv_sync_age_max_seconds":                   {10800, 14000},
		"gv_sync_accounts":                          {2, 2},
		"gv_queue_due changes":                      {0, 0},
		"gv_crm_sync_age_max_seconds":               {0, 0},
		"gv_measured_timestamp_seconds":             {1e9, 1e11},
	} {
		if value, ok := got[name]; !ok || value < want[0] || value > want[1] {
			t.Errorf("%s is %v (%t), want %v; of %v", name, value, ok, want, got)
		}
	}
	// The message was tried, and waits again: it is not due.
	if n, ok := got["gv_outbox_messages no-such-topic"]; ok {
		t.Errorf("%v messages are due", n)
	}
	f.exec(t, `UPDATE gv.outbox SET due_at = now() - interval '1 hour'`)
}
