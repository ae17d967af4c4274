package reconcile_test

import (
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/functions/reconcile"
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/shared/dealsync"
)

// A run whose clock is a day ahead takes everything up to then for read. What changes in
// HubSpot afterwards, without an event, must be found by the next run, whose clock is right.
func TestARunWhoseClockWasAheadLosesNoChange(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.PortalConfig{})
	w := newWorld(t, c)
	deal, _, err := c.CreateDeal(fakehubspot.NewDeal{Stage: "appointmentscheduled", Amount: "100", At: c.clock.now()})
	if err != nil {
		t.Fatal(err)
	}
	c.clock.pass(time.Hour)
	w.run()
	c.clock.pass(time.Hour)
	ahead := reconcile.New(w.app, w.worker, w.queue, dealsync.New(w.app, w.queue, c.vault, w.api()),
		reconcile.Options{Now: func() time.Time { return c.clock.now().Add(26 * time.Hour) }})
	w.exec(`UPDATE gv.crm_syncs SET due_at = now()`)
	if _, err := ahead.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.clock.pass(20 * time.Minute)
	if _, err := c.MoveStage(deal, "closedwon", c.clock.now()); err != nil {
		t.Fatal(err)
	}
	c.clock.pass(40 * time.Minute)
	w.run()
	if got := one[string](w, `SELECT stage_name FROM gv.deals`); got != "closed_won" {
		t.Errorf("the deal is at %s, want closed_won", got)
	}
	if ahead := one[bool](w, `SELECT deals_at > $1 OR contacts_at > $1 FROM gv.crm_syncs`, c.clock.now()); ahead {
		t.Error("a position lies ahead of the clock still")
	}
}
