package allocate_test

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
)

// campaignAd is a row of an ad report: what it cost and what it brought.
type campaignAd struct {
	id                  string
	impressions, clicks int
	spent               float64
	approved            int
}

// report reads the public Facebook data set where it is, and makes a table like
// it where it is not: campaigns whose approved conversions cost 6, 16 and 64.
func report(t *testing.T) []campaignAd {
	t.Helper()
	f, err := os.Open("../../../shared/data/facebook_ads.csv")
	if err != nil {
		return madeUp()
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	number := func(s string) float64 {
		x, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	var all []campaignAd
	for _, r := range rows[1:] {
		all = append(all, campaignAd{r[0], int(number(r[6])), int(number(r[7])), number(r[8]), int(number(r[10]))})
	}
	return all
}

func madeUp() []campaignAd {
	r := rand.New(rand.NewPCG(3, 4))
	var all []campaignAd
	for i := range 1143 {
		cost := []float64{6, 16, 64}[i%3]
		spent := 1.4 * float64(r.IntN(60))
		all = append(all, campaignAd{
			fmt.Sprint(700000 + 7*i), 2000 + int(spent*3000), int(spent / 1.5), spent, int(spent/cost + r.Float64()),
		})
	}
	return all
}

func TestAnAdReportIsSplitByWhatItsConversionsCost(t *testing.T) {
	t.Parallel()
	all := report(t)
	for _, value := range []float64{100, 15000} {
		t.Run(fmt.Sprint(value), func(t *testing.T) {
			t.Parallel()
			s := newSystem(t)
			states := make([]m, len(all))
			for i, ad := range all {
				states[i] = m{
					"ad_id": ad.id, "impressions": ad.impressions, "clicks": ad.clicks, "spend": ad.spent,
					"pipeline_value": value * float64(ad.approved), "age_hours": 240,
				}
			}
			r := s.split(m{"ad_states": states, "total_budget": 1000.0, "seed": 1})
			if r.TotalBudget != 1000 || r.Unallocated != 0 || len(r.Recommendations) != len(all) {
				t.Errorf("of %v %v is unallocated over %d ads", r.TotalBudget, r.Unallocated, len(r.Recommendations))
			}
			// Ads by what an approved conversion costs; half a one where there is none.
			order := make([]int, len(all))
			for i := range order {
				order[i] = i
			}
			slices.SortStableFunc(order, func(a, b int) int {
				cost := func(ad campaignAd) float64 { return (ad.spent + 0.01) / max(0.5, float64(ad.approved)) }
				return cmp.Compare(cost(all[a]), cost(all[b]))
			})
			var cheap, dear float64
			for rank, i := range order {
				ad := r.Recommendations[i]
				if rank < len(order)/2 {
					cheap += ad.Recommended
				} else {
					dear += ad.Recommended
				}
				if rank%120 == 0 {
					t.Logf("%7.2f spent, %d approved: %6.2f to %6.2f, %s. %s", all[i].spent, all[i].approved, ad.Current, ad.Recommended, ad.Verdict, ad.Reason)
				}
			}
			t.Logf("cheap half %.2f, dear half %.2f", cheap, dear)
			if cheap <= dear {
				t.Errorf("the cheap half gets %.2f, the dear half %.2f", cheap, dear)
			}
		})
	}
}
