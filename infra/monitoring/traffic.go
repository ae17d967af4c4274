package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"
)

// every is how long the traffic pauses after a round.
const every = 2 * time.Second

// traffic is what a small advertiser does, over and over: visitors click, deals move,
// people look, schedules run. What a fault makes of an answer is the alerts' affair.
func (s *system) traffic(ctx context.Context) {
	for round := 0; ctx.Err() == nil; round++ {
		s.clickAndDeal(ctx, round)
		s.people(ctx, round)
		if round%10 == 0 {
			for _, function := range []string{"sync", "sweep", "cycle", "execute", "relay"} {
				_, _ = s.ask(ctx, "POST", "/_local/run/"+function, "", "")
			}
			_ = s.reconcile(ctx) // an admin asks for a comparison
			if s.odd.Load() {
				s.deliverOdd(ctx, fmt.Sprint(round))
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(every):
		}
	}
}

// deliverOdd delivers a message of no known form, which becomes a dead letter.
func (s *system) deliverOdd(ctx context.Context, id string) {
	_, _ = s.ask(ctx, "POST", "/_local/deliver/crmevent", "",
		fmt.Sprintf(`{"message": {"data": "e30=", "messageId": "odd-%s", "attributes": {"topic": "crm-events"}}, "subscription": "s"}`, id))
}

// clickAndDeal has somebody click an ad and become a deal, which then moves; HubSpot
// sends each of its events twice.
func (s *system) clickAndDeal(ctx context.Context, round int) {
	name := fmt.Sprintf("fb-monitoring-%d", round)
	_, _ = s.ask(ctx, "POST", "/api/ml/attribution/track-click", "PUBLISHABLE_KEY",
		fmt.Sprintf(`{"tenant_id": %q, "ad_id": "monitoring", "campaign_id": "monitoring", "fbclid": %q}`, s.env["TENANT_ID"], name))
	portal := s.env["HUBSPOT_API_URL"] + "/control/portals/" + s.env["PORTAL_ID"]
	contact := s.change(ctx, portal+"/contacts", fmt.Sprintf(`{"properties": {"hs_facebook_click_id": %q}}`, name))
	deal := s.change(ctx, portal+"/deals", fmt.Sprintf(`{"name": %q, "stage": "appointmentscheduled", "contacts": [%d]}`, name, contact.ID))
	moved := s.change(ctx, fmt.Sprintf("%s/deals/%d/stage", portal, deal.ID), `{"stage": "qualifiedtobuy"}`)
	if again, err := json.Marshal(map[string]any{"events": moved.Events}); err == nil && len(moved.Events) > 0 {
		s.change(ctx, portal+"/deliver", string(again))
	}
}

type changed struct {
	ID     int64             `json:"id"`
	Events []json.RawMessage `json:"events"`
}

func (s *system) change(ctx context.Context, url, body string) (c changed) {
	text, err := s.ask(ctx, "POST", url, "", body)
	if err == nil {
		_ = json.Unmarshal([]byte(text), &c)
	}
	return c
}

// people look at the console's pages and ask for decisions.
func (s *system) people(ctx context.Context, round int) {
	for _, path := range []string{"/api/campaigns", "/api/deals/funnel", "/api/ads/changes?status=open", "/api/data-health"} {
		_, _ = s.ask(ctx, "GET", path, "TOKEN", "")
	}
	_, _ = s.ask(ctx, "POST", "/api/ml/battle-hardened/select", "TOKEN", `{"total_budget": 100, "ad_states": [
		{"ad_id": "x1", "impressions": 10000, "clicks": 200, "spend": 300, "pipeline_value": 2700, "age_hours": 200},
		{"ad_id": "x2", "impressions": 10000, "clicks": 400, "spend": 300, "pipeline_value": 60, "age_hours": 200}]}`)
	_, _ = s.ask(ctx, "POST", "/api/ml/rag/search-winners", "TOKEN", fmt.Sprintf(`{"query": "question hook, fast pacing, %d", "top_k": 2}`, round))
	_, _ = s.ask(ctx, "POST", "/api/ml/predict-creative", "TOKEN", fmt.Sprintf(
		`{"account_id": %q, "creative_dna": {"hook_type": "question", "hook_strength": %.2f, "visual_pacing": "fast", "cta_type": "learn_more"}}`,
		s.env["ACCOUNT_ID"], rand.Float64()))
}
