package oracle

import (
	"cmp"
	"math"
)

// observed is an ad's count of successes out of an exposure: clicks of
// impressions, or value of spend, both in units of a typical deal.
type observed struct {
	count, exposure float64
	row             []entry
	// wider is by how much more an ad of its age may differ from one of today: 1 for
	// a new ad, and where age does not count. 0 counts as 1.
	wider float64
}

// robust is a site's beginning.
func (o *observed) robust() float64 { return 1 / max(o.wider, 1) }

// fit is a mixed Poisson regression: an ad's rate is exp(row x effects + its own
// deviation), the effects are normal with a variance of their group, and the
// deviations follow Student's t. The ads' rates are approximated by the Gaussian
// that is nearest to each (variational Poisson log-normal: Chan & Vu 2013; Arridge
// et al. 2018), so that an ad with no clicks, or with a million, needs no rule of
// its own; given them, all effects are solved for at once. The variances are those
// that make the data most likely (MacKay 1992; Harville 1977), with a prior that
// only few ads feel; the t distribution is a scale mixture (Lange et al. 1989).
type fit struct {
	prior belief
	group []int // by column
	start float64
	// before is what is believed of single columns, in place of their group.
	before map[int]normal
	// share and mean are what is carried over a change of taste, by column; nil for nothing.
	share, mean []float64

	effects    []float64
	factor     symmetric // of the effects' precision
	covariance symmetric
	between    float64         // variance of an ad's own deviation, its scale
	variance   [groups]float64 // of a group's effects
	sites      []site
}

// site is what is known of an ad.
type site struct {
	mean, variance float64 // of the logarithm of its rate
	at, weight     float64 // of the Gaussian observation that stands for its count
	robust         float64 // 1 for an ordinary ad, less for one far from the others
	leverage       float64 // variance of what its row says
}

// Bounds of what is fitted: of the logarithm of a rate, and of variances.
const (
	lowest, highest = -25.0, 12.0
	leastVariance   = 1e-6
	mostVariance    = 9.0
)

func newFit(prior belief, group []int, before map[int]normal) *fit {
	f := &fit{prior: prior, group: group, before: before, effects: make([]float64, len(group)), between: prior.Ad * prior.Ad / (widen * widen)}
	for g := range f.variance {
		f.variance[g] = prior.Effect[g] * prior.Effect[g]
	}
	// So that the mean of ads of which nothing is known is the prior's.
	f.start = math.Log(prior.Mean) - f.between/2
	if level, ok := before[0]; ok {
		f.start = level.mean - f.between/2
	}
	for j, b := range before {
		f.effects[j] = b.mean
	}
	f.effects[0] = f.start
	return f
}

// spread is the variance of an ad's own deviation, as of a normal distribution
// with the same 90% interval.
func (f *fit) spread() float64 { return f.between * widen * widen }

// Rounds of fitting; most fits converge in a third of them.
const (
	rounds = 60
	enough = 1e-3 // of a logarithm
	again  = 4    // where the start is near
)

// learn fits the effects, and where hyper is set the variances, to data.
func (f *fit) learn(data []observed, most int) {
	f.sites = make([]site, len(data))
	for i, o := range data {
		f.sites[i] = site{mean: clamp(math.Log((o.count+0.5)/(o.exposure+1)), lowest, highest), robust: o.robust()}
	}
	for round := range most {
		before := append([]float64{}, f.effects...)
		f.approximate(data)
		f.solve(data)
		f.invert(data)
		moved := f.spreads(data, round)
		for j, b := range before {
			moved = max(moved, math.Abs(f.effects[j]-b))
		}
		if round > 3 && moved < enough {
			break
		}
	}
	f.approximate(data)
}

// relearn fits the effects to other data from where they are. The variances stay:
// they are a handful of numbers of all the data, and an ad more or less does not
// move them.
func (f *fit) relearn(data []observed) {
	f.sites = make([]site, len(data))
	for i, o := range data {
		f.sites[i] = site{mean: f.predictor(o.row), robust: o.robust()}
	}
	for range again {
		f.approximate(data)
		f.solve(data)
	}
	f.covariance = f.factor.inverse()
}

// predictor is what a row says.
func (f *fit) predictor(row []entry) float64 {
	sum := 0.0
	for _, e := range row {
		sum += e.X * f.effects[e.Col]
	}
	return clamp(sum, lowest, highest)
}

// approximate finds each ad's Gaussian, given the effects.
func (f *fit) approximate(data []observed) {
	for i := range data {
		s, mu := &f.sites[i], f.predictor(data[i].row)
		s.fit(data[i], mu, f.between/s.robust)
		deviation := (s.mean-mu)*(s.mean-mu) + s.variance
		old := data[i].robust()
		s.robust = old * (tails + 1) / (tails + deviation*old/f.between)
	}
}

