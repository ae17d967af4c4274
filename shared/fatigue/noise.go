package fatigue

import (
	"math"
	"slices"
)

// normal is the standard normal distribution function.
func normal(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }

// noise is the standard deviation of a figure's log from day to day, learned from
// the days before the newest, which is under judgement, beside prior noise worth
// so many days.
func (h *history) noise(figure func(*day) float64, prior, worth float64) float64 {
	steps := make([]step, 0, usual)
	last := 0.0
	for i := range h.days[:len(h.days)-1] {
		v := figure(&h.days[i])
		if v > 0 && last > 0 {
			steps = append(steps, step{size: math.Log(v / last), weight: 1})
		}
		last = v
	}
	return math.Sqrt(variance(steps, prior*prior, worth))
}

// usual is how many steps most histories have at most; room for so many needs no
// allocation.
const usual = 32

// step is what a figure's log changed by from one day to the next.
type step struct {
	size     float64
	counting float64 // what counting alone makes of its square
	weight   float64 // what it tells
}

// variance is that of a figure from day to day, beyond that of counting, learned
// from its steps about the middle one, which is the trend. One step may be the
// very move that is looked for, so the largest counts no more than the next.
func variance(steps []step, prior, worth float64) float64 {
	if len(steps) < 2 {
		return prior
	}
	sizes := make([]float64, 0, usual)
	for _, s := range steps {
		sizes = append(sizes, s.size)
	}
	slices.Sort(sizes)
	middle := sizes[len(sizes)/2]
	for i, v := range sizes {
		sizes[i] = math.Abs(v - middle)
	}
	slices.Sort(sizes)
	most := sizes[len(sizes)-2]
	sum, weight := worth*prior, 0.0
	for _, s := range steps {
		d := min(math.Abs(s.size-middle), most)
		sum += s.weight * (d*d/2 - s.counting)
		weight += s.weight
	}
	return max(prior/16, sum/(worth+weight*float64(len(steps)-1)/float64(len(steps))))
}

// The noise of a CTR from day to day, beyond that of counting clicks, before any
// day was seen, and how many days that is worth.
const (
	ctrNoise  = 0.05
	ctrBefore = 3
)

// temper takes from every day the evidence that the ad's own noise from day to day
// makes worthless: however many clicks a day has, it is one day.
func (c *counts) temper() {
	var clicks, seen float64
	for i, n := range c.seen {
		clicks, seen = clicks+c.clicks[i], seen+n
	}
	rate := (clicks + 0.5) / seen
	excess := c.excess(rate)
	for i, n := range c.seen {
		keep := 1 / (1 + excess*n*rate)
		c.clicks[i] *= keep
		c.seen[i] *= keep
	}
}

// excess is the variance of a day's rate, relative to the rate, that the counting
// of clicks does not explain. Steps between days whose counts explain everything
// say nothing of it.
func (c *counts) excess(rate float64) float64 {
	const prior = ctrNoise * ctrNoise
	last := len(c.seen) - 1
	steps := make([]step, 0, usual)
	for i := 1; i < last; i++ {
		a, b := c.seen[i-1]*rate, c.seen[i]*rate
		counting := (1/a + 1/b) / 2
		doubt := 1 + counting/prior
		steps = append(steps, step{c.clicks[i]/b - c.clicks[i-1]/a, counting, 1 / (doubt * doubt)})
	}
	return variance(steps, prior, ctrBefore)
}
