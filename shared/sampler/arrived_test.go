package sampler

import (
	"testing"

	"github.com/geminivideo/geminivideo/shared/money"
)

func TestTheShareThatCouldHaveArrivedFollowsTheAccountsOwnDeals(t *testing.T) {
	t.Parallel()
	var slow []Deal
	for range 200 {
		slow = append(slow, Deal{Steps: []Step{{Hours: 24 * 40, Value: money.Amount(100_000)}}, Observed: 24 * 90, Won: true})
	}
	usual, own := ArrivedByDay(nil), ArrivedByDay(slow)
	for _, curve := range [][]float64{usual, own} {
		for d := 1; d < len(curve); d++ {
			if curve[d] < curve[d-1] || curve[d] < 0 || curve[d] > 1 {
				t.Fatalf("day %d: %.3f after %.3f", d, curve[d], curve[d-1])
			}
		}
		if last := curve[len(curve)-1]; last < 0.99 {
			t.Errorf("in the end %.3f have arrived, want all", last)
		}
	}
	if usual[7] < 0.5 || own[20] > 0.25 {
		t.Errorf("after 7 days %.2f of usual deals, after 20 days %.2f of deals that take 40: want most and few", usual[7], own[20])
	}
}
