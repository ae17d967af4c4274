package sampler

import "math"

// lumpGrid is what one deal may add, beside what a usual number of deals
// would make of it.
var lumpGrid = [...]float64{1. / 64, 1. / 32, 1. / 16, 1. / 8, 1. / 4, 1. / 2, 1, 2, 4}

// dealsPerAd and dealsPerClick are where the number of deals starts from when
// only sums of money are known.
const (
	dealsPerAd    = 3
	dealsPerClick = 0.01
)

// jumpsPerLump is how much less a pipeline value's jumps are than what a won
// deal adds in the end: it comes in stages.
const jumpsPerLump = 2.5

// lump estimates what one won deal adds. It decides how much a sum of money
// proves: 15,000 in one deal proves little, in fifteen a lot. A known deal value
// is taken; else the jumps between earlier totals tell, and before there are
// any, the sums themselves.
func (m *model) lump(ev []evidence, sum, shown float64) float64 {
	if v := m.req.Account.DealValue; v > 0 {
		return float64(v)
	}
	size := m.lumpOfSums(ev, sum, shown)
	jump, jumps := m.jump()
	if jumps == 0 {
		return size
	}
	w := jumps / (jumps + 1)
	return math.Exp(w*math.Log(jump) + (1-w)*math.Log(size))
}

// jump is the mean square of the changes of value over their mean, which for
// deals that fall independently is the size of one; differences of successive
// stretches take out what comes steadily.
func (m *model) jump() (size, count float64) {
	var square, sum float64
	for i := range m.rows {
		last, open := 0.0, false
		for _, l := range m.armLegs(i) {
			d := l.won
			if !m.cash {
				d = math.Max(0, l.open+l.won)
			}
			if math.IsNaN(d) || d < 0 {
				open = false
				continue
			}
			if open {
				square += sq(d-last) / 2
				sum += (d + last) / 2
			}
			last, open = d, true
		}
	}
	if square <= 0 || sum <= 0 {
		return 0, 0
	}
	size = square / sum
	count = sum / size
	if !m.cash {
		size *= jumpsPerLump
	}
	return size, count
}

// lumpOfSums estimates the lump from present totals alone: large lumps leave
// many ads at nothing and the rest far apart, small ones bring all near their
// expectation. The counts are negative binomial, as in spread.
func (m *model) lumpOfSums(ev []evidence, sum, shown float64) float64 {
	even := m.even()
	mean := (sum + even/dealsPerClick) / (shown + 1/dealsPerClick) // one deal that just pays, to begin with
	square := 0.0
	for i := range ev {
		square += sq(ev[i].openX + ev[i].wonX)
	}
	sold := 1.0 // the effective number of ads that sold
	if square > 0 {
		sold = sq(sum) / square
	}
	// Two rough guesses: a deal per hundred clicks, three deals per ad that sold.
	usual := math.Sqrt(mean / dealsPerClick * (sum + mean/dealsPerClick) / sold / dealsPerAd)
	rows := m.sample(func(i int) float64 { return ev[i].openE + ev[i].wonE })
	const shape = 2
	var post [len(lumpGrid)]float64
	for k, x := range lumpGrid {
		size := x * usual
		post[k] = -sq(math.Log(x)/1.5) / 2
		for _, i := range rows {
			v, e := (ev[i].openX+ev[i].wonX)/size, (ev[i].openE+ev[i].wonE)*mean/size
			if e <= 0 {
				continue // value that came from nothing tells of no rate
			}
			post[k] -= (shape + v) * math.Log(1+e/shape)
			if v > 0 {
				g1, _ := math.Lgamma(shape + v)
				g2, _ := math.Lgamma(1 + v)
				post[k] += g1 - g2 + v*math.Log(e/shape)
				post[k] -= math.Max(0, 1-v) // few deals are worth a part of a deal
				// A value far under the usual is no deal's worth, and the density
				// of a lump of its size no evidence.
				value := ev[i].openX + ev[i].wonX
				post[k] -= math.Log(size) * value / (value + sum/sold/20)
			}
		}
	}
	// A few ads must not tell: one small sale would make every other look proven.
	for k, x := range lumpGrid {
		prior := -sq(math.Log(x)/1.5) / 2
		post[k] = prior + (post[k]-prior)*sold/(sold+20)
	}
	weigh(post[:])
	size := 0.0
	for k, x := range lumpGrid {
		size += post[k] * math.Log(x)
	}
	return math.Exp(size) * usual
}
