package sampler

import "math"

// The delay curve is learned twice over: from the account's deals, where the
// caller has them, and from how the ads' values moved between earlier totals.
// Both are estimates of the mean value that a click has added by each lag; both
// keep to the expected curve as far as they know nothing.

// edges are the ends of the lags, in days, within which value comes evenly.
var edges = [...]float64{1, 2, 3, 5, 7, 10, 14, 18, 24, 32, 45, days}

const lags = len(edges)

// priorDeals is how many deals of its own an account needs to be believed as
// much as the expected curve.
const priorDeals = 10

// learnCurve sets the delay curve, and whether won value is told apart.
func (m *model) learnCurve() {
	m.curve = expected()
	won := 0.0
	for i := range m.rows {
		if c := m.arm(i).Cash; c != nil {
			won += float64(*c)
		}
	}
	m.cash = won > 0
	if len(m.req.Account.Deals) > 0 {
		m.curve = fromDeals(m.curve, m.req.Account.Deals)
	}
	if rows := m.moved(); len(rows) > 0 {
		m.curve = m.fromMoves(m.curve, rows)
	}
	m.account.MedianDelay = m.curve.median()
}

// steps returns what c adds within each lag.
func (c *curve) steps() (open, won [lags]float64) {
	var o, w float64
	for b, e := range edges {
		open[b], won[b] = c.open[int(e)]-o, c.won[int(e)]-w
		o, w = c.open[int(e)], c.won[int(e)]
	}
	return open, won
}

// stepped is the curve that adds open and won within each lag.
func stepped(open, won [lags]float64) *curve {
	c := new(curve)
	b, from := 0, 0.0
	var o, w float64
	for d := 1; d <= days; d++ {
		width := edges[b] - from
		o, w = o+open[b]/width, w+won[b]/width
		c.open[d], c.won[d] = math.Max(0, o), math.Max(0, w)
		if float64(d) == edges[b] {
			from = edges[b]
			b++
		}
	}
	c.finish()
	return c
}

// fromDeals is the mean cumulative function of the deals' values (Nelson 1995):
// at each lag the mean of what the deals observed that long added, so that open
// deals count for as long as they have been seen and no longer. A deal that
// never pays counts too: that is the cure fraction.
func fromDeals(prior *curve, deals []Deal) *curve {
	var open, won, seen [lags]float64
	scale, wins := 0.0, 0.0
	for _, d := range deals {
		if n := len(d.Steps); d.Won && n > 0 {
			scale += float64(d.Steps[n-1].Value)
			wins++
		}
		from := 0.0
		for b, e := range edges {
			if d.Observed >= 24*e {
				seen[b]++
			} else if d.Observed > 24*from {
				seen[b] += (d.Observed/24 - from) / (e - from)
			}
			from = e
		}
		last := 0.0
		for k, s := range d.Steps {
			b := lag(s.Hours / 24)
			if v := float64(s.Value); d.Won && k == len(d.Steps)-1 {
				won[b] += v
				open[b] -= last
			} else {
				open[b] += v - last
				last = v
			}
		}
	}
	if wins == 0 || scale <= 0 {
		return prior
	}
	// The final value of an average deal, from those that have been seen long enough.
	final := 0.0
	for b := range won {
		if seen[b] > 0 {
			final += won[b] / seen[b]
		}
	}
	o, w := prior.steps()
	for b := range edges {
		o[b] = (priorDeals*o[b] + open[b]/final) / (priorDeals + seen[b])
		w[b] = (priorDeals*w[b] + won[b]/final) / (priorDeals + seen[b])
	}
	return stepped(o, w)
}

func lag(day float64) int {
	for b, e := range edges {
		if day <= e {
			return b
		}
	}
	return lags - 1
}

// moved returns the rows whose value is known at several earlier ages.
func (m *model) moved() []int {
	var rows []int
	for _, i := range m.longest() {
		known := 0
		for _, l := range m.armLegs(i) {
			if !math.IsNaN(l.open) {
				known++
			}
		}
		if known >= 4 && m.was[i] != nil {
			rows = append(rows, i)
		}
	}
	return rows
}

// fromMoves fits the lags' shares to how values moved between earlier totals:
// a stretch's change of value is expected to be, per click before it, the value
// of a click times what the curve adds at that click's age. Weighted least
// squares towards the prior. The totals of this request take no part, so that an
// ad that is better now changes nothing of it.
func (m *model) fromMoves(prior *curve, rows []int) *curve {
	ev := m.before(rows) // a first look, by the curve so far
	size := float64(m.req.Account.DealValue)
	if size == 0 {
		size = m.lumpOf(ev, rows, 1)
	}
	look := m.believe(m.inDeals(ev, size), 1)
	open, won := prior.steps()
	if !m.cash {
		for b := range won {
			won[b], open[b] = open[b]+won[b], 0
		}
	}
	forOpen, forWon := newRidge(open), newRidge(won)
	for _, i := range rows {
		hat, value := m.expectedClicks(i), look.value[i]
		legs := m.armLegs(i)
		legs = legs[:len(legs)-1]
		lump, doubt := size/value, 1/m.shape(&look, i)
		for k := range legs {
			l := &legs[k]
			if math.IsNaN(l.open) || l.to <= l.from {
				continue
			}
			var x [lags]float64
			for j := range k + 1 {
				earlier := &legs[j]
				exposures(&x, hat(earlier), l, (earlier.from+earlier.to)/2)
			}
			o, w := l.open/value, l.won/value
			if !m.cash {
				o, w = 0, o+w
			}
			forOpen.add(&x, o, lump*openLump, doubt)
			forWon.add(&x, w, lump, doubt)
		}
	}
	return stepped(forOpen.solve(), forWon.solve())
}

// exposures adds to x, for clicks at age at, the part of each lag that passed
// during the stretch l.
func exposures(x *[lags]float64, clicks float64, l *leg, at float64) {
	lo, hi := math.Max(0, l.from-at)/24, (l.to-at)/24
	from := 0.0
	for b, e := range edges {
		if both := math.Min(hi, e) - math.Max(lo, from); both > 0 {
			x[b] += clicks * both / (e - from)
		}
		from = e
	}
}
