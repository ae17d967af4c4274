package sampler

import (
	"encoding/csv"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/geminivideo/geminivideo/shared/money"
)

// facebookAds is campaigns 916 and 936 of a public Facebook data set, with
// approved conversions at a value each. The set is not part of the repository:
// where it does not lie beside it, ads of the same kind are made.
func facebookAds(t testing.TB, value float64) []Arm {
	t.Helper()
	f, err := os.Open("../../../shared/data/facebook_ads.csv")
	if err != nil {
		return likeFacebookAds(value)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	num := func(s string) float64 {
		x, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	var arms []Arm
	for _, r := range rows[1:] {
		if r[1] != "916" && r[1] != "936" {
			continue
		}
		arms = append(arms, Arm{
			ID: r[0], Impressions: int64(num(r[6])), Clicks: int64(num(r[7])), AgeHours: 240,
			Spend: money.Amount(math.Round(100 * num(r[8]))), Pipeline: money.Amount(100 * value * num(r[10])),
		})
	}
	return arms
}

// likeFacebookAds has the set's traits: 0.02% CTR, many ads without a click or a
// conversion, conversions that follow the ad more than its spend.
func likeFacebookAds(value float64) []Arm {
	rng := rand.New(rand.NewPCG(916, 936))
	poisson := func(mean float64) (n int64) {
		for p := rng.Float64(); p > math.Exp(-mean); p *= rng.Float64() {
			n++
		}
		return n
	}
	arms := make([]Arm, 518)
	for i := range arms {
		impressions := math.Exp(8.8 + 1.2*rng.NormFloat64())
		clicks := min(poisson(2.3e-4*impressions), int64(impressions))
		spend := 1.4 * float64(clicks)
		arms[i] = Arm{
			ID: strconv.Itoa(708746 + i), Impressions: int64(impressions), Clicks: clicks, AgeHours: 240,
			Spend: money.Amount(100 * spend), Pipeline: money.Amount(100 * value * float64(poisson((0.3+0.08*spend)*math.Exp(rng.NormFloat64()-0.5)))),
		}
	}
	return arms
}

func TestCheapConversionsGetMoreThanDearOnes(t *testing.T) {
	for _, value := range []float64{1, 100, 15000} {
		arms := facebookAds(t, value)
		split := Allocate(Request{Currency: "USD", Total: 100_000, Seed: 1, Arms: arms})
		sum := split.Unallocated
		type group struct{ ads, money int }
		var cheap, dear, none group
		for i, r := range split.Recommendations {
			sum += r.Recommended
			a, g := arms[i], &none
			deals := float64(a.Pipeline) / (100 * value)
			if a.Spend == 0 {
				continue
			}
			if deals > 0 && float64(a.Spend)/deals < 500 {
				g = &cheap
			} else if deals > 0 {
				g = &dear
			}
			g.ads++
			g.money += int(r.Recommended)
		}
		if sum != 100_000 || len(split.Recommendations) != len(arms) {
			t.Errorf("%d recommendations sum to %d", len(split.Recommendations), sum)
		}
		mean := func(g group) float64 { return float64(g.money) / float64(g.ads) }
		t.Logf("value %v: cheap %v, dear %v, none %v of %d; %+v", value, mean(cheap), mean(dear), mean(none), len(arms), split.Posterior)
		if mean(cheap) < 1.2*mean(dear) || mean(cheap) < 1.1*mean(none) {
			t.Errorf("value %v: cheap %v, dear %v, none %v", value, mean(cheap), mean(dear), mean(none))
		}
	}
}
