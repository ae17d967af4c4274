// Package sampler divides a day's budget across ads whose value arrives late. It
// is pure: no clock, no I/O, and the same request gives the same bytes.
//
// # Model
//
// What a unit of money in an ad finally brings is a chain: impressions per money,
// clicks per impression, value per click. Each link has a posterior per ad, whose
// prior is the account's (empirical Bayes; Robbins 1956, Morris 1983), so that a
// young ad starts from what its account knows.
//
//   - Price: cpm(b) = cpm0 (1 + b/K), K learned from how the account's prices moved
//     with its budgets. A saturating response turns the split into water-filling
//     (as in Nuara et al. 2018 and Gangopadhyay et al. 2025).
//   - Click rate: Gamma-Poisson, falling with exposure by exp(-f n). The rate f is
//     each ad's own, near its account's: a rotting bandit (Levine, Crammer and
//     Mannor 2017), whose arms tire by being pulled and not by the calendar.
//   - Value per click: Gamma-Poisson on deals, with open and won deals as separate
//     evidence. Each is divided by the clicks that should have shown by now, by a
//     delay curve with a fraction that never pays: censored, not failed (Chapelle
//     2014; Vernade, Cappe and Perchet 2017). The curve comes from the account's
//     deals (Nelson's mean cumulative function, 1995) or from how values moved
//     between earlier totals.
//   - How much a sum of money proves: the size of a deal, from earlier jumps of
//     value, or from which ads have sold at all.
//   - Early signals: clicks speak before deals and open deals before won ones, each
//     by as much as the account's history says it foretells the next (Vernade,
//     Gyorgy and Mann 2020; McDonald et al. 2023, "Impatient Bandits"). The
//     elasticity of value to click rate is learned, so clickbait is found out.
//
// # Split
//
// Thompson sampling (Thompson 1933; with costs Xia et al. 2015): a few hundred
// posterior draws, each solved exactly for the total under floors, ceilings and
// the limit on changes, and averaged, to the minor unit. The draws are stratified
// and keyed by (seed, ad id), and sums run in the order of the ads' ids, so the
// order of the ads and the number of processors change no bit. Wu and Wager (2022)
// show that such sampling keeps its guarantees under delays.
//
// A better ad never gets less. Raising one ad's value raises the account's mean
// and so every other ad, but none by more than itself (see believe), as long as
// nothing else of the account moves. So the split weighs evidence by what was
// known before the request's own totals, and at first sight of an account of few
// ads by constants; what is reported goes by everything.
//
// The contract's weights by age, blended score and decay are computed for show
// (Shown) and decide nothing.
package sampler

import (
	"math"
	"slices"

	"github.com/geminivideo/geminivideo/shared/money"
)

// Version names the model: a stored decision can be replayed bit for bit while
// it is the same.
const Version = "gamma-chain-8"

// Allocate divides the request's total across its arms.
func Allocate(req Request) Split {
	split := Split{Recommendations: make([]Recommendation, len(req.Arms))}
	if len(req.Arms) == 0 {
		split.Unallocated = req.Total
		split.Posterior.Version = Version
		split.Account = AccountAnswer{
			BreakEven: defaults(&req).BreakEven, Verdict: Unknown,
			Reason: "There are no ads to divide a total among.",
		}
		return split
	}
	m := fit(&req)
	m.limit(&split)
	current := make([]float64, len(m.rows))
	m.shown = make([]money.Amount, len(m.rows))
	kept := money.Amount(0)
	for i := range m.rows {
		m.shown[i] = shownCurrent(m.arm(i))
		current[i] = float64(m.shown[i])
		if m.arm(i).Excluded {
			kept += money.Amount(m.lo[i])
		} else {
			m.current += current[i]
		}
	}
	m.each = each(req.Currency)
	m.eachText = m.each.Format(req.Currency)
	m.judge(&split.Account, m.total, m.breakEvenTotal())
	m.leaveUnspent(&split)
	t := m.split(current)
	budgets := cents(t.budget, m.hi, money.Amount(m.total)+kept)
	m.account.Draws = m.set.Draws
	m.average(&split.Account, budgets, current)
	m.returnText = m.quote(m.account.Return)
	m.reasons.Grow(usualReason * len(m.rows))
	for i, at := range m.rows {
		m.recommend(&split.Recommendations[at], i, budgets[i], &t)
	}
	split.Unallocated = req.Total
	for _, b := range budgets {
		split.Unallocated -= b
	}
	split.Posterior = m.account
	return split
}

