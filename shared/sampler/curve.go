package sampler

import "math"

// horizon is how many days the delay curve reaches; what has not come by then
// never comes.
const horizon = 300

// curve says what a click is expected to show at a given age, as a share of what
// it is finally worth: in open deals and in won ones. The won part ends at 1,
// the open part at 0; the open part may pass 1 in between, since deals count at
// their stage's value until they are lost.
type curve struct {
	open, won [horizon + 1]float64
	// openSum and wonSum are the integrals from 0, for means over stretches.
	openSum, wonSum [horizon + 1]float64
	// stretch divides ages before they are looked up.
	stretch float64
}

// usualCurve is the curve of an account of ordinary speed: after a day of silence
// deals open within a week, are won or lost after one to two weeks, and are counted a
// little too high while they are open. Other accounts are slower or faster by a factor.
func usualCurve(slower float64) *curve {
	c := &curve{stretch: 1}
	for d := range c.won {
		t := float64(d) / slower
		c.won[d] = 1 / (1 + math.Pow(9.5/math.Max(t, 1e-3), 3.2))
		c.open[d] = 1.3 * (1 - math.Exp(-math.Pow(t/3, 1.5))) * (1 - c.won[d])
	}
	c.finish()
	return c
}

// mostOpen is how far open deals may be counted above what they will bring: an open
// deal is won or lost in the end, so the older the clicks, the less is open.
const mostOpen = 2

// finish makes the curve end where it must and sums it up.
func (c *curve) finish() {
	end := math.Max(c.won[horizon], 0.05)
	for d := range c.won {
		c.won[d] /= end
		c.open[d] /= end
	}
	for d := range c.open {
		c.open[d] = math.Min(c.open[d], mostOpen*(1-math.Min(1, c.won[d])))
	}
	c.open[horizon] = 0
	for d := 1; d <= horizon; d++ {
		c.openSum[d] = c.openSum[d-1] + (c.open[d-1]+c.open[d])/2
		c.wonSum[d] = c.wonSum[d-1] + (c.won[d-1]+c.won[d])/2
	}
}

// slower returns the same curve for an account that takes so many times as long.
func (c *curve) slower(factor float64) *curve {
	out := *c
	out.stretch *= factor
	return &out
}

// over returns the mean open and won shares of clicks that are spread evenly
// between two lags in hours.
func (c *curve) over(from, to float64) (open, won float64) {
	day := 24 * c.stretch
	from = math.Max(0, from/day)
	if to = math.Max(from, to/day); to-from < 1e-6 {
		return at(&c.open, from), at(&c.won, from)
	}
	span := to - from
	return (until(&c.open, &c.openSum, to) - until(&c.open, &c.openSum, from)) / span,
		(until(&c.won, &c.wonSum, to) - until(&c.won, &c.wonSum, from)) / span
}

// at interpolates y at day t.
func at(y *[horizon + 1]float64, t float64) float64 {
	if t >= horizon {
		return y[horizon]
	}
	d := int(t)
	return y[d] + (y[d+1]-y[d])*(t-float64(d))
}

// until is the integral of y from 0 to day t.
func until(y, sum *[horizon + 1]float64, t float64) float64 {
	if t >= horizon {
		return sum[horizon] + (t-horizon)*y[horizon]
	}
	d := int(t)
	f := t - float64(d)
	return sum[d] + f*(y[d]+(y[d+1]-y[d])*f/2)
}

// median is the lag in hours at which half of the final value is won.
func (c *curve) median() float64 {
	for d := 1; d <= horizon; d++ {
		if c.won[d] >= 0.5 {
			return 24 * c.stretch * (float64(d-1) + (0.5-c.won[d-1])/(c.won[d]-c.won[d-1]))
		}
	}
	return 24 * c.stretch * horizon
}
