package campaigns_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/functions/campaigns"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/live"
)

const plainReport = `ad_id,campaign_id,campaign_name,name,impressions,clicks,spend,conversions,revenue,daily_budget,status,creative_dna
a1,c1,Spring,First,"1,000",50,$60.10,2,"30,000",12.50,active,"{""hook_type"":""question""}"
a2,c1,Spring,Second,2000,40,70.20,0,,7.5,paused,
a3,c2,Summer,Third,3000,30,80.30,,,,,
`

func TestAReportBecomesCampaignsAndAds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	got := w.imported(w.upload("", plainReport))
	if got.counts() != "rows 3 imported 3 updated 0 unchanged 0 rejected 0" || got.NewAds != 3 || got.NewCampaigns != 2 || got.AccountID != "acc" {
		t.Errorf("%s: %+v", got.counts(), got)
	}
	for ad, want := range map[string]string{
		"a1": "First ACTIVE c1 1000 50 6010 3000000 3000000 import 1250",
		"a2": "Second PAUSED c1 2000 40 7020 0 0 import 750",
		"a3": "Third ACTIVE c2 3000 30 8030 0 0 none -",
	} {
		if diff := cmp.Diff(want, w.figures(ad)); diff != "" {
			t.Errorf("%s: %s", ad, diff)
		}
	}
	if diff := cmp.Diff([]string{`{"ad_id":"a1"}`}, w.Queue.Sent(ads.WinnerFound)); diff != "" || got.NewWinners != 1 {
		t.Errorf("%d winners: %s", got.NewWinners, diff)
	}
	if dna := w.Text(`SELECT creative_dna->>'hook_type' FROM gv.ads WHERE ad_id = 'a1'`); dna != "question" {
		t.Errorf("creative DNA %q", dna)
	}
}

func TestTheSameReportAgainChangesNothingAndSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	w.imported(w.upload("", plainReport))
	before := w.figures("a1")
	again := w.imported(w.upload("", plainReport))
	if again.counts() != "rows 3 imported 0 updated 3 unchanged 3 rejected 0" || again.NewAds+again.NewCampaigns+again.NewWinners != 0 {
		t.Errorf("%s: %+v", again.counts(), again)
	}
	if after := w.figures("a1"); after != before || len(w.Queue.Sent(ads.WinnerFound)) != 1 {
		t.Errorf("%q became %q, %d messages", before, after, len(w.Queue.Sent(ads.WinnerFound)))
	}
	changed := w.imported(w.upload("", strings.Replace(plainReport, "80.30", "80.31", 1)))
	if changed.counts() != "rows 3 imported 0 updated 3 unchanged 2 rejected 0" {
		t.Error(changed.counts())
	}
}

func TestAnImportNeverBlanksWhatIsKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	w.imported(w.upload("", plainReport))
	w.imported(w.upload("", "ad_id,impressions,clicks,spend\na2,2500,41,75\na9,10,1,1\n"))
	if diff := cmp.Diff("Second PAUSED c1 2500 41 7500 0 0 import 750", w.figures("a2")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff("ACTIVE acc:unassigned 10 1 100 0 0 none -", strings.TrimSpace(w.figures("a9"))); diff != "" {
		t.Error(diff)
	}
	if name := w.Text(`SELECT name FROM gv.campaigns WHERE campaign_id = 'c1'`); name != "Spring" {
		t.Errorf("campaign name %q", name)
	}
}

