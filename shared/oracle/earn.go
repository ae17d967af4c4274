package oracle

import (
	"math"
	"time"
)

// earning is what the account's ads teach of the value of a click: how it goes with
// the DNA, and how it goes with how often an ad is clicked. An ad that draws many
// clicks may draw those of people who buy nothing.
type earning struct {
	// Worth is the value of a click by the DNA, over the account's average. It has a name
	// of its own because gob passes over what is embedded.
	Worth expectation
	// Known is set where there are enough deals for any of it.
	Known bool
	// Lure is the elasticity of the value of a click to the click rate: -1 says that
	// more clicks are worth nothing; LureSD is how well it is known.
	Lure, LureSD float64
	// PerClick and PerImpression are the account's averages, of what could have arrived.
	PerClick, PerImpression float64
	// Deal is a small typical deal, and Spend what one costs on average.
	Deal, Spend float64
	// Deals is how many such deals it was learned from; 0 in models from before it was kept.
	Deals float64
}

// What it takes to know what clicks are worth.
const (
	leastDeals    = 8
	leastPaidAds  = 4
	lureMean      = -0.3 // what is usual between an ad's click rate and the worth of its clicks
	lureSD        = 0.4
	overdispersed = 0.5
)

// worthBelief is about the value of a click over the account's average.
var worthBelief = belief{
	Mean: 1, Ad: 0.5, Strength: 5,
	Effect: [groups]float64{level: 0.3, accounts: 0.3, categories: 0.20, numbers: 0.05, own: 0.05, pairs: 0.02},
}

// earn learns what clicks are worth. The averages are the account's own, or, of no
// account in particular, those of all.
func earn(c *columns, ads []ad, rows [][]entry, wider []float64, ctr expected) earning {
	e := earning{Deal: dealSizeOf(ads)}
	var value, clicks, shown, spent float64
	paid := 0
	for _, a := range ads {
		if c.Account != "" && a.AccountID != c.Account {
			continue
		}
		value, clicks = value+a.Value, clicks+float64(a.Clicks)*a.arrived()
		shown, spent = shown+float64(a.Impressions)*a.arrived(), spent+a.Spend*a.arrived()
		if a.Value > 0 {
			paid++
		}
	}
	if deals := value / e.Deal; deals < leastDeals || paid < leastPaidAds || clicks <= 0 || spent <= 0 {
		return e
	}
	e.Known, e.PerClick, e.PerImpression, e.Spend, e.Deals = true, value/clicks, value/shown, e.Deal*spent/value, value/e.Deal
	above := make([]float64, len(ads))
	data := make([]observed, len(ads))
	for i, a := range ads {
		above[i] = ctr.above(c, i, a)
		data[i] = observed{
			count: a.Value / e.Deal, exposure: float64(a.Clicks) * a.arrived() * e.PerClick / e.Deal, row: rows[i],
			wider: wider[i],
		}
	}
	e.Lure, e.LureSD = lure(data, above)
	for i := range data {
		data[i].exposure *= math.Exp(clamp(e.Lure*above[i], -3, 3))
	}
	e.Worth = expect(worthBelief, c, ads, data, nil, time.Time{}).expectation
	return e
}

// lure fits how the value of a click goes with the click rate: a Poisson regression
// on one line, with as much more variance as ads differ anyway, and a prior.
func lure(data []observed, above []float64) (slope, sd float64) {
	level, slope := 0.0, lureMean
	for range 25 {
		// The posterior's gradient and precision.
		g0, g1 := -level, -(slope-lureMean)/(lureSD*lureSD)
		h00, h01, h11 := 1.0, 0.0, 1/(lureSD*lureSD)
		for i, o := range data {
			x := clamp(above[i], -2, 2)
			mu := o.exposure * math.Exp(clamp(level+slope*x, -8, 8))
			w := 1 / (1 + overdispersed*mu) / max(o.wider, 1)
			r := w * (o.count - mu)
			g0, g1 = g0+r, g1+r*x
			h00, h01, h11 = h00+w*mu, h01+w*mu*x, h11+w*mu*x*x
		}
		det := h00*h11 - h01*h01
		d0, d1 := (h11*g0-h01*g1)/det, (h00*g1-h01*g0)/det
		level, slope = level+clamp(d0, -1, 1), clamp(slope+clamp(d1, -0.5, 0.5), -2, 1)
		sd = math.Sqrt(h00 / det)
		if math.Abs(d0)+math.Abs(d1) < 1e-6 {
			break
		}
	}
	return slope, sd
}

