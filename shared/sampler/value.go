package sampler

import "math"

// What a click is finally worth, per ad: a Gamma posterior whose prior is the
// account's mean, moved by what the account's click rates say about value.

const (
	// trust is the variance of the log of an ad's final value given a precise
	// knowledge of its open deals: bad leads are lost more often than good ones.
	trust = 0.4
	// openDoubt is the variance of the log of how far open deals mislead, all
	// together, before any has been won or lost.
	openDoubt = 0.5
	// unsoldDoubt is the squared coefficient of variation of what all ads of an account
	// return before it has won a deal, beyond what its open deals leave.
	unsoldDoubt = 6
	// usualSlope is where the elasticity of value to click rate starts from: what
	// gets clicks easily is often worth less, and an account that is wrongly
	// believed to be full of bargains loses more than one that is searched longer.
	usualSlope = -0.65
	// dnaWeight is the logarithm of the value of a perfect creative's click over
	// a worthless one's.
	dnaWeight = 0.5
)

var (
	spreadGrid    = [...]float64{0.3, 0.5, 0.8, 1.3, 2, 3.2, 5, 9, 16} // shape of the prior between ads
	clickbaitGrid = [...]float64{-1, -0.8, -0.6, -0.4, -0.2, 0, 0.2}   // elasticity of value to click rate
)

// belief is what is believed of the ads' values.
type belief struct {
	shape, slope, mean float64   // of the prior
	value              []float64 // final value of a click per row
	// cv is the squared coefficient of variation of each row's value beside the
	// others', cvAll with what is not known of the delay, which is common to all.
	cv, cvAll []float64
	prior     []float64 // the value before the row's own deals
}

// learnValue sets what is believed of the ads.
func (m *model) learnValue() {
	ev := m.gather(false)
	b := m.believe(ev)
	deals, won, level := 0.0, 0.0, m.level()
	for i := range ev {
		deals, won = deals+ev[i].open+ev[i].won, won+ev[i].won
		b.value[i] *= level
		b.prior[i] *= level
	}
	b.mean *= level
	m.believed = b
	m.account.Deals = deals
	m.account.Doubt = 1/(1+deals) + openDoubt*sq(1-m.closed) + sq((level-1)/2)
	if m.cash {
		m.account.Doubt += unsoldDoubt / sq(1+won)
	}
	m.account.ValuePerClick, m.account.Clickbait, m.account.Spread = b.mean, b.slope, 1/math.Sqrt(b.shape)
}

// mostUnattributed bounds how far the account's returns are scaled for deals that
// no ad could be found for.
const mostUnattributed = 0.5

// level is what all values are multiplied by, as part of the account's deals could
// not be attributed to any ad.
func (m *model) level() float64 {
	if r := m.req.Account.Attributed; r > 0 && r < 1 {
		return 1 / math.Max(r, mostUnattributed)
	}
	return 1
}

// believe learns the prior from the evidence and returns the posteriors, averaged
// over the nodes of the delay's speed.
//
// Raising an ad's value raises the account's mean too, which helps an ad without
// evidence more than one with. It helps none more than the ad itself: the mean
// solves a sum of scores over the ads, and the ad's own score grows by just its
// weight times its posterior's growth, while its own curvature is in the
// denominator (the argument needs the exact solution, and sizes, shape and slope
// that stay; property tests watch what these add).
func (m *model) believe(ev []evidence) belief {
	lift := m.lift()
	b, p := m.spread(ev, lift)
	b.columns(len(ev))
	var means, logs [nodes]float64
	for q := range nodes {
		if means[q] = b.mean; q != 1 {
			for j, i := range p.rows {
				p.x[j], p.e[j], _ = ev[i].trusted(b.shape, q)
			}
			means[q] = p.mean(b.shape, b.mean)
		}
		logs[q] = math.Log(means[q])
	}
	for i := range ev {
		factor := math.Exp(lift[i] + m.slopeOf(i, b.slope)*m.easy(i))
		b.prior[i] = b.mean * factor
		var v [nodes]float64
		mean, square, all := 0.0, 0.0, 0.0
		for q, w := range nodeWeight {
			x, e, weight := ev[i].trusted(b.shape, q)
			v[q] = math.Log((b.shape + x) / (b.shape/(means[q]*factor) + e))
			own := v[q] - logs[q]
			mean, square, all = mean+w*own, square+w*own*own, all+w*v[q]
			if q == 1 {
				b.cv[i] = 1/(weight*(b.shape+x)) + m.sizes[i].variance
			}
		}
		b.value[i] = math.Exp(all)
		b.cvAll[i] = b.cv[i]
		b.cv[i] += math.Max(0, square-mean*mean)
		for q, w := range nodeWeight { // what is not known of the delay
			b.cvAll[i] += w * sq(v[q]-all)
		}
	}
	return b
}

