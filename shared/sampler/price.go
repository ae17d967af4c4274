package sampler

import "math"

// The price of an impression is cpm(b) = cpm0 (1 + b/K): the auction's better
// places are bought first. K, the daily budget of one ad at which its price has
// doubled, is one number per account. It is learned from how an ad's price
// moved when its own budget did; prices of different ads are not compared,
// since dear audiences are not dear for being big.

// saturations is the grid for K, as multiples of the total budget.
var saturations = [...]float64{0.06, 0.1, 0.17, 0.28, 0.45, 0.65, 0.9, 1.3, 2, 3.2, 5.5, 10, 25}

// fewViews is how many impressions tell half as much of a price as a million.
const fewViews = 200

func (m *model) learnPrice() {
	total := math.Max(float64(m.req.Total), m.today()/10)
	m.account.Saturation = total * m.doublingBudget(total)
	var spend, imp, mean float64
	adjusted := m.ctr      // scratch until learnClickRates
	spends := m.saturation // likewise until the split
	for i := range m.rows {
		adjusted[i], spends[i] = 0, 0
		for _, l := range m.armLegs(i) {
			adjusted[i] += l.imp * (1 + l.daily()/m.account.Saturation)
			if l.imp > 0 {
				spends[i] += l.spend
			}
		}
		mean += spends[i] / float64(len(m.rows))
	}
	for i := range m.rows { // a large ad counts as a few average ones, not as all of them
		w := 1 / (1 + spends[i]/(2*mean+1e-9))
		spend += w * spends[i]
		imp += w * adjusted[i]
	}
	m.account.CPM = 1000 * spend / imp
	if imp <= 0 || spend <= 0 {
		m.account.CPM = total // nothing has run: any price does, all ads share it
	}
	// Where clicks are billed, money moves with them: the price is known no
	// better than the click rate, so it is held by as many expected clicks.
	m.account.CTR = m.baseCTR()
	m.usualCTR = m.grownCTR()
	price, held := m.account.CPM/1000, 500+clickStrength/m.account.CTR
	for i := range m.rows {
		m.cpm[i] = (spends[i] + held*price) / (adjusted[i] + held)
	}
}

// today is about what the ads spend a day now.
func (m *model) today() float64 {
	sum := 10.0
	for i := range m.rows {
		sum += float64(EstimateCurrent(m.arm(i)))
	}
	return sum
}

// doublingBudget returns the posterior median of K as a multiple of total.
func (m *model) doublingBudget(total float64) float64 {
	var fit [len(saturations)]float64 // sum of squares of log prices around each ad's mean
	free := 0.0
	for _, i := range m.mostDelivered() {
		legs := m.armLegs(i)
		if len(legs) < 2 {
			continue
		}
		var n float64
		var sum, sum2 [len(saturations)]float64
		for _, l := range legs {
			if l.imp <= 0 || l.spend <= 0 {
				continue
			}
			w := l.imp / (l.imp + fewViews)
			n += w
			y, s := math.Log(l.spend/l.imp), l.daily()/total
			for k, x := range saturations {
				d := y - math.Log1p(s/x)
				sum[k] += w * d
				sum2[k] += w * d * d
			}
		}
		if n <= 1 {
			continue
		}
		free += n - 1
		for k := range fit {
			fit[k] += math.Max(0, sum2[k]-sum[k]*sum[k]/n)
		}
	}
	var post [len(saturations)]float64
	for k, x := range saturations {
		post[k] = -sq(math.Log(x)/math.Log(3)) / 2
		if free > 0 {
			// A little noise is always there, so that an exact history does not
			// make one point of the grid certain.
			post[k] -= (free + 4) / 2 * math.Log(fit[k]+4*0.01)
		}
	}
	weigh(post[:])
	mean := 0.0
	for k, x := range saturations {
		mean += post[k] * math.Log(x)
	}
	return math.Exp(mean)
}

// weigh turns log weights into weights that sum to 1.
func weigh(w []float64) {
	top, sum := math.Inf(-1), 0.0
	for _, x := range w {
		top = math.Max(top, x)
	}
	if math.IsInf(top, -1) { // none of them explains what was seen: none is better
		clear(w)
		top = 0
	}
	for i := range w {
		w[i] = math.Exp(w[i] - top)
		sum += w[i]
	}
	for i := range w {
		w[i] /= sum
	}
}

// sampled bounds how many ads the account's shared numbers are learned from.
const sampled = 400

// mostDelivered returns the rows whose delivery is known in the most stretches.
func (m *model) mostDelivered() []int {
	if m.delivered == nil {
		m.delivered = mostEvident(len(m.rows), sampled, func(i int) float64 { return float64(m.start[i+1] - m.start[i]) })
	}
	return m.delivered
}

// teachers returns the rows with the most clicks, from which the account's usual
// deal and delay are learned.
func (m *model) teachers() []int {
	if m.taught == nil {
		m.taught = mostEvident(len(m.rows), teachers, func(i int) float64 { return float64(m.arm(i).Clicks) })
	}
	return m.taught
}
