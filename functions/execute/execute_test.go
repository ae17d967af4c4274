package execute_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/changes/queue"
)

func matches(row, status, why string) bool {
	return strings.HasPrefix(row, status) && strings.Contains(row, why)
}

func TestACutIsAppliedOnceAndRecorded(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	id := w.queue(tenant, cut("11"))
	if _, err := w.job.Run(t.Context()); err != nil || len(w.fake.Writes("")) > 0 {
		t.Fatalf("before its jitter is over: %v, %v", w.fake.Writes(""), err)
	}
	for range 3 {
		w.run()
	}
	w.is(id, "applied", "")
	if got := w.history(id); got != "applied budget 10000 8000" {
		t.Error(got)
	}
	if set := w.fake.AdSet("511"); set.DailyBudget != 8_000 || len(w.fake.Applied("")) != 1 {
		t.Errorf("Meta has %d after %d writes", set.DailyBudget, len(w.fake.Applied("")))
	}
	row := w.text(`SELECT concat_ws(' ', initiator, reason, platform_trace <> '', duration_ms >= 0, attempt) FROM gv.ad_change_history`)
	if row != "sweep tired t t 1" {
		t.Error(row)
	}
	if budget := w.text(`SELECT daily_budget_minor FROM gv.ads`); budget != "8000" {
		t.Errorf("the ad has %s", budget)
	}
}

func TestALargeMoveGoesOnInStepsUntilItIsThere(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	id := w.queue(tenant, to("11", 15_000))
	w.run()
	w.is(id, "pending", "step 1 was made")
	w.pass(6*time.Hour - 21*time.Second) // a second before the window is over
	w.run()
	if got := w.history(id); got != "applied budget 10000 12000" {
		t.Fatalf("within 6 hours: %s", got)
	}
	for range 2 {
		w.run()
		w.pass(6 * time.Hour)
	}
	w.run()
	w.is(id, "applied", "")
	if got := w.history(id); got != "applied budget 10000 12000, applied budget 12000 14400, applied budget 14400 15000" {
		t.Error(got)
	}
}

func TestAPauseStopsEveryWrite(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	id := w.queue(tenant, cut("11"))
	for _, who := range []string{"accounts", "tenants"} {
		w.exec(`UPDATE gv.` + who + ` SET paused = true`)
		w.run()
		if len(w.fake.Writes("")) > 0 {
			t.Fatalf("written while the %s are paused", who)
		}
		w.exec(`UPDATE gv.` + who + ` SET paused = false`)
	}
	w.run()
	w.is(id, "applied", "")
}

func TestADryRunSaysWhatItWouldDoAndWritesNothing(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.exec(`UPDATE gv.accounts SET mode = 'dry_run'`)
	w.ad(tenant, "act_1", "11", 10_000)
	w.ad(tenant, "act_1", "12", 10_000)
	id, short := w.queue(tenant, to("11", 15_000)), w.queue(tenant, to("12", 13_000))
	w.exec(`UPDATE gv.accounts SET mode = 'live'`) // decided for a dry run, it stays one
	for range 3 {
		w.run()
	}
	w.is(id, "dry_run", "would set ad set 511 from 100.00 USD to 120.00 USD, then on to 150.00 USD in 2 more steps")
	if writes := w.fake.Writes(""); len(writes) != 2 || !writes[0].ValidateOnly || !writes[1].ValidateOnly {
		t.Errorf("%+v", writes)
	}
	if got := w.history(id); got != "dry_run none 10000 15000" {
		t.Error(got)
	}
	w.is(short, "dry_run", "then on to 130.00 USD in one more step of at most a fifth each 6 hours")
	unconnected := func() string {
		w.exec(`UPDATE gv.meta_connections SET disconnected_at = now()`)
		w.exec(`UPDATE gv.accounts SET mode = 'dry_run'`)
		defer w.run()
		return w.queue(tenant, to("11", 9_000))
	}()
	w.is(unconnected, "dry_run", "would set ad set 511 from 100.00 USD to 90.00 USD; Meta could not be asked: account act_1 is not connected")
	stop := w.queue(tenant, to("12", 0))
	w.run()
	w.is(stop, "dry_run", "would set ad 12 from ACTIVE to PAUSED; Meta could not be asked")
}

func TestWithoutAConnectionALiveChangeIsHeld(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	w.exec(`UPDATE gv.meta_connections SET disconnected_at = now()`)
	id := w.queue(tenant, cut("11"))
	w.run()
	w.is(id, "held", "not connected")
}

func TestSomebodyElsesEditIsRespectedUntilANewerDecision(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	id := w.queue(tenant, to("11", 9_000))
	budget := int64(30_000)
	w.fake.Edit("511", &budget, "")
	w.run()
	w.is(id, "held", "it has 300.00 USD, and 100.00 USD was known")
	if w.fake.AdSet("511").DailyBudget != 30_000 {
		t.Error("it was overwritten")
	}
	newer := w.queue(tenant, to("11", 27_000))
	w.run()
	w.is(newer, "applied", "")
	if got := w.history(newer); got != "applied budget 30000 27000" {
		t.Error(got)
	}
}

