package campaigns_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
)

// caseFile is a file of testdata/cases: what people's exports look like.
func caseFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/cases/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// delivery is an ad's impressions, clicks and spend in cents.
func (w world) delivery(ad string) string {
	w.T.Helper()
	return w.Text(`SELECT coalesce((SELECT concat_ws(' ', impressions, clicks, spend_minor) FROM gv.ads WHERE tenant_id = $1 AND ad_id = $2), 'none')`, apitest.Tenant, ad)
}

func TestRealFilesComeToTheRightFigures(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		files  string
		ads    map[string]string // impressions, clicks, cents
		counts string
		note   string // of one of the notes or errors
	}{
		{"purchases_without_value.csv", map[string]string{"pv-1": "1000 30 6000"}, "", "have no value: they are counted and worth 0"},
		{"result_types.csv", map[string]string{"wr-5": "100 3 100", "wr-7": "100 3 100"}, "rows 9 imported 9 updated 0 unchanged 0 rejected 0", "offsite_conversion.fb_pixel_custom.purchaseintent counts neither"},
		{"duplicate_ad_day_rows.csv", map[string]string{"990101": "1500 75 1500"}, "", "differ in creative_id are parts"},
		{"de_semicolon.csv", map[string]string{"120900000000000101": "1234 12 105075"}, "", ""},
		{"es_headers.csv", map[string]string{"120900000000000201": "1000 10 5050"}, "rows 1 imported 1 updated 0 unchanged 0 rejected 0", "line 3 is a summary row"},
		{"period1.csv period2.csv", map[string]string{"wy-1": "1400 42 1400"}, "", ""},
		{"period2.csv period1.csv period2.csv", map[string]string{"wy-1": "1400 42 1400"}, "rows 1 imported 0 updated 1 unchanged 1 rejected 0", ""},
		{"excel_rounded_ids.csv", map[string]string{"120210985764321000": "none"}, "rows 3 imported 0 updated 0 unchanged 0 rejected 3", "a spreadsheet has rounded"},
		{"clicks_above_impressions.csv", map[string]string{"wx-1": "401 9 480"}, "rows 4 imported 4 updated 0 unchanged 0 rejected 0", "above the impressions"},
		{"google_ads_nopreamble.csv", map[string]string{"700000000001": "1200 30 4510", "700000000002": "800 10 1200"}, "rows 2 imported 2 updated 0 unchanged 0 rejected 0", "line 4 is a summary row"},
		{"trailing_point.csv", map[string]string{"990301": "10701 27 14400"}, "", ""},
		{"utf16le_nobom.csv", map[string]string{"120900000000000502": "1234 12 105075"}, "", ""},
		{"breakdown_unknown.csv", map[string]string{"wd-1": "300 7 330"}, "", "Media type"},
		{"total_rows.csv", map[string]string{"tt-1": "10 1 100"}, "rows 1 imported 1 updated 0 unchanged 0 rejected 0", "line 4 is a summary row"},
	} {
		t.Run(tt.files, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.account(apitest.Tenant, "acc", "USD")
			var got answer
			for _, name := range strings.Fields(tt.files) {
				got = w.imported(w.upload("", caseFile(t, name)))
			}
			if tt.counts != "" && got.counts() != tt.counts {
				t.Errorf("%s, want %s: %+v", got.counts(), tt.counts, got.Errors)
			}
			for ad, want := range tt.ads {
				if diff := cmp.Diff(want, w.delivery(ad)); diff != "" {
					t.Errorf("%s: %s", ad, diff)
				}
			}
			said := strings.Join(got.Notes, "\n")
			for _, e := range got.Errors {
				said += "\n" + e.Reason
			}
			if !strings.Contains(said, tt.note) {
				t.Errorf("nothing says %q: %q", tt.note, said)
			}
			if n := w.Text(`SELECT count(*) FROM gv.ads WHERE revenue_minor > 0 AND ad_id NOT LIKE '7000%' OR is_winner AND ad_id NOT LIKE '7000%' OR pipeline_minor > 12000`); n != "0" {
				t.Errorf("%s ads have revenue, or are winners, by a value that nobody gave", n)
			}
		})
	}
}

