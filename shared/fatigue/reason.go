package fatigue

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/shared/money"
)

// tooLittle judges a history that says nothing.
func tooLittle(all []Day, days []day) (Verdict, bool) {
	nothing := func(format string, args ...any) (Verdict, bool) {
		return Verdict{Status: InsufficientData, Reason: fmt.Sprintf(format, args...)}, true
	}
	switch {
	case !little(all, days):
		return Verdict{}, false
	case len(days) < leastDays:
		return nothing("%d %s with impressions: it takes at least %d to see a change.", len(days),
			plural(len(days), "day", "days"), leastDays)
	default:
		return nothing("The newest day has %d impressions: fewer than %d prove nothing.", all[len(all)-1].Impressions, leastImpressions)
	}
}

// little reports whether the days, of which those were delivered, are too few.
func little(all []Day, days []day) bool {
	return len(days) < leastDays || all[len(all)-1].Impressions < leastImpressions
}

// reason puts the verdict into words: what holds with its numbers, or how near
// the nearest rule is, and what else may be behind it.
func (h *history) reason(v Verdict) string {
	var parts, explained []string
	var nearest Signal
	for _, s := range v.Signals {
		switch {
		case s.Holds():
			parts = append(parts, h.finding(s))
		case s.Explained != "":
			explained = append(explained, h.finding(s)+" "+s.Explained.words())
		}
		if s.Probability >= nearest.Probability {
			nearest = s
		}
	}
	switch {
	case v.Status == InsufficientData:
		_, clicks, _ := h.pooled()
		parts = append(parts, fmt.Sprintf("%s clicks on %s impressions on the newest day, and %s clicks before the last three days, are too few to tell whether the CTR fell.",
			number(h.newest().clicks()), thousands(h.newest().Impressions), number(clicks)))
	case len(parts) == 0 && len(explained) > 0:
		parts = append(parts, "No fatigue. "+strings.Join(explained, " "))
	case len(parts) == 0 && nearest.Probability > 1-Sure:
		parts = append(parts, "No rule holds for sure yet. The nearest: "+h.finding(nearest))
	case len(parts) == 0:
		parts = append(parts, "Steady: "+h.steady())
	}
	if f := v.Critical; f != nil && !v.Status.NeedsAction() && len(explained) == 0 {
		parts = append(parts, fmt.Sprintf("If the trend goes on, %s in about %s %s (%s to %s, 4 times in 5).",
			f.Rule.crossing(), number(f.Days), plural(int(math.Round(f.Days)), "day", "days"), number(f.Soonest), number(f.Longest)))
	}
	if len(v.Confounders) > 0 {
		parts = append(parts, "Possible other causes: "+strings.Join(v.Confounders, "; ")+".")
	}
	return strings.Join(parts, " ")
}

// finding says what a rule found and, where nothing explains it, how sure it is.
func (h *history) finding(s Signal) string {
	found, limit := h.observed(s)
	if s.Explained != "" {
		return found + "."
	}
	return fmt.Sprintf("%s; %s is %.0f%% sure.", found, limit, min(99, 100*s.Probability))
}

// observed says what a rule observed, and its limit.
func (h *history) observed(s Signal) (found, limit string) {
	seen, clicks, spend := h.pooled()
	d := h.newest()
	switch s.Rule {
	case CTRFall:
		limit = "a fall of more than 20%"
		if s.Slow {
			first, last, _ := h.weeks()
			return fmt.Sprintf("CTR %s: %s in the last week against %s in the first, on the same weekdays",
				change(s.Observed), percent(h.rate(last)), percent(h.rate(first))), limit
		}
		return fmt.Sprintf("CTR %s: %s on the newest day (%s clicks of %s) against %s before (%s clicks of %s)",
			change(s.Observed), percent(d.CTR), number(d.clicks()), thousands(d.Impressions), percent(clicks/seen), number(clicks),
			number(seen)), limit
	case Frequency:
		return fmt.Sprintf("Frequency %.2f: each person saw it that often", s.Observed), fmt.Sprintf("above %.1f", MaxFrequency)
	case CPMRise:
		return fmt.Sprintf("CPM %s: %s on the newest day against %s before", change(s.Observed), h.price1000(d.CPM),
			h.price1000(1000*spend/seen)), "a rise of more than 50%"
	default:
		return fmt.Sprintf("Delivery is saturated: in 7 days spend outgrew impressions by %.0f points, and impressions grew by less than 10%%", 100*s.Observed), "this"
	}
}

