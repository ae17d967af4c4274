package execute_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/shared/serve"
)

// The instance is asked to stop while Meta is applying the first of two changes.
func TestARunThatIsStoppedFinishesItsWriteAndLeavesTheRest(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	w.ad(tenant, "act_1", "12", 10_000)
	w.queue(tenant, cut("11"))
	w.queue(tenant, cut("12"))
	stop := make(chan struct{})
	stopped := false
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && !stopped { // one account is worked on by one call at a time
			stopped = true
			close(stop)
		}
		w.fake.ServeHTTP(rw, r)
	}))
	t.Cleanup(front.Close)
	w.url = front.URL
	w.build()
	w.pass(20 * time.Second)
	if _, err := w.job.Run(serve.WithStopping(context.Background(), stop)); err != nil {
		t.Fatal(err)
	}
	const statuses = `SELECT string_agg(status, ' ' ORDER BY status) FROM gv.pending_ad_changes`
	if got := w.text(statuses); got != "applied pending" {
		t.Errorf("after the stop the changes are %s", got)
	}
	if got := w.text(`SELECT count(*) FROM gv.leases`); got != "0" {
		t.Errorf("%s leases were not given back", got)
	}
	w.run()
	if got := w.text(statuses); got != "applied applied" {
		t.Errorf("after the next run the changes are %s", got)
	}
	if n := len(w.fake.Writes("")); n != 2 {
		t.Errorf("Meta had %d writes for 2 changes", n)
	}
}

// The instance ends before Meta answers: the outcome of the write is unknown, is
// recorded so, and the next runs ask Meta instead of sending it again.
func TestARunThatIsCutOffInAWriteLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	id := w.queue(tenant, cut("11"))
	ctx, cutOff := context.WithCancelCause(context.Background())
	struck := false
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && !struck {
			struck = true
			w.fake.ServeHTTP(httptest.NewRecorder(), r) // applied, and the answer never arrives
			cutOff(serve.ErrStopping)
			<-r.Context().Done()
			return
		}
		w.fake.ServeHTTP(rw, r)
	}))
	t.Cleanup(front.Close)
	w.url = front.URL
	w.build()
	w.pass(20 * time.Second)
	if _, err := w.job.Run(ctx); err != nil {
		t.Fatal(err)
	}
	w.is(id, "unknown", "outcome unknown")
	if got := w.text(`SELECT count(*) FROM gv.leases`); got != "0" {
		t.Errorf("%s leases were not given back", got)
	}
	w.run()
	w.run()
	w.is(id, "applied", "")
	if n := len(w.fake.Writes("")); n != 1 {
		t.Errorf("Meta had %d writes for 1 change", n)
	}
}
