package execute_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/changes/queue"
)

func (w *world) undo(id string) string  { return w.undoing(id, false) }
func (w *world) force(id string) string { return w.undoing(id, true) }

func (w *world) undoing(id string, force bool) string {
	w.t.Helper()
	var back *changes.Change
	w.across(func(s queue.Store) (err error) {
		back, err = s.Undo(w.t.Context(), tenant, id, "admin", "", force)
		return err
	})
	return back.ChangeID
}

func TestAnUndoGoesBackAtOnceAndLiftsWhatTheCutForbade(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	id := w.queue(tenant, cut("11"))
	w.run()
	back := w.undo(id)
	w.run() // a minute after the cut, by 25% up: only an undo may
	w.is(back, "applied", "")
	w.is(id, "undone", "")
	if got := w.history(id); !strings.HasSuffix(got, "undone none 8000 10000") {
		t.Error(got)
	}
	if budget := w.text(`SELECT daily_budget_minor FROM gv.ads`); budget != "10000" || w.fake.AdSet("511").DailyBudget != 10_000 {
		t.Errorf("the ad has %s, Meta %d", budget, w.fake.AdSet("511").DailyBudget)
	}
	raise := w.queue(tenant, to("11", 11_000))
	w.run()
	w.is(raise, "applied", "") // neither the cut nor its undo counts for the limit
}

func TestAnUndoOverAnEditIsHeldUntilItIsForcedAndThenRecordedAsThat(t *testing.T) {
	t.Parallel()
	for _, synced := range []bool{false, true} {
		w := open(t)
		w.ad(tenant, "act_1", "11", 10_000)
		id := w.queue(tenant, to("11", 11_000))
		w.run()
		w.pass(10 * time.Minute)
		budget := int64(55_000)
		w.fake.Edit("511", &budget, "")
		if synced {
			w.across(func(s queue.Store) error {
				return s.Observe(context.Background(), tenant, w.clock(), []changes.Seen{{Object: "adset/511", Budget: &budget, Status: "ACTIVE"}})
			})
		}
		held := w.undo(id)
		w.run()
		w.is(held, "held", "it has 550.00 USD, and the change to undo left 110.00 USD; undo with force to set 100.00 USD all the same")
		if now := w.fake.AdSet("511").DailyBudget; now != 55_000 {
			t.Fatalf("synced %t: Meta has %d", synced, now)
		}
		forced := w.force(id)
		w.run()
		w.is(forced, "applied", "")
		w.is(id, "undone", "")
		if now := w.fake.AdSet("511").DailyBudget; now != 10_000 {
			t.Errorf("synced %t: Meta has %d", synced, now)
		}
		why := w.text(`SELECT reason FROM gv.ad_change_history WHERE change_id = $1 AND outcome = 'applied'`, forced)
		if !strings.Contains(why, "forced over somebody else's 550.00 USD") {
			t.Errorf("synced %t: the history says %q", synced, why)
		}
	}
}

func TestChangesAreUndoneOneAfterTheOther(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	first := w.queue(tenant, to("11", 10_500))
	w.run()
	second := w.queue(tenant, to("11", 11_000))
	w.run()
	w.is(second, "applied", "")
	w.pass(time.Hour) // Meta takes four changes of an ad set an hour
	for _, id := range []string{second, first} {
		back := w.undo(id)
		w.run()
		w.is(back, "applied", "")
		w.is(id, "undone", "")
	}
	if now := w.fake.AdSet("511").DailyBudget; now != 10_000 {
		t.Errorf("Meta has %d", now)
	}
}

func TestAnUndoneUndoCountsForTheLimitAgain(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	id := w.queue(tenant, to("11", 12_000))
	w.run()
	back := w.undo(id)
	w.run()
	again := w.undo(back)
	w.run()
	w.is(again, "applied", "")
	w.pass(time.Hour)
	more := w.queue(tenant, to("11", 13_000))
	w.run()
	w.is(more, "pending", "moved by 20% within 6 hours")
}

func TestAnUndoOfALongMoveGivesUpWhatIsLeftOfIt(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	id := w.queue(tenant, to("11", 30_000))
	w.run()
	w.pass(6 * time.Hour)
	w.run()
	back := w.undo(id)
	w.is(id, "superseded", "")
	w.run()
	w.is(back, "applied", "")
	w.is(id, "undone", "")
	if now := w.fake.AdSet("511").DailyBudget; now != 10_000 {
		t.Errorf("Meta has %d", now)
	}
}

func TestStepsThatWereMadeBeforeAHoldCanBeUndone(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	id := w.queue(tenant, to("11", 30_000))
	w.run()
	w.pass(6 * time.Hour)
	w.fake.Inject(fakemeta.Fault{Method: "POST", Code: 100, Message: "Not now."})
	w.run()
	w.is(id, "failed", "Not now.")
	back := w.undo(id)
	w.run()
	w.is(back, "applied", "")
	w.is(id, "undone", "")
}

