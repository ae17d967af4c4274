package fatigue

import (
	"fmt"
	"math"
	"strings"
	"time"
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
		return nothing("%d %s with impressions: it takes at least %d to see a change.", len(days), plural(len(days), "day", "days"), leastDays)
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
	var parts []string
	var nearest Signal
	for _, s := range v.Signals {
		if s.Holds() {
			parts = append(parts, h.finding(s))
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
	case len(parts) == 0 && nearest.Probability > 1-Sure:
		parts = append(parts, "No rule holds for sure yet. The nearest: "+h.finding(nearest))
	case len(parts) == 0:
		parts = append(parts, "Steady: "+h.steady())
	}
	if f := v.Critical; f != nil && !v.Status.NeedsAction() {
		parts = append(parts, fmt.Sprintf("If the trend goes on, %s in about %s %s (%s to %s, 4 times in 5).",
			f.Rule.crossing(), number(f.Days), plural(int(math.Round(f.Days)), "day", "days"), number(f.Soonest), number(f.Longest)))
	}
	if len(v.Confounders) > 0 {
		parts = append(parts, "Bear in mind: "+strings.Join(v.Confounders, "; ")+".")
	}
	return strings.Join(parts, " ")
}

// finding says what a rule found.
func (h *history) finding(s Signal) string {
	seen, clicks, spend := h.pooled()
	d := h.newest()
	sure := fmt.Sprintf("%.0f%% sure", 100*min(s.Probability, 0.999))
	switch s.Rule {
	case CTRFall:
		return fmt.Sprintf("CTR %s: %s on the newest day (%s clicks of %s) against %s before (%s clicks of %s); a fall of more than 20%% is %s.",
			change(s.Observed), percent(d.CTR), number(d.clicks()), thousands(d.Impressions), percent(clicks/seen), number(clicks), number(seen), sure)
	case Frequency:
		return fmt.Sprintf("Frequency %.2f: each person saw it that often; above %.1f is %s.", s.Observed, MaxFrequency, sure)
	case CPMRise:
		return fmt.Sprintf("CPM %s: %.2f on the newest day against %.2f before; a rise of more than 50%% is %s.", change(s.Observed), d.CPM, 1000*spend/seen, sure)
	default:
		return fmt.Sprintf("Delivery is saturated: in 7 days spend outgrew impressions by %.0f points, and impressions grew by less than 10%%; this is %s.", 100*s.Observed, sure)
	}
}

// steady says how an ad does of which no rule holds.
func (h *history) steady() string {
	seen, clicks, spend := h.pooled()
	d := h.newest()
	text := fmt.Sprintf("CTR %s against %s before", percent(d.CTR), percent(clicks/seen))
	if d.CPM > 0 && spend > 0 {
		text += fmt.Sprintf(", CPM %.2f against %.2f", d.CPM, 1000*spend/seen)
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

// shift is what a rule saw, in few words.
func (s Signal) shift() string {
	if s.Rule == Delivery {
		return fmt.Sprintf("spend outgrew impressions by %.0f points", 100*s.Observed)
	}
	return change(s.Observed)
}

// learningDays is how long Meta takes to learn, as a rule.
const learningDays = 7

// confounders says what else than tiring may be behind a finding.
func (h *history) confounders(v Verdict, context Context) []string {
	var all []string
	for _, s := range v.Signals {
		if !s.Accountwide {
			continue
		}
		what := "median CPM rose"
		if s.Rule == CTRFall {
			what = "median CTR fell"
		}
		all = append(all, fmt.Sprintf("the account's %s on the same days as this ad's did (%s), so that is not put down to the ad", what, s.shift()))
	}
	if !v.Status.NeedsAction() {
		return all
	}
	if n := len(context.BudgetChanged); n > 0 {
		all = append(all, fmt.Sprintf("its budget was changed %s within these days, last on %s, and a changed budget moves CTR and CPM by itself",
			times(n), context.BudgetChanged[n-1].Format(time.DateOnly)))
	} else if change, ok := h.spendChange(); ok {
		way := "rose"
		if change < 0 {
			way = "fell"
		}
		all = append(all, fmt.Sprintf("daily spend %s by %.0f%% in the last three days, and a changed budget moves CTR and CPM by itself", way, 100*math.Abs(change)))
	}
	if context.Learning {
		all = append(all, "Meta says that its ad set is in the learning phase, in which CTR and CPM swing by themselves")
	} else if h.lag(0) < learningDays {
		all = append(all, fmt.Sprintf("the history is %d days long: of a new or just edited ad, the learning phase alone may explain this", h.lag(0)+1))
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
