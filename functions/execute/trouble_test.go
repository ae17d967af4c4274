package execute_test

import (
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/shared/changes"
)

func TestAWriteWhoseAnswerIsLostIsReadAndNeverSentAgain(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]fakemeta.Fault{
		"a 500 after it was applied":   {Method: "POST", Status: 500, After: true},
		"dropped after it was applied": {Method: "POST", Drop: true, After: true},
		"cut off after it was applied": {Method: "POST", Truncate: true, After: true},
	} {
		w := open(t)
		w.ad(tenant, "act_1", "11", 10_000)
		id := w.queue(tenant, cut("11"))
		w.fake.Inject(fault)
		w.run()
		w.is(id, "unknown", "outcome unknown; Meta will be asked again at 2026-11-20 12:00:40 UTC: Meta")
		w.run()
		w.run()
		w.is(id, "applied", "")
		if n := len(w.fake.Writes("")); n != 1 {
			t.Errorf("%s: %d writes", name, n)
		}
		if got := w.history(id); got != "unknown budget 10000 8000, applied budget 10000 8000" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestAWriteThatDidNotArriveIsSentAgainOnceThatIsRead(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	id := w.queue(tenant, cut("11"))
	w.fake.Inject(fakemeta.Fault{Method: "POST", Status: 502})
	w.run()
	w.is(id, "unknown", "")
	w.run()
	w.is(id, "pending", "not made: ad set 511 still has 100.00 USD; next try at")
	w.pass(time.Minute)
	w.run()
	w.is(id, "applied", "")
	if n := len(w.fake.Applied("")); n != 1 {
		t.Errorf("%d applied", n)
	}
}

func TestAStepThatNeverArrivesFailsInTheEnd(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	id := w.queue(tenant, cut("11"))
	w.fake.Inject(fakemeta.Fault{Method: "POST", Status: 502, Times: 100})
	for range 2*changes.MaxSends + 2 {
		w.run()
		w.pass(time.Hour)
	}
	w.is(id, "failed", "after 8 tries; no more are made")
	w.fake.Heal()
	raise := w.queue(tenant, to("11", 11_000)) // a cut that was not made forbids nothing
	w.run()
	w.is(raise, "applied", "")
}

func TestAServerThatHangsLeavesAnUnknownOutcomeAndOtherAccountsAlone(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.meta.Timeout = 2 * time.Second
	w.build()
	w.account(tenant, "act_2", "USD")
	w.ad(tenant, "act_1", "11", 10_000)
	w.ad(tenant, "act_2", "21", 10_000)
	slow, quick := w.queue(tenant, cut("11")), w.queue(tenant, cut("21"))
	w.fake.Inject(fakemeta.Fault{Method: "POST", Path: "/511", Delay: time.Hour}, fakemeta.Fault{Method: "POST", Path: "511", Delay: time.Hour})
	w.run()
	w.is(slow, "unknown", "")
	w.is(quick, "applied", "")
}

func TestThrottlingPutsAChangeOffWithoutCountingATry(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	id := w.queue(tenant, cut("11"))
	w.fake.Inject(fakemeta.Fault{Method: "POST", Code: 80004, Subcode: 2446079, Headers: map[string]string{
		"X-Business-Use-Case-Usage": `{"1":[{"type":"ads_management","call_count":100,"total_cputime":1,"total_time":1,"estimated_time_to_regain_access":7}]}`,
	}})
	w.run()
	w.is(id, "pending", "80004")
	if sends := w.text(`SELECT sends FROM gv.pending_ad_changes`); sends != "0" {
		t.Errorf("%s tries count", sends)
	}
	if wait := w.text(`SELECT (due_at > $1::timestamptz + interval '5 minutes')::text FROM gv.pending_ad_changes`, w.clock()); wait != "true" {
		t.Error("it is due at once")
	}
	w.pass(time.Hour)
	w.run()
	w.is(id, "applied", "")
}

func TestMetasOwnCeilingOfAnAdSetsChangesIsWaitedOut(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	id := w.queue(tenant, cut("11"))
	w.fake.Inject(fakemeta.Fault{Method: "POST", Code: 613, Subcode: 1487632})
	w.run()
	w.is(id, "pending", "613/1487632")
	w.run()
	w.is(id, "pending", "")
	w.pass(time.Hour)
	w.run()
	w.is(id, "applied", "")
}

func TestATokenThatIsRefusedHoldsTheChange(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	id := w.queue(tenant, cut("11"))
	w.fake.Account("act_1").SetTokens("EAAanother")
	w.run()
	w.is(id, "held", "connect the account again")
}

func TestAnObjectThatIsGoneFailsTheChange(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	w.ad(tenant, "act_1", "12", 10_000)
	erased, deleted := w.queue(tenant, cut("11")), w.queue(tenant, cut("12"))
	w.fake.Erase("511")
	w.fake.Edit("512", nil, "DELETED")
	w.run()
	w.run()
	w.is(erased, "failed", "Meta: ")
	w.is(deleted, "failed", "DELETED")
}

func TestTheFloorOfMetaIsToldInItsOwnWords(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.account(tenant, "act_2", "JPY")
	w.ad(tenant, "act_2", "21", 100)
	w.fake.Inject(fakemeta.Fault{Method: "POST", Code: 100, Subcode: 1885272, Message: "Your budget is too low."})
	id := w.queue(tenant, cut("21"))
	w.run()
	w.is(id, "failed", "Your budget is too low")
	if got := w.history(id); got != "failed none 100 80" {
		t.Error(got)
	}
}

func TestYenAndForintGoToMetaInItsOwnUnits(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.account(tenant, "act_2", "JPY")
	w.account(tenant, "act_3", "HUF")
	w.ad(tenant, "act_2", "21", 1_003)
	w.ad(tenant, "act_3", "31", 1_003)                                         // Meta counts whole forint,
	w.exec(`UPDATE gv.ads SET daily_budget_minor = 100300 WHERE ad_id = '31'`) // ISO 4217 has two decimals
	yen, forint := w.queue(tenant, cut("21")), w.queue(tenant, cut("31"))
	w.run()
	w.is(yen, "applied", "")
	w.is(forint, "applied", "")
	if y, f := w.fake.AdSet("521").DailyBudget, w.fake.AdSet("531").DailyBudget; y != 803 || f != 803 {
		t.Errorf("%d JPY, %d HUF", y, f)
	}
}

func TestTwoTenantsOfOneAdDoNotMeet(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.account(other, "act_2", "USD")
	w.ad(tenant, "act_1", "11", 10_000)
	w.exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, adset_id, daily_budget_minor) VALUES ($1, '11', 'act_2', '92', '511', 10000)`, other)
	mine, theirs := w.queue(tenant, cut("11")), w.queue(other, cut("11"))
	w.run()
	w.is(mine, "applied", "")
	w.is(theirs, "held", "Meta: ") // their token may not
	if n := len(w.fake.Applied("")); n != 1 {
		t.Errorf("%d applied", n)
	}
}
