package sampler

import "math"

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
