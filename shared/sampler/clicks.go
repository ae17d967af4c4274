package sampler

import "math"

// An ad's click rate falls with the impressions that it has had, by a rate per
// impression that is its own but near its account's: the prior's median is 2e-6,
// a factor of 3 either way (a rotting bandit, whose arms tire by being pulled,
// not by the calendar).

const (
	fatigueMedian = 2e-6
	fatigueSpread = 0.35 // standard deviation of log rates of one account's ads
	rates         = 15
	// clickStrength is the shape of the prior of click rates between ads: a
	// coefficient of variation of 0.6.
	clickStrength = 3
	// faded is the least share of its first click rate that an ad keeps, so that
	// hundreds of millions of impressions leave a number to divide by.
	faded = 1e-9
)

// rateGrid spans a factor of 3^2.6 either way; spread smooths over it.
var rateGrid, rateSpread = func() (grid [rates]float64, spread [rates][rates]float64) {
	for j := range grid {
		grid[j] = fatigueMedian * math.Pow(3, 2.6*(2*float64(j)/(rates-1)-1))
	}
	for a := range grid {
		for b := range grid {
			spread[a][b] = -sq(math.Log(grid[a]/grid[b])/fatigueSpread) / 2
		}
		weigh(spread[a][:])
	}
	return grid, spread
}()

func (m *model) learnClickRates() {
	base := m.account.CTR
	own := make(map[int]*[rates]float64, 64) // log likelihood of each rate for the sampled ads
	var pooled [rates]float64
	for j, r := range rateGrid {
		pooled[j] = -sq(math.Log(r/fatigueMedian)/math.Log(3)) / 2
	}
	for _, i := range m.mostDelivered() {
		n := m.deliveredLegs(i)
		if n <= 0 {
			continue
		}
		like := m.fatigueLikelihood(i, base)
		for k := range like { // as far as there are days to tell
			like[k] *= n / (n + 1)
		}
		own[i] = like
		for j := range pooled {
			sum := 0.0
			for k := range like {
				sum += rateSpread[j][k] * math.Exp(like[k])
			}
			pooled[j] += math.Log(sum + 1e-300)
		}
	}
	weigh(pooled[:])
	m.account.Fatigue = 0
	for j, r := range rateGrid {
		m.account.Fatigue += pooled[j] * math.Log(r)
	}
	m.account.Fatigue = math.Exp(m.account.Fatigue)
	var prior [rates]float64 // of one ad's rate
	for j := range pooled {
		for k := range prior {
			prior[k] += pooled[j] * rateSpread[j][k]
		}
	}
	for i := range m.rows {
		m.presentCTR(i, base, &prior, own[i])
	}
}

// baseCTR is the click rate that a new ad starts from.
func (m *model) baseCTR() float64 {
	rate := 0.01
	for range 3 {
		var clk, imp float64
		for i := range m.rows {
			a := m.arm(i)
			w := 1 / (1 + float64(a.Impressions)*rate/clickStrength)
			clk += w * float64(a.Clicks)
			imp += w * float64(a.Impressions)
		}
		rate = (clk + 0.01) / (imp + 1)
	}
	return clamp(rate, 1e-7, 1)
}

// grownCTR is the click rate of ads that are older than about a day; the account's,
// as long as they have hardly any views. What clicks are worth is quoted beside it:
// with a young ad's clicks in it, they would make every other ad's worth more.
func (m *model) grownCTR() float64 {
	clk, imp := 100*m.account.CTR, 100.0
	for i := range m.rows {
		a := m.arm(i)
		w := a.grown() / (1 + float64(a.Impressions)/30_000) // a large ad counts as a few average ones
		clk, imp = clk+w*float64(a.Clicks), imp+w*float64(a.Impressions)
	}
	return clk / imp
}

