package backtest

import (
	"math"
	"math/rand/v2"

	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

// Policy is a way of dividing a budget. Split nil is this project's sampler.
type Policy struct {
	Name  string
	Split func(req sampler.Request) []money.Amount
}

// Policies are the ones that are compared, this project's sampler last.
func Policies() []Policy {
	return []Policy{
		{Name: "uniform", Split: Uniform},
		{Name: "greedy pipeline ROAS", Split: Greedy},
		{Name: "Thompson on conversions", Split: Thompson},
		{Name: "blended score, softmax", Split: Softmax},
		{Name: "this sampler"},
	}
}

// Uniform gives every ad the same.
func Uniform(req sampler.Request) []money.Amount {
	return proportional(req, func(*sampler.Arm) float64 { return 1 })
}

// Greedy divides in proportion to pipeline value per money spent.
func Greedy(req sampler.Request) []money.Amount {
	unit := math.Pow10(req.Currency.Decimals())
	return proportional(req, func(a *sampler.Arm) float64 {
		return float64(a.Pipeline) / math.Max(float64(a.Spend), unit)
	})
}

// Thompson draws each ad's conversion rate per click from a Beta posterior of
// its won deals, and gives each the share of the draws in which it is best.
func Thompson(req sampler.Request) []money.Amount {
	r := rand.New(rand.NewPCG(req.Seed, 1))
	wins := make(map[string]float64, len(req.Arms))
	for range max(20, min(200, 100_000/max(1, len(req.Arms)))) {
		best, top := "", -1.0
		for i := range req.Arms {
			a := &req.Arms[i]
			won := 0.0
			if a.Cash != nil && req.Account.DealValue > 0 {
				won = math.Round(float64(*a.Cash) / float64(req.Account.DealValue))
			}
			x := gamma(r, 1+won)
			if p := x / (x + gamma(r, 1+math.Max(0, float64(a.Clicks)-won))); p > top {
				best, top = a.ID, p
			}
		}
		wins[best]++
	}
	return proportional(req, func(a *sampler.Arm) float64 { return wins[a.ID] })
}

// Softmax is what the reference implementation does: the displayed blended
// score, worn by the displayed decay, through a softmax at temperature 1.
func Softmax(req sampler.Request) []money.Amount {
	return proportional(req, func(a *sampler.Arm) float64 {
		m := sampler.Shown(a, req.Currency)
		return math.Exp(m.BlendedScore * m.DecayFactor)
	})
}

// proportional divides the total by weights, evenly where all are zero.
func proportional(req sampler.Request, weight func(*sampler.Arm) float64) []money.Amount {
	out, weights, sum := make([]money.Amount, len(req.Arms)), make([]float64, len(req.Arms)), 0.0
	for i := range req.Arms {
		weights[i] = weight(&req.Arms[i])
		sum += weights[i]
	}
	for i := range out {
		share := 1 / float64(len(out))
		if sum > 0 {
			share = weights[i] / sum
		}
		out[i] = money.Amount(math.Floor(share * float64(req.Total)))
	}
	return out
}

// gamma draws a Gamma variate of shape at least 1 (Marsaglia and Tsang 2000).
func gamma(r *rand.Rand, shape float64) float64 {
	d := shape - 1.0/3
	for {
		x := r.NormFloat64()
		v := 1 + x/math.Sqrt(9*d)
		if v <= 0 {
			continue
		}
		v *= v * v
		if math.Log(r.Float64()) < x*x/2+d*(1-v+math.Log(v)) {
			return d * v
		}
	}
}
