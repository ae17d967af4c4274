package sync_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/functions/sync"
	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	listed "github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/pg"
)

func defaults() sync.Options { return sync.Options{Conversions: []string{"omni_purchase", "purchase"}} }

func TestBudgetsGoWhereTheyAreHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := w.connect(tenant, "1")
	ads := fill(a, 2)
	shared := a.PutAdSet(fakemeta.AdSet{CampaignID: w.fake.Ad(ads[0]).CampaignID, Name: "Shared", DailyBudget: 7000, Learning: "LEARNING"})
	twin := []string{a.PutAd(fakemeta.Ad{AdSetID: shared}), a.PutAd(fakemeta.Ad{AdSetID: shared, Status: "PAUSED"})}
	holding := a.PutCampaign(fakemeta.Campaign{Name: "Holds it", DailyBudget: 9900})
	under := a.PutAd(fakemeta.Ad{AdSetID: a.PutAdSet(fakemeta.AdSet{CampaignID: holding}), Effective: "PENDING_REVIEW"})
	asleep := a.PutCampaign(fakemeta.Campaign{Name: "Asleep", Status: "PAUSED"})
	resting := a.PutAd(fakemeta.Ad{AdSetID: a.PutAdSet(fakemeta.AdSet{CampaignID: asleep, DailyBudget: 100})})
	w.run()
	show := func() string {
		return w.text(`SELECT string_agg(concat_ws(' ', coalesce(daily_budget_minor::text, '-'), status), ', ' ORDER BY ad_id) FROM gv.ads WHERE ad_id = ANY ($1)`,
			append(append([]string{}, ads...), twin[0], twin[1], under, resting))
	}
	if got := show(); got != "1000 ACTIVE, 1001 ACTIVE, - ACTIVE, - PAUSED, - ACTIVE, 100 PAUSED" {
		t.Error(got)
	}
	if got := w.text(`SELECT string_agg(name || ' ' || coalesce(daily_budget_minor::text, '-') || ' ' || status, ', ' ORDER BY name) FROM gv.campaigns`); got != "Asleep - PAUSED, Clubs - ACTIVE, Holds it 9900 ACTIVE" {
		t.Error(got)
	}
	if got := w.text(`SELECT daily_budget_minor || ' ' || learning FROM gv.ad_sets WHERE adset_id = $1`, shared); got != "7000 true" {
		t.Errorf("the shared ad set has %s", got)
	}
	// An ad that gets company has no budget of its own any more, and a cut of ours
	// that was made after Meta was asked is not undone by what Meta said before.
	a.PutAd(fakemeta.Ad{AdSetID: w.fake.Ad(ads[0]).AdSetID})
	w.exec(`INSERT INTO gv.budget_objects (tenant_id, budget_object, account_id, campaign_id, known_minor, known_at)
		VALUES ($1, 'adset/' || $2, 'act_1', 'c', 500, now() + interval '1 hour')`, tenant, w.fake.Ad(ads[1]).AdSetID)
	w.exec(`UPDATE gv.ads SET daily_budget_minor = 500 WHERE ad_id = $1`, ads[1])
	w.run()
	if got := show(); got != "- ACTIVE, 500 ACTIVE, - ACTIVE, - PAUSED, - ACTIVE, 100 PAUSED" {
		t.Error(got)
	}
}

func TestAnAccountThatAllAtOnceHasNothingKeepsItsAds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ads := fill(w.connect(tenant, "1"), 3)
	w.run()
	for _, id := range ads {
		w.fake.Edit(w.fake.Ad(id).CampaignID, nil, "DELETED")
		w.fake.Edit(id, nil, "DELETED")
	}
	w.run()
	if got := w.text(`SELECT string_agg(DISTINCT status, ' ') FROM gv.ads`); got != "ACTIVE" {
		t.Errorf("the ads are %s; a token that sees nothing any more must not delete them", got)
	}
}

func TestWhatMetaListsNoMoreGetsItsStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := w.connect(tenant, "1")
	ads := fill(a, 4)
	second := a.PutCampaign(fakemeta.Campaign{Name: "Second"})
	w.run()
	w.exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, 'imported', 'act_1')`, tenant)
	w.exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id) VALUES ($1, 'imported', 'act_1', 'imported')`, tenant)
	w.fake.Edit(ads[0], nil, "DELETED")
	w.fake.Edit(ads[1], nil, "ARCHIVED")
	w.fake.Erase(ads[2])
	w.fake.Edit(second, nil, "DELETED")
	for _, changed := range []int{4, 0} {
		want(t, w.run(), map[string]any{"changed_ads": changed})
		got := w.text(`SELECT string_agg(status, ' ' ORDER BY ad_id) FROM gv.ads`)
		if got != "DELETED ARCHIVED DELETED ACTIVE ACTIVE" {
			t.Error(got) // what Meta never listed was imported, and is none of this
		}
		if got := w.text(`SELECT status FROM gv.campaigns WHERE campaign_id = $1`, second); got != "DELETED" {
			t.Error(got)
		}
	}
	w.fake.Edit(ads[1], nil, "ACTIVE")
	w.run()
	if got := w.text(`SELECT status FROM gv.ads WHERE ad_id = $1`, ads[1]); got != "ACTIVE" {
		t.Errorf("taken out of the archive: %s", got)
	}
}

func TestCreativeDNAThatIsKnownBetterStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := w.connect(tenant, "1")
	ads := fill(a, 2)
	w.run()
	w.exec(`UPDATE gv.ads SET creative_dna = '{"hook_type": "question"}' WHERE ad_id = $1`, ads[0])
	for _, ad := range ads {
		was := w.fake.Ad(ad)
		was.Title = "Come"
		a.PutAd(was)
	}
	want(t, w.run(), map[string]any{"changed_ads": 1})
	if got := w.text(`SELECT string_agg(coalesce(creative_dna->>'hook_type', creative_dna->>'headline'), ' ' ORDER BY ad_id) FROM gv.ads`); got != "question Come" {
		t.Error(got)
	}
}

func TestAnotherCurrencyIsRefusedOnceThereAreFigures(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := w.connect(tenant, "1")
	a.Configure(func(c *fakemeta.AccountConfig) { c.Currency, c.TimeZone = "EUR", "Europe/Berlin" })
	ads := fill(a, 1)
	want(t, w.run(), map[string]any{"synced": 1})
	if got := w.text(`SELECT currency || ' ' || time_zone || ' ' || name FROM gv.accounts`); got != "EUR Europe/Berlin Account 1" {
		t.Error(got)
	}
	a.Configure(func(c *fakemeta.AccountConfig) { c.Currency = "JPY" })
	a.PutInsights(fakemeta.Insight{AdID: ads[0], Day: w.ago(1), Impressions: 100, Spend: "5000"})
	want(t, w.run(), map[string]any{"synced": 0, "failed": 1})
	if got := w.text(`SELECT last_error FROM gv.meta_connections`); !strings.Contains(got, "in JPY, but its figures here are in EUR") {
		t.Error(got)
	}
	if got := w.text(`SELECT currency || (SELECT count(*) FROM gv.ad_metrics) FROM gv.accounts`); got != "EUR0" {
		t.Error(got)
	}
}

func TestARunThatIsCutShortIsGoneOnWith(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := w.connect(tenant, "1")
	ads := fill(a, 1)
	for d := range 60 {
		a.PutInsights(fakemeta.Insight{AdID: ads[0], Day: w.ago(d), Impressions: 10, Spend: "1"})
	}
	// The third read of insights hangs until the run's time is up.
	w.fake.Inject(fakemeta.Fault{Path: "act_1/insights", Skip: 2, Delay: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil && w.text(`SELECT resume_day FROM gv.meta_connections`) != w.ago(14) {
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
	}()
	_, got := answer(ctx, w.handler)
	w.fake.Heal()
	want(t, got, map[string]any{"unfinished": 1, "failed": 0, "changed_days": 14})
	if got := w.text(`SELECT concat_ws(' ', resume_day, synced_at IS NULL, last_error IS NULL) FROM gv.meta_connections`); got != w.ago(14)+" t t" {
		t.Error(got)
	}
	if n := w.text(`SELECT count(*) FROM gv.leases`); n != "0" {
		t.Error("the lease was not given back")
	}
	// Another account was read by that run: the next one does not read it again
	// before the rest is done.
	w.connect(tenant, "2")
	w.exec(`UPDATE gv.meta_connections SET synced_at = now(), attempted_at = now(), synced_through = current_date WHERE account_id = 'act_2'`)
	before := w.fake.Requests("GET insights")
	want(t, w.run(), map[string]any{"synced": 1, "fresh": 1, "changed_days": 46})
	// The newest week, and the eleven that were not read.
	if n := w.fake.Requests("GET insights") - before; n != 12 {
		t.Errorf("%d reads", n)
	}
}

func TestAThrottledAccountWaitsAndOthersGoOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a, b := w.connect(tenant, "1"), w.connect(tenant, "2")
	fill(a, 1)
	fill(b, 1)
	a.SetUsage(fakemeta.Usage{Insights: 100, RegainMinutes: 30})
	want(t, w.run(), map[string]any{"synced": 1, "failed": 1})
	if got := w.text(`SELECT concat(last_error LIKE 'Meta wants to be called less%', retry_at > now() + interval '29 minutes') FROM gv.meta_connections WHERE account_id = 'act_1'`); got != "tt" {
		t.Error(got)
	}
	if n := w.text(`SELECT count(*) FROM gv.ads`); n != "2" {
		t.Errorf("%s ads: its structure is another quota", n)
	}
	want(t, w.run(), map[string]any{"waiting": 1, "synced": 1})
}

func TestWhatIsDisconnectedOrAnotherAccountsIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a, gone := w.connect(tenant, "1"), w.connect(other, "2")
	fill(gone, 1)
	w.exec(`UPDATE gv.meta_connections SET disconnected_at = now() WHERE account_id = 'act_2'`)
	ads := fill(a, 2)
	campaign := w.fake.Ad(ads[0]).CampaignID
	// The tenant has one of the ads under another account of its own, by an import.
	w.exec(`INSERT INTO gv.accounts (tenant_id, account_id) VALUES ($1, 'mine')`, tenant)
	w.exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id, name) VALUES ($1, 'mine', 'mine', 'Mine')`, tenant)
	w.exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, name) VALUES ($1, $2, 'mine', 'mine', 'Mine')`, tenant, ads[0])
	a.PutInsights(fakemeta.Insight{AdID: ads[0], Day: w.ago(1), Impressions: 10}, fakemeta.Insight{AdID: ads[1], Day: w.ago(1), Impressions: 20})
	want(t, w.run(), map[string]any{"accounts": 1, "synced": 1, "ads": 1, "changed_days": 1})
	if got := w.text(`SELECT string_agg(concat_ws(' ', account_id, name, impressions), ', ' ORDER BY ad_id) FROM gv.ads`); got != "mine Mine 0, act_1 Ad 1 20" {
		t.Error(got)
	}
	if got := w.text(`SELECT account_id FROM gv.campaigns WHERE campaign_id = $1`, campaign); got != "act_1" {
		t.Error(got)
	}
}