func TestAnUndoRespectsSomebodyElsesEdit(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	id := w.queue(tenant, cut("11"))
	w.run()
	budget := int64(5_000)
	w.fake.Edit("511", &budget, "")
	back := w.undo(id)
	w.run()
	w.is(back, "held", "it has 50.00 USD, and the change to undo left 80.00 USD")
}

func TestWhatIsUnderWayEndsBeforeANewerDecisionBegins(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	first := w.queue(tenant, to("11", 20_000))
	w.fake.Inject(fakemeta.Fault{Method: "POST", Status: 500, After: true})
	w.run()
	w.is(first, "unknown", "")
	w.queue(tenant, to("11", 25_000))
	if back := w.queue(tenant, to("11", 20_000)); back == first {
		t.Error("what is under way stands for a newer decision, though another came between")
	}
	second := w.queue(tenant, to("11", 9_000))
	w.run()
	w.is(first, "superseded", "a newer decision replaced it")
	w.pass(6 * time.Hour)
	for range 3 {
		w.run()
		w.pass(6 * time.Hour)
	}
	w.is(second, "applied", "")
	if got := w.history(second); got != "applied budget 12000 9600, applied budget 9600 9000" {
		t.Error(got)
	}
}

func TestWhatASyncSawOfSomebodyElseIsRespected(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	first := w.queue(tenant, to("11", 9_900))
	w.run()
	w.is(first, "applied", "")
	w.pass(10 * time.Minute)
	waiting := w.queue(tenant, to("11", 9_800))
	budget := int64(20_000)
	w.fake.Edit("511", &budget, "")
	w.pass(time.Second)
	w.across(func(s queue.Store) error {
		return s.Observe(context.Background(), tenant, w.clock(), []changes.Seen{
			{Object: "adset/511", Budget: &budget, Status: "ACTIVE"}, {Object: "adset/unknown", Budget: &budget, Status: "ACTIVE"},
		})
	})
	w.run()
	w.is(waiting, "held", "somebody else changed ad set 511 from 99.00 USD to 200.00 USD")
	w.pass(time.Minute)
	late := int64(9_900) // a sync that began to read before we set the budget knows nothing
	w.across(func(s queue.Store) error {
		return s.Observe(context.Background(), tenant, w.clock().Add(-time.Hour), []changes.Seen{{Object: "adset/511", Budget: &late, Status: "ACTIVE"}})
	})
	if known := w.text(`SELECT known_minor FROM gv.budget_objects WHERE budget_object = 'adset/511'`); known != "20000" {
		t.Errorf("%s is known", known)
	}
}

func TestTwoRunsAtOnceApplyEachChangeOnce(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.opts.Tick = 20 * time.Second
	w.build()
	var intents []changes.Intent
	for _, id := range []string{"11", "12", "13", "14", "15", "16"} {
		w.ad(tenant, "act_1", id, 10_000)
		intents = append(intents, cut(id))
	}
	w.queue(tenant, intents...)
	w.pass(20 * time.Second)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if _, err := w.job.Run(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if n := len(w.fake.Applied("")); n != 6 {
		t.Errorf("%d writes", n)
	}
}

func TestAnExecutorThatDiedBetweenTheCallAndTheRecordIsRepaired(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	w.ad(tenant, "act_1", "12", 10_000)
	made, lost := w.queue(tenant, cut("11")), w.queue(tenant, cut("12"))
	w.exec(`UPDATE gv.pending_ad_changes SET status = 'applying', step_minor = 8000, step_before = 10000, sends = 1, attempt = 1, sent_at = $1,
	        lease_token = gen_random_uuid(), lease_until = now() - interval '1 s'`, w.clock())
	budget := int64(8_000)
	w.fake.Edit("511", &budget, "") // one call had got through, one had not
	w.run()
	w.is(made, "applied", "")
	w.is(lost, "pending", "not made: ad set 512 still has 100.00 USD")
	w.pass(time.Minute)
	w.run()
	w.is(lost, "applied", "")
	if got := w.history(lost); got != "unknown budget 10000 8000, applied budget 10000 8000" {
		t.Error(got)
	}
	if n := len(w.fake.Applied("")); n != 1 {
		t.Errorf("%d writes", n)
	}
}

func TestWhatAnotherExecutorHoldsIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	id := w.queue(tenant, cut("11"))
	w.exec(`UPDATE gv.pending_ad_changes SET status = 'applying', step_minor = 8000, step_before = 10000, sends = 1, sent_at = $1,
	        lease_token = gen_random_uuid(), lease_until = now() + interval '1 minute'`, w.clock())
	w.run()
	w.is(id, "applying", "")
	if n := w.fake.Requests(""); n != 0 {
		t.Errorf("%d requests", n)
	}
}
