package sampler

import "math"

// water finds mu, one over the square root of the marginal return at which the
// budgets K(mu s - 1), held to their limits, use up the total. The return of a
// budget b is r b/(1+b/K), so its margin is r/(1+b/K)^2.
//
// Successive draws have nearly the same mu, and most ads are then far from both
// limits, or from coming off one. These are summed up once for each draw, and Newton's
// steps on the piecewise linear function visit those that are near a limit alone.
type water struct {
	total       float64
	sat, lo, hi []float64
	mu          float64 // the last draw's solution, where the next one's search starts

	at, from, to float64 // where the rows were sorted, and for which mu that is good
	used, slope  float64 // of all rows but the near ones, at mu = at
	near         []int32 // the rows that come to a limit, or leave one, between from and to
}

// nearby is how much smaller or larger than where the rows were sorted mu may become.
const nearby = 1. / 16

// level returns mu for the square roots s of the returns. Newton's steps are kept
// inside a bracket.
func (w *water) level(s []float64) float64 {
	mu := w.mu
	if mu <= 0 {
		top := 1e-300
		for _, x := range s {
			top = math.Max(top, x)
		}
		mu = 2 / top
	}
	low, high := 0.0, math.Inf(1)
	w.from, w.to = high, low // as yet good for none
	for range 100 {
		if mu < w.from || mu > w.to {
			w.sort(s, mu)
		}
		used, slope := w.used+(mu-w.at)*w.slope, w.slope
		for _, i := range w.near {
			b := w.sat[i] * (mu*s[i] - 1)
			if b <= w.lo[i] {
				used += w.lo[i]
			} else if b >= w.hi[i] {
				used += w.hi[i]
			} else {
				used += b
				slope += w.sat[i] * s[i]
			}
		}
		miss := w.total - used
		if math.Abs(miss) <= 1e-9*w.total+1e-6 {
			break
		}
		if miss > 0 {
			low = mu
		} else {
			high = mu
		}
		next := mu + miss/slope
		if !(next > low && next < high) { // also NaN and infinities
			if next = (low + high) / 2; math.IsInf(high, 1) {
				next = 2 * mu
			}
		}
		if next == mu || next > 1e300 {
			break
		}
		mu = next
	}
	w.mu = mu
	return mu
}

// sort sums up the rows that are at a limit, or between theirs, wherever near mu the
// solution lies, and lists the others. Which rows these are changes from draw to draw,
// so the loop has no branch that a processor would guess wrong: a comparison is a mask.
func (w *water) sort(s []float64, mu float64) {
	n := len(s)
	if cap(w.near) < n {
		w.near = make([]int32, n)
	}
	near, found := w.near[:n], 0
	used, slope := 0.0, 0.0
	sat, lo, hi := w.sat[:n], w.lo[:n], w.hi[:n]
	for i, x := range s {
		k := sat[i] * x
		b, reach := mu*k-sat[i], nearby*mu*k
		over, above := b-lo[i], b-hi[i] // its limits
		free := negative(above+reach) &^ negative(over-reach)
		stays := free | negative(over+reach) | ^negative(above-reach)
		low, high := negative(over), ^negative(above)
		held := math.Float64bits(lo[i])&low | math.Float64bits(hi[i])&high&^low | math.Float64bits(b)&^(low|high)
		used += math.Float64frombits(held & stays)
		slope += math.Float64frombits(math.Float64bits(k) & free)
		near[found] = int32(i)
		found += int(^stays & 1)
	}
	w.at, w.from, w.to = mu, mu*(1-nearby), mu*(1+nearby)
	w.used, w.slope, w.near = used, slope, near[:found]
}

// negative is all ones where x is below 0, and 0 elsewhere.
func negative(x float64) uint64 { return uint64(int64(math.Float64bits(x)) >> 63) }
