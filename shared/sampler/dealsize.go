package sampler

import (
	"math"
	"slices"
)

// How often an ad sells and how much a sale is worth are learned apart: 20,000 in
// one deal proves little, in twenty a lot. The number of an ad's deals is known,
// or estimated from its value and the account's usual size; the size is shrunk
// towards the account's (normal on the logarithm; Fenton 1960 for means of n).

const (
	// dealsPerClick is where the usual size starts from when only sums of money are
	// known: a deal in so many clicks, and the standard deviation of its logarithm.
	dealsPerClick       = 1. / 2000
	dealsPerClickSpread = 1.7
	// sellShape is how ads differ in how often they sell (shape of a Gamma).
	sellShape = 1.5
	// historySpread is how far deals of the account's history may be from those of
	// these ads (standard deviation of the logarithm); with otherTrade they are of
	// another trade altogether.
	historySpread = 0.5
	otherTrade    = 0.1
	// openSize is an open deal's value beside a won one's, where counts do not say.
	openSize = 0.25
	// stepSize is what one change of a pipeline value is beside a won deal: it comes
	// in stages.
	// where the won part is known the first stages show, which are smaller.
	stepSize     = 0.6
	openStepSize = 0.3
	// dealSpread is the standard deviation of the logarithm of the deals of one ad,
	// known as well as from so many deals.
	dealSpread      = 0.8
	dealSpreadDeals = 6
	// saleClicks is how many clicks' cost a sum of money must be to be half a sale.
	saleClicks = 0.5
	// mostDeals is how many deals a sum of money can stand for.
	mostDeals = 1e6
	// teachers bounds the ads that the account's size and delay are learned from.
	teachers = 60
)

// dealSizes are what one deal of an ad adds.
type dealSizes struct {
	open, won float64
	// variance is of the logarithm of the won size, beyond what the count says.
	variance float64
}

// counted returns how many deals an ad's value is made of, open and won, NaN where
// it is not known. Where the won part is unknown all are in open.
func (a *Arm) counted() (open, won float64) {
	open, won = math.NaN(), math.NaN()
	if a.WonDeals != nil {
		won = float64(*a.WonDeals)
	} else if a.Cash != nil && *a.Cash == 0 {
		won = 0
	}
	switch {
	case a.Deals == nil || a.PipelineUnknown:
	case a.Cash == nil:
		open = float64(*a.Deals)
	case !math.IsNaN(won):
		open = math.Max(0, float64(*a.Deals)-won)
	case a.Pipeline > 0: // the won ones are not counted apart: by value, as they are larger
		share := float64(*a.Cash) / float64(a.Pipeline)
		won = float64(*a.Deals) * share / (share + (1-share)/openSize)
		open = float64(*a.Deals) - won
	}
	return open, won
}

// value returns what an ad's open and won deals are worth; all is in open where
// the won part is unknown.
func (a *Arm) value() (open, won float64) {
	if a.Cash == nil {
		if a.PipelineUnknown {
			return 0, 0
		}
		return float64(a.Pipeline), 0
	}
	won = float64(*a.Cash)
	if a.PipelineUnknown {
		return 0, won
	}
	return math.Max(0, float64(a.Pipeline)-won), won
}

const sizePoints = 33

// learnDealSize sets the account's usual size of a won deal.
func (m *model) learnDealSize() {
	usual := math.Log(m.even() / dealsPerClick)
	lowest, highest := usual-3.5*dealsPerClickSpread, usual+3*dealsPerClickSpread
	history := 0.0
	if v := m.req.Account.DealValue; v > 0 {
		history = math.Log(float64(v))
		lowest, highest = math.Min(lowest, history-2), math.Max(highest, history+2)
	}
	lowest = math.Max(lowest, math.Log(m.even())) // a deal is worth more than a click costs
	var size, post [sizePoints]float64
	for k := range size {
		size[k] = lowest + (highest-lowest)*float64(k)/(sizePoints-1)
		post[k] = -sq((size[k]-usual)/dealsPerClickSpread) / 2
		if history != 0 {
			near := math.Exp(-sq((size[k]-history)/historySpread)/2) / historySpread
			far := math.Exp(post[k]) / dealsPerClickSpread
			post[k] = math.Log((1-otherTrade)*near + otherTrade*far + 1e-300)
		}
	}
	m.addSizeEvidence(&size, &post)
	weigh(post[:])
	mean := 0.0
	for k, x := range size {
		mean += post[k] * x
	}
	m.account.DealSize = math.Exp(mean)
}

