package sampler

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/geminivideo/geminivideo/shared/money"
)

func manyAds(n int) Request {
	r := rand.New(rand.NewPCG(1, 2))
	req := Request{Currency: "USD", Total: money.Amount(5_000 * n), Seed: 3, Settings: Settings{Workers: 1}}
	for range n {
		imp := int64(1000 + 200_000*r.Float64())
		won := money.Amount(1_500_000 * r.IntN(3))
		req.Arms = append(req.Arms, Arm{
			ID: fmt.Sprintf("120%015d", r.Uint64N(1e15)), Impressions: imp, Clicks: int64(float64(imp) * 0.03 * r.Float64()),
			Spend: money.Amount(float64(imp) * (0.8 + r.Float64())), AgeHours: 24 * 60 * r.Float64(),
			Pipeline: won + money.Amount(225_000*r.IntN(4)), Cash: &won,
		})
	}
	return req
}

// BenchmarkAllocate is for profiling; its floor stands beside it in infra/bench.
func BenchmarkAllocate(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000, 100_000} {
		req := manyAds(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Allocate(req)
			}
		})
	}
}
