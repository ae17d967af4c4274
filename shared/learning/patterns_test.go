package learning_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/learning"
)

// kinds are the features of the invented ads; none of their values does anything.
var kinds = map[string][]string{
	"hook_type": {"question", "offer", "testimonial", "statistic"}, "visual_pacing": {"fast", "medium", "slow"}, "visual_style": {"ugc", "studio", "talking_head"},
	"cta_type": {"book_now", "learn_more", "sign_up"}, "emotion": {"hope", "trust", "fear"}, "music": {"upbeat", "none"},
}

var order = []string{"hook_type", "visual_pacing", "visual_style", "cta_type", "emotion", "music"}

// invented is an account of n ads; half of them show the product, which lifts their
// CTR by the given share. Ads differ by luck, a few go viral, delivery is uneven and
// value comes in deals.
func invented(r *rand.Rand, n int, lift float64) []learning.Ad {
	ads := make([]learning.Ad, n)
	for i := range ads {
		dna := creative.DNA{"product_shown": i%2 == 0}
		for _, k := range order {
			dna[k] = kinds[k][r.IntN(len(kinds[k]))]
		}
		rate := 0.015 * math.Exp(0.25*r.NormFloat64())
		if r.Float64() < 0.02 {
			rate *= 3
		}
		if i%2 == 0 {
			rate *= 1 + lift
		}
		shown := int64(20_000 * math.Exp(0.7*r.NormFloat64()))
		clicks := poisson(r, float64(shown)*rate)
		value := 0.0
		for range poisson(r, float64(clicks)*0.01) {
			value += 500 * math.Exp(0.5*r.NormFloat64())
		}
		ads[i] = learning.Ad{ID: fmt.Sprintf("ad-%03d", i), DNA: dna, Active: true, Impressions: shown, Clicks: min(clicks, shown), Value: value, Arrived: 1}
	}
	return ads
}

func poisson(r *rand.Rand, mean float64) int64 {
	if mean > 200 {
		return max(0, int64(math.Round(mean+math.Sqrt(mean)*r.NormFloat64())))
	}
	n, p := int64(0), r.Float64()
	for limit := math.Exp(-mean); p > limit; n++ {
		p *= r.Float64()
	}
	return n
}

func TestAPatternThatIsPureNoiseIsReportedInFewerThanOneInTenAccounts(t *testing.T) {
	t.Parallel()
	const accounts = 200
	wrong := 0
	for i := range accounts {
		if found := learning.FindPatterns(invented(rand.New(rand.NewPCG(11, uint64(i))), 80, 0)).Found; len(found) > 0 {
			wrong++
		}
	}
	t.Logf("noise is reported in %d of %d accounts", wrong, accounts)
	if wrong*10 >= accounts {
		t.Errorf("noise is reported in %d of %d accounts, want fewer than a tenth", wrong, accounts)
	}
}

func TestATrueLiftOfThirtyPercentWithFortyAdsOnEachSideIsFound(t *testing.T) {
	t.Parallel()
	const accounts = 200
	right, covered := 0, 0
	for i := range accounts {
		for _, p := range learning.FindPatterns(invented(rand.New(rand.NewPCG(12, uint64(i))), 80, 0.3)).Found {
			// Of a feature with two values one is tested: without it, the lift is below nothing.
			lift, low, high := p.Lift, p.Low, p.High
			if p.Value == "no" {
				lift, low, high = 1/(1+lift)-1, 1/(1+high)-1, 1/(1+low)-1
			}
			if p.Feature == "product_shown" && p.Metric == learning.CTR && lift > 0 {
				right++
				if low <= 0.3 && 0.3 <= high {
					covered++
				}
				break
			}
		}
	}
	t.Logf("found in %d of %d accounts; the interval holds the truth in %d of those", right, accounts, covered)
	if right*10 < accounts*8 {
		t.Errorf("found in %d of %d accounts, want at least 80%%", right, accounts)
	}
}

func TestAPatternIsNewOnceAndIsRefutedWhenTheAdsSayOtherwise(t *testing.T) {
	t.Parallel()
	first := learning.FindPatterns(invented(rand.New(rand.NewPCG(3, 1)), 120, 0.6))
	moved := learning.Compare(nil, first)
	if len(moved.New) == 0 {
		t.Fatal("nothing was found")
	}
	known := []learning.Known{{Pattern: moved.New[0], Status: learning.ActivePattern}}
	if again := learning.Compare(known, first); len(again.New) != len(moved.New)-1 {
		t.Errorf("found again it is new again: %+v", again)
	}
	if gone := learning.Compare(known, learning.FindPatterns(invented(rand.New(rand.NewPCG(3, 2)), 120, -0.4))); len(gone.Refuted) != 1 {
		t.Errorf("the opposite does not refute it: %+v", gone)
	}
	if few := learning.Compare(known, learning.FindPatterns(nil)); len(few.Retired) != 1 {
		t.Errorf("without ads it is not retired: %+v", few)
	}
}
