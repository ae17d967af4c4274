package world

import (
	"cmp"
	"math"
	"slices"

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
	// Kills counts the verdicts "kill" on the days that were checked, WrongKills
	// those on ads that truly return more than they cost. KillRaises and ScaleCuts
	// count verdicts that contradict the budget beside them.
	Kills, WrongKills, KillRaises, ScaleCuts int
	// Sure counts the changes given with a confidence of 0.9 or more, SureRight
	// those in the direction of the clairvoyant's budget.
	Sure, SureRight int
	// Better is the part of the last day's money that went to the better half.
	Better float64
	// SpendLess counts the checked days with the account's verdict spend_less, of Checked.
	SpendLess, Checked int
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
	kind := Ordinary()
	kind.Days = days
	return kind.Play(seed, policy)
}

// Play runs account seed of the kind under policy.
func (k Kind) Play(seed uint64, policy Policy) Result {
	w := k.Make(seed)
	var r Result
	for day := range k.Days {
		live := w.Live(day)
		req := w.request(day, live, k)
		var budgets []money.Amount
		switch {
		case policy.Clairvoyant:
			budgets = w.clairvoyant(live)
		case policy.Prior:
			budgets = w.withPrior(day, live)
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
		if day == k.Days-1 {
			r.Better = w.better(live, budgets)
		}
		r.Earned = append(r.Earned, w.Spend(day, live, budgets))
	}
	return r
}

// better is the part of the budgets that goes to the half of the ads that return more.
func (w *World) better(live []*Ad, budgets []money.Amount) float64 {
	order := make([]int, len(live))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(w.Return(live[j], 0), w.Return(live[i], 0)) })
	var top, all money.Amount
	for at, i := range order {
		if all += budgets[i]; 2*at < len(order) {
			top += budgets[i]
		}
	}
	return float64(top) / float64(max(all, 1))
}

// check counts the intervals that hold the truth.
func (w *World) check(r *Result, day int, live []*Ad, split sampler.Split) {
	part := min(day/15, 2)
	best := w.clairvoyant(live)
	r.Checked++
	if split.Account.Verdict == sampler.SpendLess {
		r.SpendLess++
	}
	for i, a := range live {
		rec := split.Recommendations[i]
		truth := w.Return(a, rec.Recommended.Units(Currency))
		r.Judged[part]++
		if rec.Interval.Low <= truth && truth <= rec.Interval.High {
			r.Held[part]++
		}
		raised, cut := rec.Recommended > rec.Current, rec.Recommended < rec.Current
		switch rec.Verdict {
		case sampler.Kill:
			r.Kills++
			if truth > 1 {
				r.WrongKills++
			}
			if raised {
				r.KillRaises++
			}
		case sampler.Scale:
			if cut {
				r.ScaleCuts++
			}
		}
		if rec.Confidence >= 0.9 && (raised || cut) && rec.Current > 0 {
			r.Sure++
			if raised == (best[i] > rec.Current) {
				r.SureRight++
			}
		}
	}
}

// request describes the live ads as a caller can: the documented fields, and
// what earlier requests said of the same ads.
func (w *World) request(day int, live []*Ad, k Kind) sampler.Request {
	req := sampler.Request{Currency: Currency, Total: w.Total, Seed: uint64(day), Account: k.History}
	if k.Ledger {
		req.Account.Deals = ledger(live, float64(day))
		req.Account.DealValue = sampler.TypicalDeal(req.Account.Deals)
	}
	for _, a := range live {
		v := a.Value(float64(day))
		cash := minor(v.Cash)
		o := sampler.Observation{
			AgeHours: 24 * float64(day-a.Born), Impressions: a.imp, Clicks: a.clk,
			Spend: minor(a.spend), Pipeline: minor(v.Pipeline), Cash: &cash,
		}
		if k.CashOnly {
			o.Pipeline, o.PipelineUnknown = 0, true
		}
		if k.Counts {
			o.Deals, o.WonDeals = &v.Deals, &v.Won
		}
		req.Arms = append(req.Arms, sampler.Arm{
			ID: a.ID, Impressions: a.imp, Clicks: a.clk, Spend: o.Spend, Pipeline: o.Pipeline, PipelineUnknown: o.PipelineUnknown,
			Cash: &cash, Deals: o.Deals, WonDeals: o.WonDeals, AgeHours: o.AgeHours, Past: a.past,
		})
		a.past = append(a.past, o)
	}
	return req
}

// ledger is the lives of the ads' latest thousand deals.
func ledger(live []*Ad, now float64) []sampler.Deal {
	var known []sampler.Deal
	for _, a := range live {
		for i := range a.deals {
			d := &a.deals[i]
			one := sampler.Deal{Ad: a.ID, Observed: 24 * (now - d.began)}
			for _, m := range d.moves {
				if m.day <= now {
					one.Steps = append(one.Steps, sampler.Step{Hours: 24 * (m.day - d.began), Value: minor(m.value)})
					one.Won, one.Lost = m.won, m.value == 0
				}
			}
			if len(one.Steps) > 0 {
				known = append(known, one)
			}
		}
	}
	slices.SortStableFunc(known, func(a, b sampler.Deal) int { return cmp.Compare(a.Observed, b.Observed) })
	return known[:min(len(known), 1000)]
}

func minor(units float64) money.Amount { return money.Amount(math.Round(100 * units)) }

// clairvoyant equalises the true margins of the day.
func (w *World) clairvoyant(live []*Ad) []money.Amount {
	worth := make([]float64, len(live))
	for i, a := range live {
		worth[i] = a.worth()
	}
	return w.divide(live, worth)
}

// divide equalises the margins of the day, where an ad's click brings worth won deals.
func (w *World) divide(live []*Ad, worth []float64) []money.Amount {
	root := make([]float64, len(live))
	for i, a := range live {
		root[i] = math.Sqrt(w.Return(a, 0) * worth[i] / math.Max(a.worth(), 1e-300))
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
