package allocate_test

import (
	"testing"
)

func TestTheBetterAdsGetTheMoney(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.split(m{"ad_states": several(10), "total_budget": 1000.0, "seed": 7})
	var worse, better float64
	for i, ad := range r.Recommendations {
		t.Logf("%v %v %s", ad.Current, ad.Recommended, ad.Reason)
		if i < 5 {
			worse += ad.Recommended
		} else {
			better += ad.Recommended
		}
	}
	if better < 600 {
		t.Errorf("the better half gets %.2f of 1000", better)
	}
}
