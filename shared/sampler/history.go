package sampler

import "math"

// leg is a stretch of an ad's delivery between two ages at which its totals are known.
type leg struct {
	from, to        float64 // age in hours
	imp, clk, spend float64
	before          float64 // impressions before it
	pipe, cash      float64 // change of the pipeline value and of its won part; NaN where unknown
	deals, wins     float64 // change of the number of deals and of won ones; NaN where unknown
}

// daily is the money spent per day in the leg. A leg shorter than a day counts
// as one: budgets are daily, and an ad of one hour has not shown a day's rate.
func (l *leg) daily() float64 { return l.spend * 24 / math.Max(l.to-l.from, 24) }

// within is the share of the leg that lies after an age.
func (l *leg) within(age float64) float64 {
	if l.from >= age {
		return 1
	}
	if l.to <= age {
		return 0
	}
	return (l.to - age) / (l.to - l.from)
}

// appendLegs appends the delivery of a, oldest first. Where nothing but totals
// is known it is one leg over the whole life.
func appendLegs(legs []leg, a *Arm) []leg {
	now := a.totals()
	if len(a.Days) > len(a.Past) {
		return appendDays(legs, a, &now)
	}
	last := Observation{}
	var deals dealTotals
	before := 0.0
	for i := 0; i <= len(a.Past); i++ {
		next := &now
		if i < len(a.Past) {
			next = &a.Past[i]
			if !follows(next, &last) || !follows(&now, next) || next.AgeHours >= now.AgeHours {
				continue // a reset, a correction or a repeat: it describes no stretch
			}
		}
		l := leg{
			from: last.AgeHours, to: math.Max(next.AgeHours, last.AgeHours),
			imp: float64(next.Impressions - last.Impressions), clk: float64(next.Clicks - last.Clicks),
			spend: float64(next.Spend - last.Spend), before: before,
		}
		deals.add(&l, next)
		before += l.imp
		legs = append(legs, l)
		last = *next
	}
	return legs
}

// dealTotals are what is last known of an ad's deals.
type dealTotals struct{ pipe, cash, deals, wins float64 }

// add sets what the leg added to the deals: what next knows beyond what was last
// known, and nothing where next does not know it.
func (t *dealTotals) add(l *leg, next *Observation) {
	l.pipe, l.cash, l.deals, l.wins = math.NaN(), math.NaN(), math.NaN(), math.NaN()
	if !next.PipelineUnknown {
		l.pipe = float64(next.Pipeline) - t.pipe
		t.pipe += l.pipe
	}
	if next.Cash != nil {
		l.cash = float64(*next.Cash) - t.cash
		t.cash += l.cash
	}
	if next.Deals != nil {
		l.deals = float64(*next.Deals) - t.deals
		t.deals += l.deals
	}
	if next.WonDeals != nil {
		l.wins = float64(*next.WonDeals) - t.wins
		t.wins += l.wins
	}
}

// appendDays appends the stored days, and what the totals hold beyond them as
// one leg before the first. What the deals did in between comes from the earlier
// observations.
func appendDays(legs []leg, a *Arm, now *Observation) []leg {
	var imp, clk int64
	var spend float64
	for i := range a.Days {
		d := &a.Days[i]
		imp, clk, spend = imp+d.Impressions, clk+d.Clicks, spend+float64(d.Spend)
	}
	start := clamp(a.Days[0].AgeHours-24, 0, now.AgeHours)
	first := leg{
		to: start, imp: math.Max(0, float64(now.Impressions-imp)), clk: math.Max(0, float64(now.Clicks-clk)),
		spend: math.Max(0, float64(now.Spend)-spend), pipe: math.NaN(), cash: math.NaN(), deals: math.NaN(), wins: math.NaN(),
	}
	if first.imp > 0 || first.clk > 0 || first.spend > 0 {
		legs = append(legs, first)
	}
	before, at := first.imp, 0
	var deals dealTotals
	for i := range a.Days {
		d := &a.Days[i]
		l := leg{
			from: clamp(d.AgeHours-24, 0, now.AgeHours), to: clamp(d.AgeHours, 0, now.AgeHours),
			imp: float64(d.Impressions), clk: float64(d.Clicks), spend: float64(d.Spend),
			before: before, pipe: math.NaN(), cash: math.NaN(), deals: math.NaN(), wins: math.NaN(),
		}
		for at < len(a.Past) && (a.Past[at].AgeHours > now.AgeHours || at+1 < len(a.Past) && a.Past[at+1].AgeHours <= l.to) {
			at++
		}
		switch {
		case i == len(a.Days)-1:
			deals.add(&l, now)
		case at < len(a.Past) && a.Past[at].AgeHours <= l.to && a.Past[at].AgeHours > l.from:
			deals.add(&l, &a.Past[at])
		}
		before += l.imp
		legs = append(legs, l)
	}
	return legs
}

