package digest_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/functions/digest"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/infra/testkit/fakeslack"
	"github.com/geminivideo/geminivideo/infra/testkit/vault"
	"github.com/geminivideo/geminivideo/shared/notice"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/slack"
)

const (
	ours   = "/services/T1/B1/secret-of-ours"
	theirs = "/services/T2/B2/secret-of-theirs"
)

// world has a channel of each of two tenants and a clock that only waits move.
type world struct {
	*apitest.World
	fake *fakeslack.Fake
	job  serve.Job

	mu    sync.Mutex
	clock time.Time
	waits []time.Duration
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

func (w *world) wait(_ context.Context, d time.Duration) error {
	w.advance(d)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waits = append(w.waits, d)
	return nil
}

func open(t *testing.T) *world {
	t.Helper()
	w := &world{World: apitest.New(t), clock: time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)}
	w.fake = &fakeslack.Fake{Now: w.now}
	server := httptest.NewServer(w.fake)
	t.Cleanup(server.Close)
	keys, store := vault.New(t)
	for tenant, path := range map[string]string{apitest.Tenant: ours, apitest.Other: theirs} {
		name := "projects/p/secrets/slack-" + tenant[:4]
		if err := keys.Set(name, server.URL+path); err != nil {
			t.Fatal(err)
		}
		w.Exec(`INSERT INTO gv.slack_connections (tenant_id, url, at_once, daily, weekly, time_zone, hour, weekday, daily_from, daily_at, weekly_from, weekly_at, next_at, updated_by)
			VALUES ($1, $2, true, false, false, 'America/Chicago', 8, 1, '2026-11-29 14:00Z', '2026-11-30 14:00Z', '2026-11-23 14:00Z', '2026-11-30 14:00Z', '2026-11-01', 'test')`, tenant, name)
	}
	worker, err := pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: w.WorkerURL(), MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(worker.Close)
	client := slack.New(slack.Config{AllowLocal: true})
	w.job = digest.New(w.App, worker, store, client, digest.Options{Now: w.now, Wait: w.wait})
	return w
}

// notify writes n notices of a tenant.
func (w *world) notify(tenant string, n int, text string) {
	w.T.Helper()
	var all []notice.Notice
	for i := range n {
		all = append(all, notice.Notice{Kind: notice.ChangeCut, AdID: "a1", Text: fmt.Sprintf("%s %d", text, i), At: w.now()})
	}
	err := pg.InTenant(w.T.Context(), w.App, tenant, func(tx pgx.Tx) error { return notice.Put(w.T.Context(), tx, tenant, all...) })
	if err != nil {
		w.T.Fatal(err)
	}
}

func (w *world) run() digest.Report {
	w.T.Helper()
	report, err := w.job.Run(w.T.Context())
	if err != nil {
		w.T.Fatal(err)
	}
	return report.(digest.Report)
}

// words is all that a channel was shown.
func (w *world) words(path string) string {
	var b strings.Builder
	for _, m := range w.fake.Taken(path) {
		b.WriteString(m.Words())
	}
	return b.String()
}

func TestEveryNoticeIsPostedOnceWithinSlacksLimits(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.Exec(`INSERT INTO gv.accounts (tenant_id, account_id) VALUES ($1, 'act_1')`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, 'c1', 'act_1')`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, name) VALUES ($1, 'a1', 'act_1', 'c1', repeat('🎬<!channel>&', 300))`, apitest.Tenant)
	w.notify(apitest.Tenant, 120, strings.Repeat("👨‍👩‍👧‍👦&", 150)+"notice")
	w.notify(apitest.Other, 1, "theirs")
	for range 3 {
		w.run()
		w.advance(time.Minute)
	}
	got := w.words(ours)
	for i := range 120 {
		if n := strings.Count(got, fmt.Sprintf("notice %d\n", i)); n != 1 {
			t.Errorf("notice %d is posted %d times", i, n)
		}
	}
	if strings.Contains(got, "<!channel>") || strings.Contains(got, "theirs") || !strings.Contains(w.words(theirs), "theirs 0") {
		t.Errorf("somebody is mentioned, or sees another's notices")
	}
	for i, m := range w.fake.Taken(ours) {
		if before := w.fake.Taken(ours); i > 0 && m.At.Sub(before[i-1].At) < time.Second {
			t.Errorf("messages %v apart", m.At.Sub(before[i-1].At))
		}
	}
}

