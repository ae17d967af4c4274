package sampler_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

// steadyAccount is eight ads of forty days with as many clicks and as much more value
// every day, a little more in the later ads. Of an ad's clicks of a day that many deals
// opened, each a day after its click.
func steadyAccount(openings func(ad, day int) int) sampler.Request {
	req := sampler.Request{Currency: "USD", Total: 80_000, Seed: 5}
	for ad := range 8 {
		a := sampler.Arm{ID: fmt.Sprintf("ad-%d", ad)}
		for day := 1; day <= 40; day++ {
			if day > 1 {
				a.Past = append(a.Past, sampler.Observation{
					AgeHours: a.AgeHours, Impressions: a.Impressions, Clicks: a.Clicks, Spend: a.Spend, Pipeline: a.Pipeline, Deals: a.Deals,
				})
			}
			a.AgeHours, a.Impressions, a.Clicks, a.Spend = 24*float64(day), a.Impressions+8000, a.Clicks+100, a.Spend+10_000
			a.Pipeline = money.Amount(day * (900_00 + 50_00*ad)) // the same whenever its deals opened
			for n := range openings(ad, day) {
				req.Account.Deals = append(req.Account.Deals, sampler.Deal{
					Ad: a.ID, Observed: 24 * (float64(41-day) + float64(n)/8), Steps: []sampler.Step{{Hours: 24, Value: 20_000}},
				})
			}
		}
		req.Arms = append(req.Arms, a)
	}
	return req
}

func TestWhatOpenedLatelyDecidesWhereAllSumsAreEqual(t *testing.T) {
	t.Parallel()
	steady := sampler.Allocate(steadyAccount(func(int, int) int { return 5 }))
	stopped := sampler.Allocate(steadyAccount(func(ad, day int) int {
		if ad == 7 && day > 33 { // its last deals opened six days ago
			return 0
		}
		return 5
	}))
	for ad := range 8 {
		before, after := steady.Recommendations[ad].Recommended, stopped.Recommendations[ad].Recommended
		if ad == 7 && 5*after > 4*before {
			t.Errorf("the ad whose deals stopped gets %d of what was %d", after, before)
		}
		if ad != 7 && after < before {
			t.Errorf("ad %d, whose deals go on, gets %d where it got %d", ad, after, before)
		}
	}
}

// Deals that come evenly say that nothing has changed, however many ads there are.
func TestDealsThatKeepOpeningChangeNothing(t *testing.T) {
	t.Parallel()
	without := steadyAccount(func(int, int) int { return 5 })
	with := without
	deals := make([]sampler.Deal, len(without.Account.Deals))
	for i, d := range without.Account.Deals {
		d.Ad = ""
		deals[i] = d
	}
	without.Account.Deals = deals
	a, b := sampler.Allocate(with), sampler.Allocate(without)
	for i := range a.Recommendations {
		x, y := a.Recommendations[i].Posterior.Return, b.Recommendations[i].Posterior.Return
		if math.Abs(x/y-1) > 0.1 {
			t.Errorf("ad %d returns %.3f with its deals' openings, %.3f without", i, x, y)
		}
	}
}
