package backtest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

func TestAMorningKnowsNoDealsFuture(t *testing.T) {
	t.Parallel()
	deals := []sampler.Deal{
		{Steps: []sampler.Step{{Hours: 0}, {Hours: 48, Value: 5}, {Hours: 96, Value: 9}}, Observed: 120, Won: true},
		{Steps: []sampler.Step{{Hours: 0, Value: 1}, {Hours: 10}}, Observed: 100, Lost: true},
		{Steps: []sampler.Step{{Hours: 0}}, Observed: 20},
	}
	want := []sampler.Deal{
		{Steps: []sampler.Step{{Hours: 0}, {Hours: 48, Value: 5}}, Observed: 72},
		{Steps: []sampler.Step{{Hours: 0, Value: 1}, {Hours: 10}}, Observed: 52, Lost: true},
	}
	if diff := cmp.Diff(want, dealsAsOf(deals, 48)); diff != "" {
		t.Errorf("two days ago (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(deals, dealsAsOf(deals, 0)); diff != "" {
		t.Errorf("now (-want +got):\n%s", diff)
	}
}

func TestAnAdThatDidNotRunTakesNoPart(t *testing.T) {
	t.Parallel()
	runs := func(id string, last int) sampler.Arm { // spends 10 a day up to its last day, of 20
		a := sampler.Arm{ID: id, AgeHours: 480}
		for day := 1; day < 20; day++ {
			ran := int64(min(day, last))
			a.Past = append(a.Past, sampler.Observation{AgeHours: 24 * float64(day), Impressions: 900 * ran, Spend: 1000 * money.Amount(ran)})
		}
		a.Impressions, a.Spend = 900*int64(last), 1000*money.Amount(last)
		return a
	}
	req := sampler.Request{Currency: "USD", Arms: []sampler.Arm{runs("a", 20), runs("b", 20), runs("stopped", 14)}}
	report := Run(req, 10)
	if report.Days != 10 || report.Spend != 24000 { // ten days of two ads and four of the third
		t.Errorf("%d days, %d spent", report.Days, report.Spend)
	}
	for _, o := range report.Outcomes {
		if o.Policy == "uniform" && o.Moved > 0.001 {
			t.Errorf("even spending moved %v of the money", o.Moved)
		}
	}
}
