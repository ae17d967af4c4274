package sweep_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/geminivideo/geminivideo/functions/sweep"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// The instance stops while the sweep waits for a row that somebody else has locked:
// nothing of it is written, the lease is given back, and the next run cuts once.
func TestASweepThatIsCutOffIsDoneOnceByTheNext(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.account(tenant, "act_1", 5000, 0.5, 1, "tired-1")
	lock, err := w.admin.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Exec(t.Context(), `SELECT FROM gv.ads WHERE ad_id = 'tired-1' FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	ctx, cutOff := context.WithCancelCause(t.Context())
	ended := make(chan string, 1)
	go func() {
		report, err := sweep.New(w.worker, nil).Run(ctx)
		text, _ := json.Marshal(report)
		if err != nil {
			text = []byte(err.Error())
		}
		ended <- string(text)
	}()
	for w.text(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == "0" {
		select {
		case said := <-ended:
			t.Fatalf("it ended before it came to the locked ad: %s", said)
		default:
		}
	}
	cutOff(serve.ErrStopping)
	var report struct{ Unfinished bool }
	if said := <-ended; json.Unmarshal([]byte(said), &report) != nil || !report.Unfinished {
		t.Errorf("it reports %s", said)
	}
	if err := lock.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.text(`SELECT concat((SELECT count(*) FROM gv.pending_ad_changes), ' ', (SELECT count(*) FROM gv.leases))`); got != "0 0" {
		t.Errorf("after the stop there are changes and leases: %s", got)
	}
	for range 2 {
		if _, err := sweep.New(w.worker, nil).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.text(`SELECT count(*) FROM gv.pending_ad_changes`); got != "1" {
		t.Errorf("two runs after the stop queued %s cuts, want 1", got)
	}
}