func TestADayThatMetaHasSaidStaysAndANoteSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	w.imported(w.upload("", "ad_id,day,impressions,clicks,spend\n120500001057,2026-11-27,10,1,0.10\n"))
	w.Exec(`INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor, from_meta, value_from_meta)
		VALUES ($1, '120500001057', '2026-11-28', 4000, 80, 3000, true, true)`, apitest.Tenant)
	got := w.imported(w.upload("", caseFile(t, "over_synced.csv")))
	if got.counts() != "rows 1 imported 0 updated 1 unchanged 1 rejected 0" || !strings.Contains(strings.Join(got.Notes, "\n"), "1 days stay as Meta has them, for example ad 120500001057 on 2026-11-28") {
		t.Errorf("%s %q", got.counts(), got.Notes)
	}
	if diff := cmp.Diff("4010 81 3010", w.delivery("120500001057")); diff != "" {
		t.Error(diff)
	}
	// Conversions that Meta does not have are taken all the same.
	w.imported(w.upload("?conversion_value=5", "ad_id,day,impressions,clicks,spend,conversions\n120500001057,2026-11-28,1,1,1,2\n"))
	if got := w.Text(`SELECT concat_ws(' ', impressions, conversions, value_from_meta) FROM gv.ad_metrics WHERE day = '2026-11-28'`); got != "4000 2 f" {
		t.Error(got)
	}
}

func TestAConversionWithoutAValueIsAnEstimate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	value := func() string {
		return w.Text(`SELECT concat_ws(' ', pipeline_minor, assumed_minor, revenue_minor, value_source, is_winner) FROM gv.ads WHERE ad_id = 'pv-1'`)
	}
	file := caseFile(t, "purchases_without_value.csv")
	steps := []struct {
		do   func()
		want string
	}{
		{func() { w.imported(w.upload("", file)) }, "0 0 0 import f"},
		{func() { w.imported(w.upload("?conversion_value=15000", file)) }, "3000000 3000000 0 import f"},
		{func() { w.imported(w.upload("", file)) }, "0 0 0 import f"}, // a function of the latest import
		{func() {
			w.Exec(`UPDATE gv.accounts SET conversion_value_minor = 4000 WHERE account_id = 'acc'`)
			w.imported(w.upload("", file))
		}, "8000 8000 0 import f"},
		{func() {
			w.Exec(`INSERT INTO gv.deals (tenant_id, portal_id, deal_id, state, stage_name, value_minor, ad_id) VALUES ($1, 1, 1, 'live', 'appointment_scheduled', 10000, 'pv-1')`, apitest.Tenant)
			w.Exec(`INSERT INTO gv.deal_touches (tenant_id, portal_id, deal_id, click_id, ad_id, clicked_at, method, layer, confidence, reason, eligible)
				VALUES ($1, 1, 1, 'click-1', 'pv-1', now(), 'url_param', 2, 1, 'test', true)`, apitest.Tenant)
			w.imported(w.upload("", file))
		}, "10000 0 0 ledger f"},
		{func() {
			w.Exec(`UPDATE gv.deals SET state = 'gone', ad_id = NULL, value_minor = 0`)
			w.imported(w.upload("", file))
		}, "0 0 0 ledger f"}, // the removed deal brings no estimate back
	}
	for i, step := range steps {
		step.do()
		if diff := cmp.Diff(step.want, value()); diff != "" {
			t.Errorf("step %d: %s", i, diff)
		}
	}
	if len(w.Queue.Sent("winner-found")) != 0 {
		t.Error("an assumed value made a winner")
	}
	dry := w.upload("?dry_run=true&conversion_value=40.5", file).JSON(t)
	if dry["conversions_without_value"] != 2.0 || dry["conversion_value"] != 40.5 {
		t.Errorf("the preview says %v conversions without a value at %v", dry["conversions_without_value"], dry["conversion_value"])
	}
	for _, bad := range []string{"-1", "x", "1.005", "1e20", "NaN"} {
		if a := w.upload("?conversion_value="+bad, file); a.Status != 422 || !a.Names("query.conversion_value") {
			t.Errorf("conversion_value=%s: %d %s", bad, a.Status, a.Body)
		}
	}
}

