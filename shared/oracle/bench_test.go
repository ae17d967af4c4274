package oracle_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/geminivideo/geminivideo/infra/sim/creativeworld"
	"github.com/geminivideo/geminivideo/shared/oracle"
)

func BenchmarkTrain(b *testing.B) {
	for _, n := range []int{30, 300, 3000, 100_000} {
		past := creativeworld.Pasts(creativeworld.NewTaste(rand.New(rand.NewPCG(1, 2))).Ads(rand.New(rand.NewPCG(3, 4)), "acc", n))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				oracle.Train("acc", past)
			}
		})
	}
}

func BenchmarkPredict(b *testing.B) {
	ads := creativeworld.NewTaste(rand.New(rand.NewPCG(1, 2))).Ads(rand.New(rand.NewPCG(3, 4)), "acc", 1000)
	model := oracle.Train("acc", creativeworld.Pasts(ads))
	for i := 0; b.Loop(); i++ {
		model.Predict(ads[i%len(ads)].DNA, nil)
	}
}
