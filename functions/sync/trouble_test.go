package sync_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
)

func TestEveryFailureIsSaidInPlainWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *tuning) { o.meta.Attempts = 1 })
	a := w.connect(tenant, "1")
	ads := fill(a, 1)
	for _, c := range []struct {
		say   string
		waits bool // until a person has done something
		make  func()
	}{
		{"lacks the permission ads_read", true, func() { w.fake.Inject(fakemeta.Fault{Path: "act_1/ads", Code: 10}) }},
		{"lacks the permission ads_read", true, func() { w.fake.Inject(fakemeta.Fault{Path: "act_1/insights", Code: 200, Status: 200}) }},
		{"refused a call with code 2635/0", false, func() { w.fake.Inject(fakemeta.Fault{Path: "act_1/ads", Code: 2635}) }},
		{"Meta does not answer for ad account act_1", false, func() { w.fake.Inject(fakemeta.Fault{Path: "act_1/campaigns", Status: 503}) }},
		{"Something unexpected happened", false, func() {
			a.PutInsights(fakemeta.Insight{AdID: ads[0], Day: w.ago(3), Spend: "token-of-1"})
		}},
		{`the time zone "Mars/Olympus"`, true, func() {
			a.PutInsights(fakemeta.Insight{AdID: ads[0], Day: w.ago(3), Spend: "1"})
			a.Configure(func(c *fakemeta.AccountConfig) { c.TimeZone = "Mars/Olympus" })
		}},
		{"could not be read from Secret Manager", false, func() {
			a.Configure(func(c *fakemeta.AccountConfig) { c.TimeZone = "America/Chicago" })
			w.exec(`UPDATE gv.meta_connections SET access_token = 'projects/p/secrets/none'`)
		}},
	} {
		w.exec(`UPDATE gv.meta_connections SET last_error = NULL, retry_at = NULL, synced_at = NULL`)
		c.make()
		got := w.run()
		want(t, got, map[string]any{"failed": 1})
		text := w.text(`SELECT last_error FROM gv.meta_connections`)
		if !strings.Contains(text, c.say) || !strings.Contains(fmt.Sprint(got["errors"]), c.say) || strings.Contains(text, "token-of") {
			t.Errorf("%q: %v", text, got)
		}
		if waits := w.text(`SELECT retry_at > now() + interval '5 hours' FROM gv.meta_connections`) == "true"; waits != c.waits {
			t.Errorf("%q: waits %t", text, waits)
		}
		w.fake.Heal()
	}
	w.exec(`UPDATE gv.meta_connections SET access_token = 'projects/p/secrets/meta-1'`)
	want(t, w.run(), map[string]any{"synced": 1})
	if got := w.text(`SELECT concat(last_error, last_error_at, retry_at) FROM gv.meta_connections`); got != "" {
		t.Error(got)
	}
}

func TestALargeAccountComesInByReportsAndInBatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *tuning) { o.sync.Batch, o.fake.ReportLooks = 300, 1 })
	a := w.connect(tenant, "1")
	const n = 1500
	for _, ad := range fill(a, n) {
		a.PutInsights(fakemeta.Insight{AdID: ad, Day: w.ago(0), Impressions: 7, Spend: "0.01"}, fakemeta.Insight{AdID: ad, Day: w.ago(30), Impressions: 3, Spend: "0.01"})
	}
	want(t, w.run(), map[string]any{"synced": 1, "ads": n, "changed_days": 2 * n})
	if got := w.text(`SELECT concat_ws(' ', count(*), sum(impressions), sum(spend_minor)) FROM gv.ads`); got != fmt.Sprint(n, 10*n, 2*n) {
		t.Error(got)
	}
	if w.fake.Requests("POST insights") != 13 {
		t.Errorf("%d reports", w.fake.Requests("POST insights"))
	}
	// A report that Meta cannot make leaves what was there.
	w.fake.FailReports("Job Failed")
	want(t, w.run(), map[string]any{"failed": 1, "changed_days": 0})
	if got := w.text(`SELECT last_error FROM gv.meta_connections`); !strings.Contains(got, "could not make a report") {
		t.Error(got)
	}
}
