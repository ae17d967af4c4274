package world

import (
	"testing"

	"github.com/geminivideo/geminivideo/infra/testkit/simulation"
	"github.com/geminivideo/geminivideo/shared/backtest"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

func TestBacktestReplaysAnAccountsOwnDays(t *testing.T) {
	w := New(4)
	for day := range 50 {
		live := w.Live(day)
		req := w.request(day, live, Kind{})
		w.Spend(day, live, backtest.Uniform(req))
	}
	req := w.request(50, w.Live(50), Kind{})
	report := backtest.Run(req, 30)
	if report.Days != 30 || report.Spend < 30*w.Total*9/10 {
		t.Errorf("%d days, %d spent", report.Days, report.Spend)
	}
	by := map[string]backtest.Outcome{}
	for _, o := range report.Outcomes {
		t.Logf("%+v", o)
		by[o.Policy] = o
		if o.Value <= 0 || o.Low > o.Value || o.High < o.Value || o.Moved < 0 || o.Moved > 1 {
			t.Errorf("%+v", o)
		}
	}
	if real := by["as it was"]; real.Moved != 0 || by["uniform"].Moved > 0.05 || by["this sampler"].Value <= real.Value {
		t.Errorf("even spending was replayed as %+v, uniform as %+v, the sampler as %+v", real, by["uniform"], by["this sampler"])
	}
}

func TestBacktestEstimatesWhatWasReallyEarned(t *testing.T) {
	simulation.Test(t)
	held := 0
	const worlds = 20
	for seed := range uint64(worlds) {
		w := New(seed)
		earned := 0.0
		for day := range 50 {
			live := w.Live(day)
			if value := w.Spend(day, live, backtest.Uniform(w.request(day, live, Kind{}))); day >= 20 {
				earned += value
			}
		}
		as := backtest.Run(w.request(50, w.Live(50), Kind{}), 30).Outcomes[0]
		if as.Low.Units(Currency) <= earned && earned <= as.High.Units(Currency) {
			held++
		}
	}
	if held < worlds*3/4 {
		t.Errorf("%d of %d ranges hold what was really earned", held, worlds)
	}
	t.Logf("%d of %d", held, worlds)
}

func TestBacktestOfNothingSaysSo(t *testing.T) {
	report := backtest.Run(sampler.Request{Currency: "USD", Total: 100, Arms: []sampler.Arm{{ID: "a"}}}, 30)
	if report.Days != 0 || len(report.Notes) != 1 || len(report.Outcomes) == 0 {
		t.Errorf("%+v", report)
	}
}
