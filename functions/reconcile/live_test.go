package reconcile_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/functions/reconcile"
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/shared/dealsync"
	"github.com/geminivideo/geminivideo/shared/live"
)

// TestABackfillsProgressIsShownInFewWritesThatEndWithItsEnd has a Firestore that takes
// the first write until the backfill is over: what it missed meanwhile is one more write.
func TestABackfillsProgressIsShownInFewWritesThatEndWithItsEnd(t *testing.T) {
	t.Parallel()
	const of = 230 // more than one page
	c := newCRM(t, fakehubspot.PortalConfig{})
	c.populate(t, of, rand.New(rand.NewPCG(9, 9)))
	c.clock.pass(time.Hour)
	w := newWorld(t, c)
	var mu sync.Mutex
	var shown []map[string]any
	ended := make(chan struct{})
	view := live.New(func(_ context.Context, path string, document map[string]any) error {
		if path != live.Path(tenant, live.Backfill, fmt.Sprint(portalID)) {
			t.Errorf("%s is written", path)
		}
		mu.Lock()
		shown = append(shown, maps.Clone(document))
		first := len(shown) == 1
		mu.Unlock()
		if document["ended"] == true {
			close(ended)
		}
		for first {
			if n := one[int](w, `SELECT count(*)::int FROM gv.crm_syncs WHERE backfill_state = 'completed'`); n == 1 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		return nil // however long it took
	})
	job := reconcile.New(w.app, w.worker, w.queue, dealsync.New(w.app, w.queue, c.vault, w.api()), reconcile.Options{Now: c.clock.now, Live: view})
	if _, err := job.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("the end of the backfill is not shown")
	}
	mu.Lock()
	defer mu.Unlock()
	if len(shown) > 2 { // of the beginning, two pages and the end
		t.Errorf("%d writes: %v", len(shown), shown)
	}
	if first := shown[0]; len(shown) == 2 && (first["status"] != "running" || first["ended"] == true || first["read"] == of) {
		t.Errorf("while it runs it is shown as %v", first)
	}
	if last := shown[len(shown)-1]; last["status"] != "completed" || last["read"] != of || last["total"] != of || last["portal_id"] != int64(portalID) {
		t.Errorf("the end is shown as %v", last)
	}
}
