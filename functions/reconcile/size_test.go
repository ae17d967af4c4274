package reconcile_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"net/http"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/functions/reconcile"
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/shared/dealsync"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// maxHeld is how much memory a backfill may hold, whatever the size of the portal:
// a quarter of the function's.
const maxHeld = 64 << 20

// runBudget is how long one run works; a short one ends many times within the portal.
var runBudget = flag.Duration("budget", 4*time.Minute, "how long a run of the backfill works")

func TestABackfillOfAnySizeHoldsLittleMemoryAndNoConnectionWhileHubSpotIsAsked(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.PortalConfig{})
	ids, _ := c.populate(t, *deals, rand.New(rand.NewPCG(21, 21)))
	c.clock.pass(time.Hour) // the portal has stood as it is for a while
	w := newWorld(t, c)
	// Before each of HubSpot's answers: which connections are open, and in a tenant's
	// transaction. The worker's are of other lanes that look for a portal.
	var asked, inside, most atomic.Int64
	usual := c.api.Config.Handler
	c.api.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if asked.Add(1)%max(int64(*deals)/300, 1) == 0 {
			var open, busy int64
			err := w.admin.QueryRow(context.Background(), `
				SELECT count(*), count(*) FILTER (WHERE xact_start IS NOT NULL AND usename = 'gv_app') FROM pg_stat_activity
				WHERE  datname = current_database() AND usename <> current_user`).Scan(&open, &busy)
			if err != nil {
				t.Error(err)
			}
			inside.Add(busy)
			most.Store(max(most.Load(), open))
		}
		usual.ServeHTTP(rw, r)
	})
	// The connections that the deployed function has.
	db, err := pg.Open(t.Context(), pg.Config{URL: w.urls.AppURL, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	worker, err := pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: w.urls.WorkerURL, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(worker.Close)
	runtime.GC()
	before := liveHeap()
	var peak atomic.Uint64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			peak.Store(max(peak.Load(), liveHeap()))
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	began, runs := time.Now(), 0
	for one[int](w, `SELECT count(*)::int FROM gv.crm_syncs WHERE last_finished_at IS NOT NULL`) == 0 {
		w.due()
		runs++
		if _, err := reconcile.New(db, worker, w.queue, dealsync.New(db, w.queue, c.vault, w.api()),
			reconcile.Options{Now: c.clock.now, Budget: *runBudget}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	took := time.Since(began)
	runtime.GC()
	peak.Store(max(peak.Load(), liveHeap()))
	close(stop)
	<-stopped
	held := int64(peak.Load()) - int64(before)
	t.Logf("%d deals in %d runs and %s: %d requests to HubSpot, at most %d connections, %.1f MiB held beside the fake's %.1f MiB",
		len(ids), runs, took.Round(time.Millisecond), asked.Load(), most.Load(), float64(held)/(1<<20), float64(before)/(1<<20))
	if inside.Load() > 0 {
		t.Errorf("%d transactions were open while HubSpot was asked", inside.Load())
	}
	if most.Load() > 4 {
		t.Errorf("%d connections were open", most.Load())
	}
	if held > maxHeld {
		t.Errorf("the backfill held %d bytes", held)
	}
	if read := one[int](w, `SELECT backfill_read FROM gv.crm_syncs`); read != len(ids) {
		t.Errorf("the backfill says that it read %d deals, want %d", read, len(ids))
	}
	if n := one[int](w, `SELECT count(*)::int FROM gv.deals WHERE state = 'live'`); n != len(ids) {
		t.Errorf("%d deals are recorded, want %d", n, len(ids))
	}
	// The ads' pipeline values are those of their deals, each a third of them.
	if n := one[int](w, `
		SELECT count(*)::int FROM gv.ads a
		WHERE  pipeline_minor = (SELECT sum(value_minor) FROM gv.deals d WHERE d.ad_id = a.ad_id) AND pipeline_minor > 0`); n != 3 {
		t.Errorf("%d of 3 ads have the sum of their deals", n)
	}
}

// liveHeap is the memory that the last garbage collection has found in use.
func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
