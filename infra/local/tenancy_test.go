package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/functions"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
)

// TestNoPathShowsOrChangesAnotherTenantsData fills one tenant and then calls
// every path that the manifest lists as the editor of another, as nobody, and
// with a token that is none; and then every operation of the OpenAPI document in
// every role.
func TestNoPathShowsOrChangesAnotherTenantsData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := launch(t, "-addr", anyPort, "-db", pgtest.Empty(t).AdminURL, "-data", dir, "-demo=false", "-metrics").ready(dir)
	p.importAds()
	var made struct {
		DecisionID string `json:"decision_id"`
	}
	const spent = `"impressions": 10000, "clicks": 200, "spend": 60, "age_hours": 48`
	text := p.want(200, "POST", "/api/ml/battle-hardened/select", "TOKEN",
		`{"total_budget": 10, "account_id": "`+p.env["ACCOUNT_ID"]+`", "ad_states": [{"ad_id": "story-ad-0", `+spent+`}]}`)
	if err := json.Unmarshal([]byte(text), &made); err != nil {
		t.Fatal(err)
	}
	p.want(200, "POST", "/api/ml/rag/index-winner", "TOKEN", `{"ad_id": "story-ad-1", "ad_data": {"hook_type": "question"}, "ctr": 0.02, "roas": 4, "spend": 60}`)
	p.want(200, "POST", "/_local/hubspot/control/portals/"+p.env["PORTAL_ID"]+"/deliver", "",
		`{"events": [{"eventId": 1, "portalId": `+p.env["PORTAL_ID"]+`, "subscriptionType": "deal.creation", "objectId": 404, "occurredAt": 1790942400000}]}`)
	p.eventually("the dead letter is kept", func() bool {
		return query[int](p, "ADMIN_DATABASE_URL", `SELECT count(*) FROM gv.dead_letters`) == 1
	})
	letter := query[string](p, "ADMIN_DATABASE_URL", `SELECT dead_letter_id::text FROM gv.dead_letters`)
	var planned struct {
		PlanID string `json:"plan_id"`
	}
	text = p.want(200, "POST", "/api/titan/director/battle-plan", "TOKEN", `{"video_id": "story", "creative_dna": {"hook_type": "story"}, "account_id": "`+p.env["ACCOUNT_ID"]+`"}`)
	if err := json.Unmarshal([]byte(text), &planned); err != nil {
		t.Fatal(err)
	}
	p.want(202, "POST", "/api/titan/director/refresh-creative", "TOKEN", `{"ad_id": "story-ad-0", "reason": "story"}`)
	p.eventually("the replacement is planned", func() bool {
		return query[int](p, "ADMIN_DATABASE_URL", `SELECT count(*) FROM gv.refreshes WHERE status = 'planned'`) == 1
	})
	plan, refresh := planned.PlanID, query[string](p, "ADMIN_DATABASE_URL", `SELECT refresh_id::text FROM gv.refreshes`)
	video := p.uploadVideo(dir)
	p.want(200, "POST", "/api/ml/predict-creative", "TOKEN", `{"creative_dna": {"hook_type": "question"}, "account_id": "`+p.env["ACCOUNT_ID"]+`"}`)
	p.metered() // while a system of this test has done something of everything
	before := p.everything()

	own := `"tenant_id": "` + p.env["TENANT_ID"] + `"`
	account := `"account_id": "` + p.env["ACCOUNT_ID"] + `"`
	calls := map[string]struct {
		path, body string
		status     []int // what another tenant's editor gets; 200 with nothing of ours in it
	}{
		"POST /api/ml/battle-hardened/select":               {"", `{"total_budget": 10, ` + account + `, "ad_states": [{"ad_id": "story-ad-0", ` + spent + `}]}`, []int{404}},
		"POST /api/ml/battle-hardened/backtest":             {"", `{` + account + `}`, []int{404}},
		"POST /api/ml/battle-hardened/feedback":             {"", `{"ad_id": "story-ad-0", "actual_pipeline_value": 9000, "actual_spend": 60}`, []int{404}},
		"GET /api/decisions":                                {"", "", []int{200}},
		"GET /api/decisions/{id}":                           {"/api/decisions/" + made.DecisionID, "", []int{404}},
		"POST /api/decisions/{id}/replay":                   {"/api/decisions/" + made.DecisionID + "/replay", "", []int{403, 404}},
		"GET /api/ads/changes":                              {"", "", []int{200}},
		"GET /api/ads/history":                              {"", "", []int{200}},
		"POST /api/ads/changes":                             {"", `{"ad_id": "story-ad-0", "target_budget": 50}`, []int{404}},
		"POST /api/ads/changes/{id}/approve":                {"/api/ads/changes/" + made.DecisionID + "/approve", `{"digest": "` + strings.Repeat("0", 64) + `"}`, []int{403, 404}},
		"POST /api/ads/changes/{id}/reject":                 {"/api/ads/changes/" + made.DecisionID + "/reject", "", []int{403, 404}},
		"POST /api/ads/changes/{id}/undo":                   {"/api/ads/changes/" + made.DecisionID + "/undo", "", []int{403, 404}},
		"POST /api/ml/battle-hardened/apply":                {"", `{"decision_id": "` + made.DecisionID + `"}`, []int{404}},
		"GET /api/campaigns":                                {"", "", []int{200}},
		"GET /api/campaigns/{id}":                           {"/api/campaigns/story", "", []int{404}},
		"GET /api/campaigns/{id}/ads":                       {"/api/campaigns/story/ads", "", []int{404}},
		"GET /api/deals/funnel":                             {"", "", []int{200}},
		"POST /api/ads/import":                              {"/api/ads/import?account_id=" + p.env["ACCOUNT_ID"], "", []int{404, 415}},
		"GET /api/dead-letters":                             {"", "", []int{403}},
		"POST /api/dead-letters/{id}/replay":                {"/api/dead-letters/" + letter + "/replay", "", []int{403, 404}},
		"POST /api/ml/rag/search-winners":                   {"", `{"query": "question"}`, []int{200}},
		"POST /api/ml/rag/index-winner":                     {"", `{"ad_id": "theirs", "ad_data": {"hook_type": "story"}, "ctr": 0.01}`, []int{200}},
		"GET /api/ml/rag/winner/{ad_id}":                    {"/api/ml/rag/winner/story-ad-1", "", []int{404}},
		"GET /api/ml/rag/memory-stats":                      {"", "", []int{200}},
		"POST /api/titan/director/battle-plan":              {"", `{"video_id": "v", "creative_dna": {"hook_type": "story"}, ` + account + `}`, []int{404}},
		"GET /api/titan/director/plans":                     {"", "", []int{200}},
		"GET /api/titan/director/plans/{id}":                {"/api/titan/director/plans/" + plan, "", []int{404}},
		"POST /api/titan/director/refresh-creative":         {"", `{"ad_id": "story-ad-0", "reason": "theirs"}`, []int{404}},
		"GET /api/titan/director/refreshes":                 {"", "", []int{200}},
		"GET /api/titan/director/refreshes/{id}":            {"/api/titan/director/refreshes/" + refresh, "", []int{404}},
		"POST /api/ml/fatigue/check":                        {"", `{"ad_id": "story-ad-0", "metrics_history": [{"ctr": 0.01, "frequency": 1, "cpm": 10, "impressions": 1000}]}`, []int{200}},
		"POST /api/ml/fatigue/sweep":                        {"", "", []int{200}},
		"POST /api/ml/predict-creative":                     {"", `{"creative_dna": {"hook_type": "question"}, ` + account + `}`, []int{404}},
		"POST /api/titan/oracle/predict":                    {"", `{"creative_dna": {"hook_type": "question"}, ` + account + `}`, []int{404}},
		"POST /api/ml/synthetic-revenue/calculate":          {"", `{` + own + `, "stage_to": "lead"}`, []int{403}},
		"POST /api/ml/synthetic-revenue/ad-roas":            {"", `{` + own + `, "ad_spend": 1, "stage_changes": [{"stage_to": "lead"}]}`, []int{403}},
		"POST /api/ml/synthetic-revenue/get-stages":         {"", `{` + own + `}`, []int{403}},
		"GET /api/ml/synthetic-revenue/stages":              {"/api/ml/synthetic-revenue/stages?tenant_id=" + p.env["TENANT_ID"], "", []int{403}},
		"PUT /api/ml/synthetic-revenue/stages/{stage_name}": {"/api/ml/synthetic-revenue/stages/lead", `{` + own + `, "value": 5}`, []int{403}},
		"GET /api/connections/hubspot":                      {"", "", []int{403}},
		"PUT /api/connections/hubspot":                      {"", `{"portal_id": ` + p.env["PORTAL_ID"] + `, "disconnected": true}`, []int{403}},
		"GET /api/connections/hubspot/stages":               {"/api/connections/hubspot/stages?portal_id=" + p.env["PORTAL_ID"], "", []int{404}},
		"PUT /api/connections/hubspot/stages":               {"", `{"portal_id": ` + p.env["PORTAL_ID"] + `, "stages": [{"pipeline_id": "default", "stage_id": "closedwon", "stage_name": "lead"}]}`, []int{404}},
		"GET /api/connections/meta":                         {"", "", []int{403}},
		"PUT /api/connections/meta":                         {"", `{` + account + `, "disconnected": true}`, []int{403}},
		"GET /api/connections/slack":                        {"", "", []int{403}},
		"PUT /api/connections/slack":                        {"", `{"at_once": true}`, []int{403}},
		"POST /api/connections/slack/test":                  {"", "", []int{403}},
		"GET /api/connections/webhook":                      {"", "", []int{403}},
		"PUT /api/connections/webhook":                      {"", `{"url": "https://example.com"}`, []int{403}},
		"POST /api/connections/webhook/test":                {"", "", []int{403}},
		"GET /api/tenants":                                  {"", "", []int{200}},
		"PUT /api/tenants":                                  {"", `{"paused": true}`, []int{403}},
		"GET /api/tenants/members":                          {"", "", []int{403}},
		"POST /api/tenants/members":                         {"", `{"email": "story@example.com", "role": "admin"}`, []int{403}},
		"POST /api/tenants/members/remove":                  {"", `{"email": "admin@northside.example"}`, []int{403}},
		"GET /api/tenants/keys":                             {"", "", []int{403}},
		"POST /api/tenants/keys":                            {"", `{}`, []int{403}},
		"POST /api/tenants/keys/{id}/revoke":                {"/api/tenants/keys/" + letter + "/revoke", "", []int{403}},
		"GET /api/accounts":                                 {"", "", []int{200}},
		"GET /api/accounts/{id}":                            {"/api/accounts/" + p.env["ACCOUNT_ID"], "", []int{404}},
		"PUT /api/accounts/{id}":                            {"/api/accounts/" + p.env["ACCOUNT_ID"], `{"paused": true}`, []int{403}},
		"POST /api/ml/attribution/attribute-conversion":     {"", `{` + own + `, "conversion_id": "c", "conversion_type": "form", "conversion_value": 1, "conversion_timestamp": "2026-10-01T00:00:00Z", "fbclid": "x"}`, []int{403}},
		"POST /api/videos/upload":                           {"", `{"gcs_uri": "gs://local/tenants/` + p.env["TENANT_ID"] + `/story.mp4"}`, []int{403}},
		"GET /api/videos":                                   {"", "", []int{200}},
		"GET /api/videos/{id}":                              {"/api/videos/" + video, "", []int{404}},
		"POST /api/videos/{id}/analyze":                     {"/api/videos/" + video + "/analyze", "", []int{404}},
		"GET /api/campaigns/{id}/deals":                     {"/api/campaigns/story/deals", "", []int{404}},
		"GET /api/campaigns/{id}/days":                      {"/api/campaigns/story/days", "", []int{404}},
		"GET /api/ads":                                      {"", "", []int{200}},
		"GET /api/ads/detail/{id}":                          {"/api/ads/detail/story-ad-0", "", []int{404}},
		"GET /api/deals/attribution":                        {"", "", []int{200}},
		"GET /api/data-health":                              {"", "", []int{200}},
		"GET /api/connections/deals":                        {"", "", []int{403}},
		"POST /api/connections/deals":                       {"", `{"name": "theirs"}`, []int{403}},
		"POST /api/connections/deals/{source}/rotate":       {"/api/connections/deals/story/rotate", "", []int{403}},
		"DELETE /api/connections/deals/{source}":            {"/api/connections/deals/story", "", []int{403}},
		"GET /api/connections/deals/{source}/stages":        {"/api/connections/deals/story/stages", "", []int{404}},
		"PUT /api/connections/deals/{source}/stages":        {"/api/connections/deals/story/stages", `{"stages": []}`, []int{404, 422}},
		"POST /api/connections/hubspot/backfill":            {"", `{"portal_id": ` + p.env["PORTAL_ID"] + `}`, []int{403}},
		"POST /api/connections/hubspot/reconcile":           {"", `{"portal_id": ` + p.env["PORTAL_ID"] + `}`, []int{403}},
		"GET /api/connections/webhook/attempts":             {"", "", []int{403}},
		"POST /api/ml/self-learning-cycle":                  {"", `{` + account + `}`, []int{404}},
		"GET /api/ml/self-learning-cycle":                   {"/api/ml/self-learning-cycle?account_id=" + p.env["ACCOUNT_ID"], "", []int{404}},
		"GET /api/ml/self-learning-cycle/{cycle_id}":        {"/api/ml/self-learning-cycle/" + made.DecisionID, "", []int{404}},
		"GET /api/privacy/contacts/{id}":                    {"/api/privacy/contacts/1", "", []int{403}},
		"POST /api/dead-letters/replay":                     {"", `{}`, []int{403}},
		"GET /api/schedules":                                {"", "", []int{200, 403}},
		"GET /api/schedules/{name}":                         {"/api/schedules/learning", "", []int{200, 403}},
		"PUT /api/schedules/{name}":                         {"/api/schedules/learning", `{"cron": "0 * * * *", "time_zone": "UTC"}`, []int{403}},
		"DELETE /api/schedules/{name}":                      {"/api/schedules/learning", "", []int{403}},
		"GET /api/me":                                       {"", "", []int{200}},
		"POST /api/me/live-token":                           {"", "", []int{501}},
		"PUT /api/me/tenant":                                {"", `{` + own + `}`, []int{404}},
		"POST /api/me/invitations/{tenant_id}/accept":       {"/api/me/invitations/" + p.env["TENANT_ID"] + "/accept", "", []int{404}},
		"POST /api/me/invitations/{tenant_id}/decline":      {"/api/me/invitations/" + p.env["TENANT_ID"] + "/decline", "", []int{404}},
	}
	m, err := functions.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range m.Functions {
		if f.Public {
			continue
		}
		for _, pattern := range f.Paths {
			call, ok := calls[pattern.String()]
			if !ok {
				t.Errorf("%s is not called here: add it", pattern)
				continue
			}
			method, path, _ := strings.Cut(pattern.String(), " ")
			if call.path != "" {
				path = call.path
			}
			for _, token := range []string{"", "PUBLISHABLE_KEY"} {
				if status, text := p.ask(method, path, token, call.body); status != 401 {
					t.Errorf("%s with the token %q: %d %s, want 401", pattern, token, status, text)
				}
			}
			status, text := p.ask(method, path, "OTHER_TENANT_TOKEN", call.body)
			allowed := false
			for _, s := range call.status {
				allowed = allowed || s == status
			}
			if !allowed || status == 200 && call.body == "" && strings.Contains(strings.ReplaceAll(text, "history", ""), "story") {
				t.Errorf("%s as another tenant: %d %s, want %v", pattern, status, text, call.status)
			}
		}
	}
	if after := p.everything(); after != before {
		t.Errorf("the tenant's data changed:\n%s\nbefore:\n%s", after, before)
	}
	t.Run("every role", p.everyRole)
}

