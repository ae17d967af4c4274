package sampler

import "math"

// What a click is finally worth, per ad: a Gamma posterior whose prior is the
// account's mean, moved by what the account's click rates say about value. Open
// deals speak first, won ones later. An ad's open deals and its won deals are
// disjoint, so that their counts are independent given the ad's quality, and
// both are divided by the clicks that should have shown by now, not by all
// clicks: a young click is censored, not a failure.

const (
	// openLump is how much less an open deal's value is than a won one's: the
	// open part comes in smaller lumps, so it holds more evidence per unit.
	openLump = 0.25
	// trust is the variance of the log of an ad's final value given a precise
	// knowledge of its open deals: bad leads are lost more often than good ones.
	trust = 0.4
	// unsettled is the variance of the log of how far open deals mislead, all
	// together, before any has been settled.
	unsettled = 0.5
	// usualSlope is where the elasticity of value to click rate starts from: what
	// gets clicks easily is often worth less, and an account that is wrongly
	// believed to be full of bargains loses more than one that is searched longer.
	usualSlope = -0.65
	// dnaWeight is the logarithm of the value of a perfect creative's click over
	// a worthless one's.
	dnaWeight = 0.5
)

var (
	spreadGrid    = [...]float64{0.5, 0.8, 1.3, 2, 3.2, 5, 9, 16}    // shape of the prior between ads
	clickbaitGrid = [...]float64{-1, -0.8, -0.6, -0.4, -0.2, 0, 0.2} // elasticity of value to click rate
)

// evidence is what one ad's deals say: x deals where e clicks were each expected
// to show 1/value of one.
type evidence struct{ openX, openE, wonX, wonE float64 }

func (m *model) learnValue() {
	ev := make([]evidence, len(m.rows))
	m.gather(ev)
	lift := m.value // prior log factor of each ad, without click rates
	scored, n := 0.0, 0.0
	for i := range m.rows {
		if d := m.arm(i).DNA; d != nil {
			scored, n = scored+*d, n+1
		}
	}
	for i := range m.rows {
		lift[i] = 0
		if d := m.arm(i).DNA; d != nil {
			lift[i] = dnaWeight * (*d - scored/n)
		}
	}
	shape, slope, mean := m.spread(ev, lift)
	m.account.ValuePerClick, m.account.Clickbait, m.account.Spread = mean, slope, 1/math.Sqrt(shape)
	for i := range m.rows {
		e := &ev[i]
		prior := mean * math.Exp(lift[i]+slope*math.Log(m.ctr0[i]/m.account.CTR))
		s := shape + e.openX
		v := s / (shape/prior + e.openE)
		if m.cash {
			s = 1 / (1/s + trust)
			rate := s/v + e.wonE
			s += e.wonX
			v = s / rate
		}
		m.value[i] = v
		m.shape[i] = 1 / (1/s + m.ctrCV[i])
	}
}

// gather fills in each ad's evidence in deals, which needs the lump: what one
// deal adds.
func (m *model) gather(ev []evidence) {
	var sum, shown, settled, clicks float64
	for i := range m.rows {
		a := m.arm(i)
		e := &ev[i]
		open, won := value(a.Pipeline, a.Cash)
		hat := m.expectedClicks(i)
		var all, settledHere float64
		for _, l := range m.armLegs(i) {
			c := hat(&l)
			o, w := m.curve.over(a.AgeHours-l.to, a.AgeHours-l.from)
			e.openE += c * o
			e.wonE += c * w
			all += c
			settledHere += c * w
		}
		if !m.cash {
			open, won = open+won, 0
			e.openE, e.wonE = e.openE+e.wonE, 0
		}
		e.openX, e.wonX = open, won
		m.matured[i] = math.Min(1, (e.openE+e.wonE+1e-9)/(all+1e-9))
		sum += open + won
		shown += e.openE + e.wonE
		clicks += all
		settled += settledHere
	}
	m.account.Lump = m.lump(ev, sum, shown)
	m.account.Doubt = 1/(1+sum/m.account.Lump) + unsettled*sq(1-settled/(clicks+1e-9))
	for i := range ev {
		e := &ev[i]
		w := m.arm(i).Attribution
		if w <= 0 || w > 1 {
			w = 1
		}
		lump := m.account.Lump / w
		part := lump
		if m.cash {
			part *= openLump
		}
		e.openX, e.openE = e.openX/part, e.openE/part
		e.wonX, e.wonE = e.wonX/lump, e.wonE/lump
	}
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

// even is the value of a click that just pays for itself.
func (m *model) even() float64 { return m.account.CPM / 1000 / m.account.CTR }

// spread learns how ads of this account differ: the shape of the prior between
// them, the elasticity of value to click rate, and the mean, by the marginal
// likelihood of the counts (negative binomial), averaged over the grid.
func (m *model) spread(ev []evidence, lift []float64) (shape, slope, mean float64) {
	rows := m.sample(func(i int) float64 { return ev[i].openE + ev[i].wonE })
	var post [len(spreadGrid) * len(clickbaitGrid)]float64
	var means [len(post)]float64
	even := m.even() // a return of 1, for as long as nothing is known
	for b, slope := range clickbaitGrid {
		for s, shape := range spreadGrid {
			k := b*len(spreadGrid) + s
			mu := m.pooled(ev, lift, rows, shape, slope, even)
			means[k] = math.Log(mu)
			post[k] = -sq((slope-usualSlope)/0.4)/2 - sq(math.Log(shape)/0.8)/2
			for _, i := range rows {
				x, e := ev[i].openX+ev[i].wonX, ev[i].openE+ev[i].wonE
				prior := shape / (mu * math.Exp(lift[i]+m.settledSlope(i, slope)*math.Log(m.ctr0[i]/m.account.CTR)))
				g1, _ := math.Lgamma(shape + x)
				g0, _ := math.Lgamma(shape)
				post[k] += g1 - g0 + shape*math.Log(prior) - (shape+x)*math.Log(prior+e)
			}
		}
	}
	weigh(post[:])
	for b, sl := range clickbaitGrid {
		for s, sh := range spreadGrid {
			w := post[b*len(spreadGrid)+s]
			shape += w * math.Log(sh)
			slope += w * sl
			mean += w * means[b*len(spreadGrid)+s]
		}
	}
	return math.Exp(shape), slope, math.Exp(mean)
}

// settledSlope is the elasticity for an ad that the account's is learned from: in
// its first day an ad knows its clicks and not yet what they are worth, so that
// it has nothing to say of the two together.
func (m *model) settledSlope(i int, slope float64) float64 {
	if m.arm(i).AgeHours < 24 {
		return usualSlope
	}
	return slope
}

// pooled is the account's mean value of a click for one point of the grid; half
// a deal's worth of evidence says that ads return what they cost.
func (m *model) pooled(ev []evidence, lift []float64, rows []int, shape, slope, even float64) float64 {
	mu := even
	for range 4 {
		x, e := 0.5, 0.5/even
		for _, i := range rows {
			f := math.Exp(lift[i] + m.settledSlope(i, slope)*math.Log(m.ctr0[i]/m.account.CTR))
			w := 1 / (1 + (ev[i].openE+ev[i].wonE)*f*mu/shape)
			x += w * (ev[i].openX + ev[i].wonX)
			e += w * (ev[i].openE + ev[i].wonE) * f
		}
		mu = x / e
	}
	return mu
}
