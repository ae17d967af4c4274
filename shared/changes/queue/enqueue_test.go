package queue_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/changes/queue"
	"github.com/geminivideo/geminivideo/shared/pg"
)

func TestAnAdsBudgetIsItsAdSets(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "a", "s1", 10_000)
	got := w.enqueue(tenant, to("a", 9_000))[0]
	if got.Status != changes.StatusPending || got.ChangeID == "" || got.Reason != "" {
		t.Fatalf("%+v", got)
	}
	row := w.text(`SELECT concat_ws(' ', budget_object, kind, before_minor, target_minor, mode, splits->>'a') FROM gv.pending_ad_changes`)
	if row != "adset/s1 budget 10000 9000 live 9000" {
		t.Error(row)
	}
	if fits := w.text(`SELECT due_at - created_at BETWEEN interval '3 s' AND interval '18 s' FROM gv.pending_ad_changes`); fits != "true" {
		t.Error("it is not due 3 to 18 s later")
	}
}

func TestASharedAdSetGetsTheSumOfItsAdsAndTheOnesWithNothingArePaused(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "a", "s1", 5_000)
	w.ad(tenant, "b", "s1", 3_000)
	w.ad(tenant, "c", "s1", 2_000)
	w.ad(tenant, "d", "s1", 1_000) // not decided for: keeps its part
	got := w.enqueue(tenant, to("a", 6_000), to("b", 3_500), to("c", 0))
	if got[0].ChangeID != got[1].ChangeID || got[2].ChangeID == got[0].ChangeID || got[2].Status != changes.StatusPending {
		t.Errorf("%+v", got)
	}
	rows := w.text(`SELECT string_agg(concat_ws(' ', budget_object, kind, target_minor, target_status, splits::text), ', ' ORDER BY budget_object) FROM gv.pending_ad_changes`)
	if rows != `ad/c status PAUSED {}, adset/s1 budget 10500 {"a": 6000, "b": 3500, "c": 0, "d": 1000}` {
		t.Error(rows)
	}
	if reason := w.text(`SELECT reason FROM gv.pending_ad_changes WHERE kind = 'budget'`); !strings.Contains(reason, "shared by 4 ads: a 60.00 USD") {
		t.Error(reason)
	}
}

func TestACutTakesAShareOfTheAdsOwnPart(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "alone", "s1", 10_001)
	w.ad(tenant, "a", "s2", 6_000)
	w.ad(tenant, "b", "s2", 4_000)
	w.enqueue(tenant, cut("alone"), cut("b"))
	if rows := w.text(`SELECT string_agg(budget_object || ' ' || target_minor, ', ' ORDER BY 1) FROM gv.pending_ad_changes`); rows != "adset/s1 8001, adset/s2 9200" {
		t.Error(rows)
	}
}

func TestUnderACampaignBudgetTheAdSetIsLimited(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.exec(`UPDATE gv.campaigns SET daily_budget_minor = 50000 WHERE tenant_id = $1`, tenant)
	w.ad(tenant, "a", "s1", 0)
	w.exec(`INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor)
	        SELECT $1, 'a', current_date - n, 1000, 10, 1000 FROM generate_series(1, 5) AS n`, tenant)
	if got := w.enqueue(tenant, cut("a"))[0]; got.Status != changes.StatusPending {
		t.Fatalf("%+v", got)
	}
	if row := w.text(`SELECT concat_ws(' ', kind, before_minor, target_minor) FROM gv.pending_ad_changes`); row != "spend_limits 1000 800" {
		t.Error(row)
	}
}

