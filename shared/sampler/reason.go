package sampler

import (
	"math"

	"github.com/geminivideo/geminivideo/shared/money"
)

// reason says in plain words, with the numbers that mattered, why the ad's
// budget is what it is, and why nothing was done where nothing was.
func (m *model) reason(r *Recommendation, a *Arm, i int) string {
	b := &m.reasons
	from := b.Len()
	write := func(parts ...string) {
		for _, p := range parts {
			b.WriteString(p)
		}
	}
	switch {
	case a.Excluded && a.CurrentKnown && r.Recommended > 0:
		write("Excluded: it takes no part and keeps ")
		m.writeAmount(r.Recommended)
		write(", which is taken off the total first.")
		return b.String()[from:]
	case a.Excluded:
		return "Excluded: it takes no part and gets nothing."
	case m.req.Total == 0:
		return "The total budget is zero, so there is nothing to divide."
	case a.Spend == 0 && r.Recommended > 0:
		write("Not tried yet: nothing has been spent on it, so it gets ")
		m.writeAmount(r.Recommended)
		write(" to learn from; this account's ads should return about ", m.returnText, " per ", m.eachText, ".")
	default:
		write(m.verb(r))
		if r.Recommended < r.Current && a.Pipeline == 0 && !a.PipelineUnknown && m.matured[i] > 0.3 {
			m.writeAmount(a.Spend)
			write(" spent has brought no deal so far; ")
		}
		write(m.eachText, " here should return about ")
		m.writeAmount(m.brings(r.Posterior.Return))
		write(", against ", m.returnText, " across the account.")
	}
	write(m.bound(r, a, i), m.remark(r, a))
	return b.String()[from:]
}

// writeAmount writes an amount into the reasons.
func (m *model) writeAmount(a money.Amount) {
	var digits [40]byte
	m.reasons.Write(a.Append(digits[:0], m.req.Currency))
}

// verb begins the reason for a change.
func (m *model) verb(r *Recommendation) string {
	change, better := r.Recommended-r.Current, r.Posterior.Return >= m.account.Return
	growing := m.total > 1.02*m.current
	shrinking := m.total < 0.98*m.current
	switch {
	case change == 0:
		return "Unchanged, its budget already fits: "
	case r.Current > 0 && math.Abs(float64(change)) < 0.02*float64(r.Current):
		return "Almost unchanged, its budget already fits: "
	case change > 0 && !better && growing:
		return "Raised, but less than the ads that return more: "
	case change > 0 && !better:
		return "Raised a little, because its impressions are still cheap at this budget: "
	case change > 0:
		return "Raised: "
	case better && shrinking:
		return "Cut because the total is smaller, but less than the ads that return less: "
	case better:
		return "Cut, because more money would mostly raise its price: "
	default:
		return "Cut: "
	}
}

// bound names the limit that stopped this ad, where one did.
func (m *model) bound(r *Recommendation, a *Arm, i int) string {
	budget, known := float64(r.Recommended), a.CurrentKnown && a.Current > 0
	switch {
	case a.Max != nil && r.Recommended == *a.Max:
		return " It is at its max_budget."
	case known && a.Min > r.Recommended && budget >= m.hi[i]:
		return " It may rise by no more than 50% at once, so it stays under its min_budget today."
	case known && budget >= m.hi[i]:
		return " It may rise by no more than 50% at once."
	case known && 2*r.Recommended <= a.Current+1:
		return " It may fall by no more than 50% at once."
	case a.Min > 0 && r.Recommended == a.Min:
		return " It is at its min_budget."
	default:
		return ""
	}
}

// remark adds what a buyer would ask next.
func (m *model) remark(r *Recommendation, a *Arm) string {
	switch {
	case a.Spend == 0:
		return ""
	case r.Posterior.Fatigue*float64(a.Impressions) > 0.5:
		return " Its audience is tiring of it."
	case r.Posterior.Shape < 1.5 && a.Spend < 2*m.set.TestSpend:
		return " Little is known about it yet."
	case r.Posterior.Shape < 1.5:
		return " Its deals are too few to be sure of it."
	default:
		return ""
	}
}

// brings is what the amount that returns are quoted for brings at a rate.
func (m *model) brings(rate float64) money.Amount {
	return money.Amount(math.Round(math.Min(rate*float64(m.each), float64(money.Max))))
}

// quote writes it.
func (m *model) quote(rate float64) string { return m.brings(rate).Format(m.req.Currency) }

// each is the amount that returns are quoted for.
func each(c money.Currency) money.Amount { return hundredDollars(c) }