func TestADeadOrHangingChannelStopsNothingElse(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.fake.Break(ours, 404, "no_service")
	w.notify(apitest.Tenant, 3, "ours")
	w.notify(apitest.Other, 3, "theirs")
	if r := w.run(); r.Failed != 1 || r.Messages != 1 {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(w.words(theirs), "theirs 2") {
		t.Error("the other channel was not served")
	}
	if got := w.Text(`SELECT disabled_reason FROM gv.slack_connections WHERE tenant_id = $1`, apitest.Tenant); !strings.Contains(got, "404 no_service") {
		t.Errorf("the dead channel says %q", got)
	}
	asked := w.fake.Asked()
	w.advance(time.Hour)
	w.run()
	if w.fake.Asked() != asked {
		t.Error("a channel that is switched off is asked again")
	}
	w.notify(apitest.Tenant, 1, "nobody") // costs nothing
	if n := w.Text(`SELECT count(*) FROM gv.slack_notices WHERE text LIKE 'nobody%'`); n != "0" {
		t.Errorf("%s notices wait for a channel that is off", n)
	}
	w.Exec(`UPDATE gv.slack_connections SET disabled_at = NULL, disabled_reason = NULL, failures = 0, failing_since = NULL, next_at = '2026-11-01'`)
	w.fake.Heal(ours)
	w.run()
	if !strings.Contains(w.words(ours), "ours 2") {
		t.Error("what waited is not posted once the channel is back")
	}
}

func TestSlacksWishToWaitIsKeptAndIsNoFailure(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.notify(apitest.Tenant, 1, "first")
	w.run()
	w.fake.RetryAfter = 30
	w.notify(apitest.Tenant, 1, "second")
	w.Exec(`UPDATE gv.slack_connections SET next_at = '2026-11-01'`) // another app has posted in this second
	w.run()
	w.advance(29 * time.Second)
	asked := w.fake.Asked()
	w.run()
	if w.fake.Asked() != asked {
		t.Error("Slack was asked before its time")
	}
	if got := w.Text(`SELECT failures || coalesce(failing_since::text, '') FROM gv.slack_connections WHERE tenant_id = $1`, apitest.Tenant); got != "0" {
		t.Errorf("counted as a failure: %s", got)
	}
	w.advance(2 * time.Second)
	w.run()
	if !strings.Contains(w.words(ours), "second 0") {
		t.Error("the notice is not posted once Slack's time is up")
	}
}

func TestAFailingChannelIsTriedLessAndLessAndSwitchedOffAfterAWeek(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.fake.Break(ours, 503, "")
	w.notify(apitest.Tenant, 1, "ours")
	state := func() string {
		return w.Text(`SELECT failures || ' ' || coalesce(disabled_reason, '-') FROM gv.slack_connections WHERE tenant_id = $1`, apitest.Tenant)
	}
	for _, wait := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
		w.run()
		asked := w.fake.Asked()
		w.advance(wait - time.Second)
		w.run()
		if w.fake.Asked() != asked {
			t.Errorf("tried again before %v", wait)
		}
		w.advance(time.Second)
	}
	if got := state(); got != "3 -" {
		t.Errorf("after three failures: %s", got)
	}
	w.advance(8 * 24 * time.Hour)
	w.run()
	if got := state(); !strings.Contains(got, "every message failed for a week") {
		t.Errorf("after a week: %s", got)
	}
}

