package sampler

import "math"

// The delay from click to deal is learned in two steps. First how many times slower
// than usual the account is, from its deals' lives and from how the ads' values
// moved, over a grid: what is not known of that stays in every interval and verdict.
// Then the form of the curve, share by share, from the same evidence.

// edges are the ends of the lags, in days, within which value comes evenly.
var edges = [...]float64{1, 2, 3, 5, 7, 10, 14, 18, 24, 32, 45, 60, 90, 140, horizon}

const lags = len(edges)

// speeds are how many times slower than usual an account may be.
var speeds = [...]float64{0.35, 0.5, 0.7, 1, 1.4, 2, 2.8, 4, 5.6, 8}

const (
	usualSpeed  = 3   // index of 1
	speedSpread = 0.7 // standard deviation of the logarithm, before anything is known
	// levelSpread is the same of what the account's clicks return, beside what they cost.
	levelSpread = 1.5
	// priorDeals is how many deals of its own an account needs to be believed as
	// much as the usual curve.
	priorDeals = 10
)

// usualCurves are the usual curve at each speed.
var usualCurves = func() (all [len(speeds)]*curve) {
	for k, s := range speeds {
		all[k] = usualCurve(s)
	}
	return all
}()

// nodes are where the uncertain speed is evaluated: the three points of Gauss and
// Hermite, in standard deviations, and their weights.
const nodes = 3

var (
	nodeAt     = [nodes]float64{-math.Sqrt(3), 0, math.Sqrt(3)}
	nodeWeight = [nodes]float64{1. / 6, 2. / 3, 1. / 6}
)

// learnDelay sets the delay curve and how sure its speed is.
func (m *model) learnDelay() {
	post := speedPrior()
	addDealLives(&post, m.req.Account.Deals)
	m.addMoves(&post)
	slower, spread := speedOf(&post)
	m.account.DelaySpread = spread
	m.curve = usualCurve(slower)
	if len(m.req.Account.Deals) > 0 {
		m.curve = fromDeals(m.curve, m.req.Account.Deals)
	}
	m.curve = m.fromMoves(m.curve)
	m.account.MedianDelay = m.curve.median()
}

func speedPrior() (post [len(speeds)]float64) {
	for k, s := range speeds {
		post[k] = -sq(math.Log(s)/speedSpread) / 2
	}
	return post
}

// speedOf returns how many times slower than usual an account is, and the standard
// deviation of its logarithm, by log weights.
func speedOf(post *[len(speeds)]float64) (slower, spread float64) {
	weigh(post[:])
	mean, square := 0.0, 0.0
	for k, s := range speeds {
		x := math.Log(s)
		mean += post[k] * x
		square += post[k] * x * x
	}
	return math.Exp(mean), math.Sqrt(math.Max(sq(0.08), square-mean*mean))
}

// addDealLives adds the likelihood of the account's deals at each speed: won ones by
// when they were won, open ones by how long they have stayed open, with the share
// that is never won averaged out (Chapelle 2014).
func addDealLives(post *[len(speeds)]float64, deals []Deal) {
	if len(deals) == 0 {
		return
	}
	wins := [...]float64{0.05, 0.15, 0.3, 0.5, 0.7, 0.9}
	for k := range post {
		c := usualCurves[k]
		var like [len(wins)]float64
		for j := range deals {
			d := &deals[j]
			if d.Won && len(d.Steps) > 0 {
				t := d.Steps[len(d.Steps)-1].Hours / 24
				rate := math.Max(1e-6, (at(&c.won, t+0.5)-at(&c.won, math.Max(0, t-0.5)))/math.Min(1, t+0.5))
				for w, p := range wins {
					like[w] += math.Log(p * rate)
				}
				continue
			}
			late := 0.0
			if !d.Lost {
				late = 1 - at(&c.won, d.Observed/24)
			}
			for w, p := range wins {
				like[w] += math.Log(1 - p + p*late)
			}
		}
		top, sum := math.Inf(-1), 0.0
		for _, x := range like {
			top = math.Max(top, x)
		}
		for _, x := range like {
			sum += math.Exp(x - top)
		}
		post[k] += top + math.Log(sum)
	}
}

// flows returns how many clicks' worth of final value should have come in each
// stretch by curve c: in won deals, or in the whole pipeline.
func (m *model) flows(steps []stretch, c *curve, pipeline bool) []float64 {
	out := make([]float64, len(steps))
	for j := range steps {
		from := &steps[j]
		if from.clicks <= 0 {
			continue
		}
		before := 0.0
		for k := j; k < len(steps); k++ {
			to := steps[k].to
			open, won := c.over(math.Max(0, to-from.to), to-from.from)
			if pipeline {
				won += open
			}
			if k == j && from.to > from.from {
				won = c.ramp(from.to-from.from, pipeline)
			}
			out[k] += from.clicks * (won - before)
			before = won
		}
	}
	for k := range out {
		out[k] = math.Max(out[k], 1e-9)
	}
	return out
}

// ramp is the mean share of clicks spread evenly over a stretch at its end.
func (c *curve) ramp(hours float64, pipeline bool) float64 {
	open, won := c.over(0, hours)
	if pipeline {
		won += open
	}
	return won
}

// movedSeries is how one ad's won value, or its whole pipeline, moved.
type movedSeries struct {
	steps        []stretch
	pipeline     bool
	weight, size float64
}

