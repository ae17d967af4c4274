package sync_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// fillDays gives an account two ads with figures on each of the last thirty days.
func (w *world) fillDays(a *fakemeta.Account) {
	for _, ad := range fill(a, 2) {
		for d := range 30 {
			a.PutInsights(fakemeta.Insight{AdID: ad, Day: w.ago(d), Impressions: 100, Clicks: 3, Spend: "1.50"})
		}
	}
}

// cutShort makes a run that is stopped by stop at the request for the days of the
// n-th window, and what it reports.
func (w *world) cutShort(ctx context.Context, n int64, stop func()) map[string]any {
	w.t.Helper()
	var asked atomic.Int64
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("time_range") != "" && asked.Add(1) == n {
			stop()
		}
		w.fake.ServeHTTP(rw, r)
	}))
	w.t.Cleanup(front.Close)
	inside := w.server
	w.server = front
	h := w.function(w.app, tuning{})
	w.server = inside
	status, got := answer(ctx, h)
	if status != http.StatusOK {
		w.t.Errorf("answered %d %v", status, got)
	}
	return got
}

func TestARunThatIsCutOffIsGoneOnWithByTheNext(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.fillDays(w.connect(tenant, "1"))
	ctx, cutOff := context.WithCancelCause(t.Context())
	want(t, w.cutShort(ctx, 3, func() { cutOff(serve.ErrStopping) }), map[string]any{"unfinished": 1, "failed": 0})
	if got := w.text(`SELECT concat_ws(' ', resume_day IS NOT NULL, synced_at IS NULL, last_error) FROM gv.meta_connections`); got != "t t" {
		t.Errorf("after the stop: %s", got)
	}
	if got := w.text(`SELECT count(*) FROM gv.leases`); got != "0" {
		t.Errorf("%s leases were not given back", got)
	}
	want(t, w.run(), map[string]any{"synced": 1})
	if got := w.text(`SELECT concat_ws(' ', count(*), sum(impressions), sum(spend_minor)) FROM gv.ad_metrics`); got != "60 6000 9000" {
		t.Errorf("two ads of thirty days are %s", got)
	}
}

func TestARunThatIsAskedToStopBeginsNoFurtherAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, id := range []string{"1", "2", "3", "4", "5", "6"} { // four are read at once
		w.fillDays(w.connect(tenant, id))
	}
	stop := make(chan struct{})
	got := w.cutShort(serve.WithStopping(t.Context(), stop), 1, func() { close(stop) })
	if got["cut_short"] != true || got["failed"] != 0.0 {
		t.Errorf("%v", got)
	}
	w.run()
	if got := w.text(`SELECT concat_ws(' ', count(*), sum(impressions)) FROM gv.ad_metrics`); got != "360 36000" {
		t.Errorf("six accounts of two ads and thirty days are %s", got)
	}
}
