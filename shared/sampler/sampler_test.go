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

func TestFacebookAds(t *testing.T) {
	arms := facebookAds(t, 100)
	split := Allocate(Request{Currency: "USD", Total: 100000, Seed: 1, Arms: arms})
	sum := split.Unallocated
	for i, r := range split.Recommendations {
		sum += r.Recommended
		if i < 40 {
			t.Log(arms[i].Impressions, arms[i].Clicks, arms[i].Spend, arms[i].Pipeline, r.Recommended, r.Interval, r.PBest, r.Confidence, r.Verdict, r.Reason)
		}
	}
	t.Logf("%+v", split.Posterior)
	if sum != 100000 {
		t.Errorf("sum is %d", sum)
	}
}