// fatigueLikelihood is the log likelihood of each rate given ad i's days, with
// its click rate integrated out, and tempered by how much more than Poisson the
// days vary.
func (m *model) fatigueLikelihood(i int, base float64) *[rates]float64 {
	like := new([rates]float64)
	legs := m.armLegs(i)
	var clk, imp float64
	for _, l := range legs {
		clk += l.clk
		imp += l.imp
	}
	if clk < 5 {
		return like
	}
	best := math.Inf(-1)
	var noise float64
	for j, r := range rateGrid {
		var gone, weighted float64
		for _, l := range legs {
			d := decay(r, &l)
			if l.clk > 0 {
				gone += l.clk * math.Log(d)
			}
			weighted += l.imp * d
		}
		like[j] = gone - (clickStrength+clk)*math.Log(clickStrength/base+weighted)
		if like[j] > best {
			best = like[j]
			noise = dispersion(legs, r, (clickStrength+clk)/(clickStrength/base+weighted))
		}
	}
	for j := range like {
		like[j] = (like[j] - best) / noise
	}
	return like
}

// decay is the mean of exp(-rate x impressions so far) over a leg.
func decay(rate float64, l *leg) float64 {
	x := rate * l.imp
	if x < 1e-3 {
		return math.Max(faded, math.Exp(-rate*(l.before+l.imp/2)))
	}
	return math.Max(faded, math.Exp(-rate*l.before)*-math.Expm1(-x)/x)
}

// dispersion is the variance of the days' clicks beside a Poisson's, at least 1.
func dispersion(legs []leg, rate, ctr float64) float64 {
	chi, n := 4.0, 4.0 // a little prior at 1
	for _, l := range legs {
		if want := l.imp * ctr * decay(rate, &l); want > 1 {
			chi += sq(l.clk-want) / want
			n++
		}
	}
	return math.Max(1, chi/n)
}

// presentCTR sets ad i's click rate, its uncertainty and its fatigue.
func (m *model) presentCTR(i int, base float64, prior, like *[rates]float64) {
	legs := m.armLegs(i)
	a := m.arm(i)
	clk, seen := float64(a.Clicks), float64(a.Impressions)
	var p [rates]float64
	for j := range p {
		if p[j] = prior[j]; like != nil {
			p[j] = math.Log(prior[j]+1e-300) + like[j]
		}
	}
	if like != nil {
		weigh(p[:])
	}
	var now, now2, start, rate float64
	for j, r := range rateGrid {
		if p[j] < 1e-6 {
			continue
		}
		// The legs follow each other, so what is left over all of them is what is left
		// from the first to the last, as long as none is down to the floor.
		left := math.Exp(-r * seen)
		weighted := (1 - left) / r
		if left < faded || r*seen < 1e-3 {
			weighted, left = 0, math.Max(faded, left)
			for k := range legs {
				weighted += legs[k].imp * decay(r, &legs[k])
			}
		}
		c0 := math.Min(1, (clickStrength+clk)/(clickStrength/base+weighted))
		c := c0 * left
		start += p[j] * c0
		now += p[j] * c
		now2 += p[j] * c * c
		rate += p[j] * r
	}
	m.fatigue[i] = rate
	// Where the days cannot tell, a lifetime's impressions may as well have gone to
	// ever new people: half of the expected wear is believed. What is not known of
	// the account's rate is common to all ads, and no reason to doubt one of them.
	sure := 0.0
	if like != nil {
		n := m.deliveredLegs(i)
		sure = n / (n + 1)
	}
	mean := math.Min(1, (clickStrength+clk)/(clickStrength/base+seen))
	if sure == 0 {
		m.ctr[i], m.ctr0[i] = math.Sqrt(mean*now), math.Sqrt(mean*start)
		m.ctrCV[i] = 1/(clickStrength+clk) + sq(fatigueSpread*math.Min(1, rate*seen)/2)
		return
	}
	blend := func(known, unknown float64) float64 {
		return math.Exp(sure*math.Log(known) + (1-sure)*math.Log(unknown))
	}
	m.ctr[i], m.ctr0[i] = blend(now, math.Sqrt(mean*now)), blend(start, math.Sqrt(mean*start))
	m.ctrCV[i] = 1/(clickStrength+clk) + sure*math.Max(0, now2/sq(now)-1) + (1-sure)*sq(fatigueSpread*math.Min(1, rate*seen)/2)
}

// deliveredLegs is into how many more stretches than one an ad's impressions fall:
// 0 for one, and less than whole where some hold few.
func (m *model) deliveredLegs(i int) float64 {
	sum, squares := 0.0, 0.0
	for _, l := range m.armLegs(i) {
		sum += l.imp
		squares += sq(l.imp)
	}
	if squares == 0 {
		return 0
	}
	return sq(sum)/squares - 1
}
