package sampler

import (
	"encoding/csv"
	"math"
	"os"
	"strconv"
	"testing"

	"github.com/geminivideo/geminivideo/shared/money"
)

// facebookAds reads the public Facebook data set; campaigns 916 and 936, with
// approved conversions at a value each. It is not part of the repository.
func facebookAds(t testing.TB, value float64) []Arm {
	f, err := os.Open("/work/shared/data/facebook_ads.csv")
	if err != nil {
		t.Skip("the data set is not on this machine")
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
		if mean(cheap) < 1.5*mean(dear) || mean(cheap) < 1.5*mean(none) {
			t.Errorf("value %v: cheap %v, dear %v, none %v", value, mean(cheap), mean(dear), mean(none))
		}
	}
}
