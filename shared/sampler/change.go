package sampler

import "math"

// A link of an ad's chain may change on a day and stay changed: its price, its click
// rate, what its clicks bring. For windows up to now the model weighs "it changed
// then" against "it did not" (change points; Adams and MacKay 2007, with few run
// lengths), and goes by the average. What moves all ads alike (a weekend, a dear week
// in the auction, a page that they share) is taken out first, since it favours none.

const (
	// clickChanges, priceChanges and valueChanges are how likely a link is to change
	// on any day.
	clickChanges = 0.01
	priceChanges = 0.01
	valueChanges = 0.006
	// clickNoise, priceNoise and valueNoise are variances of the logarithm of what
	// a window shows of an ad that has not changed.
	clickNoise = 0.03
	priceNoise = 0.02
	valueNoise = 0.06
)

// clickWindows and valueWindows are in days. The shares are what may be left of a
// link after a change, each as likely.
var (
	clickWindows = [...]float64{1, 2, 3, 5, 8, 13}
	valueWindows = [...]float64{4, 6, 9, 13, 18}
	clickShares  = [...]float64{0.05, 0.15, 0.35, 0.6, 1.8}
	valueShares  = [...]float64{0.03, 0.2, 0.5, 2}
)

// window is what one ad showed in a window, beside what was expected of it.
type window struct {
	shown, expected float64
	known           float64 // 0 to 1: how far the ad is older than the window
	after           float64 // the link's level, if it has changed
}

// learnChanges moves the ads' price, click rate and value where they have changed.
func (m *model) learnChanges() {
	rows := make([]int, 0, min(len(m.rows), 4096))
	for i := range m.rows {
		if m.start[i+1]-m.start[i] > 1 && m.deliveredLegs(i) > 0 {
			rows = append(rows, i)
		}
	}
	if len(rows) == 0 {
		return
	}
	m.learnClickChanges(rows)
	m.learnPriceChanges(rows)
	m.learnValueChanges(rows, m.countWindows(rows))
}

// known is how far an ad of that age is older than a window, 0 to 1.
func known(age, days float64) float64 { return clamp(age/24/days-1, 0, 1) }

func (m *model) learnClickChanges(rows []int) {
	all := make([][len(clickWindows)]window, len(rows))
	for j, i := range rows {
		a, legs, rate := m.arm(i), m.armLegs(i), m.fatigue[i]
		left := math.Max(faded, math.Exp(-rate*float64(a.Impressions)))
		for w, days := range clickWindows {
			var clk, fresh, clkBefore, before float64
			for k := range legs {
				l := &legs[k]
				in, x := l.within(a.AgeHours-24*days), l.imp*decay(rate, l)
				clk, fresh = clk+in*l.clk, fresh+in*x
				clkBefore, before = clkBefore+(1-in)*l.clk, before+(1-in)*x
			}
			old := (clickStrength + clkBefore) / (clickStrength/m.account.CTR + before)
			all[j][w] = window{
				shown: clk, expected: old * fresh, known: known(a.AgeHours, days) * clkBefore / (clkBefore + 2),
				after: left * (clk + 0.5) / (fresh + 0.5/old),
			}
		}
	}
	var spans [len(clickWindows)]float64
	for w := range clickWindows {
		ratio := common(len(rows), func(j int) (float64, float64) { return all[j][w].shown, all[j][w].expected })
		for j := range rows {
			all[j][w].expected *= ratio(j)
		}
		spans[w] = span(clickWindows[:], w)
	}
	for j, i := range rows {
		var odds, level [len(clickWindows)]float64
		before := float64(m.arm(i).Clicks)
		for w := range clickWindows {
			x := &all[j][w]
			noise := 1 + x.expected*(clickNoise+1/(clickStrength+math.Max(0, before-x.shown)))
			odds[w] = clickChanges * spans[w] * x.known * factorOf(x, clickShares[:], noise)
			level[w] = x.after
		}
		mean, cv := mixed(m.ctr[i], level[:], odds[:])
		m.ctr[i], m.ctrCV[i] = mean, m.ctrCV[i]+cv
	}
}