func TestWhatCannotBeQueuedSaysWhyNot(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "nowhere", "", 1_000)
	w.ad(tenant, "unknown", "s1", 0)
	w.ad(tenant, "small", "s2", 4)
	w.ad(tenant, "same", "s3", 1_000)
	w.ad(tenant, "shared", "s4", 0)
	w.ad(tenant, "sharer", "s4", 0)
	w.ad(tenant, "stopped", "s5", 1_000)
	w.ad(tenant, "gone", "s6", 1_000)
	w.ad(other, "theirs", "s7", 1_000)
	w.exec(`UPDATE gv.ads SET status = 'PAUSED' WHERE ad_id = 'stopped'`)
	w.exec(`UPDATE gv.ads SET status = 'DELETED' WHERE ad_id = 'gone'`)
	running := changes.Intent{Key: "run", AdID: "small", Status: "PAUSED", Reason: "x", Source: changes.Member, By: "x"}
	for _, c := range []struct {
		in   changes.Intent
		want changes.Status
		why  string
	}{
		{to("nowhere", 900), changes.StatusRefused, "the ad set of the ad is not known"},
		{cut("unknown"), changes.StatusRefused, "not known yet"},
		{cut("small"), changes.StatusRefused, "less than its smallest unit"},
		{to("same", 1_000), changes.StatusUnchanged, "has 10.00 USD already"},
		{to("shared", 1_000), changes.StatusRefused, "shared with the ad sharer"},
		{to("stopped", 900), changes.StatusRefused, "not by us"},
		{cut("stopped"), changes.StatusRefused, "spends nothing"},
		{to("gone", 900), changes.StatusRefused, "is DELETED"},
		{to("theirs", 900), changes.StatusRefused, "no such ad"},
		{to("none", 900), changes.StatusRefused, "no such ad"},
		{running, changes.StatusPending, ""},
	} {
		got := w.enqueue(tenant, c.in)[0]
		if got.Status != c.want || !strings.Contains(got.Reason, c.why) || (c.want == changes.StatusRefused) != (got.ChangeID == "") && c.want != changes.StatusUnchanged {
			t.Errorf("%s: %+v, want %s because %q", c.in.AdID, got, c.want, c.why)
		}
	}
	if n := w.text(`SELECT count(*) FROM gv.pending_ad_changes`); n != "1" {
		t.Errorf("%s changes", n)
	}
}

func TestARepeatedRequestIsTheSameChange(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "a", "s1", 1_000)
	w.ad(tenant, "b", "s1", 1_000)
	a, b := to("a", 900), to("b", 800)
	first := w.enqueue(tenant, a, b)
	again := w.enqueue(tenant, b, a)
	if again[0] != first[1] || again[1] != first[0] {
		t.Errorf("%+v, then %+v", first, again)
	}
	if n := w.text(`SELECT count(*) FROM gv.pending_ad_changes`); n != "1" {
		t.Errorf("%s changes", n)
	}
}

func TestANewerDecisionReplacesWhatWaits(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "a", "s1", 1_000)
	first := w.enqueue(tenant, to("a", 900))[0]
	same := w.enqueue(tenant, to("a", 900))[0]
	if same.ChangeID != first.ChangeID || same.Reason == "" {
		t.Errorf("the same target: %+v", same)
	}
	second := w.enqueue(tenant, to("a", 1_100))[0]
	if second.ChangeID == first.ChangeID || second.Status != changes.StatusPending {
		t.Errorf("%+v", second)
	}
	row := w.text(`SELECT concat_ws(' ', status, superseded_by) FROM gv.pending_ad_changes WHERE change_id = $1`, first.ChangeID)
	if row != "superseded "+second.ChangeID {
		t.Error(row)
	}
	if n := w.text(`SELECT count(*) FROM gv.ad_change_history WHERE outcome = 'superseded' AND change_id = $1`, first.ChangeID); n != "1" {
		t.Errorf("%s lines of history", n)
	}
	if got := w.enqueue(tenant, to("a", 1_000))[0]; got.Status != changes.StatusUnchanged {
		t.Errorf("back to what it has: %+v", got)
	}
	if open := w.text(`SELECT count(*) FROM gv.pending_ad_changes WHERE finished_at IS NULL`); open != "0" {
		t.Errorf("%s still open", open)
	}
}

func TestAFatigueCutForbidsRaisesFor48HoursAndComesOncePerAd(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "a", "s1", 1_000)
	first := w.enqueue(tenant, cut("a"))[0]
	w.now = w.now.Add(2 * time.Hour)
	if again := w.enqueue(tenant, cut("a"))[0]; again.Status != changes.StatusRefused || again.ChangeID != first.ChangeID || !strings.Contains(again.Reason, "at most one") {
		t.Errorf("the next sweep: %+v", again)
	}
	for _, target := range []int64{1_100, 900} { // 900 is more than the cut leaves, though less than it has now
		if held := w.enqueue(tenant, to("a", target))[0]; held.Status != changes.StatusHeld || !strings.Contains(held.Reason, "no raise before") {
			t.Errorf("to %d: %+v", target, held)
		}
	}
	if got := w.text(`SELECT status FROM gv.pending_ad_changes WHERE change_id = $1`, first.ChangeID); got != "pending" {
		t.Errorf("the cut is %s", got)
	}
	if lower := w.enqueue(tenant, to("a", 700))[0]; lower.Status != changes.StatusPending {
		t.Errorf("lower: %+v", lower)
	}
	w.now = w.now.Add(46 * time.Hour) // 48 h after the cut, to the second
	if raise := w.enqueue(tenant, to("a", 1_100))[0]; raise.Status != changes.StatusPending {
		t.Errorf("at 48 h: %+v", raise)
	}
}