func TestASummarySaysWhatHappenedAtItsHourAndOnce(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.Exec(`UPDATE gv.slack_connections SET at_once = false, daily = true, weekly = true WHERE tenant_id = $1`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.accounts (tenant_id, account_id, currency, time_zone) VALUES ($1, 'act_1', 'USD', 'America/Chicago')`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, 'c1', 'act_1')`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, name, spend_minor, pipeline_minor, is_winner)
		VALUES ($1, 'a1', 'act_1', 'c1', 'Gym & spa', 10000, 95000, true), ($1, 'a2', 'act_1', 'c1', repeat('é', 3000), 10000, 0, false)`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.ad_fatigue (tenant_id, ad_id, status, changed_at) VALUES ($1, 'a2', 'FATIGUING', '2026-11-30 01:00Z'), ($1, 'a1', 'HEALTHY', now())`, apitest.Tenant)
	for _, c := range []struct {
		ad, at        string
		before, after int
	}{{"a1", "2026-11-30 13:59:59Z", 5000, 8000}, {"a2", "2026-11-29 14:00Z", 5000, 4000}, {"a1", "2026-11-29 13:59:59Z", 100, 2100}, {"a1", "2026-11-30 14:00Z", 1, 99999}} {
		w.Exec(`INSERT INTO gv.ad_change_history (tenant_id, account_id, campaign_id, ad_id, budget_object, action, outcome, before_minor, after_minor, reason, initiator, at)
			VALUES ($1, 'act_1', 'c1', $2, 'adset/1', 'set_budget', 'applied', $4, $5, 'pipeline ROAS 9.5 & rising', 'allocate', $3::timestamptz)`, apitest.Tenant, c.ad, c.at, c.before, c.after)
	}
	w.Exec(`UPDATE gv.slack_connections SET daily = false WHERE tenant_id = $1`, apitest.Other)
	w.advance(5*time.Hour - time.Second) // 07:59:59 in Chicago
	w.run()
	if n := len(w.fake.Taken(ours)); n != 0 {
		t.Fatalf("%d messages before their hour", n)
	}
	w.advance(time.Second)
	w.run()
	w.run()
	w.advance(time.Hour)
	w.run()
	all := w.fake.Taken(ours)
	if len(all) != 2 {
		t.Fatalf("%d messages, want a day's and a week's", len(all))
	}
	daily, weekly := all[0].Words(), all[1].Words()
	for _, want := range []string{
		"Northside: the day until 30 Nov 2026, 08:00", "2 changes of budgets: 30.00 USD more a day, 10.00 USD less",
		"• Gym &amp; spa: 50.00 USD to 80.00 USD, 30 Nov 07:59. pipeline ROAS 9.5 &amp; rising", "• Gym &amp; spa: 950.00 USD of pipeline for 100.00 USD",
		"ééé…: fatiguing (new)", "*What is wrong with the data*\n• ",
	} {
		if !strings.Contains(daily, want) {
			t.Errorf("the day's summary does not say %q:\n%s", want, daily)
		}
	}
	if !strings.Contains(weekly, "Northside: the week from 23 Nov 2026 to 30 Nov 2026") || !strings.Contains(weekly, "3 changes of budgets: 50.00 USD more a day, 10.00 USD less") {
		t.Errorf("the week's summary says\n%s", weekly)
	}
	if got := w.Text(`SELECT to_char(daily_at AT TIME ZONE 'UTC', 'MM-DD HH24') || ' ' || to_char(weekly_at AT TIME ZONE 'UTC', 'MM-DD HH24') FROM gv.slack_connections WHERE tenant_id = $1`, apitest.Tenant); got != "12-01 14 12-07 14" {
		t.Errorf("the next are due at %s", got)
	}
	if len(w.fake.Taken(theirs)) != 0 {
		t.Error("another tenant's channel was posted to")
	}
}

func TestASummaryThatWasMissedIsMadeGoodByTheNext(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.Exec(`UPDATE gv.slack_connections SET at_once = false, daily = true WHERE tenant_id = $1`, apitest.Tenant)
	w.fake.Break(ours, 503, "")
	w.advance(6 * time.Hour)
	w.run()
	w.advance(3 * 24 * time.Hour)
	w.fake.Heal(ours)
	w.run()
	if all := w.fake.Taken(ours); len(all) != 1 || !strings.Contains(all[0].Words(), "the day until 3 Dec 2026, 08:00") {
		t.Errorf("%d messages", len(all))
	}
	if got := w.Text(`SELECT to_char(daily_from AT TIME ZONE 'UTC', 'MM-DD HH24') FROM gv.slack_connections WHERE tenant_id = $1`, apitest.Tenant); got != "12-03 14" {
		t.Errorf("the next begins at %s", got)
	}
}