// learnPriceChanges goes by the mean of the logarithm of the price in each window.
func (m *model) learnPriceChanges(rows []int) {
	all := make([][len(clickWindows)]window, len(rows)) // shown: the logarithm's change; expected: its variance
	for j, i := range rows {
		a, legs := m.arm(i), m.armLegs(i)
		for w, days := range clickWindows {
			var sum, weight, sumBefore, before float64
			for k := range legs {
				l := &legs[k]
				if l.imp <= 0 || l.spend <= 0 {
					continue
				}
				// A stretch of many days has many days' weight.
				n := l.imp / (l.imp + fewViews) * math.Max(1, (l.to-l.from)/24)
				in, y := l.within(a.AgeHours-24*days), math.Log(l.spend/l.imp)-math.Log1p(l.daily()/m.account.Saturation)
				sum, weight = sum+in*n*y, weight+in*n
				sumBefore, before = sumBefore+(1-in)*n*y, before+(1-in)*n
			}
			if weight <= 0 || before <= 0 {
				continue
			}
			all[j][w] = window{
				shown: sum/weight - sumBefore/before, expected: priceNoise * (1/weight + 1/before),
				known: known(a.AgeHours, days) * before / (before + 1) * weight / (weight + 0.2), after: math.Exp(sum / weight),
			}
		}
	}
	for w := range clickWindows {
		shift := common(len(rows), func(j int) (float64, float64) { return math.Exp(clamp(all[j][w].shown, -2, 2)), 1 })
		for j := range rows {
			all[j][w].shown -= math.Log(shift(j))
		}
	}
	for j, i := range rows {
		var odds, level [len(clickWindows)]float64
		for w := range clickWindows {
			x := &all[j][w]
			if x.known == 0 {
				continue
			}
			v := x.expected
			like := math.Sqrt(v/(v+1)) * math.Exp(math.Min(200, sq(x.shown)/2*(1/v-1/(v+1))))
			odds[w] = priceChanges * span(clickWindows[:], w) * x.known * like
			level[w] = x.after
		}
		m.cpm[i], m.priceCV[i] = mixed(m.cpm[i], level[:], odds[:])
	}
}

// learnValueChanges looks at what came in each window beside what the clicks before
// it and those within it should have brought.
func (m *model) learnValueChanges(rows []int, counted []*countWindows) {
	all := make([][len(valueWindows)]window, len(rows))
	old := make([][len(valueWindows)]float64, len(rows)) // expected of the clicks before the window
	for j, i := range rows {
		for w, days := range valueWindows {
			all[j][w], old[j][w] = m.valueWindow(i, days)
		}
	}
	for w := range valueWindows {
		ratio := common(len(rows), func(j int) (float64, float64) {
			x := &all[j][w]
			return x.known * math.Max(0, x.shown), x.known * math.Max(0, x.expected)
		})
		for j := range rows {
			all[j][w].expected *= ratio(j)
			old[j][w] *= ratio(j)
		}
	}
	for j, i := range rows {
		hazard := valueChanges
		if counted[j] != nil {
			hazard = counted[j].hazard
		}
		var odds, level [len(valueWindows)]float64
		for w := range valueWindows {
			x := &all[j][w]
			if x.known == 0 || x.expected <= 0 {
				continue
			}
			noise := 2 + x.expected*(valueNoise+x.after)
			fresh := math.Max(0, x.expected-old[j][w])
			like, share := 0.0, 0.0
			for _, s := range valueShares {
				mean := math.Max(x.expected-(1-s)*fresh, 0.05*x.expected)
				ratio := (math.Max(0, x.shown)*math.Log(mean/x.expected) - (mean - x.expected)) / noise
				f := math.Exp(math.Min(200, ratio+counted[j].odds(w, s)))
				like, share = like+f, share+f*s
			}
			odds[w] = hazard * span(valueWindows[:], w) * x.known * like / float64(len(valueShares))
			level[w] = share / like * m.believed.value[i]
		}
		mean, cv := mixed(m.believed.value[i], level[:], odds[:])
		m.believed.value[i] = mean
		m.believed.cv[i] += cv
		m.believed.cvAll[i] += cv
	}
}