func TestAnAdOfASharedSetThatWasCutIsNotCutAgainWithItsNeighbour(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "a", "s1", 5_000)
	w.ad(tenant, "b", "s1", 5_000)
	w.enqueue(tenant, cut("b"))
	w.now = w.now.Add(time.Hour)
	got := w.enqueue(tenant, cut("a"), cut("b"))
	if got[0].Status != changes.StatusPending || got[1].Status != changes.StatusRefused {
		t.Errorf("%+v", got)
	}
	if target := w.text(`SELECT target_minor FROM gv.pending_ad_changes WHERE change_id = $1`, got[0].ChangeID); target != "8000" {
		t.Errorf("to %s, want what is left of both", target)
	}
}

func TestTwoTenantsWithTheSameAdDoNotMeet(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "a", "s1", 1_000)
	w.ad(other, "a", "s1", 2_000)
	in := to("a", 900)
	mine, theirs := w.enqueue(tenant, in)[0], w.enqueue(other, in)[0]
	if mine.ChangeID == theirs.ChangeID || theirs.Status != changes.StatusPending {
		t.Errorf("%+v, %+v", mine, theirs)
	}
	rows := w.text(`SELECT string_agg(concat_ws(' ', tenant_id, before_minor, target_minor), ', ' ORDER BY tenant_id) FROM gv.pending_ad_changes`)
	if rows != tenant+" 1000 900, "+other+" 2000 900" {
		t.Error(rows)
	}
}

func TestYenHaveNoMinorUnits(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.exec(`UPDATE gv.accounts SET currency = 'JPY' WHERE tenant_id = $1`, tenant)
	w.ad(tenant, "a", "s1", 1_001)
	if got := w.enqueue(tenant, to("a", 1_001))[0]; got.Reason != "ad set s1 has 1,001 JPY already" {
		t.Errorf("%+v", got)
	}
	w.enqueue(tenant, cut("a"))
	if target := w.text(`SELECT target_minor FROM gv.pending_ad_changes`); target != "801" {
		t.Error(target)
	}
}

func TestTheWorkerQueuesForAnyTenantInAConstantNumberOfStatements(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, adset_id, daily_budget_minor)
	        SELECT $1, 'a' || n, 'act_1', 'c1', 's' || n, 1000 FROM generate_series(1, 2000) AS n`, tenant)
	count := func(n int) int {
		intents := make([]changes.Intent, n)
		for i := range intents {
			intents[i] = cut(w.text(`SELECT ad_id FROM gv.ads ORDER BY ad_id OFFSET $1 LIMIT 1`, i))
		}
		counter := &statements{}
		err := pg.Across(t.Context(), w.worker, func(tx pgx.Tx) error {
			counter.Tx = tx
			done, err := queue.NewStore(counter).Enqueue(t.Context(), tenant, intents)
			for _, d := range done {
				if d.Status != changes.StatusPending && n > 1 {
					return nil
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return counter.n
	}
	if one, many := count(1), count(300); one != many {
		t.Errorf("%d statements for one, %d for 300", one, many)
	}
}

func TestReasonsSayNamesWhereSomebodyGaveThem(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "a", "s1", 1_000)
	w.exec(`UPDATE gv.ads SET name = 'Morning run' WHERE tenant_id = $1`, tenant)
	if got := w.enqueue(tenant, to("a", 1_000))[0]; got.Reason != `ad set of "Morning run" has 10.00 USD already` {
		t.Errorf("%+v", got)
	}
	w.exec(`INSERT INTO gv.ad_sets (tenant_id, adset_id, account_id, campaign_id, name) SELECT tenant_id, adset_id, account_id, campaign_id, 'Runners' FROM gv.ads`)
	if got := w.enqueue(tenant, to("a", 1_000))[0]; got.Reason != `ad set "Runners" has 10.00 USD already` {
		t.Errorf("%+v", got)
	}
	w.exec(`UPDATE gv.campaigns SET name = 'Winter'`)
	w.exec(`UPDATE gv.accounts SET name = 'Northside'`)
	w.ad(tenant, "b", "s1", 500)
	w.enqueue(tenant, to("a", 900), to("b", 400))
	var listed queue.Listed
	w.in(tenant, func(s queue.Store) error {
		all, err := s.List(t.Context(), tenant, queue.Filter{Limit: 1})
		if err == nil {
			listed = all[0]
		}
		return err
	})
	if listed.Object() != `ad set "Runners"` || listed.Campaign() != `"Winter"` || listed.Account() != `"Northside"` {
		t.Errorf("%s, campaign %s, account %s", listed.Object(), listed.Campaign(), listed.Account())
	}
	if want := `ad set "Runners" is shared by 2 ads: "Morning run" 9.00 USD, b 4.00 USD`; !strings.HasPrefix(listed.Reason, want) {
		t.Errorf("%q, want %q", listed.Reason, want)
	}
}
