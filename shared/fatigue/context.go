package fatigue

import (
	"math"
	"time"
)

// What looks like fatigue may have another cause, which the days themselves or
// their context show. A rule with such an explanation does not hold.

// Explanation is what else accounts for what a rule found.
type Explanation string

// The explanations.
const (
	ByAccount  Explanation = "account"   // the account's other ads moved alike
	ByWeekday  Explanation = "weekday"   // the same weekdays before were alike
	ByReturn   Explanation = "promotion" // the ad is back where it was before a better time
	ByLearning Explanation = "learning"  // the platform still learns how to deliver the ad
	ByBudget   Explanation = "budget"    // its budget was changed within budgetDays
)

const (
	// budgetDays is how many days after a change of its budget an ad's CTR and CPM
	// swing by themselves.
	budgetDays = 3
	// sameWeekday is the log of the ratio to the same weekday before, above which
	// the newest day is no lower than its weekday is.
	sameWeekday = -0.163 // log 0.85
	// betterTime is by how much a better time must have been better, and returned how
	// near to the days before it the ad must be again.
	betterTime = 1.2
	returned   = 0.85
)

// explain says what else accounts for a rule of CTR or CPM that holds.
func (h *history) explain(s *Signal, weekday, back func() bool) {
	switch {
	case !s.Holds():
	case weekday():
		s.Explained = ByWeekday
	case back():
		s.Explained = ByReturn
	case h.learning:
		s.Explained = ByLearning
	case h.budgetMoved:
		s.Explained = ByBudget
	}
}

// movedWithin reports whether a budget was changed within budgetDays before the
// newest day, by the dates of the days.
func (h *history) movedWithin(changed []time.Time) bool {
	newest := h.newest().Date
	if newest.IsZero() {
		return false
	}
	for _, at := range changed {
		days := newest.Sub(at.UTC().Truncate(24*time.Hour)).Hours() / 24
		if days >= -1 && days <= budgetDays {
			return true
		}
	}
	return false
}

// weekdays returns the places of earlier days that are like the newest: the same
// weekday, or on a weekend any day of an earlier weekend. Without dates, every
// seventh day counts.
func (h *history) weekdays() (alike []int) {
	for i := range h.days[:len(h.days)-1] {
		lag := h.lag(i)
		if (lag%7 == 0 || lag >= 5 && weekend(h.newest()) && weekend(&h.days[i])) && h.days[i].Impressions >= leastImpressions {
			alike = append(alike, i)
		}
	}
	return alike
}

func weekend(d *day) bool {
	if d.Date.IsZero() {
		return false
	}
	w := d.Date.Weekday()
	return w == time.Saturday || w == time.Sunday
}

// onlyWeekday reports whether the newest day's CTR is no lower than that of its
// weekday before. A first weekend has none to compare with: a fall of less than
// half on it is left for Monday to confirm.
func (h *history) onlyWeekday(observed float64) bool {
	alike := h.weekdays()
	if len(alike) == 0 {
		return weekend(h.newest()) && observed > -0.5
	}
	all := h.clicked(func(*day) float64 { return 1 })
	own, days := h.groups(&all, alike, []int{len(h.days) - 1})
	p := days.judge(own, sameWeekday, nil)
	return p.blur <= vagueness && p.moved < 0.5
}

// groups is the evidence of two groups of days: a move between them, at once.
func (h *history) groups(all *counts, early, late []int) (*counts, *series) {
	n := len(early) + len(late)
	own := &counts{clicks: make([]float64, 0, n), seen: make([]float64, 0, n)}
	days := &series{lags: make([]float64, 0, n), weight: make([]float64, 0, n), part: make([]float64, n), pool: len(early)}
	for k, group := range [][]int{early, late} {
		for _, i := range group {
			own.clicks, own.seen = append(own.clicks, all.clicks[i]), append(own.seen, all.seen[i])
			days.lags, days.weight = append(days.lags, float64(1-k)), append(days.weight, float64(h.days[i].Impressions))
		}
	}
	return own, days
}

// weeks returns the first week's days that lie before the last week, and those of
// the last week that are the same weekdays; ok is false where there are too few.
func (h *history) weeks() (first, last []int, ok bool) {
	var has [7]bool
	for i := range h.days {
		if lag := h.lag(i); lag >= 7 && h.lag(0)-lag <= 6 {
			first, has[lag%7] = append(first, i), true
		}
	}
	for i := range h.days {
		if lag := h.lag(i); lag <= 6 && has[lag] {
			last = append(last, i)
		}
	}
	return first, last, len(first) >= leastDays && len(last) >= leastDays
}

// decline is the probability that the CTR of the last week is below that of the
// first by more than the limit, weekday for weekday. It finds what the newest day
// beside the pooled days before it does not: a fall that is older than a week, and
// a slow one, which takes the pooled days with it.
func (h *history) decline(limit float64, scale func(*day) float64) (p, observed float64) {
	first, last, ok := h.weeks()
	if !ok {
		return 0, 0
	}
	all := h.clicked(scale)
	own, days := h.groups(&all, first, last)
	p = days.judge(own, limit, nil).beyond
	if p > Sure { // an ad that has recovered has recovered
		newest, beside := h.groups(&all, first, []int{len(h.days) - 1})
		if alone := beside.judge(newest, limit, nil).moved; alone < 1-Sure {
			p = min(p, alone)
		}
	}
	return p, h.rate(last)/h.rate(first) - 1
}

// rate is the CTR of some days together.
func (h *history) rate(days []int) float64 {
	var clicks, seen float64
	for _, i := range days {
		clicks, seen = clicks+h.days[i].clicks(), seen+float64(h.days[i].Impressions)
	}
	return clicks / seen
}

// mayDecline reports, without the posterior, whether decline may hold.
func (h *history) mayDecline() bool {
	first, last, ok := h.weeks()
	return ok && !(h.rate(last) > 0.9*h.rate(first))
}

// isBack reports whether a figure, after a better time such as a promotion, is back
// where it was before. better is 1 where more is better, and -1 where less is.
func (h *history) isBack(better float64, hits, of func(*day) float64) bool {
	const noise = 0.08 // of the log of a mean over some days, beyond counting
	n := len(h.days)
	sum := func(from, to int) (x, m float64) {
		for i := from; i < to; i++ {
			x, m = x+hits(&h.days[i]), m+of(&h.days[i])
		}
		return x, m
	}
	for before := leastDays; before <= n-5; before++ {
		x0, n0 := sum(0, before)
		x1, n1 := sum(before, n-2)
		x2, n2 := sum(n-2, n)
		if x0 <= 0 || x1 <= 0 || x2 <= 0 {
			continue
		}
		rise, now := better*math.Log(x1/n1/(x0/n0)), better*math.Log(x2/n2/(x0/n0))
		sd := math.Sqrt(noise*noise + 1/x0 + 1/x1)
		if rise >= math.Log(betterTime) && rise > 2*sd && now >= math.Log(returned) {
			return true
		}
	}
	return false
}
