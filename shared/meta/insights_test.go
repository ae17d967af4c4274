package meta_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/meta"
)

func day(n int) time.Time { return time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC) }

// window is all of November, and what counts as a conversion.
func window(large bool) meta.Window {
	return meta.Window{Since: day(1), Until: day(30), Large: large, Conversions: []string{"omni_purchase", "purchase"}}
}

// days fills n days of the world's ad.
func (w *world) days(n int) {
	for i := range n {
		w.held.PutInsights(fakemeta.Insight{AdID: w.ad, Day: day(i + 1).Format(time.DateOnly), Impressions: 100, Clicks: 3, Spend: "1.5"})
	}
}

func (w *world) insights(ctx context.Context, q meta.Window) (all []meta.Insight, err error) {
	err = w.account.Insights(ctx, q, func(page []meta.Insight) error { all = append(all, page...); return nil })
	return all, err
}

func TestInsightsAreReadAsMetaWritesThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.held.PutInsights(
		fakemeta.Insight{
			AdID: w.ad, Day: "2026-11-02", Impressions: 12_345_678, Clicks: 4321, LinkClicks: 400, Reach: 9_000_000, Frequency: 1.371742, Spend: "1234567.89",
			Actions: map[string]float64{"link_click": 400, "purchase": 5, "omni_purchase": 4, "lead": 90}, Values: map[string]float64{"omni_purchase": 399.99, "purchase": 500},
		},
		fakemeta.Insight{AdID: w.ad, Day: "2026-11-03", Actions: map[string]float64{"purchase": 2}, Values: map[string]float64{"omni_purchase": 7}},
		fakemeta.Insight{AdID: w.ad, Day: "2026-10-31", Impressions: 1},
		fakemeta.Insight{AdID: w.ad, Day: "2026-12-01", Impressions: 1},
	)
	got, err := w.insights(t.Context(), window(false))
	want := []meta.Insight{
		{
			AdID: w.ad, AdSetID: w.adset, CampaignID: w.campaign, Day: day(2), Impressions: 12_345_678, Clicks: 4321, LinkClicks: 400, Reach: 9_000_000,
			Frequency: 1.371742, Spend: 123456789, Conversions: 4, Value: 39999,
		},
		{AdID: w.ad, AdSetID: w.adset, CampaignID: w.campaign, Day: day(3), Conversions: 2},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	w.held.PutInsights(fakemeta.Insight{AdID: w.ad, Day: "2026-11-04", Spend: "a lot"})
	if _, err := w.insights(t.Context(), window(false)); err == nil {
		t.Error("a spend that is no number was read")
	}
}

func TestALargeAccountIsReadFromAReport(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		large   bool
		maxRows int
		reports int
	}{
		"asked for as one":            {true, 0, 1},
		"Meta finds the question big": {false, 10, 1},
		"a small one":                 {false, 30, 0},
	} {
		w := newWorld(t, func(o *fakemeta.Options, _ *fakemeta.AccountConfig, m *meta.Options) {
			o.MaxRows, m.PageSize = c.maxRows, 7
		})
		w.days(30)
		got, err := w.insights(t.Context(), window(c.large))
		if err != nil || len(got) != 30 || w.fake.Requests("POST insights") != c.reports {
			t.Errorf("%s: %d days from %d reports, %v", name, len(got), w.fake.Requests("POST insights"), err)
		}
	}
}

func TestAQuestionThatMetaNeverAnswersIsAskedAsAReport(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *fakemeta.Options, _ *fakemeta.AccountConfig, m *meta.Options) { m.Attempts = 3 })
	w.days(4)
	w.know()
	w.fake.Inject(fakemeta.Fault{Method: "GET", Path: "act_77/insights", Status: 500, Code: 1, Message: "An unknown error occurred", Times: 3})
	if got, err := w.insights(t.Context(), window(false)); err != nil || len(got) != 4 || w.fake.Requests("POST insights") != 1 {
		t.Errorf("%d days from %d reports, %v", len(got), w.fake.Requests("POST insights"), err)
	}
}

func TestAReportThatComesToNothingEndsInTimeAndSaysSo(t *testing.T) {
	t.Parallel()
	for status, reports := range map[string]int{"Job Failed": 2, "Job Skipped": 2, "Job Running": 1, "Gone": 1} {
		t.Run(status, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(_ *fakemeta.Options, _ *fakemeta.AccountConfig, o *meta.Options) {
					o.ReportWithin = 5 * time.Minute
				})
				w.days(3)
				w.fake.FailReports(status)
				began := time.Now()
				got, err := w.insights(t.Context(), window(true))
				if fault.Of(err) != fault.Unavailable || len(got) != 0 || w.fake.Requests("POST insights") != reports {
					t.Errorf("%d days from %d reports, %v", len(got), w.fake.Requests("POST insights"), err)
				}
				if took := time.Since(began); took > 5*time.Minute || status == "Job Running" && took < 5*time.Minute {
					t.Errorf("given up after %s, want 5 minutes for a report that is never ready", took)
				}
				w.fake.FailReports("")
				if got, err := w.insights(t.Context(), window(true)); err != nil || len(got) != 3 {
					t.Errorf("afterwards: %d days, %v", len(got), err)
				}
			})
		})
	}
}

func TestABadReportIsMadeAgainOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.days(2)
	w.know()
	w.fake.Inject(fakemeta.Fault{Method: "POST", Path: "act_77/insights", Status: 500}) // asking is a read: nothing is changed
	if got, err := w.insights(t.Context(), window(true)); err != nil || len(got) != 2 {
		t.Errorf("%d days, %v", len(got), err)
	}
}

func TestAConsumerThatFailsEndsTheReading(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *fakemeta.Options, _ *fakemeta.AccountConfig, o *meta.Options) { o.PageSize = 5 })
	w.days(30)
	calls := 0
	err := w.account.Insights(t.Context(), window(false), func([]meta.Insight) error { calls++; return fmt.Errorf("page %d", calls) })
	if calls != 1 || err == nil || err.Error() != "page 1" {
		t.Errorf("%d calls, %v", calls, err)
	}
}
