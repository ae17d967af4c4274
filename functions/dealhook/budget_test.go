package dealhook_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"testing"

	"github.com/geminivideo/geminivideo/functions/allocate"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/dealsync"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// split asks for three equal ads' budgets, of whose deals only the ledger knows.
func (w *world) split(h http.Handler) map[string]float64 {
	w.t.Helper()
	var states []map[string]any
	for _, ad := range []string{"ad-1", "ad-2", "ad-3"} {
		states = append(states, map[string]any{
			"ad_id": ad, "impressions": 40_000, "clicks": 600, "spend": 900, "age_hours": 400, "current_budget": 100,
		})
	}
	answer := w.Call(h, http.MethodPost, "/api/ml/battle-hardened/select", w.Token(auth.Editor), map[string]any{
		"ad_states": states, "total_budget": 300, "account_id": "act_1", "seed": 77,
	})
	var got struct {
		Recommendations []struct {
			AdID   string  `json:"ad_id"`
			Budget float64 `json:"recommended_budget"`
		}
		Unallocated float64 `json:"unallocated_budget"`
	}
	if err := json.Unmarshal([]byte(answer.Body), &got); err != nil || answer.Status != http.StatusOK {
		w.t.Fatalf("select answers %d %s", answer.Status, answer.Body)
	}
	budgets, sum := map[string]float64{}, got.Unallocated
	for _, r := range got.Recommendations {
		budgets[r.AdID] = r.Budget
		sum += r.Budget
	}
	if math.Abs(sum-300) > 0.001 {
		w.t.Errorf("the budgets' sum is %v, want 300", sum)
	}
	return budgets
}

func TestADealOfAnotherCRMMovesABudgetAndItsReversalTakesItBack(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.Exec(`INSERT INTO gv.accounts (tenant_id, account_id) VALUES ($1, 'act_1')`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, 'c1', 'act_1')`, apitest.Tenant)
	for n := range 3 {
		ad := fmt.Sprintf("ad-%d", n+1)
		w.Exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id) VALUES ($1, $2, 'act_1', 'c1')`, apitest.Tenant, ad)
		w.Exec(`INSERT INTO gv.clicks (tenant_id, click_id, ad_id, campaign_id, clicked_at, fbclid) VALUES ($1, 'k-' || $2, $2, 'c1', '2026-11-18T12:00Z', 'fb-' || $2)`,
			apitest.Tenant, ad)
	}
	budgets := serve.Wrap("allocate", allocate.New(w.App, w.Access(), w.Queue))
	before := w.split(budgets)

	// Two deals of the second ad are won, in a CRM that only knows how to sign a webhook.
	deal := func(n int, more string) string {
		return fmt.Sprintf(`{"deals":[{"deal_id":"P-%d","stage":"closed_won","amount":9000,"occurred_at":"2026-11-19T12:0%d:00Z",
			"contact":{"id":"person-%d","fbclid":"fb-ad-2"}%s}]}`, n, n, n, more)
	}
	send := func(id, body string) {
		sent := len(w.Queue.Messages(dealsync.Topic))
		if status, answer := w.post("src_one", w.secret, id, body, w.now); status != http.StatusOK {
			t.Fatalf("the door answers %d %s", status, answer)
		}
		w.handle(w.Queue.Messages(dealsync.Topic)[sent:])
	}
	for n := range 2 {
		send(fmt.Sprint("won-", n), deal(n, ""))
	}
	after := w.split(budgets)
	if after["ad-2"] <= before["ad-2"]+1 || after["ad-1"] >= before["ad-1"] || after["ad-3"] >= before["ad-3"] {
		t.Errorf("the budgets were %v and are %v: want the second ad's raised at the cost of the others'", before, after)
	}
	again := w.split(budgets)
	if again["ad-2"] != after["ad-2"] {
		t.Errorf("asked again by the same seed the second ad gets %v, was %v", again["ad-2"], after["ad-2"])
	}

	// The deals turn out to be none.
	for n := range 2 {
		body := fmt.Sprintf(`{"deals":[{"deal_id":"P-%d","stage":"closed_won","occurred_at":"2026-11-20T10:00:00Z","deleted":true}]}`, n)
		send(fmt.Sprint("gone-", n), body)
	}
	if back := w.split(budgets); back["ad-2"] >= after["ad-2"] {
		t.Errorf("without the deals the second ad still gets %v, had %v with them and %v before them", back["ad-2"], after["ad-2"], before["ad-2"])
	}
}
