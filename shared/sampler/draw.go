package sampler

import (
	"math"
	"math/bits"
	"slices"
)

// Posterior draws are stratified: over all draws an ad's normal deviates are the
// midpoints of equal slices of the normal distribution, in an order of the ad's
// own that depends on the seed and the ad's id alone. So a few draws already
// have the right mean and spread, another ad in the request changes nobody's
// numbers, and any draw can be computed by itself, in any goroutine.

// deviates returns the midpoints of n equally likely slices of a standard normal.
func deviates(n int) []float64 {
	z := make([]float64, n)
	for i := range z {
		z[i] = quantile((float64(i) + 0.5) / float64(n))
	}
	return z
}

// stream is one ad's order of the n = 1<<log draws.
type stream struct{ a, b, c, d uint32 }

func newStream(seed uint64, id string) stream {
	h := seed ^ 0x9e3779b97f4a7c15
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 0x100000001b3
		h ^= h >> 29
	}
	x, y := mix(h), mix(h+0x9e3779b97f4a7c15)
	return stream{uint32(x) | 1, uint32(x >> 32), uint32(y) | 1, uint32(y >> 32)}
}

// slice returns the ad's slice in draw k: a permutation of 0..1<<log-1, mixed
// twice so that two ads' orders have nothing in common.
func (s stream) slice(k uint32, log uint) uint32 {
	mask := uint32(1)<<log - 1
	x := (k*s.a + s.b) & mask
	x ^= x >> (log/2 + 1)
	x = (x*s.c + s.d) & mask
	x ^= x >> (log/2 + 1)
	return (x*(s.a>>7|1) + s.d>>9) & mask
}

func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// quantile is the inverse of the standard normal distribution.
func quantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

// normal is the standard normal distribution function.
func normal(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }

// gamma is a Gamma distribution of mean 1 in Wilson and Hilferty's form: its
// cube root is normal. It has no rejection step, so it is monotone in its
// parameters draw by draw, and good to a percent for shapes above one half.
type gamma struct{ p, q float64 }

func newGamma(shape float64) gamma {
	shape = math.Max(shape, 0.5)
	return gamma{1 - 1/(9*shape), 1 / (3 * math.Sqrt(shape))}
}

// at returns the value at the normal deviate z.
func (g gamma) at(z float64) float64 {
	t := math.Max(g.p+g.q*z, 0.02)
	return t * t * t
}

// below is the probability of a value under x.
func (g gamma) below(x float64) float64 { return normal((math.Cbrt(x) - g.p) / g.q) }

// reported is what is believed of a return beside its mean, when it is reported:
// towards zero as far as Gamma reaches, upwards as far as a log-normal does.
type reported struct {
	low        gamma
	center, sd float64
}

func newReported(cv float64) reported {
	v := math.Log1p(cv)
	return reported{newGamma(1 / cv), -v / 4, math.Sqrt(v)} // between the mean and the median
}

// interval holds 90% around a mean.
func (r reported) interval(mean float64) Interval {
	const z = 1.6448536269514722
	return Interval{mean * r.low.at(-z), mean * math.Max(math.Exp(r.center+r.sd*z), r.low.at(z))}
}

// surelyBelow and surelyAbove are the probabilities of a value under and over x,
// each by the form that doubts it more.
func (r reported) surelyBelow(x float64) float64 {
	return math.Min(r.low.below(x), normal((math.Log(x)-r.center)/r.sd))
}

func (r reported) surelyAbove(x float64) float64 { return 1 - r.low.below(x) }

// clampDraws rounds up to a power of two from 64 to 4096.
func clampDraws(n int) int {
	n = max(64, min(n, 4096))
	return 1 << bits.Len(uint(n-1))
}

// mostEvident returns, in order, at most most of the n rows, those with the most
// evidence; of those with as much, the first.
func mostEvident(n, most int, evidence func(row int) float64) []int {
	top := make([]int, 0, min(n, most))
	for i := range cap(top) {
		top = append(top, i)
	}
	if n <= most {
		return top
	}
	// A heap of the best so far, the worst of them on top: few rows enter it.
	weight := make([]float64, n)
	for i := range weight {
		weight[i] = evidence(i)
	}
	worse := func(a, b int) bool { return weight[a] < weight[b] || weight[a] == weight[b] && a > b }
	sink := func(k int) {
		for {
			c := 2*k + 1
			if c >= len(top) {
				return
			}
			if c+1 < len(top) && worse(top[c+1], top[c]) {
				c++
			}
			if !worse(top[c], top[k]) {
				return
			}
			top[c], top[k] = top[k], top[c]
			k = c
		}
	}
	for k := len(top)/2 - 1; k >= 0; k-- {
		sink(k)
	}
	for i := len(top); i < n; i++ {
		if weight[i] > weight[top[0]] {
			top[0] = i
			sink(0)
		}
	}
	slices.Sort(top)
	return top
}