// leaveUnspent lowers the total to the one at break-even, where the caller allows it.
func (m *model) leaveUnspent(split *Split) {
	if !m.req.AllowUnspent || split.Account.Verdict != SpendLess {
		return
	}
	m.total = math.Floor(math.Min(m.total, float64(split.Account.TotalAtBreakEven)))
	split.Limit = BreakEven
	split.LimitReason = "What is left would return less than the account's break-even, and allow_unspent is set."
}

// usualReason is how many bytes the reason for a budget has.
const usualReason = 160

// shownCurrent is the budget that is shown as today's.
func shownCurrent(a *Arm) money.Amount {
	if a.CurrentKnown || a.Current > 0 {
		return a.Current
	}
	return EstimateCurrent(a)
}

// average sets the expected return of the whole split, and of the budgets before it.
func (m *model) average(out *AccountAnswer, budgets []money.Amount, current []float64) {
	of := func(i int, budget float64) float64 { return budget * m.first(i) / (1 + budget/m.account.Saturation) }
	var value, money float64
	for i, b := range budgets {
		value += of(i, float64(b))
		money += float64(b)
		out.ReturnBefore += of(i, current[i])
	}
	out.Return = value
	if money == 0 { // nothing to spend: what an even split would start at
		for i := range m.rows {
			value += m.first(i)
			money++
		}
	}
	m.account.Return = value / money
}

// sharedDoubt is as many ads' worth of doubt about what all of them share: how their
// prices rise, how late deals come, what a deal brings. The draws take it as known, and
// the fewer the ads, the more of a change's direction it decides.
const sharedDoubt = 2

// doubted is the probability that so many draws give, with what they take as known in
// doubt. Many ads share few draws, so what each number of them gives is kept.
func (m *model) doubted(draws int32) float64 {
	if m.sure == nil {
		m.sure = slices.Repeat([]float64{math.NaN()}, m.set.Draws+1)
	}
	if p := m.sure[draws]; !math.IsNaN(p) {
		return p
	}
	n, all := float64(len(m.rows)), float64(m.set.Draws)
	least := 0.25 / all
	p := normal(n / (n + sharedDoubt) * quantile(clamp(float64(draws)/all, least, 1-least)))
	m.sure[draws] = p
	return p
}

// recommend fills in the answer for row i.
func (m *model) recommend(r *Recommendation, i int, budget money.Amount, t *tally) {
	a := m.arm(i)
	first, draws := m.first(i), float64(m.set.Draws)
	g := m.reported(i)
	rate := first / (1 + float64(budget)/m.account.Saturation)
	up := m.doubted(t.up[i])
	r.ID, r.Current, r.Recommended = a.ID, m.shown[i], budget
	r.Change = change(r.Current, budget)
	switch {
	case a.Excluded:
		r.Confidence = 1
	case budget > r.Current:
		r.Confidence = up
	case budget < r.Current:
		r.Confidence = 1 - up
	default: // as sure as neither direction is
		r.Confidence = 1 - math.Abs(2*up-1)
	}
	r.Interval = g.interval(rate)
	r.PBest = float64(t.best[i]) / draws
	r.Metrics = Shown(a, m.req.Currency)
	r.Posterior = ArmPosterior{
		Return: rate, First: first, Shape: m.shape(i), CTR: m.ctr[i], ValuePerClick: m.believed.value[i],
		CPM: 1000 * m.cpm[i], Fatigue: m.fatigue[i], Matured: m.matured[i], Floor: m.lo[i],
		Spread: math.Sqrt(math.Max(0, t.square[i]/draws-sq(t.sum[i]/draws))),
	}
	r.Verdict = m.verdict(i, rate, g, r)
	r.Reason = m.reason(r, a, i)
}