// addSizeEvidence adds the log likelihood of the ads' values to each size.
func (m *model) addSizeEvidence(size, post *[sizePoints]float64) {
	prior := usualCurves[usualSpeed]
	rows := m.teachers()
	type seller struct {
		steps         []stretch
		expected      []float64 // clicks of value expected in each stretch
		value, clicks float64
		step          float64 // size of one change beside a won deal
		pipeline      bool
	}
	sellers := make([]seller, 0, len(rows))
	value, clicks := 0.0, 0.0
	for _, i := range rows {
		a := m.arm(i)
		open, won := a.value()
		_, wins := a.counted()
		if n := wins; n > 0 && won > 0 {
			y, v := logMean(won, n, dealSpread)
			for k := range size {
				post[k] -= sq(y-size[k]) / 2 / (v + 0.25)
			}
			continue
		}
		steps := m.stretches(i)
		add := func(x, step float64, pipeline bool) {
			s := seller{steps: steps, step: step, value: x, pipeline: pipeline, expected: m.flows(steps, prior, pipeline)}
			for _, e := range s.expected {
				s.clicks += e
			}
			w := 1 / (1 + s.clicks/1000)
			value, clicks = value+w*s.value, clicks+w*s.clicks
			sellers = append(sellers, s)
		}
		if a.Cash != nil {
			add(won, 1, false)
		}
		if !a.PipelineUnknown {
			step := stepSize
			if a.Cash != nil {
				step = openStepSize
			}
			add(open+won, step, true)
		}
	}
	mean := (value + 50*m.even()) / (clicks + 50)
	for k := range size {
		for j := range sellers {
			s := &sellers[j]
			post[k] += 0.5 * sizeLikelihood(s.steps, s.expected, s.clicks*mean, math.Exp(size[k])*s.step, saleClicks*m.even(), s.pipeline)
		}
	}
}

// sizeLikelihood is the log likelihood that the changes of an ad's value come in
// deals of a size: the number of deals is negative binomial around what is expected
// of an ad, and falls on the stretches as the clicks should have brought it.
func sizeLikelihood(steps []stretch, expected []float64, value, size, sale float64, pipeline bool) float64 {
	all, sum, like, since := 0.0, 0.0, 0.0, 0.0
	for _, e := range expected {
		sum += e
	}
	if sum <= 0 {
		return 0
	}
	spread := dealSpread
	if pipeline { // stages differ more than deals
		spread = 1.2
	}
	for k := range steps {
		x := steps[k].cash
		if pipeline {
			x = steps[k].pipe
		}
		if since += expected[k]; math.IsNaN(x) {
			continue // what came here is part of the next change that is known
		}
		flow := since
		if since = 0; x <= 0 {
			continue
		}
		n, w := few(x/size, value/size*flow/sum), x/(x+sale) // w: how far it is a sale at all
		like -= w * math.Log(size)
		if n < 1 { // smaller than a deal, or of another trade: Student's t of 4 degrees
			like -= w * 2.5 * math.Log1p(sq(math.Log(n)/spread)/4)
			n = 1
		}
		g, _ := math.Lgamma(w*n + 1)
		like += w*n*math.Log(flow/sum+1e-6) - g
		all += w * n
	}
	mean := value / size
	g1, _ := math.Lgamma(all + sellShape)
	return like + g1 + all*math.Log(mean/(mean+sellShape)+1e-300) - sellShape*math.Log1p(mean/sellShape)
}

// logMean is the logarithm of a mean of n deals that are worth x, corrected for
// what a mean of few log-normal deals falls short of, and its variance.
func logMean(x, n, spread float64) (y, variance float64) {
	variance = math.Log1p(math.Expm1(sq(spread)) / n)
	return math.Log(x/n) + variance/2, variance
}

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
