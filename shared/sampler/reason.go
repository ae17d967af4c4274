package sampler

import (
	"math"
	"strings"

	"github.com/geminivideo/geminivideo/shared/money"
)

// reason says in plain words, with the two numbers that mattered, why the ad's
// budget is what it is.
func (m *model) reason(r *Recommendation, a *Arm, i int) string {
	c := m.req.Currency
	if a.Excluded {
		if a.CurrentKnown {
			return "Excluded: it takes no part and keeps " + r.Recommended.Format(c) + " of the total."
		}
		return "Excluded: it takes no part and gets nothing."
	}
	var b strings.Builder
	b.Grow(160)
	switch {
	case m.req.Total == 0:
		b.WriteString("The total budget is zero, so there is nothing to divide.")
	case a.Spend == 0 && r.Recommended > 0:
		b.WriteString("New ad: nothing spent yet, so it gets ")
		b.WriteString(r.Recommended.Format(c))
		b.WriteString(" to learn from; ads of this account return about ")
		b.WriteString(m.returnText)
		b.WriteString(" per ")
		b.WriteString(m.eachText)
		b.WriteByte('.')
	default:
		switch {
		case r.Recommended > r.Current:
			b.WriteString("Raised: ")
		case r.Recommended < r.Current:
			b.WriteString("Cut: ")
		default:
			b.WriteString("Unchanged: ")
		}
		b.WriteString("the next ")
		b.WriteString(m.eachText)
		b.WriteString(" here should return about ")
		b.WriteString(m.money(r.Posterior.Return))
		b.WriteString(", against ")
		b.WriteString(m.returnText)
		b.WriteString(" across the account.")
	}
	m.bound(&b, r, a, i)
	return b.String()
}

// bound names the limit that stopped this ad, where one did.
func (m *model) bound(b *strings.Builder, r *Recommendation, a *Arm, i int) {
	budget := float64(r.Recommended)
	switch {
	case m.req.Total == 0:
	case a.Max != nil && r.Recommended == *a.Max:
		b.WriteString(" It is at its max_budget.")
	case a.CurrentKnown && a.Current > 0 && budget >= m.hi[i]:
		b.WriteString(" Held to plus 50% of its current budget.")
	case a.CurrentKnown && a.Current > 0 && budget <= m.lo[i]:
		b.WriteString(" Held to minus 50% of its current budget.")
	case a.Min > 0 && r.Recommended == a.Min:
		b.WriteString(" It is at its min_budget.")
	}
}

// money writes what the amount that returns are told for brings at a rate.
func (m *model) money(rate float64) string {
	return money.Amount(math.Round(math.Min(rate*float64(m.each), float64(money.Max)))).Format(m.req.Currency)
}
