package sampler

import "math"

// evidence is what one ad's deals say: x of value where e clicks were each
// expected to show it by now. An ad's open deals and its won deals are disjoint,
// so that they are independent given the ad's quality, and both are beside the
// clicks that should have shown by now, not beside all clicks: a young click is
// censored, not a failure.
type evidence struct{ openX, openE, wonX, wonE float64 }

func (e *evidence) value() float64  { return e.openX + e.wonX }
func (e *evidence) clicks() float64 { return e.openE + e.wonE }

// gather returns every ad's evidence, in money.
func (m *model) gather() []evidence {
	ev := make([]evidence, len(m.rows))
	var settled, clicks float64
	for i := range m.rows {
		all := m.see(&ev[i], i, m.armLegs(i), totals(m.arm(i)))
		m.matured[i] = math.Min(1, (ev[i].clicks()+1e-9)/(all+1e-9))
		settled += ev[i].wonE
		clicks += all
		if !m.cash {
			ev[i] = evidence{openX: ev[i].value(), openE: ev[i].clicks()}
		}
	}
	m.settled = settled / (clicks + 1e-9)
	return ev
}

// before returns what was known of those rows before this request told of them;
// the others are left empty.
func (m *model) before(rows []int) []evidence {
	ev := make([]evidence, len(m.rows))
	for _, i := range rows {
		if m.was[i] == nil {
			continue
		}
		legs := m.armLegs(i)
		for len(legs) > 0 && legs[len(legs)-1].to > m.was[i].AgeHours {
			legs = legs[:len(legs)-1]
		}
		m.see(&ev[i], i, legs, *m.was[i])
		if !m.cash {
			ev[i] = evidence{openX: ev[i].value(), openE: ev[i].clicks()}
		}
	}
	return ev
}

// see sets what row i's legs and its totals at the end of them say. It returns
// how many clicks they stand for.
func (m *model) see(e *evidence, i int, legs []leg, at Observation) (all float64) {
	e.openX, e.wonX = value(at.Pipeline, at.Cash)
	hat := m.expectedClicks(i)
	for k := range legs {
		l := &legs[k]
		c := hat(l)
		o, w := m.curve.over(at.AgeHours-l.to, at.AgeHours-l.from)
		e.openE += c * o
		e.wonE += c * w
		all += c
	}
	return all
}

// expectedClicks returns how many clicks a leg stands for. An ad without clicks,
// or without impressions, still has evidence: what its views or its money should
// have brought.
func (m *model) expectedClicks(i int) func(*leg) float64 {
	a := m.arm(i)
	imp, clk := float64(a.Impressions), float64(a.Clicks)
	if clk > 0 {
		// The estimate's clicks, spread as the real ones.
		seen := imp * (clickStrength + clk) / (clickStrength/m.account.CTR + imp)
		return func(l *leg) float64 { return l.clk * seen / clk }
	}
	if imp > 0 {
		rate := clickStrength / (clickStrength/m.account.CTR + imp)
		return func(l *leg) float64 { return l.imp * rate }
	}
	return func(l *leg) float64 { return l.spend / (m.account.CPM / 1000) * m.account.CTR }
}

// inDeals returns the evidence counted in deals that each add lump: an ad whose
// deals are its own with less confidence has fewer of them, and an open deal
// comes in smaller lumps.
func (m *model) inDeals(ev []evidence, lump float64) []evidence {
	out := make([]evidence, len(ev))
	for i := range ev {
		w := m.arm(i).Attribution
		if w <= 0 || w > 1 {
			w = 1
		}
		won := lump / w
		open := won
		if m.cash {
			open *= openLump
		}
		e := &ev[i]
		out[i] = evidence{e.openX / open, e.openE / open, e.wonX / won, e.wonE / won}
	}
	return out
}

// trusted returns row evidence e as far as open deals foretell won ones, beside a
// prior of that shape: what is certain of the ad's open deals still leaves trust
// open, and so the won deals weigh the more.
func (m *model) trusted(e *evidence, shape float64) (x, clicks, weight float64) {
	if !m.cash {
		return e.openX, e.openE, 1
	}
	weight = 1 / (1 + trust*(shape+e.openX))
	return e.openX + e.wonX/weight, e.openE + e.wonE/weight, weight
}