func TestAnEditBetweenStepsEndsTheChange(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	id := w.queue(tenant, to("11", 20_000))
	w.run()
	budget := int64(5_000)
	w.fake.Edit("511", &budget, "")
	w.pass(6 * time.Hour)
	w.run()
	w.is(id, "held", "it has 50.00 USD, and 120.00 USD was known")
}

func TestACampaignTakesFifteenActionsAnHour(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.opts.Tick = 30 * time.Second // fifteen writes, on a busy machine
	w.build()
	var intents []changes.Intent
	for i := range 17 {
		id := strconv.Itoa(100 + i)
		w.ad(tenant, "act_1", id, 10_000)
		intents = append(intents, to(id, 9_900))
	}
	w.queue(tenant, intents...)
	w.run()
	if n := len(w.fake.Applied("")); n != 15 {
		t.Fatalf("%d within the hour", n)
	}
	waiting := w.text(`SELECT min(held_reason) FROM gv.pending_ad_changes WHERE status = 'pending'`)
	if !strings.Contains(waiting, "had 15 changes within the hour, our limit; next step at 2026-11-20 13:00:") {
		t.Error(waiting)
	}
	w.opts.Tick = 2 * time.Second // its end comes before the two are due
	w.build()
	w.pass(time.Hour - 21*time.Second)
	w.run()
	if n := len(w.fake.Applied("")); n != 15 {
		t.Errorf("%d just before the hour is over", n)
	}
	w.run()
	w.run()
	if n := len(w.fake.Applied("")); n != 17 {
		t.Errorf("%d after the hour", n)
	}
}

func TestAnAdIsPausedAndStartedAgainByItsChange(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	stop := w.queue(tenant, to("11", 0))
	w.run()
	w.is(stop, "applied", "")
	if w.fake.Ad("11").Status != "PAUSED" || w.text(`SELECT status FROM gv.ads`) != "PAUSED" {
		t.Error("it is not paused")
	}
	w.queue(tenant, to("11", 10_500)) // we paused it, so money starts it again
	for range 3 {                     // a busy machine does not make two changes in one short run
		w.run()
	}
	if w.fake.Ad("11").Status != "ACTIVE" || w.fake.AdSet("511").DailyBudget != 10_500 {
		t.Errorf("%s with %d", w.fake.Ad("11").Status, w.fake.AdSet("511").DailyBudget)
	}
}

func TestUnderACampaignBudgetTheAdSetsLimitsAreSet(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 0)
	w.fake.Account("act_1").PutCampaign(fakemeta.Campaign{ID: "91", DailyBudget: 50_000})
	w.exec(`UPDATE gv.campaigns SET daily_budget_minor = 50000`)
	id := w.queue(tenant, to("11", 10_000))
	w.run()
	w.is(id, "applied", "")
	if s := w.fake.AdSet("511"); s.SpendCap != 10_000 || s.MinSpend != 8_000 || s.DailyBudget != 0 {
		t.Errorf("%+v", s)
	}
	var back *changes.Change
	w.across(func(s queue.Store) (err error) {
		back, err = s.Undo(t.Context(), tenant, id, "admin", "", false)
		return err
	})
	w.run()
	w.is(back.ChangeID, "applied", "")
	w.is(id, "undone", "")
	if s := w.fake.AdSet("511"); s.SpendCap != 0 && s.SpendCap != 922337203685478 || s.MinSpend != 0 {
		t.Errorf("after the undo: %+v", s)
	}
}

func TestAFirstSpendCapMovesFromWhatTheAdSetSpends(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 0)
	w.fake.Account("act_1").PutCampaign(fakemeta.Campaign{ID: "91", DailyBudget: 50_000})
	w.exec(`UPDATE gv.campaigns SET daily_budget_minor = 50000`)
	w.exec(`INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor)
	        SELECT $1, '11', current_date - n, 1000, 10, 10000 FROM generate_series(1, 7) AS n`, tenant)
	id := w.queue(tenant, to("11", 5_000))
	w.run()
	w.run()
	if s := w.fake.AdSet("511"); s.SpendCap != 8_000 || s.MinSpend != 0 {
		t.Errorf("%+v", s)
	}
	w.is(id, "pending", "step 1 was made")
}

func TestACapThatSomebodyElseTookAwayIsRespectedUntilANewerDecision(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 0)
	w.fake.Account("act_1").PutCampaign(fakemeta.Campaign{ID: "91", DailyBudget: 50_000})
	w.exec(`UPDATE gv.campaigns SET daily_budget_minor = 50000`)
	w.queue(tenant, to("11", 10_000))
	w.run()
	w.fake.Account("act_1").PutAdSet(fakemeta.AdSet{ID: "511", CampaignID: "91"})
	older := w.queue(tenant, to("11", 9_000))
	w.run()
	w.is(older, "held", "it has no amount, and 100.00 USD was known")
	newer := w.queue(tenant, to("11", 9_500))
	w.run()
	w.is(newer, "applied", "")
}
