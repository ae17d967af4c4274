package functions

import (
	"slices"
	"testing"
)

// promised are the paths of the outside contract: what callers rely on.
var promised = []string{
	"POST /api/ml/battle-hardened/select", "POST /api/ml/battle-hardened/feedback", "POST /api/ml/battle-hardened/apply", "POST /api/ml/battle-hardened/backtest",
	"GET /api/decisions", "GET /api/decisions/{id}", "POST /api/decisions/{id}/replay",
	"POST /api/ml/rag/search-winners", "POST /api/ml/rag/index-winner", "GET /api/ml/rag/winner/{ad_id}", "GET /api/ml/rag/memory-stats",
	"POST /api/ml/predict-creative", "POST /api/titan/oracle/predict", "POST /api/titan/director/battle-plan", "POST /api/titan/director/refresh-creative",
	"GET /api/titan/director/plans", "GET /api/titan/director/plans/{id}", "POST /api/videos/upload", "GET /api/videos/{id}",
	"POST /api/ml/synthetic-revenue/calculate", "POST /api/ml/synthetic-revenue/ad-roas", "POST /api/ml/synthetic-revenue/get-stages",
	"GET /api/ml/synthetic-revenue/stages", "PUT /api/ml/synthetic-revenue/stages/{stage_name}",
	"POST /api/ml/attribution/track-click", "POST /api/ml/attribution/attribute-conversion",
	"POST /webhooks/hubspot", "GET /api/connections/hubspot/stages", "PUT /api/connections/hubspot/stages", "GET /api/connections/hubspot", "PUT /api/connections/hubspot",
	"POST /api/connections/hubspot/reconcile", "GET /api/connections/meta", "PUT /api/connections/meta",
	"POST /webhooks/deals/{source}", "POST /api/connections/deals", "POST /api/connections/deals/{source}/rotate", "DELETE /api/connections/deals/{source}",
	"POST /webhooks/meta", "GET /webhooks/meta", "GET /api/privacy/contacts/{id}",
	"GET /api/dead-letters", "POST /api/dead-letters/{id}/replay",
	"POST /api/ml/fatigue/check", "POST /api/ml/fatigue/sweep",
	"GET /api/ads/changes", "POST /api/ads/changes/{id}/approve", "POST /api/ads/changes/{id}/reject", "POST /api/ads/changes/{id}/undo", "GET /api/ads/history",
	"GET /api/accounts/{id}", "PUT /api/accounts/{id}",
	"POST /api/ml/self-learning-cycle", "GET /api/ml/self-learning-cycle", "GET /api/ml/self-learning-cycle/{cycle_id}",
	"GET /api/campaigns", "GET /api/campaigns/{id}", "GET /api/campaigns/{id}/ads", "GET /api/deals/funnel", "POST /api/ads/import",
	"GET /api/schedules", "GET /api/schedules/{name}", "PUT /api/schedules/{name}", "GET /api/data-health",
	"POST /api/tenants/members", "POST /api/tenants/keys",
	"GET /api/me", "POST /api/me/invitations/{tenant_id}/accept", "POST /api/me/invitations/{tenant_id}/decline", "PUT /api/me/tenant", "POST /api/me/live-token",
	"GET /openapi.json",
}

// coming are the promised paths that are not served yet. A path that is served
// leaves the list; nothing is added to it.
var coming = []string{}

func TestThePathsOfTheContractAreServed(t *testing.T) {
	t.Parallel()
	m, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	served := map[string]string{}
	for _, f := range m.Functions {
		for _, p := range f.Paths {
			served[p.String()] = f.Name
		}
	}
	for _, path := range promised {
		switch missing := served[path] == ""; {
		case missing && !slices.Contains(coming, path):
			t.Errorf("the contract promises %s, and no function serves it: it would answer 404", path)
		case !missing && slices.Contains(coming, path):
			t.Errorf("%s is served by %s now: take it out of coming", path, served[path])
		}
	}
	for _, path := range coming {
		if !slices.Contains(promised, path) {
			t.Errorf("%s is in coming, and the contract does not promise it", path)
		}
	}
}