// totals is the arm's present as an observation.
func (a *Arm) totals() Observation {
	return Observation{
		AgeHours: a.AgeHours, Impressions: a.Impressions, Clicks: a.Clicks, Spend: a.Spend,
		Pipeline: a.Pipeline, PipelineUnknown: a.PipelineUnknown, Cash: a.Cash, Deals: a.Deals, WonDeals: a.WonDeals,
	}
}

// follows reports whether b can be the same ad later than a.
func follows(b, a *Observation) bool {
	return b.AgeHours >= a.AgeHours && b.Impressions >= a.Impressions && b.Clicks >= a.Clicks && b.Spend >= a.Spend
}

// expectedClicks returns how many clicks a leg of row i stands for. An ad without
// clicks, or without impressions, still has evidence: what its views or its money
// should have brought.
func (m *model) expectedClicks(i int) standsFor {
	a := m.arm(i)
	imp, clk := float64(a.Impressions), float64(a.Clicks)
	if clk > 0 {
		// The estimate's clicks, spread as the real ones.
		return standsFor{click: imp / clk * (clickStrength + clk) / (clickStrength/m.account.CTR + imp)}
	}
	if imp > 0 {
		return standsFor{view: clickStrength / (clickStrength/m.account.CTR + imp)}
	}
	return standsFor{money: 1000 / m.account.CPM * m.account.CTR}
}

// standsFor is how many clicks one of an ad's clicks, views or units of money stands
// for. One of the three is not 0.
type standsFor struct{ click, view, money float64 }

func (s standsFor) of(l *leg) float64 { return l.clk*s.click + l.imp*s.view + l.spend*s.money }

// stretch is one or several legs of an ad, with the clicks that they stand for.
type stretch struct {
	from, to, clicks float64
	pipe, cash       float64
}

// mostStretches bounds what one ad teaches the account about deals.
const mostStretches = 16

// stretches returns row i's legs, joined into at most mostStretches of similar length.
func (m *model) stretches(i int) []stretch {
	legs, hat := m.armLegs(i), m.expectedClicks(i)
	out := make([]stretch, 0, min(len(legs), mostStretches+1))
	least := m.arm(i).AgeHours / mostStretches
	for k := range legs {
		l := &legs[k]
		s := stretch{from: l.from, to: l.to, clicks: hat.of(l), pipe: l.pipe, cash: l.cash}
		if n := len(out); n > 0 {
			// A short leg goes to a stretch that is long enough already, so that asking once
			// more begins no new one, but only until that is half as long again.
			long, short := out[n-1].to-out[n-1].from, s.to-s.from < least/4
			if (long < least || short && long < 1.5*least) && out[n-1].joins(&s) {
				continue
			}
		}
		out = append(out, s)
	}
	return out
}

// joins appends a stretch to s, unless what is known of its deals would be lost.
func (s *stretch) joins(next *stretch) bool {
	lost := func(a, b float64) bool { return !math.IsNaN(a) && math.IsNaN(b) }
	if lost(s.pipe, next.pipe) || lost(s.cash, next.cash) {
		return false
	}
	sum := func(a, b float64) float64 {
		if math.IsNaN(a) {
			return b
		}
		return a + b
	}
	s.to, s.clicks = next.to, s.clicks+next.clicks
	s.pipe, s.cash = sum(s.pipe, next.pipe), sum(s.cash, next.cash)
	return true
}
