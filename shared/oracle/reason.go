package oracle

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/geminivideo/geminivideo/shared/money"
)

// reason says where the numbers come from.
func (m Model) reason(p Prediction) string {
	var b strings.Builder
	switch {
	case p.Gate == ByValue:
		probably := ""
		if p.Reject {
			probably = fmt.Sprintf(", and below %.0f%% of it with a probability of %.0f%%", 100*RejectBelow, 100*p.Confidence)
		}
		fmt.Fprintf(&b, "A thousand impressions are predicted to earn %s of pipeline value, %.0f%% of the account's average of %s%s. The predicted CTR is %s, %.0f%% of the average of %s",
			m.amount(1000*p.Value), 100*p.Value/p.BaselineValue, m.amount(1000*p.BaselineValue), probably, percent(p.CTR), 100*p.CTR/p.Baseline,
			percent(p.Baseline))
	case p.Reject:
		fmt.Fprintf(&b, "The predicted CTR of %s is below %.0f%% of the average of %s", percent(p.CTR), 100*RejectBelow, percent(p.Baseline))
	default:
		fmt.Fprintf(&b, "The predicted CTR of %s is %.0f%% of the average of %s", percent(p.CTR), 100*p.CTR/p.Baseline, percent(p.Baseline))
	}
	switch p.BaselineSource {
	case FromAccount:
		fmt.Fprintf(&b, " (the account's own, over %s", count(m.Totals[0].Ads))
		if others := p.Ads - p.Own; others > 0 {
			fmt.Fprintf(&b, "; %s of its niche were learned from too", count(others))
		}
		b.WriteString(")")
	case FromNiche:
		over := "over " + count(m.Totals[1].Ads)
		if m.Totals[1].Clicks < leastClicks && m.NicheCTR > 0 {
			over = "as accounts that share have it in common"
		}
		fmt.Fprintf(&b, " (its niche's, %s: the account itself has too little history)", over)
	default:
		b.WriteString(" (the global prior: neither the account nor its niche has a history yet)")
	}
	fmt.Fprintf(&b, "; its true CTR lies between %s and %s with a probability of 90%%.", percent(p.CTRInterval[0]), percent(p.CTRInterval[1]))
	if m.Widen >= widenSaid {
		fmt.Fprintf(&b, " This range is %.0f%% wider than the model's own: more of the latest ads than one in ten fell outside theirs.", 100*(m.Widen-1))
	}
	for i := range p.Patterns {
		b.WriteString([]string{" Known in this account: ", "; "}[min(i, 1)])
		b.WriteString(p.Patterns[i].String())
	}
	if len(p.Patterns) > 0 {
		b.WriteString(".")
	}
	return b.String()
}

// amount writes money as everywhere else, rounded to the currency's smallest unit.
func (m Model) amount(units float64) string {
	if a, err := money.FromUnits(units, m.Currency); err == nil && m.Currency != "" {
		return a.Format(m.Currency)
	}
	return strconv.FormatFloat(units, 'f', 2, 64)
}

func count(ads int) string {
	if ads == 1 {
		return "1 ad"
	}
	return fmt.Sprintf("%d ads", ads)
}

func percent(rate float64) string {
	if rate < 0.001 {
		return fmt.Sprintf("%.3f%%", 100*rate)
	}
	return fmt.Sprintf("%.2f%%", 100*rate)
}

// recommendation says what to do.
func (m Model) recommendation(p Prediction) string {
	var b strings.Builder
	switch {
	case p.Reject && len(p.Weaknesses) == 0:
		b.WriteString("Do not spend on it as it is; no single feature explains it, so test another concept.")
	case p.Reject:
		b.WriteString("Do not spend on it as it is; change first what costs most:")
	case p.BaselineSource == FromPrior:
		b.WriteString("Go ahead with a small budget: nothing is known yet that speaks for or against it.")
	case p.TestBudget != nil:
		fmt.Fprintf(&b, "Try it with about %s before it gets more: it may still fall below the bar.", m.amount(*p.TestBudget))
	default:
		b.WriteString("Go ahead.")
	}
	if !p.Reject && len(p.Weaknesses) > 0 {
		b.WriteString(" It could do better:")
	}
	for i, w := range p.Weaknesses {
		if i == 3 {
			break
		}
		if i > 0 {
			b.WriteString(";")
		}
		fmt.Fprintf(&b, " %s %s costs about %.0f%% of the clicks", w.Feature, w.Value, 100*w.Effect)
		if w.Instead != "" {
			fmt.Fprintf(&b, ", better ads have %s", w.Instead)
		}
		if len(w.Ads) > 0 {
			fmt.Fprintf(&b, " (%s)", strings.Join(w.Ads, ", "))
		}
	}
	if len(p.Weaknesses) > 0 {
		b.WriteString(".")
	}
	return b.String()
}
