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
	water    water

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
	chunk := func(t *tally, s []float64, part int) {
		for k := part * draws / chunks; k < (part+1)*draws/chunks; k++ {
			visit(t, s, k)
		}
	}
	sum := m.newTally()
	if workers == 1 {
		t, s := m.newTally(), make([]float64, n)
		for part := range chunks {
			chunk(&t, s, part)
			sum.add(&t)
			t.clear()
		}
		return sum
	}
	tallies := make([]tally, chunks)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			s := make([]float64, n)
			for part := w; part < chunks; part += workers {
				tallies[part] = m.newTally()
				chunk(&tallies[part], s, part)
			}
		})
	}
	group.Wait()
	for part := range tallies {
		sum.add(&tallies[part])
	}
	return sum
}

func (m *model) newTally() tally {
	n := len(m.rows)
	return tally{
		budget: make([]float64, n), up: make([]int32, n), best: make([]int32, n), square: make([]float64, n),
		water: water{total: m.total, sat: m.saturation, lo: m.lo, hi: m.hi},
	}
}

// add adds what other collected.
func (t *tally) add(other *tally) {
	for i := range t.budget {
		t.budget[i] += other.budget[i]
		t.up[i] += other.up[i]
		t.best[i] += other.best[i]
		t.square[i] += other.square[i]
	}
}

// clear makes t as good as new.
func (t *tally) clear() {
	clear(t.budget)
	clear(t.up)
	clear(t.best)
	clear(t.square)
	t.water.mu = 0
}

// split solves the division of the total for every draw. Beside the mean budgets it
// counts how often a draw would rather have more than today's: how often the
// direction "up" is right.
func (m *model) split(current []float64) tally {
	p := m.posterior()
	t := m.tally(func(t *tally, s []float64, k int) {
		t.best[p.draw(s, k)]++
		t.take(s, t.water.level(s), current)
	})
	t.sum = slices.Clone(t.budget)
	for i := range t.budget {
		t.budget[i] = clamp(t.budget[i]/float64(m.set.Draws), m.lo[i], m.hi[i])
	}
	return t
}

// take adds the budgets of a draw. Which ads are at a limit changes from draw to draw,
// so the loop has no branch that a processor would guess wrong.
func (t *tally) take(s []float64, mu float64, current []float64) {
	n := len(s)
	sat, lo, hi, current := t.water.sat[:n], t.water.lo[:n], t.water.hi[:n], current[:n]
	budget, square, ups := t.budget[:n], t.square[:n], t.up[:n]
	for i, x := range s {
		b := sat[i] * (mu*x - 1)
		up := int32(0)
		if b > current[i] {
			up = 1
		}
		b = min(max(b, lo[i]), hi[i])
		ups[i] += up
		budget[i] += b
		square[i] += b * b
	}
}