// look returns the posteriors of some rows at the middle node alone.
func (m *model) look(ev []evidence, rows []int) belief {
	lift := m.lift()
	b, _ := m.spread(ev, lift)
	b.columns(len(ev))
	for _, i := range rows {
		b.prior[i] = b.mean * math.Exp(lift[i]+m.slopeOf(i, b.slope)*m.easy(i))
		x, clicks, weight := ev[i].trusted(b.shape, 1)
		b.value[i] = (b.shape + x) / (b.shape/b.prior[i] + clicks)
		b.cv[i] = 1/(weight*(b.shape+x)) + m.sizes[i].variance
	}
	return b
}

func (b *belief) columns(n int) {
	all := make([]float64, 4*n)
	b.value, b.cv, b.cvAll, b.prior = all[:n:n], all[n:2*n:2*n], all[2*n:3*n:3*n], all[3*n:]
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
func (m *model) spread(ev []evidence, lift []float64) (belief, *pool) {
	clicks := func(i int) float64 { return ev[i].openClicks[1] + ev[i].wonClicks[1] }
	rows := mostEvident(len(ev), sampled, clicks)
	p := &pool{
		rows: rows, even: m.even(), factor: make([]float64, len(rows)), x: make([]float64, len(rows)), e: make([]float64, len(rows)),
	}
	easy := make([]float64, len(rows))
	for j, i := range rows {
		easy[j] = m.easy(i)
		p.x[j], p.e[j] = ev[i].open+ev[i].won, clicks(i)
	}
	var post [len(spreadGrid) * len(clickbaitGrid)]float64
	var counts [len(spreadGrid)]float64 // what the numbers of deals alone say of each shape
	for s, shape := range spreadGrid {
		g0, _ := math.Lgamma(shape)
		for _, x := range p.x {
			g1, _ := math.Lgamma(shape + x)
			counts[s] += g1 - g0
		}
	}
	for b, slope := range clickbaitGrid {
		logs := m.factors(p.factor, rows, lift, easy, slope)
		mu := p.even
		for s, shape := range spreadGrid {
			k := b*len(spreadGrid) + s
			mu = p.mean(shape, mu)
			for j, x := range p.x {
				post[k] -= (shape + x) * math.Log(shape/(mu*p.factor[j])+p.e[j])
			}
			post[k] += shape * (float64(len(rows))*math.Log(shape/mu) - logs)
			post[k] += counts[s] - sq((slope-usualSlope)/0.4)/2 - sq(math.Log(shape)/0.8)/2
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
		p.x[j], p.e[j], _ = ev[i].trusted(out.shape, 1)
	}
	out.mean = p.mean(out.shape, p.even)
	return out, p
}

// factors sets what each row's prior is beside the account's mean, and returns the sum
// of the logarithms.
func (m *model) factors(f []float64, rows []int, lift, easy []float64, slope float64) (logs float64) {
	for j, i := range rows {
		x := lift[i] + m.slopeOf(i, slope)*easy[j]
		f[j], logs = math.Exp(x), logs+x
	}
	return logs
}

// slopeOf is the elasticity for row i: in its first day an ad's clicks cannot have
// shown what they are worth, and it goes by the usual one.
func (m *model) slopeOf(i int, slope float64) float64 {
	return usualSlope + m.arm(i).grown()*(slope-usualSlope)
}

// pool is evidence that an account's mean is learned from.
type pool struct {
	rows         []int
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
