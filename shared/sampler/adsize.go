package sampler

import (
	"math"
	"slices"
)

var sizeSpreads = [...]float64{0.05, 0.15, 0.3, 0.6, 1.2, 2.4}

// learnSizes sets what a deal of each ad adds, and how many open and won deals each
// ad has.
func (m *model) learnSizes() {
	n := len(m.rows)
	open, won := make([]float64, n), make([]float64, n)
	m.sizes = make([]dealSizes, n)
	openValue, wonValue := make([]float64, n), make([]float64, n)
	spread := m.spreadOfDeals()
	usual := m.account.DealSize * m.unevenness()
	for i := range n {
		a := m.arm(i)
		openValue[i], wonValue[i] = a.value()
		open[i], won[i] = a.counted()
	}
	wonMean, wonVar := m.shrinkSizes(wonValue, won, usual, spread)
	openUsual := usual
	if m.cash {
		openUsual *= openSize
	}
	openMean, openVar := m.shrinkSizes(openValue, open, openUsual, spread)
	for i := range n {
		s := &m.sizes[i]
		s.won, s.open, s.variance = wonMean[i], openMean[i], wonVar[i]
		if math.IsNaN(won[i]) {
			s.won = math.Max(s.won, wonValue[i]/mostDeals)
		}
		if math.IsNaN(open[i]) {
			s.open = math.Max(s.open, openValue[i]/mostDeals)
		}
		if m.arm(i).Cash == nil {
			s.variance = openVar[i]
			if math.IsNaN(open[i]) {
				s.open = math.Max(usual, openValue[i]/mostDeals)
			}
		}
		if math.IsNaN(won[i]) {
			won[i] = m.dealsOf(i, s.won, wonValue[i], true)
			s.won = perDeal(wonValue[i], won[i], s.won)
		}
		if math.IsNaN(open[i]) {
			open[i] = m.dealsOf(i, s.open, openValue[i], false)
			s.open = perDeal(openValue[i], open[i], s.open)
		}
	}
	m.open, m.won = open, won
}

// unevenness is how much more a sum of value must be for one deal's evidence than
// the usual size is, where deals are not counted: few large ones among many small
// make a sum worth less (for independent deals, the mean of the squares over the
// mean). Differences of successive stretches take out what comes steadily.
func (m *model) unevenness() float64 {
	var square, sum float64
	for _, i := range m.teachers() {
		before, long := math.NaN(), 0.0
		for _, s := range m.stretches(i) {
			d, here := s.cash, s.to-s.from
			if !(d >= 0) {
				before = math.NaN()
				continue
			}
			if here <= 3*long && long <= 3*here && !math.IsNaN(before) {
				square += sq(d-before) / 2
				sum += (d + before) / 2
			}
			before, long = d, here
		}
	}
	if sum <= 0 || square <= 0 {
		return 1
	}
	size := square / sum
	n := sum / size
	return math.Pow(math.Max(1, size/m.account.DealSize), n/(n+3))
}

// perDeal is the usual size, shrunk where a value is far more than its deals of it.
func perDeal(value, deals, usual float64) float64 {
	if deals <= 0 || value <= deals*usual {
		return usual
	}
	return usual * math.Pow(value/deals/usual, largerDeals)
}

// few counts a change of a value in deals: what is far above what was expected is
// rather one large deal, however large it is.
func few(n, expected float64) float64 {
	most := largeJump + 3*expected
	if n <= most {
		return n
	}
	return most - math.Expm1(most-n)
}

const (
	// largeJump is how many usual deals a value may rise by at once before it is taken
	// for one large deal.
	largeJump = 4
	// largerDeals is how far an ad's next deals are larger than usual where its value
	// says that its last ones were, as a power.
	largerDeals = 0.1
)

// dealsOf estimates how many deals an ad's value is made of: a sudden rise far above
// what came before is one large deal rather than many.
func (m *model) dealsOf(i int, size, value float64, won bool) float64 {
	legs := m.armLegs(i)
	if value <= 0 || len(legs) < 2 {
		return value / size
	}
	clicks := float64(m.arm(i).Clicks) + 1
	excess := 0.0
	for k := range legs {
		l := &legs[k]
		x := l.cash
		if !won {
			if x = l.pipe; !math.IsNaN(l.cash) {
				x -= l.cash
			}
		}
		if !(x > 0) || k == 0 {
			continue
		}
		n := x / size
		excess += n - few(n, value/size*l.clk/clicks)
	}
	return math.Max(value/size-excess, value/size/20)
}

// spreadOfDeals learns the standard deviation of the logarithm of one ad's deals
// from stretches with one or few won deals.
func (m *model) spreadOfDeals() float64 {
	sum, n := dealSpreadDeals*sq(dealSpread), float64(dealSpreadDeals)
	for _, i := range m.teachers() {
		a := m.arm(i)
		open, won := a.value()
		deals, wins := a.counted()
		value, count := won, wins
		if a.Cash == nil {
			value, count = open, deals
		}
		if !(count >= 2) || value <= 0 {
			continue
		}
		mean := math.Log(value / count)
		for _, l := range m.armLegs(i) {
			more, x := l.wins, l.cash
			if a.Cash == nil {
				more, x = l.deals, l.pipe
			}
			if more >= 1 && x > 0 {
				sum += more * sq(math.Log(x/more)-mean)
				n++
			}
		}
	}
	return clamp(math.Sqrt(sum/n), 0.1, 2.5)
}

// shrinkSizes returns the size of each ad's deals and the variance of its logarithm:
// the ads' own means, shrunk towards the account's by how far ads differ, which is
// averaged over a grid. Ads whose deals are not counted get the account's.
func (m *model) shrinkSizes(values, counts []float64, usual, spread float64) (size, variance []float64) {
	n := len(values)
	size, variance = make([]float64, n), make([]float64, n)
	if !slices.ContainsFunc(counts, func(deals float64) bool { return deals > 0 }) {
		for i := range size {
			size[i] = usual
		}
		return size, variance
	}
	y, v := make([]float64, n), make([]float64, n)
	for i := range n {
		if counts[i] > 0 && values[i] > 0 {
			y[i], v[i] = m.meanSize(i, values[i], counts[i], spread)
		}
	}
	var post, center [len(sizeSpreads)]float64
	for k, tau := range sizeSpreads {
		sum, weight, like := math.Log(usual), 1., -sq(math.Log(tau/0.2)/0.8)/2
		for i := range n {
			if v[i] > 0 {
				w := 1 / (sq(tau) + v[i])
				sum, weight = sum+w*y[i], weight+w
			}
		}
		center[k] = sum / weight
		like -= sq(center[k]-math.Log(usual))/2 + math.Log(weight)/2
		for i := range n {
			if v[i] > 0 {
				like -= sq(y[i]-center[k])/(sq(tau)+v[i])/2 + math.Log(sq(tau)+v[i])/2
			}
		}
		post[k] = like
	}
	weigh(post[:])
	known := false
	for i := range n {
		known = known || v[i] > 0
	}
	for i := range n {
		mean, mean2, within := 0.0, 0.0, 0.0
		for k, tau := range sizeSpreads {
			x, t := center[k], sq(tau)
			if v[i] > 0 {
				x += (y[i] - center[k]) * t / (t + v[i])
				within += post[k] * t * v[i] / (t + v[i])
			} else if known {
				within += post[k] * t
			}
			mean += post[k] * x
			mean2 += post[k] * x * x
		}
		size[i] = math.Exp(mean)
		variance[i] = math.Min(2, within+math.Max(0, mean2-mean*mean))
		if !known {
			size[i], variance[i] = usual, 0
		}
	}
	return size, variance
}
