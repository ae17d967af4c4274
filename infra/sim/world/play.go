package world

import (
	"math"

	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

// Result is how one policy did in one world.
type Result struct {
	// Earned is the expected final value of what was bought, day by day.
	Earned []float64
	// Held and Judged count the ads, on the days that were checked, whose true
	// return lay within the interval that was given for them, by the part of the
	// run: before day 15, before day 30, later. Only ours gives intervals.
	Held, Judged [3]int
}

// Sum is the value of the whole run.
func (r Result) Sum() float64 {
	sum := 0.0
	for _, x := range r.Earned {
		sum += x
	}
	return sum
}

// Play runs world seed for days under policy.
func Play(seed uint64, days int, policy Policy) Result {
	w := New(seed)
	var r Result
	for day := range days {
		live := w.Live(day)
		req := w.request(day, live)
		var budgets []money.Amount
		switch {
		case policy.Clairvoyant:
			budgets = w.clairvoyant(live)
		case policy.Split == nil:
			split := sampler.Allocate(req)
			budgets = split.Budgets()
			if day >= 5 && day%5 == 0 {
				w.check(&r, day, live, split)
			}
		default:
			// A plain learner counts conversions, which it may.
			req.Account.DealValue = money.Amount(100 * w.meanDeal())
			budgets = policy.Split(req)
		}
		r.Earned = append(r.Earned, w.Spend(day, live, budgets))
	}
	return r
}

// check counts the intervals that hold the truth.
func (w *World) check(r *Result, day int, live []*Ad, split sampler.Split) {
	part := min(day/15, 2)
	for i, a := range live {
		rec := split.Recommendations[i]
		truth := w.Return(a, rec.Recommended.Units(Currency))
		r.Judged[part]++
		if rec.Interval.Low <= truth && truth <= rec.Interval.High {
			r.Held[part]++
		}
	}
}

// request describes the live ads as a caller can: the documented fields, and
// what earlier requests said of the same ads.
func (w *World) request(day int, live []*Ad) sampler.Request {
	req := sampler.Request{Currency: Currency, Total: w.Total, Seed: uint64(day)}
	for _, a := range live {
		p, c := a.Value(float64(day))
		pipeline, cash := minor(p), minor(c)
		o := sampler.Observation{
			AgeHours: 24 * float64(day-a.Born), Impressions: a.imp, Clicks: a.clk,
			Spend: minor(a.spend), Pipeline: pipeline, Cash: &cash,
		}
		req.Arms = append(req.Arms, sampler.Arm{
			ID: a.ID, Impressions: a.imp, Clicks: a.clk, Spend: o.Spend, Pipeline: pipeline, Cash: &cash,
			AgeHours: o.AgeHours, Past: a.past,
		})
		a.past = append(a.past, o)
	}
	return req
}

func minor(units float64) money.Amount { return money.Amount(math.Round(100 * units)) }

// clairvoyant equalises the true margins of the day.
func (w *World) clairvoyant(live []*Ad) []money.Amount {
	root := make([]float64, len(live))
	for i, a := range live {
		root[i] = math.Sqrt(w.Return(a, 0))
	}
	total := w.Total.Units(Currency)
	lo, hi := 0.0, 1.0
	spent := func(mu float64) float64 {
		sum := 0.0
		for _, s := range root {
			sum += math.Max(0, w.double*(mu*s-1))
		}
		return sum
	}
	for spent(hi) < total {
		hi *= 2
	}
	for range 60 {
		if mid := (lo + hi) / 2; spent(mid) < total {
			lo = mid
		} else {
			hi = mid
		}
	}
	out := make([]money.Amount, len(live))
	for i, s := range root {
		out[i] = minor(math.Max(0, w.double*(lo*s-1)))
	}
	return out
}
