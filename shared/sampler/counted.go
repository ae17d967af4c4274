package sampler

import (
	"math"
	"slices"
)

// Where deals are counted, a page that stops bringing leads shows at once: no deal
// opens any more, while those that are open are still won or lost for weeks. A sum of
// money hides that, as a deal's last stages are worth several times its first. The
// ledger tells each deal's opening (see openings.go); counts tell what opened less
// what was lost.

const (
	// countChanges is valueChanges where deals are counted: what opens is blurred by what
	// is lost, so that it takes less to suspect an ad.
	countChanges = 0.012
	// countNoise is how much more than Poisson counts vary, countDoubt the squared
	// coefficient of variation of what an ad that has not changed brings.
	countNoise = 1.2
	countDoubt = 0.01
)

// countWindow is how an ad's number of deals moved in a window.
type countWindow struct {
	moved float64
	// old, fresh and lost are how many deals should have opened of clicks before the
	// window, of clicks in it, and how many should have gone.
	old, fresh, lost float64
	doubt            float64 // squared coefficient of variation of what should have opened
	known            float64 // 0 to 1, as in window
}

// countWindows are all windows of an ad, and how likely it is to change on any day.
type countWindows struct {
	of     [len(valueWindows)]countWindow
	hazard float64
}

// likelihood is the logarithm of how likely the window is if clicks in it bring share
// times as many deals as those before.
func (x *countWindow) likelihood(share float64) float64 {
	open := x.old + share*x.fresh
	mean := open - x.lost
	v := countNoise*(open+x.lost) + 0.5 + x.doubt*sq(open)
	return -sq(x.moved-mean)/(2*v) - math.Log(v)/2
}

// odds adds to a window's log likelihood ratio what counts say; nil says nothing.
func (x *countWindows) odds(w int, share float64) float64 {
	if x == nil {
		return 0
	}
	return x.of[w].likelihood(share) - x.of[w].likelihood(1)
}

// countWindows returns the windows of the rows whose deals are counted, nil for others.
func (m *model) countWindows(rows []int) []*countWindows {
	out := make([]*countWindows, len(rows))
	ledger := m.learnOpened()
	var inLedger, counted []int // positions in rows
	for j, i := range rows {
		switch {
		case ledger != nil && len(ledger.byRow[i]) > 0:
			inLedger = append(inLedger, j)
		case m.isCounted(i):
			counted = append(counted, j)
		}
	}
	pick := func(at []int) []int {
		some := make([]int, len(at))
		for k, j := range at {
			some[k] = rows[j]
		}
		return some
	}
	fill := func(at []int, hazard float64, of func(i int, days float64) countWindow) {
		for _, j := range at {
			out[j] = &countWindows{hazard: hazard}
			for w, days := range valueWindows {
				out[j].of[w] = of(rows[j], days)
			}
		}
	}
	if len(inLedger) > 0 {
		rate := ledger.rate(m, pick(inLedger))
		fill(inLedger, valueChanges, func(i int, days float64) countWindow { return ledger.window(m, i, days, rate) })
	}
	if len(counted) > 0 {
		opened, gone := m.learnLives(pick(counted))
		rate := m.countRate(pick(counted), opened, gone)
		fill(counted, countChanges, func(i int, days float64) countWindow { return m.countWindow(i, days, rate, opened, gone) })
	}
	all := slices.Concat(inLedger, counted)
	for w := range valueWindows {
		ratio := common(len(all), func(k int) (float64, float64) {
			x := &out[all[k]].of[w]
			return x.known * math.Max(0, x.moved+x.lost), x.known * (x.old + x.fresh)
		})
		for k, j := range all {
			r, x := ratio(k), &out[j].of[w]
			x.old, x.fresh = x.old*r, x.fresh*r
		}
	}
	return out
}

// isCounted reports whether the number of row i's deals is known at every stretch.
func (m *model) isCounted(i int) bool {
	a := m.arm(i)
	if a.Deals == nil || a.PipelineUnknown {
		return false
	}
	legs := m.armLegs(i)
	for k := range legs {
		if math.IsNaN(legs[k].deals) {
			return false
		}
	}
	return true
}

// countRate is how many deals a click of the account opens.
func (m *model) countRate(rows []int, opened, gone *share) float64 {
	deals, clicks := 0.0, 0.0
	for _, i := range rows {
		a, hat := m.arm(i), m.expectedClicks(i)
		present := 0.0
		for _, l := range m.armLegs(i) {
			from, to := (a.AgeHours-l.to)/24, (a.AgeHours-l.from)/24
			present += hat.of(&l) * (opened.over(from, to) - gone.over(from, to))
		}
		w := 1 / (1 + present/1000)
		deals, clicks = deals+w*float64(*a.Deals), clicks+w*present
	}
	return (deals + 0.1) / (clicks + 0.1/dealsPerClick)
}

// countWindow is row i's window, where a click of the account opens rate deals.
func (m *model) countWindow(i int, days, rate float64, opened, gone *share) (x countWindow) {
	a, legs, hat := m.arm(i), m.armLegs(i), m.expectedClicks(i)
	since, age := a.AgeHours-24*days, a.AgeHours
	if x.known = known(age, days); x.known == 0 {
		return x
	}
	present := 0.0
	for k := range legs {
		l := &legs[k]
		c, in := hat.of(l), l.within(since)
		if in > 0 {
			x.moved += in * l.deals
			from, to := (age-l.to)/24, (age-math.Max(l.from, since))/24
			x.fresh += in * c * opened.over(from, to)
			x.lost += in * c * gone.over(from, to)
		}
		if in < 1 {
			end := math.Min(l.to, since)
			from, to := (age-end)/24, (age-l.from)/24
			open, lost := opened.over(from-days, to-days), gone.over(from-days, to-days)
			c *= 1 - in
			present += c * (open - lost)
			x.old += c * (opened.over(from, to) - open)
			x.lost += c * (gone.over(from, to) - lost)
		}
	}
	had := math.Max(0, float64(*a.Deals)-x.moved)
	own := (sellShape + had) / (sellShape/rate + math.Max(0, present))
	x.old, x.fresh, x.lost = own*x.old, own*x.fresh, own*x.lost
	x.doubt = countDoubt + 1/(sellShape+had)
	return x
}
