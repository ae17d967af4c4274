// Package backtest replays an account's own days: what the plain policies, and
// this project's sampler, would have made of the money that was really spent.
package backtest

import (
	"fmt"
	"math"
	"slices"

	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

// Report says what each policy would have done with an account's own last days.
type Report struct {
	// Days is how many days could be replayed, Spend what was really spent on them.
	Days  int
	Spend money.Amount
	// Outcomes are what was really done, first, and then each policy.
	Outcomes []Outcome
	// Notes say what the figures can tell and what not, for people.
	Notes []string
}

// Outcome is one way of dividing each day's real spend.
type Outcome struct {
	Policy string
	// Value is the estimated final value of the money so divided; 90% of what is
	// believed of it lies between Low and High.
	Value, Low, High money.Amount
	// Return is Value per unit of money.
	Return float64
	// Moved is the share of the money that went to other ads than it really did.
	Moved float64
}

// Run replays the last days of the ads in req, whose totals are today's and
// whose Past or Days tell of earlier ones. Each policy divides each day's real
// spend, among the ads that really spent that day, by what was known that
// morning; today's knowledge of every ad then judges them all alike, with prices
// that rise with the budget and click rates as they were worn at the time.
// Limits and the request's own total play no part.
func Run(req sampler.Request, last int) Report {
	req.Arms = slices.Clone(req.Arms)
	for i := range req.Arms {
		a := &req.Arms[i]
		a.CurrentKnown, a.Excluded, a.Min, a.Max = false, false, 0, nil
	}
	req.Total = typicalDay(req, last)
	final := sampler.Allocate(req)
	policies := append([]Policy{{Name: "as it was"}}, Policies()...)
	ledgers := make([]ledger, len(policies))
	var report Report
	for ago := last; ago >= 1; ago-- {
		morning, spent, rows := replay(req, ago)
		if len(rows) < 2 {
			continue
		}
		report.Days++
		report.Spend += morning.Total
		for p, policy := range policies {
			var budgets []money.Amount
			switch {
			case p == 0:
				budgets = spent
			case policy.Split == nil:
				budgets = sampler.Allocate(morning).Budgets()
			default:
				counting := morning // a plain learner counts conversions, and may know what one is worth
				counting.Account.DealValue = money.Amount(final.Posterior.DealSize)
				budgets = policy.Split(counting)
			}
			ledgers[p].add(final, rows, morning, budgets, spent)
		}
	}
	for p, policy := range policies {
		report.Outcomes = append(report.Outcomes, ledgers[p].outcome(policy.Name, final, report.Spend))
	}
	report.Notes = notes(report)
	return report
}

// typicalDay is the mean spend of a day that can be replayed: the model measures
// how fast prices rise against the budget that there is to divide.
func typicalDay(req sampler.Request, last int) money.Amount {
	var sum, days money.Amount
	for ago := last; ago >= 1; ago-- {
		if morning, _, rows := replay(req, ago); len(rows) >= 2 {
			sum += morning.Total
			days++
		}
	}
	return sum / max(days, 1)
}

// replay is the request as it could have been made ago days before now, what
// each ad really spent on the day that followed, and the ads' places in req.
func replay(req sampler.Request, ago int) (morning sampler.Request, spent []money.Amount, rows []int) {
	morning = req
	morning.Arms, morning.Total, morning.Seed = nil, 0, req.Seed+uint64(ago)
	if len(req.Account.Deals) > 0 {
		morning.Account.Deals = dealsAsOf(req.Account.Deals, 24*float64(ago))
		morning.Account.DealValue = sampler.TypicalDeal(morning.Account.Deals)
	}
	for i := range req.Arms {
		a := &req.Arms[i]
		then, ok := asOf(a, a.AgeHours-24*float64(ago))
		next, known := asOf(a, a.AgeHours-24*float64(ago-1))
		if !ok || !known {
			continue
		}
		day := next.Spend - then.Spend
		if day <= 0 {
			continue // nobody can tell whether it could have run
		}
		then.DNA, then.Attribution = a.DNA, a.Attribution
		morning.Arms = append(morning.Arms, then)
		morning.Total += day
		spent, rows = append(spent, day), append(rows, i)
	}
	return morning, spent, rows
}

// asOf is what was known of a at an earlier age.
func asOf(a *sampler.Arm, age float64) (sampler.Arm, bool) {
	const slack = 6 // hours by which observations of a day may be apart
	if age >= a.AgeHours-1 {
		return *a, true
	}
	if age < -slack {
		return sampler.Arm{}, false
	}
	then := sampler.Arm{ID: a.ID, AgeHours: math.Max(0, age)}
	for i, o := range a.Past {
		if o.AgeHours > age+slack {
			break
		}
		then.Impressions, then.Clicks, then.Spend = o.Impressions, o.Clicks, o.Spend
		then.Pipeline, then.Cash = o.Pipeline, o.Cash
		if o.AgeHours < age-slack {
			then.Past = a.Past[:i+1]
		}
	}
	var sum sampler.Day
	for _, d := range a.Days {
		if d.AgeHours > age+slack {
			break
		}
		then.Days = append(then.Days, d)
		sum.Impressions, sum.Clicks, sum.Spend = sum.Impressions+d.Impressions, sum.Clicks+d.Clicks, sum.Spend+d.Spend
	}
	then.Impressions, then.Clicks = max(then.Impressions, sum.Impressions), max(then.Clicks, sum.Clicks)
	then.Spend = max(then.Spend, sum.Spend)
	return then, then.Spend > 0 || age <= slack
}

// dealsAsOf is what was known of deals that many hours earlier.
func dealsAsOf(deals []sampler.Deal, earlier float64) []sampler.Deal {
	var then []sampler.Deal
	for _, d := range deals {
		if d.Observed -= earlier; d.Observed < 0 {
			continue
		}
		all := len(d.Steps)
		for n := all; n > 0 && d.Steps[n-1].Hours > d.Observed; n-- {
			d.Steps = d.Steps[:n-1]
		}
		if len(d.Steps) < all { // its end was still to come
			d.Won, d.Lost = false, false
		}
		then = append(then, d)
	}
	return then
}

// ledger adds up one policy's days.
type ledger struct {
	value, moved float64
	byAd         map[int]float64
}

func (l *ledger) add(final sampler.Split, rows []int, morning sampler.Request, budgets, spent []money.Amount) {
	if l.byAd == nil {
		l.byAd = map[int]float64{}
	}
	for k, i := range rows {
		r := final.Recommendations[i]
		b := float64(budgets[k])
		fresher := math.Exp(r.Posterior.Fatigue * float64(r.Metrics.Impressions-morning.Arms[k].Impressions))
		value := b * r.Posterior.First * math.Min(fresher, 50) / (1 + b/final.Posterior.Saturation)
		l.value += value
		l.byAd[i] += value
		l.moved += math.Max(0, b-float64(spent[k]))
	}
}

func (l *ledger) outcome(name string, final sampler.Split, spend money.Amount) Outcome {
	o := Outcome{Policy: name, Value: money.Amount(math.Round(l.value))}
	if spend <= 0 || l.value <= 0 {
		return o
	}
	variance := final.Posterior.Doubt * l.value * l.value
	for i := range final.Recommendations { // not in the map's order, which changes
		variance += l.byAd[i] * l.byAd[i] / final.Recommendations[i].Posterior.Shape
	}
	width := math.Exp(1.645 * math.Sqrt(math.Log1p(variance/l.value/l.value)))
	o.Low, o.High = money.Amount(l.value/width), money.Amount(l.value*width)
	o.Return, o.Moved = l.value/float64(spend), l.moved/float64(spend)
	return o
}

// notes is the honest wording.
func notes(r Report) []string {
	if r.Days == 0 {
		return []string{"There are no days on which at least two ads spent money and whose earlier totals are known, so nothing can be replayed."}
	}
	return []string{
		fmt.Sprintf("%d days were replayed. Each policy saw only what was known on the morning of each day, and divided what was really spent that day among the ads that really ran.", r.Days),
		"Nobody can know what money would have brought that was not spent. The values are estimates: today's belief about each ad, with prices that rise with the budget, applied to every policy alike.",
		"The ads' histories are the ones that the real budgets made. A policy that would have tried an ad more would have learned more of it; that gain is not counted.",
		"The yardstick is this sampler's own model, fitted to the same days. That flatters the sampler a little; ranges that overlap mean that the difference is not proven.",
		"Deals from the last two weeks are mostly still open, so their value is partly expectation.",
	}
}