// steady says how an ad does of which no rule holds.
func (h *history) steady() string {
	seen, clicks, spend := h.pooled()
	d := h.newest()
	text := fmt.Sprintf("CTR %s against %s before", percent(d.CTR), percent(clicks/seen))
	if d.CPM > 0 && spend > 0 {
		text += fmt.Sprintf(", CPM %s against %s", h.price1000(d.CPM), h.price1000(1000*spend/seen))
	}
	if d.Frequency > 0 {
		text += fmt.Sprintf(", frequency %.2f", d.Frequency)
	}
	return text + "; no rule holds."
}

// crossing says what a rule is about to find.
func (r Rule) crossing() string {
	switch r {
	case CTRFall:
		return "the CTR will be 20% below its baseline"
	case Frequency:
		return "frequency will be above 3.5"
	default:
		return "the CPM will be 50% above its baseline"
	}
}

// words says why an explained finding is no fatigue.
func (e Explanation) words() string {
	switch e {
	case ByAccount:
		return "The account's other ads moved alike on the same days, so it is not the ad."
	case ByWeekday:
		return "The same weekdays before were alike, or there is none to compare this weekend with."
	case ByReturn:
		return "The ad is back where it was before a better time, such as a promotion."
	case ByLearning:
		return "Meta is still learning how to deliver its ad set, and CTR and CPM swing until it has."
	default:
		return fmt.Sprintf("Its budget was changed within the last %d days, and CTR and CPM swing after that.", budgetDays)
	}
}

// price1000 writes a price of a thousand impressions.
func (h *history) price1000(cpm float64) string {
	if h.currency != "" {
		if minor, err := money.FromUnits(cpm, h.currency); err == nil {
			return minor.Format(h.currency)
		}
	}
	return fmt.Sprintf("%.2f", cpm)
}

// learningDays is how long Meta takes to learn, as a rule.
const learningDays = 7

// confounders says what else may be behind a finding that holds.
func (h *history) confounders(v Verdict, context Context) []string {
	var all []string
	if !v.Status.NeedsAction() {
		return all
	}
	if n := len(context.BudgetChanged); n > 0 {
		all = append(all, fmt.Sprintf("its budget was changed %s in these days, last on %s", times(n),
			context.BudgetChanged[n-1].Format(time.DateOnly)))
	} else if change, ok := h.spendChange(); ok {
		way := "rose"
		if change < 0 {
			way = "fell"
		}
		all = append(all, fmt.Sprintf("daily spend %s by %.0f%% in the last three days, and CTR and CPM swing after a change of the budget",
			way, 100*math.Abs(change)))
	}
	if context.Learning {
		all = append(all, "its ad set is in Meta's learning phase")
	} else if h.lag(0) < learningDays {
		all = append(all, fmt.Sprintf("the history is only %d days long: a new or just edited ad may still be in the learning phase",
			h.lag(0)+1))
	}
	return all
}

// spendChange compares the spend of the last three days with that of the days
// before, where it changed by half or more beyond the noise of volume.
func (h *history) spendChange() (share float64, ok bool) {
	recent, n := 0.0, 0.0
	for i := h.pool; i < len(h.days); i++ {
		recent, n = recent+h.days[i].spend(), n+1
	}
	_, _, spend := h.pooled()
	if spend <= 0 || recent <= 0 {
		return 0, false
	}
	share = (recent / n) / (spend / float64(h.pool))
	noise := h.noise(func(d *day) float64 { return d.spend() }, 0.15, 2)
	return share - 1, math.Abs(math.Log(share)) > max(math.Log(1.5), 2*noise*math.Sqrt(1/n+1/float64(h.pool)))
}

func change(share float64) string {
	if share < 0 {
		return fmt.Sprintf("down %.0f%%", -100*share)
	}
	return fmt.Sprintf("up %.0f%%", 100*share)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func percent(rate float64) string { return fmt.Sprintf("%.2f%%", 100*rate) }

// number writes a count or a number of days without decimals that say nothing.
func number(v float64) string { return thousands(int64(math.Round(v))) }

func thousands(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func plural(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}