func TestACampaignsTotalCountsSharedAdSetsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := w.connect(tenant, "1")
	ads := fill(a, 2) // 1000 and 1001
	campaign := w.fake.Ad(ads[0]).CampaignID
	shared := a.PutAdSet(fakemeta.AdSet{CampaignID: campaign, DailyBudget: 7000})
	a.PutAd(fakemeta.Ad{AdSetID: shared})
	a.PutAd(fakemeta.Ad{AdSetID: shared})
	a.PutAdSet(fakemeta.AdSet{CampaignID: campaign, DailyBudget: 50_000}) // nothing in it is shown
	w.run()
	err := pg.InTenant(t.Context(), w.app, tenant, func(tx pgx.Tx) error {
		found, err := listed.NewStore(tx).Campaigns(t.Context(), "", campaign, listed.Page{Limit: 1})
		if err == nil && (len(found) != 1 || found[0].TotalBudget != 9001 || found[0].NumAds != 4) {
			t.Errorf("%+v", found)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestSomebodyElsesEditReachesTheAdsRowAtOnce: what the queue of changes learns of
// an edit is not newer than what the same run writes of the ad.
func TestSomebodyElsesEditReachesTheAdsRowAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := w.connect(tenant, "1")
	set := w.fake.Ad(fill(a, 1)[0]).AdSetID
	w.run()
	w.exec(`INSERT INTO gv.budget_objects (tenant_id, budget_object, account_id, campaign_id, known_minor, known_status, known_at)
	        SELECT tenant_id, 'adset/' || adset_id, account_id, campaign_id, daily_budget_minor, 'ACTIVE', now() - interval '1 hour' FROM gv.ads`)
	budget := int64(7_700)
	w.fake.Edit(set, &budget, "")
	w.run()
	got := w.text(`SELECT concat_ws(' ', a.daily_budget_minor, o.known_minor, o.foreign_was_minor, o.foreign_minor, o.foreign_at IS NOT NULL)
	               FROM gv.ads a JOIN gv.budget_objects o ON o.budget_object = 'adset/' || a.adset_id`)
	if got != "7700 7700 1000 7700 t" {
		t.Error(got)
	}
}

func TestAPauseOfOursIsNotUndoneByWhatMetaSaidBeforeIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ads := fill(w.connect(tenant, "1"), 2)
	w.run()
	for i, known := range []string{"now() + interval '1 hour'", "now() - interval '1 hour'"} { // made after Meta was asked; before
		w.exec(`INSERT INTO gv.budget_objects (tenant_id, budget_object, account_id, campaign_id, known_status, known_at)
			VALUES ($1, 'ad/' || $2, 'act_1', 'c', 'PAUSED', `+known+`)`, tenant, ads[i])
	}
	w.exec(`UPDATE gv.ads SET status = 'PAUSED'`)
	w.run()
	if got := w.text(`SELECT string_agg(status, ' ' ORDER BY ad_id) FROM gv.ads`); got != "PAUSED ACTIVE" {
		t.Error(got)
	}
}
