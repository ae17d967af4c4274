package sampler

import (
	"math"
	"math/bits"
	"runtime"
	"slices"
	"sync"
)

// posterior is the draws of all rows, made on demand: any draw can be computed
// by itself.
type posterior struct {
	z       []float64
	log     uint
	streams []stream
	gammas  []gamma
	root    []float64 // square root of the mean return of the first unit
}

// posterior returns the draws.
func (m *model) posterior() *posterior {
	n := len(m.rows)
	p := &posterior{
		z: deviates(m.set.Draws), log: uint(bits.Len(uint(m.set.Draws)) - 1),
		streams: make([]stream, n), gammas: make([]gamma, n), root: make([]float64, n),
	}
	for i := range n {
		p.streams[i] = newStream(m.req.Seed, m.arm(i).ID)
		p.gammas[i] = newGamma(m.shape(i))
		if !m.arm(i).Excluded {
			p.root[i] = math.Sqrt(m.first(i))
		}
	}
	return p
}

// draw fills s with the square roots of draw k of the returns and gives the row
// with the highest.
func (p *posterior) draw(s []float64, k int) (best int) {
	top := -1.0
	for i := range s {
		g := p.gammas[i]
		t := g.p + g.q*p.z[p.streams[i].slice(uint32(k), p.log)]
		if t < 0.02 {
			t = 0.02
		}
		x := p.root[i] * t * math.Sqrt(t)
		s[i] = x
		if x > top {
			best, top = i, x
		}
	}
	return best
}

// tally sums up what the draws decided, per row.
type tally struct {
	budget   []float64 // the mean within the limits
	up, best []int32   // draws whose budget is above today's; draws in which the ad is best
	mu       float64   // the last draw's solution, where the next one's search starts

	sum, square []float64 // of the draws' budgets, for their spread
}

// chunks is how the draws are cut for the goroutines. It is fixed, and the
// chunks are summed in order, so the number of processors changes no bit.
const chunks = 8

// tally runs visit for every draw, in chunks, and sums what it collects.
func (m *model) tally(visit func(t *tally, s []float64, k int)) tally {
	n, draws := len(m.rows), m.set.Draws
	workers := m.set.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	if workers = min(workers, chunks); n*draws < 20000 {
		workers = 1
	}
	tallies := make([]tally, chunks)
	work := func(first int) {
		s := make([]float64, n)
		for part := first; part < chunks; part += workers {
			t := tally{
				budget: make([]float64, n), up: make([]int32, n), best: make([]int32, n), square: make([]float64, n),
			}
			for k := part * draws / chunks; k < (part+1)*draws/chunks; k++ {
				visit(&t, s, k)
			}
			tallies[part] = t
		}
	}
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() { work(w) })
	}
	group.Wait()
	sum := tallies[0]
	for _, t := range tallies[1:] {
		for i := range n {
			sum.budget[i] += t.budget[i]
			sum.up[i] += t.up[i]
			sum.best[i] += t.best[i]
			sum.square[i] += t.square[i]
		}
	}
	return sum
}

// split solves the division of the total for every draw. Beside the mean budgets it
// counts how often a draw would rather have more than today's: how often the
// direction "up" is right.
func (m *model) split(current []float64) tally {
	p := m.posterior()
	t := m.tally(func(t *tally, s []float64, k int) {
		t.best[p.draw(s, k)]++
		t.mu = waterLevel(m.total, s, m.saturation, m.lo, m.hi, t.mu)
		for i, x := range s {
			b := m.saturation[i] * (t.mu*x - 1)
			if b > current[i] {
				t.up[i]++
			}
			if b < m.lo[i] {
				b = m.lo[i]
			} else if b > m.hi[i] {
				b = m.hi[i]
			}
			t.budget[i] += b
			t.square[i] += b * b
		}
	})
	t.sum = slices.Clone(t.budget)
	for i := range t.budget {
		t.budget[i] = clamp(t.budget[i]/float64(m.set.Draws), m.lo[i], m.hi[i])
	}
	return t
}

// waterLevel finds mu, one over the square root of the marginal return at which the
// budgets K(mu s - 1), held to their limits, use up the total. The return of a
// budget b is r b/(1+b/K), so its margin is r/(1+b/K)^2. Newton's steps on this
// piecewise linear function are kept inside a bracket.
func waterLevel(total float64, s, sat, lo, hi []float64, mu float64) float64 {
	low, high := 0.0, math.Inf(1)
	if mu <= 0 {
		top := 1e-300
		for _, x := range s {
			top = math.Max(top, x)
		}
		mu = 2 / top
	}
	sat, lo, hi = sat[:len(s)], lo[:len(s)], hi[:len(s)]
	for range 100 {
		used, slope := 0.0, 0.0
		for i, x := range s {
			b := sat[i] * (mu*x - 1)
			if b <= lo[i] {
				used += lo[i]
			} else if b >= hi[i] {
				used += hi[i]
			} else {
				used += b
				slope += sat[i] * x
			}
		}
		miss := total - used
		if math.Abs(miss) <= 1e-9*total+1e-6 {
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
	return mu
}