func TestDailyRowsAreMetricsAndReplaceTheSameDay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "act_77", "USD")
	const file = "Day,Account ID,Ad ID,Ad name,Campaign name,Impressions,Reach,Clicks (all),Amount spent (USD),Purchases conversion value,Ad delivery\n" +
		",,,,,3000,,60,30,,\n" +
		"2026-11-02,77,120,Latte,Fall,1000,800,20,10.01,100,active\n" +
		"2026-11-01,77,120,Latte (old),Fall,2000,,40,20.02,50.5,inactive\n"
	got := w.imported(w.upload("", file))
	if got.counts() != "rows 2 imported 2 updated 0 unchanged 0 rejected 0" || len(got.Notes) != 1 || !strings.HasPrefix(got.Notes[0], "line 2 is a summary row") {
		t.Errorf("%s %q", got.counts(), got.Notes)
	}
	if diff := cmp.Diff("Latte ACTIVE act_77:Fall 3000 60 3003 15050 15050 import -", w.figures("120")); diff != "" {
		t.Error(diff)
	}
	if created := w.Text(`SELECT created_at::date::text FROM gv.ads WHERE ad_id = '120'`); created != "2026-11-01" {
		t.Errorf("an ad whose first day is November 1 was created %s", created)
	}
	if frequency := w.Text(`SELECT frequency::text FROM gv.ad_metrics WHERE day = '2026-11-02'`); frequency != "1.25" {
		t.Errorf("frequency %s", frequency)
	}
	again := w.imported(w.upload("", strings.Replace(file, "10.01", "11.01", 1)+"2026-11-03,77,120,Latte,Fall,10,,0,1,,active\n"))
	if again.counts() != "rows 3 imported 1 updated 2 unchanged 1 rejected 0" {
		t.Error(again.counts())
	}
	if diff := cmp.Diff("Latte ACTIVE act_77:Fall 3010 60 3203 15050 15050 import -", w.figures("120")); diff != "" {
		t.Error(diff)
	}
}

func TestAnOpenPipelineOfADayIsNoRevenue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	w.imported(w.upload("", "ad_id,day,impressions,clicks,spend,pipeline_value,revenue\na,2026-11-01,10,1,1,500,100\na,2026-11-02,10,1,1,300,\n"))
	if diff := cmp.Diff("ACTIVE acc:unassigned 20 2 200 80000 10000 import -", strings.TrimSpace(w.figures("a"))); diff != "" {
		t.Error(diff)
	}
}

func TestRowsOfABreakdownAddUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	got := w.imported(w.upload("", "Ad ID,Age,Impressions,Clicks (all),Amount spent\n1,18-24,100,5,1.11\n1,25-34,200,6,2.22\n2,18-24,1,1,1\n"))
	if got.counts() != "rows 3 imported 3 updated 0 unchanged 0 rejected 0" {
		t.Error(got.counts())
	}
	if diff := cmp.Diff("ACTIVE acc:unassigned 300 11 333 0 0 none -", strings.TrimSpace(w.figures("1"))); diff != "" {
		t.Error(diff)
	}
}

func TestBadRowsAreNamedAndTheRestIsImported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	w.account(apitest.Tenant, "acc2", "USD")
	w.imported(w.upload("?account_id=acc2", "ad_id,campaign_id,impressions,clicks,spend\nforeign,cf,1,1,1\n"))
	got := w.imported(w.upload("?account_id=acc", "AD_ID,Campaign Id,impressions,clicks,spend\nforeign,x,1,1,1\ngood,c,1,1,1\nbad,c,1,2,1\nmoved,cf,1,1,1\ngood,c,2,2,2\n"))
	if got.counts() != "rows 5 imported 1 updated 0 unchanged 0 rejected 4" || got.ErrorsTruncated {
		t.Errorf("%s", got.counts())
	}
	var errors []string
	for _, e := range got.Errors {
		errors = append(errors, strings.TrimSpace(string(rune('0'+e.Line))+" "+e.Column+": "+e.Reason))
	}
	want := []string{
		"2 AD_ID: belongs to your account acc2",
		"3 AD_ID: lines 3 and 6 are of the same ad and differ, so none of the ad's rows is taken: export the column that tells them apart (such as Day, Age, Gender, Country, Placement, Creative ID), or leave one out",
		"5 Campaign Id: belongs to your account acc2",
		"6 AD_ID: lines 3 and 6 are of the same ad and differ, so none of the ad's rows is taken: export the column that tells them apart (such as Day, Age, Gender, Country, Placement, Creative ID), or leave one out",
	}
	if diff := cmp.Diff(want, errors); diff != "" {
		t.Error(diff)
	}
	if n := w.Text(`SELECT count(*) FROM gv.campaigns WHERE campaign_id = 'x'`); n != "0" {
		t.Error("a refused row left its campaign behind")
	}
}

func TestALongListOfErrorsIsCutAndCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	got := w.imported(w.upload("", "ad_id,impressions,clicks,spend\n"+strings.Repeat("a,-1,1,1\n", 1500)+"b,1,1,1\n"))
	if got.counts() != "rows 1501 imported 1 updated 0 unchanged 0 rejected 1500" || !got.ErrorsTruncated || len(got.Errors) != 1000 || got.Errors[999].Line != 1001 {
		t.Errorf("%s, %d errors", got.counts(), len(got.Errors))
	}
}

func TestADryRunSaysTheSameAndLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dry := w.upload("?dry_run=true", plainReport)
	got := w.imported(dry)
	if got.counts() != "rows 3 imported 3 updated 0 unchanged 0 rejected 0" || got.NewWinners != 1 {
		t.Errorf("%s", got.counts())
	}
	for _, table := range []string{"accounts", "campaigns", "ads", "ad_figures", "outbox"} {
		if n := w.Text(`SELECT count(*) FROM gv.` + table); n != "0" {
			t.Errorf("a dry run left %s rows in %s", n, table)
		}
	}
	body, kind := form(t, "dry_run", "true", "file", plainReport)
	if a := w.Call(w.handler, "POST", "/api/ads/import", w.Token(auth.Editor), body, "Content-Type", kind); a.Body != dry.Body {
		t.Errorf("as a form field: %d %s", a.Status, a.Body)
	}
	real := w.upload("", plainReport)
	if diff := cmp.Diff(strings.Replace(dry.Body, `"dry_run":true`, `"dry_run":false`, 1), real.Body); diff != "" {
		t.Error(diff)
	}
}

func TestATenantsFirstAccountIsMadeAndNamed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ query, file, account, currency string }{
		{"?account_id=act_9", "ad_id,impressions,clicks,spend\na,1,1,1\n", "act_9", "USD"},
		{"", "ad_id,impressions,clicks,spend\na,1,1,1\n", "default", "USD"},
		{"", "Ad ID,Account ID,impressions,clicks,Amount spent (JPY)\na,55,1,1,100\n", "55", "JPY"},
	} {
		w := newWorld(t)
		got := w.imported(w.upload(tt.query, tt.file))
		if got.AccountID != tt.account || got.Currency != tt.currency || got.Imported != 1 || !strings.Contains(got.Notes[0], "had no ad account") {
			t.Errorf("%s: %+v", tt.query, got)
		}
	}
}

func TestTheAccountOfAReportIsFoundOrAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const file = "ad_id,impressions,clicks,spend\na,1,1,1\n"
	w.account(apitest.Tenant, "act_1", "USD")
	w.account(apitest.Other, "act_3", "USD")
	if a := w.upload("?account_id=act_3", file); a.Status != http.StatusNotFound {
		t.Errorf("another tenant's account: %d %s", a.Status, a.Body)
	}
	if got := w.imported(w.upload("?account_id=1", file)); got.AccountID != "act_1" {
		t.Errorf("without Meta's prefix: %+v", got)
	}
	w.account(apitest.Tenant, "act_2", "EUR")
	if a := w.upload("", file); a.Status != 422 || !a.Names("query.account_id") || !strings.Contains(a.Body, "act_1, act_2") {
		t.Errorf("several accounts and none named: %d %s", a.Status, a.Body)
	}
	if got := w.imported(w.upload("", "ad_id,account_id,impressions,clicks,spend\nb,2,1,1,1\nc,1,1,1,1\n")); got.AccountID != "act_2" || got.Rejected != 1 || got.Errors[0].Line != 3 || got.Errors[0].Column != "account_id" {
		t.Errorf("named by the file: %+v", got)
	}
	if a := w.upload("?account_id=act_2", "ad_id,impressions,clicks,Amount spent (USD)\na,1,1,1\n"); a.Status != 422 || !strings.Contains(a.Body, "EUR") {
		t.Errorf("another currency: %d %s", a.Status, a.Body)
	}
}