// fit finds the Gaussian of a rate whose prior is normal around mu.
func (s *site) fit(o observed, mu, prior float64) {
	m := s.mean
	for range 50 {
		s.weight = o.exposure * math.Exp(m+s.variance/2)
		s.variance = 1 / (1/prior + s.weight)
		step := (o.count - s.weight - (m-mu)/prior) * s.variance
		m = clamp(m+clamp(step, -1, 1), lowest, highest)
		if math.Abs(step) < 1e-9 {
			break
		}
	}
	s.mean = m
	s.weight = max(o.exposure*math.Exp(m+s.variance/2), 1e-9)
	s.at = m + (o.count-s.weight)/s.weight
}

// weight is how much an ad says of the effects.
func (f *fit) weightOf(s *site) float64 { return 1 / (f.between/s.robust + 1/s.weight) }

// solve finds the effects, given the ads' Gaussians.
func (f *fit) solve(data []observed) {
	p := len(f.effects)
	a, b := newSymmetric(p), make([]float64, p)
	for i := range data {
		s, row := &f.sites[i], data[i].row
		w := f.weightOf(s)
		for j, x := range row {
			wx := w * x.X
			b[x.Col] += wx * s.at
			at := a.v[int(x.Col)*p:]
			at[x.Col] += wx * x.X
			for _, y := range row[:j] { // rows are sorted: this is the lower triangle
				at[y.Col] += wx * y.X
			}
		}
	}
	for j := range p {
		n := f.believed(j)
		*a.at(j, j) += 1 / n.variance
		b[j] += n.mean / n.variance
	}
	a.factor()
	f.effects, f.factor = a.solve(b), a
}

// believed is what is believed of a column before there is data.
func (f *fit) believed(j int) normal {
	n, ok := f.before[j]
	if !ok {
		n.variance = f.variance[f.group[j]]
		if f.share != nil {
			n.variance *= f.share[j]
		}
		if f.mean != nil {
			n.mean = f.mean[j]
		}
	}
	if j == 0 {
		n.mean = f.start
	}
	return n
}

// invert brings the covariance up to what was solved last.
func (f *fit) invert(data []observed) {
	f.covariance = f.factor.inverse()
	for i := range data {
		f.sites[i].leverage = f.uncertainty(data[i].row)
	}
}

// uncertainty is the variance of what a row says.
func (f *fit) uncertainty(row []entry) float64 { return quadratic(f.covariance, row) }

func quadratic(m symmetric, row []entry) float64 {
	sum := 0.0
	for j, x := range row {
		at := m.v[int(x.Col)*m.n:]
		part := at[x.Col] * x.X / 2
		for _, y := range row[:j] {
			part += at[y.Col] * y.X
		}
		sum += 2 * part * x.X
	}
	return max(sum, 0)
}

// spreads moves the variances to where the data are more likely, and returns by
// how much, as a logarithm.
func (f *fit) spreads(data []observed, round int) float64 {
	moved := 0.0
	move := func(variance *float64, ratio float64) {
		next := clamp(*variance*clamp(ratio, 0.2, 5), leastVariance, mostVariance)
		moved = max(moved, math.Abs(math.Log(next / *variance))/10)
		*variance = next
	}
	var squares, expected float64
	for i := range data {
		s := &f.sites[i]
		w := f.weightOf(s)
		r := s.at - f.predictor(data[i].row)
		share := data[i].robust() // of an ad of long ago nobody knows what its deviation should be
		squares += share * w * w * r * r / s.robust
		expected += share * (w - w*w*s.leverage) / s.robust
	}
	n, ad := f.prior.Strength, f.prior.Ad*f.prior.Ad/(widen*widen)
	v := f.between
	if round > 0 { // the first round's deviations are the prior's
		move(&f.between, (squares+(n+2)*ad/(v*v))/(max(expected, 0)+(n+2)/v))
	}
	var square, known [groups]float64
	for j, g := range f.group {
		if _, own := f.before[j]; own {
			continue // it says nothing of the others of its group
		}
		effect := f.effects[j]
		if g == level {
			effect -= f.start
		}
		share := 1.0
		if f.share != nil {
			share = f.share[j]
		}
		if f.mean != nil {
			effect -= f.mean[j]
		}
		square[g] += effect * effect / share
		known[g] += 1 - *f.covariance.at(j, j)/(share*f.variance[g])
	}
	for g := range f.variance {
		prior, n := f.prior.Effect[g]*f.prior.Effect[g], cmp.Or(f.prior.Columns, effectStrength)
		move(&f.variance[g], (square[g]+(n+2)*prior)/(max(known[g], 0)+n+2)/f.variance[g])
	}
	return moved
}

func clamp(x, low, high float64) float64 {
	if math.IsNaN(x) {
		return low
	}
	return min(max(x, low), high)
}