// addMoves adds the likelihood of how the ads' values moved at each speed. Every
// ad's own level is averaged out (Gamma), the account's is the best one, held to
// what its clicks cost: many clicks and no deal make a slow account more likely.
func (m *model) addMoves(post *[len(speeds)]float64) {
	size := m.account.DealSize
	var all []movedSeries
	for _, i := range m.teachers() {
		a := m.arm(i)
		steps := m.stretches(i)
		if a.Cash != nil {
			all = append(all, movedSeries{steps, false, 0.7, size})
		}
		if !a.PipelineUnknown {
			all = append(all, movedSeries{steps, true, 0.3, size * stepSize})
		}
	}
	for k := range post {
		c := usualCurves[k]
		sum, expected := 0.0, 0.0
		flows := make([][]float64, len(all))
		totals := make([]float64, len(all))
		deals := make([]float64, len(all))
		for j := range all {
			s := &all[j]
			flows[j] = m.flows(s.steps, c, s.pipeline)
			for l, f := range flows[j] {
				totals[j] += f
				if x := s.moved(l); x > 0 {
					deals[j] += few(x/s.size, f*m.even()/s.size)
				}
			}
			w := s.weight / (1 + totals[j]/1000)
			sum, expected = sum+w*deals[j]*s.size, expected+w*totals[j]
		}
		level := (sum + 20*m.even()) / (expected + 20)
		like := -sq(math.Log(level/m.even())/levelSpread) / 2
		for j := range all {
			s := &all[j]
			one, since := 0.0, 0.0
			for l, f := range flows[j] {
				since += f
				if x := s.moved(l); x > 0 {
					one += few(x/s.size, f*m.even()/s.size) * math.Log(since/math.Max(totals[j], 1e-9)+1e-6)
				}
				if !math.IsNaN(s.moved(l)) {
					since = 0
				}
			}
			mean := level * totals[j] / s.size
			g, _ := math.Lgamma(deals[j] + sellShape)
			one += g + deals[j]*math.Log(mean/(mean+sellShape)+1e-12) - sellShape*math.Log1p(mean/sellShape)
			like += s.weight * one
		}
		post[k] += like
	}
}

func (s *movedSeries) moved(l int) float64 {
	if s.pipeline {
		return s.steps[l].pipe
	}
	return s.steps[l].cash
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
	c := &curve{stretch: 1}
	b, from := 0, 0.0
	var o, w float64
	for d := 1; d <= horizon; d++ {
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
// deals count for as long as they have been observed and no longer. A deal that
// never pays counts too: that is the cure fraction.
func fromDeals(prior *curve, deals []Deal) *curve {
	var open, won, observed [lags]float64
	scale, wins := 0.0, 0.0
	for _, d := range deals {
		if n := len(d.Steps); d.Won && n > 0 {
			scale += float64(d.Steps[n-1].Value)
			wins++
		}
		from := 0.0
		for b, e := range edges {
			if d.Observed >= 24*e {
				observed[b]++
			} else if d.Observed > 24*from {
				observed[b] += (d.Observed/24 - from) / (e - from)
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
	// The final value of an average deal, from those that have been observed long
	// enough; for later lags the curve so far says what is still to come.
	o, w := prior.steps()
	final := 0.0
	for b := range won {
		if observed[b] > 0 {
			final += won[b] / observed[b]
		}
	}
	seen := 0.0
	for b := range w {
		seen += w[b] * math.Min(1, observed[b]/priorDeals)
	}
	final /= math.Max(seen, 0.2)
	for b := range edges {
		o[b] = (priorDeals*o[b] + open[b]/final) / (priorDeals + observed[b])
		w[b] = (priorDeals*w[b] + won[b]/final) / (priorDeals + observed[b])
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

// fromMoves fits the lags' shares to how values moved between earlier totals: a
// stretch's change of value is expected to be, per click before it, the value of a
// click times what the curve adds at that click's age. Weighted least squares
// towards the prior.
func (m *model) fromMoves(prior *curve) *curve {
	rows := m.teachers()
	m.curve = prior
	look := m.look(m.gather(true), rows)
	open, won := prior.steps()
	if !m.cash {
		for b := range won {
			won[b], open[b] = open[b]+won[b], 0
		}
	}
	forOpen, forWon := newRidge(open), newRidge(won)
	size := m.account.DealSize
	for _, i := range rows {
		steps, value := m.stretches(i), look.value[i]
		each, doubt := size/value, look.cv[i]
		for k := range steps {
			l := &steps[k]
			if l.to <= l.from {
				continue
			}
			// A stretch that is long beside the ad's life says little of when its value came.
			sharp := 1 / (1 + sq(6*(l.to-l.from)/m.arm(i).AgeHours))
			if k > 0 && math.IsNaN(steps[k-1].pipe) && math.IsNaN(steps[k-1].cash) {
				continue // it holds what came before it, too
			}
			var x [lags]float64
			for j := range k + 1 {
				exposures(&x, steps[j].clicks, l, (steps[j].from+steps[j].to)/2)
			}
			cash, pipe := l.cash/value, l.pipe/value
			switch {
			case !m.cash && !math.IsNaN(pipe):
				forWon.add(&x, pipe, each, doubt, sharp)
			case m.cash && !math.IsNaN(cash):
				forWon.add(&x, cash, each, doubt, sharp)
				if !math.IsNaN(pipe) {
					forOpen.add(&x, pipe-cash, each*openSize, doubt, sharp)
				}
			}
		}
	}
	return stepped(forOpen.solve(), forWon.solve())
}

// exposures adds to x, for clicks at age at, the part of each lag that passed
// during the stretch l.
func exposures(x *[lags]float64, clicks float64, l *stretch, at float64) {
	lo, hi := math.Max(0, l.from-at)/24, (l.to-at)/24
	from := 0.0
	for b, e := range edges {
		if both := math.Min(hi, e) - math.Max(lo, from); both > 0 {
			x[b] += clicks * both / (e - from)
		}
		from = e
	}
}
