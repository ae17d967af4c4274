package sampler

import "math"

// How much a sum of money proves depends on what one won deal adds: 15,000 in one
// deal proves little, in fifteen a lot. A known deal value is taken; else the
// jumps between earlier totals tell, and before there are any, which ads have
// sold at all.

const (
	// firstLook is how many clicks' cost a deal is taken to be worth by the split
	// where nothing is known from before; more than a crowd of ads that have sold
	// are believed against it.
	firstLook = 100
	crowd     = 24
	// An ad is followed that was heard of, or began, no more than so many hours ago.
	followed = 48
	// dealsPerClick is where the number of deals starts from when only sums of
	// money are known: its median, and the standard deviation of its logarithm.
	dealsPerClick       = 1. / 3000
	dealsPerClickSpread = 2
	// sellShape is how ads differ in how often they sell.
	sellShape = 1.5
	// saleClicks is the part of a click's cost that makes a sum of money half a sale.
	saleClicks = 0.5
	// jumpsPerLump is how much less a pipeline value's jumps are than what a won
	// deal adds in the end: it comes in stages.
	jumpsPerLump = 2.5
)

// lump is what one won deal adds, by all that is known.
func (m *model) lump(ev []evidence) float64 {
	if v := m.req.Account.DealValue; v > 0 {
		return float64(v)
	}
	return m.lumpOf(ev, m.sample(func(i int) float64 { return ev[i].clicks() }), 0)
}

// lumpBefore is the same by what was known before this request's totals, and now
// where those teach nothing of it; learn is how far they may teach the prior.
//
// Where nothing is known from before, or was long ago, these totals are a first
// look: they teach as far as many ads do, so that no single one moves what the
// others are judged by.
func (m *model) lumpBefore(ev []evidence, now float64) (lump, learn float64) {
	if m.req.Account.DealValue > 0 {
		return now, 1
	}
	sold := 0.0
	for i := range ev {
		sold += m.sold(&ev[i])
	}
	learn = math.Max(0, 1-crowd/math.Max(sold, 1))
	first := learn*math.Log(now) + (1-learn)*math.Log(firstLook*m.even())
	var rows []int
	sample, heard := m.longest(), 0.0
	for _, i := range sample {
		age, was := m.arm(i).AgeHours, m.was[i]
		switch {
		case was != nil:
			rows = append(rows, i)
			heard += math.Min(1, followed/math.Max(age-was.AgeHours, 1))
		case age <= followed:
			heard++
		}
	}
	if len(rows) == 0 {
		return math.Exp(first), learn
	}
	w := heard / float64(len(sample))
	return math.Exp(w*math.Log(m.lumpOf(m.before(rows), rows, 1)) + (1-w)*first), w + (1-w)*learn
}

// sold is how far an ad's value is a sale, 0 to 1.
func (m *model) sold(e *evidence) float64 { return e.value() / (e.value() + saleClicks*m.even()) }

// lumpOf is the lump by the rows' evidence, and by all legs but the last ones.
func (m *model) lumpOf(ev []evidence, rows []int, last int) float64 {
	size := m.lumpOfSums(ev, rows)
	jump, jumps := m.jump(last)
	if jumps == 0 {
		return size
	}
	w := jumps / (jumps + 1)
	return math.Exp(w*math.Log(jump) + (1-w)*math.Log(size))
}

// jump is the mean square of the changes of value over their mean, which for
// deals that fall independently is the size of one; differences of successive
// stretches of about the same length take out what comes steadily. So many last
// legs are left out.
func (m *model) jump(last int) (size, count float64) {
	var square, sum float64
	for i := range m.rows {
		before, long, open := 0.0, 0.0, false
		legs := m.armLegs(i)
		for _, l := range legs[:max(0, len(legs)-last)] {
			d := l.won
			if !m.cash {
				d = math.Max(0, l.open+l.won)
			}
			if math.IsNaN(d) || d < 0 {
				open = false
				continue
			}
			here := l.to - l.from
			if open && here <= 3*long && long <= 3*here {
				square += sq(d-before) / 2
				sum += (d + before) / 2
			}
			before, long, open = d, here, true
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

// lumpOfSums estimates the lump from totals alone. Which ads have sold anything
// says how many deals a click brings; what those that have are worth, over the
// deals that each should have, says how large they are. The mean of logarithms
// lets no single ad decide, and one more says that clicks return what they cost.
func (m *model) lumpOfSums(ev []evidence, rows []int) float64 {
	sold := make([]float64, len(rows))
	for j, i := range rows {
		sold[j] = m.sold(&ev[i])
	}
	none := func(deals float64) float64 { return math.Pow(1+deals/sellShape, -sellShape) } // negative binomial
	const points = 41
	var post, grid [points]float64
	for k := range grid {
		z := 3 * (2*float64(k)/(points-1) - 1)
		grid[k] = math.Log(dealsPerClick) + dealsPerClickSpread*z
		post[k] = -sq(z) / 2
		rate := math.Exp(grid[k])
		for j, i := range rows {
			p := none(rate * ev[i].clicks())
			post[k] += (1 - sold[j]) * math.Log(p)
			if sold[j] > 0 {
				post[k] += sold[j] * math.Log(math.Max(1-p, 1e-12))
			}
		}
	}
	weigh(post[:])
	mean := 0.0
	for k, x := range grid {
		mean += post[k] * x
	}
	rate := math.Exp(mean)
	sum, n := math.Log(m.even()/rate), 1.0
	for j, i := range rows {
		if deals := rate * ev[i].clicks(); sold[j] > 0 && deals > 0 {
			deals /= math.Max(1-none(deals), 1e-12) // of an ad that has sold
			sum += sold[j] * math.Log(ev[i].value()/deals)
			n += sold[j]
		}
	}
	return math.Exp(sum / n)
}
