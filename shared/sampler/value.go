package sampler

import "math"

// What a click is finally worth, per ad: a Gamma posterior whose prior is the
// account's mean, moved by what the account's click rates say about value.

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

// belief is what is believed of the ads' values.
type belief struct {
	shape, slope, mean float64   // of the prior
	value, sure        []float64 // final value of a click: mean and shape per row
}

// learnValue sets what is believed of the ads, twice over. The split goes by
// evidence that is weighed by the size of a deal as it was known before these
// totals were told: then whatever makes one ad better raises the account's mean,
// and with it the others, by less than the ad itself (see believe), and a better
// ad never gets less. What is reported goes by all that is known.
func (m *model) learnValue() {
	ev := m.gather()
	lump := m.lump(ev)
	before, learn := m.lumpBefore(ev, lump)
	m.account.Lump = lump
	sum := 0.0
	for i := range ev {
		sum += ev[i].value()
	}
	m.account.Doubt = 1/(1+sum/lump) + unsettled*sq(1-m.settled)
	m.decided = m.believe(m.inDeals(ev, before), learn)
	m.told = m.decided
	// What all ads get for their clicks is the same for all, and no ad's share; but a
	// return that is told goes by the account's own click rate from the first day on.
	if usual := m.settledCTR(m.account.CTR); before != lump || learn < 1 || usual != m.usualCTR {
		m.usualCTR = usual
		m.told = m.believe(m.inDeals(ev, lump), 1)
	}
	m.account.ValuePerClick, m.account.Clickbait, m.account.Spread = m.told.mean, m.told.slope, 1/math.Sqrt(m.told.shape)
}

// believe learns the prior from the evidence, its shape and slope only as far as
// learn says (0 to 1), and returns the posteriors.
//
// Raising an ad's value raises the account's mean too, which helps an ad without
// evidence more than one with. It helps none more than the ad itself: the mean
// solves a sum of scores over the ads, and the ad's own score grows by just its
// weight times its posterior's growth, while its own curvature is in the
// denominator (the argument needs the exact solution, and lumps, shape and slope
// that stay; property tests watch what the last two add).
func (m *model) believe(ev []evidence, learn float64) belief {
	lift := m.lift()
	b := m.spread(ev, lift, learn)
	b.value, b.sure = make([]float64, len(ev)), make([]float64, len(ev))
	for i := range ev {
		x, e, weight := m.trusted(&ev[i], b.shape)
		prior := b.mean * math.Exp(lift[i]+b.slope*m.easy(i))
		b.value[i] = (b.shape + x) / (b.shape/prior + e)
		b.sure[i] = weight * (b.shape + x)
	}
	return b
}

// lift is the logarithm of what each ad's creative score makes of its prior.
func (m *model) lift() []float64 {
	lift := make([]float64, len(m.rows))
	scored, n := 0.0, 0.0
	for i := range m.rows {
		if d := m.arm(i).DNA; d != nil {
			scored, n = scored+*d, n+1
		}
	}
	for i := range m.rows {
		if d := m.arm(i).DNA; d != nil {
			lift[i] = dnaWeight * (*d - scored/n)
		}
	}
	return lift
}

// easy is how much easier than usual row i gets clicks, as a logarithm.
func (m *model) easy(i int) float64 { return math.Log(m.ctr0[i] / m.usualCTR) }

// even is the value of a click that just pays for itself.
func (m *model) even() float64 { return m.account.CPM / 1000 / m.usualCTR }

// spread learns how ads of this account differ: the shape of the prior between
// them and the elasticity of value to click rate, by the marginal likelihood of
// the counts (negative binomial), averaged over the grid; and with these the mean.
func (m *model) spread(ev []evidence, lift []float64, learn float64) belief {
	rows := m.sample(func(i int) float64 { return ev[i].clicks() })
	p := pool{even: m.even(), factor: make([]float64, len(rows)), x: make([]float64, len(rows)), e: make([]float64, len(rows))}
	easy := make([]float64, len(rows))
	for j, i := range rows {
		easy[j] = m.easy(i)
		p.x[j], p.e[j] = ev[i].value(), ev[i].clicks()
	}
	var post [len(spreadGrid) * len(clickbaitGrid)]float64
	for b, slope := range clickbaitGrid {
		m.factors(p.factor, rows, lift, easy, slope)
		mu := p.even
		for s, shape := range spreadGrid {
			k := b*len(spreadGrid) + s
			mu = p.mean(shape, mu)
			g0, _ := math.Lgamma(shape)
			for j := range rows {
				prior := shape / (mu * p.factor[j])
				g1, _ := math.Lgamma(shape + p.x[j])
				post[k] += g1 - g0 + shape*math.Log(prior) - (shape+p.x[j])*math.Log(prior+p.e[j])
			}
			post[k] = learn*post[k] - sq((slope-usualSlope)/0.4)/2 - sq(math.Log(shape)/0.8)/2
		}
	}
	weigh(post[:])
	var out belief
	for b, slope := range clickbaitGrid {
		for s, shape := range spreadGrid {
			w := post[b*len(spreadGrid)+s]
			out.shape += w * math.Log(shape)
			out.slope += w * slope
		}
	}
	out.shape = math.Exp(out.shape)
	m.factors(p.factor, rows, lift, easy, out.slope)
	for j, i := range rows {
		p.x[j], p.e[j], _ = m.trusted(&ev[i], out.shape)
	}
	out.mean = p.mean(out.shape, p.even)
	return out
}

// factors sets what each row's prior is beside the account's mean. In its first
// day an ad knows its clicks and not yet what they are worth, so that it has
// nothing to say of the elasticity.
func (m *model) factors(f []float64, rows []int, lift, easy []float64, slope float64) {
	for j, i := range rows {
		own := slope
		if m.arm(i).AgeHours < 24 {
			own = usualSlope
		}
		f[j] = math.Exp(lift[i] + own*easy[j])
	}
}

// pool is evidence that an account's mean is learned from.
type pool struct {
	even         float64
	factor, x, e []float64
}

// mean is the account's mean value of a click: where the likelihood of the counts
// (negative binomial) is highest, with one ad's worth of evidence that ads return
// what they cost. Newton's steps from a guess, on the logarithm.
func (p *pool) mean(shape, guess float64) float64 {
	t := math.Log(guess)
	for range 60 {
		mu := math.Exp(t)
		score, curve := shape*(1-mu/p.even), shape*mu/p.even
		for j, x := range p.x {
			e := p.e[j] * p.factor[j] * mu
			w := shape / (shape + e)
			score += w * (x - e)
			curve += w * (1 - w) * (shape + x)
		}
		step := clamp(score/curve, -2, 2)
		t += step
		if math.Abs(step) < 1e-9 {
			break
		}
	}
	return math.Exp(t)
}
