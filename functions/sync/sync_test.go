package sync_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

func TestAnAccountComesInAndASecondRunChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *tuning) { o.meta.PageSize = 40 })
	a := w.connect(tenant, "1")
	ads := fill(a, 3)
	for d := range 35 {
		for i, ad := range ads {
			a.PutInsights(fakemeta.Insight{
				AdID: ad, Day: w.ago(d), Impressions: 1000, Clicks: 10 + int64(i), Reach: 800, Frequency: 1.25, Spend: "12.34",
				Actions: map[string]float64{"omni_purchase": 1, "purchase": 1, "lead": 7}, Values: map[string]float64{"omni_purchase": 50},
			})
		}
	}
	a.PutInsights(fakemeta.Insight{AdID: ads[0], Day: w.ago(0), Impressions: 5, Clicks: 9, Spend: "0.01"}) // more clicks than impressions
	want(t, w.run(), map[string]any{"accounts": 1, "synced": 1, "ads": 3, "changed_ads": 3, "changed_days": 105, "failed": 0})
	figures := w.text(`SELECT concat_ws(' ', impressions, clicks, spend_minor, value_source, pipeline_minor, daily_budget_minor, status, creative_dna->>'headline', created_at < now())
		FROM gv.ads WHERE ad_id = $1`, ads[1])
	if figures != "35000 385 43190 import 175000 1001 ACTIVE Join t" {
		t.Error(figures)
	}
	if got := w.text(`SELECT concat_ws(' ', impressions, clicks, spend_minor, frequency IS NULL, conversions) FROM gv.ad_metrics WHERE ad_id = $1 AND day = $2`, ads[0], w.today); got != "5 5 1 t 0" {
		t.Errorf("today: %s", got)
	}
	if got := w.text(`SELECT concat_ws(' ', conversions, value_minor, frequency, reach) FROM gv.ad_metrics WHERE ad_id = $1 AND day = $2`, ads[0], w.today.AddDate(0, 0, -1)); got != "1 5000 1.25 800" {
		t.Errorf("yesterday: %s", got)
	}
	if got := w.text(`SELECT concat_ws(' ', synced_through, synced_at IS NOT NULL, resume_day IS NULL, last_error IS NULL) FROM gv.meta_connections`); got != w.ago(1)+" t t t" {
		t.Error(got)
	}
	before := w.everything()
	want(t, w.run(), map[string]any{"synced": 1, "changed_ads": 0, "changed_days": 0})
	if after := w.everything(); after != before {
		t.Errorf("the second run changed something:\n%s\n%s", before, after)
	}
}

func TestATenantWithAScheduleOfItsOwnIsSyncedByThatScheduleAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	fill(w.connect(tenant, "1"), 1)
	fill(w.connect(other, "2"), 1)
	w.exec(`INSERT INTO gv.schedules (tenant_id, name, cron, updated_by) VALUES ($1, 'sync', '0 5 * * *', 'a'), ($2, 'learning', '0 5 * * *', 'a')`, tenant, other)
	synced := func() string {
		return w.text(`SELECT string_agg(DISTINCT account_id, ' ' ORDER BY account_id) FROM gv.ads`)
	}
	want(t, w.run(), map[string]any{"accounts": 1, "synced": 1})
	if got := synced(); got != "act_2" {
		t.Errorf("the hourly run synced %s", got)
	}
	before := w.text(`SELECT synced_at::text FROM gv.meta_connections WHERE tenant_id = $1`, other)
	for range 2 { // Cloud Scheduler may fire twice
		status, got := answer(serve.ForTenant(t.Context(), tenant), w.handler)
		if status != http.StatusOK {
			t.Fatalf("answered %d %v", status, got)
		}
		want(t, got, map[string]any{"accounts": 1, "synced": 1})
	}
	if got := synced(); got != "act_1 act_2" {
		t.Errorf("with its own run: %s", got)
	}
	if got := w.text(`SELECT synced_at::text FROM gv.meta_connections WHERE tenant_id = $1`, other); got != before {
		t.Errorf("the tenant's own run synced another tenant at %s, after %s", got, before)
	}
}