func TestAReportOfAnEarlierDaySetsNoBudgetOfToday(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	today := w.Text(`SELECT (now() AT TIME ZONE 'UTC')::date::text`)
	day := func(ago int) string {
		return w.Text(`SELECT ((now() AT TIME ZONE 'UTC')::date - $1::int)::text`, ago)
	}
	budget := func(ad string) string {
		return w.Text(`SELECT coalesce(daily_budget_minor::text, '-') FROM gv.ads WHERE ad_id = $1`, ad)
	}
	report := func(day, amount string) answer {
		return w.imported(w.upload("", "ad_id,day,impressions,clicks,spend,daily_budget\na,"+day+",1,1,1,"+amount+"\n"))
	}
	for i, step := range []struct{ day, amount, want string }{
		{day(3), "10", "1000"}, // nothing newer is known
		{day(2), "20", "2000"},
		{day(4), "99", "2000"},
		{today, "30", "3000"},
		{day(1), "40", "3000"},
	} {
		got := report(step.day, step.amount)
		if budget("a") != step.want {
			t.Errorf("step %d: a report of %s made the budget %s, want %s", i, step.day, budget("a"), step.want)
		}
		if step.day == day(1) && !strings.Contains(strings.Join(got.Notes, "\n"), "the budgets of 1 ads were not taken") {
			t.Errorf("notes %q", got.Notes)
		}
	}
	// What Meta has said gives way to a report of today alone.
	w.Exec(`UPDATE gv.ads SET from_meta = true, daily_budget_minor = 5000, budget_on = NULL`)
	report(day(1), "60")
	if budget("a") != "5000" {
		t.Errorf("a report of yesterday replaced the platform's budget by %s", budget("a"))
	}
}

func TestPeriodsThatOverlapCountOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	const head = "Reporting starts,Reporting ends,Ad ID,Impressions,Clicks (all),Amount spent (USD)\n"
	w.imported(w.upload("", head+"2026-11-01,2026-11-30,a,3000,30,30\n"))
	got := w.imported(w.upload("", head+"2026-11-01,2026-11-07,a,700,7,7\n2026-11-08,2026-11-14,a,800,8,8\n"))
	if !strings.Contains(strings.Join(got.Notes, "\n"), "ad a from 2026-11-01 to 2026-11-30") || w.delivery("a") != "1500 15 1500" {
		t.Errorf("two weeks of a month: %s %q", w.delivery("a"), got.Notes)
	}
	w.imported(w.upload("", head+"2026-11-03,2026-11-03,a,100,1,1\n"))
	if w.delivery("a") != "900 9 900" {
		t.Errorf("a day of the first week: %s", w.delivery("a"))
	}
	// Another split of the same days is the same figures.
	w.imported(w.upload("", strings.Replace(head, "Ad ID", "Ad ID,Age", 1)+"2026-11-08,2026-11-14,a,18-24,500,5,5\n2026-11-08,2026-11-14,a,25-34,301,3,3.01\n"))
	w.imported(w.upload("", strings.Replace(head, "Ad ID", "Ad ID,Gender", 1)+"2026-11-08,2026-11-14,a,female,802,8,8.02\n"))
	if w.delivery("a") != "902 9 902" {
		t.Errorf("the second week by gender: %s", w.delivery("a"))
	}
	w.imported(w.upload("", head+"2026-11-08,2026-11-14,a,800,8,8\n"))
	if got := w.delivery("a") + " " + w.Text(`SELECT count(*) FROM gv.report_parts`); got != "900 9 900 0" {
		t.Errorf("the second week as one: %s", got)
	}
}
