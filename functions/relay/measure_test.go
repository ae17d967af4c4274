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
	f.exec(t, `INSERT INTO gv.outbox (tenant_id, topic, data, created_at, due_at) VALUES ($1, 'no-such-topic', 'm', now() - interval '1 hour', now() - interval '1 hour'),
		($1, 'no-such-topic', 'm', now(), now() + interval '1 hour')`, tenant)
	f.exec(t, `INSERT INTO gv.dead_letters (tenant_id, topic, message_id, data, reason, attempts, received_at) VALUES
		($1, 'crm-events', '1', '', 'r', 1, now() - interval '2 hours'), ($1, 'crm-events', '2', '', 'r', 1, now())`, tenant)
	f.exec(t, `INSERT INTO gv.accounts (tenant_id, account_id) VALUES ($1, '7'), ($1, '8')`, tenant)
	f.exec(t, `INSERT INTO gv.meta_connections (tenant_id, account_id, access_token, connected_by, synced_at) VALUES
		($1, '7', 's', 'u', now() - interval '3 hours'), ($1, '8', 's', 'u', now())`, tenant)
	// Two accounts' latest cycles count, the second with three times the weight; an older one does not.
	f.exec(t, `WITH made AS (
			INSERT INTO gv.learning_cycles (tenant_id, account_id, requested_by, status, started_at) VALUES
			($1, '7', 'cycle', 'completed', now() - interval '5 hours'), ($1, '7', 'cycle', 'completed', now() - interval '1 hour'), ($1, '8', 'cycle', 'completed', now() - interval '1 hour')
			RETURNING tenant_id, cycle_id, account_id, started_at)
		INSERT INTO gv.learning_steps (tenant_id, cycle_id, step, name, status, result)
		SELECT tenant_id, cycle_id, 2, 'calculate_accuracy', 'completed', CASE
			WHEN account_id = '8' THEN '{"ctr": {"judged": 30, "accuracy": 0.9, "interval_coverage": 0.8, "bias": 0.1}, "value": {"judged": 2, "accuracy": null}}'
			WHEN started_at > now() - interval '2 hours' THEN '{"ctr": {"judged": 10, "accuracy": 0.5, "interval_coverage": 1, "bias": -0.1}}'
			ELSE '{"ctr": {"judged": 1000, "accuracy": 0.1, "interval_coverage": 0.1, "bias": 3}}' END::jsonb
		FROM made`, tenant)
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
		// It was tried in vain and put off; one is for later.
		"gv_outbox_messages no-such-topic":          {1, 1},
		"gv_outbox_oldest_seconds no-such-topic":    {3600, 7000},
		"gv_dead_letters_open crm-events":           {2, 2},
		"gv_dead_letters_oldest_seconds crm-events": {7200, 10000},
		"gv_sync_age_seconds 7":                     {10800, 14000},
		"gv_sync_age_max_seconds":                   {10800, 14000},
		"gv_sync_accounts":                          {2, 2},
		"gv_predictions ctr":                        {40, 40},
		"gv_model_accuracy ctr":                     {.7999, .8001},
		"gv_model_interval_coverage ctr":            {.8499, .8501},
		"gv_model_bias ctr":                         {.0499, .0501},
		"gv_queue_due changes":                      {0, 0},
		"gv_crm_sync_age_max_seconds":               {0, 0},
		"gv_measured_timestamp_seconds":             {1e9, 1e11},
	} {
		if value, ok := got[name]; !ok || value < want[0] || value > want[1] {
			t.Errorf("%s is %v (%t), want %v; of %v", name, value, ok, want, got)
		}
	}
	if n, ok := got["gv_model_accuracy value"]; ok {
		t.Errorf("an accuracy of value of %v from a cycle that has none", n)
	}
	f.exec(t, `UPDATE gv.outbox SET due_at = now() - interval '1 hour'`)
}