func TestWhatMetaRestatesWinsAlsoDownwards(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := w.connect(tenant, "1")
	ads := fill(a, 2)
	day := func(ago int, impressions int64, spend string) fakemeta.Insight {
		return fakemeta.Insight{AdID: ads[0], Day: w.ago(ago), Impressions: impressions, Clicks: 10, Spend: spend}
	}
	a.PutInsights(day(1, 1000, "10"), day(2, 1000, "10"), day(20, 1000, "10"), day(40, 1000, "10"))
	w.run()
	a.PutInsights(day(1, 400, "4"), day(20, 999, "9.99"), day(40, 1, "1")) // the last is older than what is asked again
	a.DropInsights(ads[0], w.ago(2))
	want(t, w.run(), map[string]any{"changed_days": 3})
	if got := w.text(`SELECT impressions || ' ' || spend_minor FROM gv.ads WHERE ad_id = $1`, ads[0]); got != "2399 2399" {
		t.Error(got)
	}
	// A deleted ad's past stays, though Meta tells nothing of it any more.
	w.fake.Edit(ads[0], nil, "DELETED")
	want(t, w.run(), map[string]any{"changed_days": 0, "changed_ads": 1})
	if got := w.text(`SELECT impressions || ' ' || status FROM gv.ads WHERE ad_id = $1`, ads[0]); got != "2399 DELETED" {
		t.Error(got)
	}
}

func TestAnImportsValueStaysWhereMetaKnowsNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := w.connect(tenant, "1")
	ads := fill(a, 1)
	w.run()
	w.exec(`INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor, conversions, value_minor, revenue_minor)
		SELECT $1, $2, $3::date - n, 10, 1, 100, 2, 9000, 4000 FROM generate_series(1, 3) n`, tenant, ads[0], w.today)
	a.PutInsights(
		fakemeta.Insight{AdID: ads[0], Day: w.ago(1), Impressions: 500, Clicks: 5, Spend: "7"},
		fakemeta.Insight{AdID: ads[0], Day: w.ago(2), Impressions: 500, Clicks: 5, Spend: "7", Actions: map[string]float64{"purchase": 1}, Values: map[string]float64{"purchase": 3}},
	)
	for range 2 {
		w.run()
		got := w.text(`SELECT string_agg(concat_ws(' ', impressions, spend_minor, conversions, value_minor, revenue_minor), ', ' ORDER BY day DESC) FROM gv.ad_metrics`)
		if got != "500 700 2 9000 4000, 500 700 1 300, 10 100 2 9000 4000" {
			t.Error(got)
		}
	}
}

func TestOneBadAccountDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *tuning) { o.meta.Timeout, o.meta.Attempts = 3*time.Second, 1 })
	revoked, closed, hanging, good := w.connect(tenant, "1"), w.connect(tenant, "2"), w.connect(other, "3"), w.connect(other, "4")
	w.exec(`INSERT INTO gv.webhooks (tenant_id, url, secret, updated_by) VALUES ($1, 'https://example.com/hook', 'projects/p/secrets/s', 'me')`, tenant)
	for _, a := range []*fakemeta.Account{revoked, closed, hanging, good} {
		fill(a, 1)
	}
	revoked.SetTokens("another")
	w.fake.Inject(fakemeta.Fault{Path: "act_2", Code: 100, Subcode: 33, Times: 1000}, fakemeta.Fault{Path: "act_3", Delay: time.Hour, Times: 1000})
	got := w.run()
	want(t, got, map[string]any{"accounts": 4, "synced": 1, "failed": 3})
	if n := w.text(`SELECT string_agg(account_id, ' ') FROM gv.ads`); n != "act_4" {
		t.Errorf("ads of %s", n)
	}
	for account, say := range map[string]string{"act_1": "expired or was revoked", "act_2": "does not show the ad account", "act_3": "Meta does not answer"} {
		text := w.text(`SELECT last_error FROM gv.meta_connections WHERE account_id = $1`, account)
		if !strings.Contains(text, say) || !strings.Contains(fmt.Sprint(got["errors"]), text) || strings.Contains(text, "token-of") {
			t.Errorf("%s: %q, report %v", account, text, got["errors"])
		}
	}
	if n := w.text(`SELECT count(*) FROM gv.outbox WHERE topic = 'tenant-notices' AND tenant_id = $1`, tenant); n != "2" {
		t.Errorf("%s notices", n)
	}
	// What only a person can mend is not tried again hourly, and noticed once.
	want(t, w.run(), map[string]any{"waiting": 2, "synced": 1, "failed": 1})
	w.exec(`UPDATE gv.meta_connections SET retry_at = now() - interval '1 second' WHERE retry_at IS NOT NULL`)
	want(t, w.run(), map[string]any{"waiting": 0, "failed": 3})
	if n := w.text(`SELECT count(*) FROM gv.outbox WHERE topic = 'tenant-notices'`); n != "2" {
		t.Errorf("%s notices", n)
	}
	// Connecting it again does.
	revoked.SetTokens("token-of-1")
	w.exec(`UPDATE gv.meta_connections SET connected_at = now() WHERE account_id = 'act_1'`)
	want(t, w.run(), map[string]any{"synced": 2, "waiting": 1})
	if n := w.text(`SELECT count(*) FROM gv.meta_connections WHERE account_id = 'act_1' AND last_error IS NULL AND retry_at IS NULL`); n != "1" {
		t.Error("the account still complains")
	}
}

func TestARotatedTokenIsReadAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := w.connect(tenant, "1")
	w.run()
	a.SetTokens("rotated")
	if err := w.vault.Set("projects/p/secrets/meta-1", "rotated"); err != nil {
		t.Fatal(err)
	}
	want(t, w.run(), map[string]any{"synced": 1, "failed": 0})
}

func TestTwoRunsAtOnceDoTheWorkOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for i := range 4 {
		a := w.connect(tenant, fmt.Sprint(i+1))
		for _, ad := range fill(a, 5) {
			for d := range 10 {
				a.PutInsights(fakemeta.Insight{AdID: ad, Day: w.ago(d), Impressions: 100, Clicks: 1, Spend: "1"})
			}
		}
	}
	second := w.function(w.app, tuning{meta: meta.Options{}, sync: defaults()})
	var group sync.WaitGroup
	var mu sync.Mutex
	synced := 0.0
	for _, h := range []http.Handler{w.handler, second, w.handler} {
		group.Go(func() {
			status, got := answer(t.Context(), h)
			mu.Lock()
			defer mu.Unlock()
			if status != http.StatusOK || got["failed"] != 0.0 {
				t.Errorf("%d %v", status, got)
			}
			synced += got["synced"].(float64)
		})
	}
	group.Wait()
	if got := w.text(`SELECT count(*) || ' ' || sum(impressions) FROM gv.ads`); got != "20 20000" {
		t.Error(got)
	}
	if n := w.text(`SELECT count(*) FROM gv.leases`); n != "0" {
		t.Errorf("%s leases were not given back", n)
	}
	// Thirteen windows of a new account, five of one that a late run reads again.
	if n := w.fake.Requests("GET insights"); n != 4*13+(int(synced)-4)*5 {
		t.Errorf("%d reads of insights by %v syncs", n, synced)
	}
}

func TestADeadDatabaseIs503(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	dead, err := pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: "postgres://gv_worker@127.0.0.1:1/none"})
	if err != nil {
		t.Fatal(err)
	}
	w.worker = dead
	if status, got := answer(context.Background(), w.function(w.app, tuning{sync: defaults()})); status != http.StatusServiceUnavailable {
		t.Errorf("%d %v", status, got)
	}
}
