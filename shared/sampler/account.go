package sampler

import (
	"math"
	"slices"

	"github.com/geminivideo/geminivideo/shared/money"
)

// matureShare is the share of an ad's, or an account's, clicks whose deals must have
// had time to show before there is a verdict.
const matureShare = 0.5

// breakEvenTotal is the total at which the last unit of money returns the break-even,
// by the mean returns and within the limits.
func (m *model) breakEvenTotal() float64 {
	sum := 0.0
	for i := range m.rows {
		if m.arm(i).Excluded {
			continue
		}
		k := m.account.Saturation
		sum += clamp(k*(math.Sqrt(m.first(i)/m.set.BreakEven)-1), m.lo[i], m.hi[i])
	}
	return sum
}

// marginal is the expected return of one more unit of money at a total, within the
// limits: 0 where no ad may take it. Every ad's price doubles at the account's budget.
func (m *model) marginal(total float64) float64 {
	k := m.account.Saturation
	roots := make([]float64, 0, len(m.rows))
	lo, hi := make([]float64, 0, len(m.rows)), make([]float64, 0, len(m.rows))
	most, best := 0.0, 0.0
	for i := range m.rows {
		if m.arm(i).Excluded {
			continue
		}
		root := math.Sqrt(m.first(i))
		roots, lo, hi = append(roots, root), append(lo, m.lo[i]), append(hi, m.hi[i])
		most, best = most+m.hi[i], math.Max(best, root)
	}
	if best <= 0 || most < total {
		return 0
	}
	w := water{total: total, sat: slices.Repeat([]float64{k}, len(roots)), lo: lo, hi: hi, mu: 1 / best}
	return 1 / sq(w.level(roots))
}

// mature reports whether the account's deals could have shown.
func (m *model) mature() bool {
	shown, all := 0.0, 0.0
	for i := range m.rows {
		c := float64(m.arm(i).Clicks)
		shown, all = shown+c*m.matured[i], all+c
	}
	return all > 0 && shown >= matureShare*all && m.spent() >= 3*float64(m.set.TestSpend)
}

func (m *model) spent() float64 {
	sum := 0.0
	for i := range m.rows {
		sum += float64(m.arm(i).Spend)
	}
	return sum
}

// judge fills in the account's answer for a split of total, of which part is
// divided; enough is the total at break-even.
func (m *model) judge(out *AccountAnswer, divided, enough float64) {
	out.BreakEven = m.set.BreakEven
	out.Marginal = m.marginal(divided)
	c := m.req.Currency
	quote := func(rate float64) string { return m.quote(rate) }
	even := quote(m.set.BreakEven)
	asked := money.Amount(math.Round(divided))
	switch {
	case !m.mature():
		out.Verdict = Unknown
		out.Reason = "Too few of the clicks are old enough for their deals to show; no verdict on the total yet."
	case out.Marginal < m.set.BreakEven && enough < divided*0.995 && out.Marginal > 0:
		out.Verdict = SpendLess
		out.TotalAtBreakEven = money.Amount(math.Round(math.Min(enough, float64(money.Max))))
		out.Reason = "The last " + m.eachText + " of this total should bring " + quote(out.Marginal) + "; break-even is " + even +
			". At " + out.TotalAtBreakEven.Format(c) + " a day it would pay for itself."
	case out.Marginal == 0:
		out.Verdict = Hold
		out.Reason = "No ad may take more money today: every one is at a limit."
	case out.Marginal > m.set.BreakEven*math.Exp(math.Sqrt(math.Log1p(m.account.Doubt))):
		out.Verdict = SpendMore
		out.Reason = "Another " + m.eachText + " on top of " + asked.Format(c) + " should bring " + quote(out.Marginal) +
			", above the break-even of " + even + "."
	default:
		out.Verdict = Hold
		out.Reason = "Another " + m.eachText + " should bring " + quote(out.Marginal) + "; that is too close to the break-even of " +
			even + " to move the total."
	}
}

// verdict judges row i, whose expected return at its budget is rate, in agreement
// with its change.
func (m *model) verdict(i int, rate float64, g reported, r *Recommendation) Verdict {
	a := m.arm(i)
	switch {
	case a.Excluded, m.matured[i] < matureShare, a.Spend < m.set.TestSpend:
		return None
	case rate < m.set.BreakEven && a.Spend >= 2*m.set.TestSpend && g.surelyBelow(m.set.BreakEven/rate) > 0.93:
		if r.Recommended > r.Current {
			return None // the total or a floor forces the raise
		}
		return Kill
	case rate > m.set.Target && r.Recommended >= r.Current && g.surelyAbove(m.set.Target/rate) > 0.8:
		return Scale
	default:
		return Maintain
	}
}