// valueWindow is what came to row i in a window, in steps of a deal; after is the
// squared coefficient of variation of what was expected.
func (m *model) valueWindow(i int, days float64) (x window, before float64) {
	a, legs := m.arm(i), m.armLegs(i)
	since := a.AgeHours - 24*days
	pipeline := !a.PipelineUnknown
	x.known = known(a.AgeHours, days)
	if x.known == 0 || a.Cash == nil && !pipeline {
		return window{}, 0
	}
	size := m.sizes[i].won
	if pipeline {
		size = stepSize * math.Max(m.sizes[i].won, m.sizes[i].open)
	}
	share := func(from, to float64) float64 {
		if to <= 0 {
			return 0
		}
		open, won := m.curve.over(from, to)
		if pipeline {
			won += open
		}
		return won
	}
	hat := m.expectedClicks(i)
	moved, clicksOld, clicksNew, shown := 0.0, 0.0, 0.0, 0.0
	for k := range legs {
		l := &legs[k]
		c, in := hat.of(l), l.within(since)
		if in > 0 {
			d := l.cash
			if pipeline {
				d = l.pipe
			}
			if math.IsNaN(d) || k > 0 && math.IsNaN(legs[k-1].cash) && math.IsNaN(legs[k-1].pipe) {
				return window{}, 0
			}
			moved += in * d
		}
		if in < 1 {
			end := math.Min(l.to, since)
			was := share(since-end, since-l.from)
			clicksOld += (1 - in) * c * (share(a.AgeHours-end, a.AgeHours-l.from) - was)
			shown += (1 - in) * c * was
		}
		if in > 0 {
			clicksNew += in * c * share(a.AgeHours-l.to, a.AgeHours-math.Max(l.from, since))
		}
	}
	open, won := a.value()
	shape := m.believed.shape
	had := math.Max(0, open+won-moved) // what the ad was worth when the window began
	unit := math.Max(m.sizes[i].won, 1e-9)
	value := (shape + had/unit) / (shape/m.believed.prior[i] + shown/unit)
	before = math.Max(0, value*clicksOld/size)
	x.shown, x.expected = moved/size, before+value*clicksNew/size
	x.after = 1 / (shape + had/unit)
	return x, before
}

// factorOf is how much more likely a window is if its link has changed to one of the
// shares than if it has not, by Poisson counts that vary noise times as much.
func factorOf(x *window, shares []float64, noise float64) float64 {
	if x.expected <= 0 {
		return 1
	}
	sum := 0.0
	for _, s := range shares {
		sum += math.Exp(math.Min(200, (x.shown*math.Log(s)-(s-1)*x.expected)/noise))
	}
	return sum / float64(len(shares))
}

// span is how many days window w adds to the one before it.
func span(windows []float64, w int) float64 {
	if w == 0 {
		return windows[0]
	}
	return windows[w] - windows[w-1]
}

// common returns, for any of n ads, the ratio of what the others showed to what was
// expected of them, each with a weight that is bounded.
func common(n int, of func(j int) (shown, expected float64)) func(j int) float64 {
	const held, heavy = 3, 10
	shown, expected := 0.0, 0.0
	weigh := func(j int) (float64, float64) {
		s, e := of(j)
		w := 1 / (1 + e/heavy)
		return w * math.Min(s, 3*e), w * e
	}
	for j := range n {
		s, e := weigh(j)
		shown, expected = shown+s, expected+e
	}
	return func(j int) float64 {
		s, e := weigh(j)
		return clamp((shown-s+held)/(expected-e+held), 0.2, 3)
	}
}

// mixed averages a level and those that it may have changed to, by their odds beside
// no change. It returns the mean and the squared coefficient of variation.
func mixed(level float64, changed, odds []float64) (mean, cv float64) {
	sum := 1.0
	for _, o := range odds {
		sum += o
	}
	mean = level / sum
	square := level * level / sum
	for k, o := range odds {
		mean += o / sum * changed[k]
		square += o / sum * changed[k] * changed[k]
	}
	return mean, math.Max(0, square/(mean*mean)-1)
}