func TestYenAndForeignAccountsAreCountedInTheirOwnMoney(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "jp", "JPY")
	w.imported(w.upload("", "ad_id,impressions,clicks,spend,conversions,revenue\na,10,1,1234.5,2,\nb,10,1,¥99,,5000\n"))
	if diff := cmp.Diff("ACTIVE jp:unassigned 10 1 1235 0 0 import -", strings.TrimSpace(w.figures("a"))); diff != "" {
		t.Errorf("a stage's dollars are no yen: %s", diff)
	}
	if diff := cmp.Diff("ACTIVE jp:unassigned 10 1 99 5000 5000 import -", strings.TrimSpace(w.figures("b"))); diff != "" {
		t.Error(diff)
	}
}

func TestAnAdSetsBudgetIsItsOnlyAds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	w.imported(w.upload("", "Ad ID,Ad set ID,Ad set budget,Ad set budget type,Campaign ID,Campaign budget,Campaign budget type,Impressions,Clicks (all),Amount spent\n"+
		"1,s1,20,Daily,c1,,,1,1,1\n2,s2,30,Daily,c1,,,1,1,1\n3,s2,30,Daily,c1,,,1,1,1\n4,s3,500,Lifetime,c1,,,1,1,1\n5,s4,Using campaign budget,0,c2,40,Daily,1,1,1\n"))
	if got := w.Text(`SELECT string_agg(ad_id || '=' || coalesce(daily_budget_minor::text, '-'), ' ' ORDER BY ad_id) FROM gv.ads`); got != "1=2000 2=- 3=- 4=- 5=-" {
		t.Error(got)
	}
	if got := w.Text(`SELECT daily_budget_minor FROM gv.campaigns WHERE campaign_id = 'c2'`); got != "4000" {
		t.Errorf("campaign budget %s", got)
	}
}

func TestFeedbackAndDealsOutrankAReport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	w.imported(w.upload("", plainReport))
	w.Exec(`INSERT INTO gv.deals (tenant_id, portal_id, deal_id, state, stage_name, value_minor, ad_id) VALUES ($1, 1, 1, 'live', 'show_up', 900000, 'a1')`, apitest.Tenant)
	w.imported(w.upload("", plainReport))
	if diff := cmp.Diff("First ACTIVE c1 1000 50 6010 900000 0 ledger 1250", w.figures("a1")); diff != "" {
		t.Error(diff)
	}
}

func TestTwoReportsAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	var up, down strings.Builder
	up.WriteString("ad_id,name,impressions,clicks,spend\n")
	down.WriteString("ad_id,campaign_id,impressions,clicks,spend\n")
	for i := range 300 {
		id := string(rune('a'+i%26)) + strings.Repeat("x", i/26)
		up.WriteString(id + ",Named,10,1,1\n")
		down.WriteString(id + ",c,10,1,1\n")
	}
	var group sync.WaitGroup
	for _, file := range []string{up.String(), down.String(), up.String(), down.String()} {
		group.Go(func() {
			if a := w.upload("", file); a.Status != http.StatusOK {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		})
	}
	group.Wait()
	if got := w.Text(`SELECT count(*) FILTER (WHERE name = 'Named' AND campaign_id = 'c') || ' of ' || count(*) FROM gv.ads`); got != "300 of 300" {
		t.Error(got)
	}
}

func TestAnImportIsShownInTheLiveViewUnderItsKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	docs := make(chan map[string]any, 100)
	w.handler = campaigns.New(w.App, w.Access(), w.Queue, live.New(func(_ context.Context, path string, doc map[string]any) error {
		if path != live.Path(apitest.Tenant, live.Import, "my-key") {
			t.Errorf("written to %s", path)
		}
		docs <- doc
		return nil
	}))
	w.imported(w.upload("", plainReport, "Idempotency-Key", "my-key"))
	for doc := range docs {
		if doc["ended"] == true {
			if doc["status"] != "completed" || doc["rows"] != int64(3) || doc["imported"] != int64(3) || doc["account_id"] != "acc" {
				t.Errorf("%v", doc)
			}
			return
		}
	}
}
