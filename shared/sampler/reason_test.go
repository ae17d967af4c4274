package sampler_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

// What a buyer reads: an ad's own return beside the account's, and no word of knowing
// little of an ad that has spent a month's money.
func TestAReasonNamesTheAdsOwnReturn(t *testing.T) {
	t.Parallel()
	req := sampler.Request{Currency: "USD", Total: 100_000, Seed: 2}
	for i := range 12 {
		spend := money.Amount(3_000 + 30_000*i)
		a := sampler.Arm{
			ID: fmt.Sprintf("ad-%02d", i), AgeHours: 24 * 40, Impressions: int64(spend), Clicks: int64(spend) / 60, Spend: spend,
			Current: 9_000, CurrentKnown: true, Cash: new(money.Amount),
		}
		if i%3 == 0 {
			a.Pipeline = 4 * spend
		}
		req.Arms = append(req.Arms, a)
	}
	noDeal := 0
	for i, r := range sampler.Allocate(req).Recommendations {
		a := &req.Arms[i]
		if !strings.Contains(r.Reason, "here should return about") || !strings.Contains(r.Reason, "across the account") {
			t.Errorf("ad %d: %q names no return of its own", i, r.Reason)
		}
		if says := strings.Contains(r.Reason, "has brought no deal so far"); says != (a.Pipeline == 0 && r.Recommended < r.Current) {
			t.Errorf("ad %d with a pipeline of %d, %d instead of %d: %q", i, a.Pipeline, r.Recommended, r.Current, r.Reason)
		} else if says {
			noDeal++
		}
		if a.Spend > 20_000 && strings.Contains(r.Reason, "Little is known") {
			t.Errorf("ad %d has spent %d: %q", i, a.Spend, r.Reason)
		}
	}
	if noDeal == 0 {
		t.Error("no ad without a deal was cut")
	}
}