// Gate is which question a decision answers.
type Gate string

// The gates: what the creative would earn, or how often it would be clicked.
const (
	ByValue Gate = "value"
	ByCTR   Gate = "ctr"
)

const (
	// surely is the probability of being below the bar from which on a creative is
	// rejected for what it would earn.
	surely = 0.55
	// skew is by how many standard deviations the logarithm of what a creative would
	// earn lies below where it turns out: few ads have deals enough to show it, and one
	// that has none yet counts as one that earns little. It was measured in 9 kinds of
	// invented accounts; the decisions allow for it already.
	skew = 0.2
	// sureAt is how many deals it takes for a confidence to be as true as it says, and
	// surer by which power of their number it is worth more or less; both were measured
	// in the same accounts.
	sureAt, surer = 200, 0.2
	// doubtful is the one from which on a creative that goes ahead gets a test budget.
	doubtful = 0.25
	// testDeals and testClicks are what a test has to bring on average.
	testDeals, testClicks = 2, 60
)

// ask decides by what the creative would earn where the account knows what its
// clicks are worth, and else by how often it would be clicked.
func (m Model) ask(p *Prediction, row []entry, unseen int, ctr rate) {
	bar := math.Log(RejectBelow * p.Baseline)
	p.Gate, p.Reject = ByCTR, p.CTR < RejectBelow*p.Baseline
	seen := ctr.log
	if p.BaselineSource != FromAccount {
		seen, bar = ctr.beside, math.Log(RejectBelow)+m.CTR.Spread/2
	}
	e := &m.Earning
	if e.Known && p.BaselineSource == FromAccount {
		p.Gate = ByValue
		click := e.Worth.expects(m.Columns, row, unseen, nearness{}, 1e9)
		lured := math.Exp(clamp(e.Lure*ctr.beside.mean, -3, 3))
		p.Value = math.Min(ctr.mean, 1) * e.PerClick * lured * click.mean
		p.BaselineValue = e.PerImpression
		seen = student{
			mean:    ctr.log.mean + e.Lure*ctr.beside.mean + click.log.mean + math.Log(e.PerClick),
			sd:      math.Sqrt(math.Pow((1+e.Lure)*ctr.log.sd, 2) + math.Pow(e.LureSD*ctr.beside.mean, 2) + click.log.sd*click.log.sd),
			freedom: min(ctr.log.freedom, click.log.freedom),
		}
		bar = math.Log(RejectBelow * e.PerImpression)
		// Ads differ so much in what they earn that most lie below their average: it takes
		// both, a low expectation and a probability.
		p.Reject = p.Value < RejectBelow*p.BaselineValue && seen.below(bar) >= surely
	}
	below := clamp(seen.below(bar), 0, 1)
	p.Confidence = below
	if p.Gate == ByValue {
		said := seen
		said.sd /= e.sharpness()
		p.Confidence = clamp(said.below(bar-skew*seen.sd), 0, 1)
	}
	if !p.Reject {
		p.Confidence = 1 - p.Confidence
	}
	if !p.Reject && below >= doubtful || p.BaselineSource == FromPrior {
		p.TestBudget = m.test(p.Gate)
	}
}

// sharpness is how much surer than the model alone it is right to be of a decision: few
// deals make a young account look better known than it is.
func (e *earning) sharpness() float64 {
	if e.Deals <= 0 {
		return 1
	}
	return clamp(math.Pow(e.Deals/sureAt, surer), 0.6, 1.4)
}

// test is what a creative of which little is sure should be tried with: about two
// deals' worth of spend, or sixty clicks' where nothing is known of deals. nil where
// the account has not spent anything that could say.
func (m Model) test(g Gate) *float64 {
	t := m.Totals[0]
	if t.Spend <= 0 {
		t = m.Totals[1]
	}
	amount := 0.0
	switch {
	case g == ByValue:
		amount = testDeals * m.Earning.Spend
	case t.Clicks > 0:
		amount = testClicks * t.Spend / float64(t.Clicks)
	}
	if amount <= 0 || math.IsInf(amount, 0) {
		return nil
	}
	unit := math.Pow(10, math.Floor(math.Log10(amount))-1) // two digits say enough
	amount = math.Ceil(amount/unit) * unit
	return &amount
}