// everything is the demo tenant's data, as its owner sees it.
func (p *process) everything() string {
	p.t.Helper()
	return query[string](p, "ADMIN_DATABASE_URL", `
		SELECT concat(
			(SELECT jsonb_agg(to_jsonb(a) ORDER BY ad_id) FROM gv.ads a WHERE tenant_id = $1),
			(SELECT jsonb_agg(to_jsonb(s) ORDER BY stage_name) FROM gv.stage_values s WHERE tenant_id = $1),
			(SELECT jsonb_agg(to_jsonb(w) - 'embedding' ORDER BY ad_id) FROM gv.winners w WHERE tenant_id = $1),
			(SELECT jsonb_agg(to_jsonb(l) ORDER BY dead_letter_id) FROM gv.dead_letters l WHERE tenant_id = $1),
			(SELECT jsonb_agg(to_jsonb(v)) FROM gv.videos v WHERE tenant_id = $1),
			(SELECT count(*) FROM gv.decisions WHERE tenant_id = $1),
			(SELECT jsonb_agg(to_jsonb(p) ORDER BY plan_id) FROM gv.plans p WHERE tenant_id = $1),
			(SELECT jsonb_agg(to_jsonb(r) ORDER BY refresh_id) FROM gv.refreshes r WHERE tenant_id = $1),
			(SELECT count(*) FROM gv.ad_observations WHERE tenant_id = $1),
			(SELECT count(*) FROM gv.conversions WHERE tenant_id = $1))`, p.env["TENANT_ID"])
}
