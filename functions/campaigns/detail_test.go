package campaigns_test

import (
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
)

// detailWorld has an ad with three days, a click and three deals, and one ad without anything.
func detailWorld(t *testing.T) world {
	w := newWorld(t)
	for _, sql := range []string{
		`INSERT INTO gv.accounts (tenant_id, account_id, currency, time_zone) VALUES ($1, 'acc', 'USD', 'America/Chicago')`,
		`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id, name) VALUES ($1, 'c1', 'acc', 'Spring')`,
		`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, name, creative_dna) VALUES
		 ($1, 'a1', 'acc', 'c1', 'Question, fast', '{"hook_type": "question"}'), ($1, 'a2', 'acc', 'c1', '', '{}')`,
		`INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor, frequency)
		 SELECT $1, 'a1', current_date - n, 100 * n, n, 1000 * n, 1.5 FROM generate_series(2, 4) n`,
		// 03:00 UTC is the evening before in Chicago.
		`INSERT INTO gv.clicks (tenant_id, click_id, ad_id, campaign_id, clicked_at) VALUES ($1, 'k1', 'a1', 'c1', (current_date - 2) + time '03:00')`,
		`INSERT INTO gv.deals (tenant_id, portal_id, deal_id, state, stage_name, value_minor, click_id, ad_id, attribution_method, attribution_confidence, attribution_reason, created_at) VALUES
		 ($1, 7, 1, 'live', 'closed_won', 1500000, 'k1', 'a1', 'url_param', 1, 'its link', now()),
		 ($1, 7, 2, 'live', 'show_up', 900000, 'k1', 'a1', 'fingerprint', 0.9, 'its device', now()),
		 ($1, 7, 3, 'gone', NULL, 0, 'k1', 'a1', 'url_param', 1, '', now()),
		 ($1, 7, 4, 'live', 'lead', 0, NULL, NULL, 'unattributed', 0, 'no click', now())`,
	} {
		w.Exec(sql, apitest.Tenant)
	}
	return w
}

func TestAnAdIsShownWithItsDaysAndTheDealsCreditedToItAndWhy(t *testing.T) {
	t.Parallel()
	w := detailWorld(t)
	a := w.get("/api/ads/detail/a1").JSON(t)
	if a["name"] != "Question, fast" || a["campaign_name"] != "Spring" || a["creative_dna"].(map[string]any)["hook_type"] != "question" {
		t.Errorf("%v", a)
	}
	days := a["days"].([]any)
	if len(days) != 3 {
		t.Fatalf("%d days: %v", len(days), days)
	}
	third := days[1].(map[string]any) // three days ago: a click at 03:00 UTC two days ago was on the evening before
	if third["spend"] != 30.0 || third["pipeline_value"] != 24000.0 || third["won_value"] != 15000.0 || third["frequency"] != 1.5 {
		t.Errorf("%v", third)
	}
	deals := a["deals"].([]any)
	if len(deals) != 2 || a["deals_left"] != 0.0 {
		t.Fatalf("%v", deals)
	}
	if d := deals[0].(map[string]any); d["deal_id"] != "1" || d["outcome"] != "won" || d["method"] != "url_param" || d["reason"] != "its link" || d["value"] != 15000.0 {
		t.Errorf("%v", d)
	}
	if empty := w.get("/api/ads/detail/a2").JSON(t); len(empty["days"].([]any)) != 0 || len(empty["deals"].([]any)) != 0 || empty["name"] != "a2" {
		t.Errorf("%v", empty)
	}
}

func TestACampaignsDealsNameTheirAdsAndTheirCRM(t *testing.T) {
	t.Parallel()
	w := detailWorld(t)
	for _, sql := range []string{
		`INSERT INTO gv.deal_sources (tenant_id, source, portal_id, name, secret, contact_salt, created_by) VALUES ($1, 's', -1, 'Pipedrive', 'x', 'x', 'x')`,
		`INSERT INTO gv.source_ids (tenant_id, portal_id, kind, external_id) VALUES ($1, -1, 'deal', 'PD-77')`,
		`INSERT INTO gv.deals (tenant_id, portal_id, deal_id, state, stage_name, value_minor, ad_id, attribution_method, attribution_confidence, attribution_reason, created_at)
		 SELECT $1, -1, id, 'live', 'lead', 100, 'a2', 'url_param', 1, 'its link', now() FROM gv.source_ids`,
	} {
		w.Exec(sql, apitest.Tenant)
	}
	a := w.get("/api/campaigns/c1/deals").JSON(t)
	deals := a["deals"].([]any)
	if len(deals) != 3 || a["deals_left"] != 0.0 || a["currency"] != "USD" {
		t.Fatalf("%v", a)
	}
	first, last := deals[0].(map[string]any), deals[2].(map[string]any)
	if first["ad_name"] != "Question, fast" || first["source"] != "HubSpot portal 7" || first["deal_id"] != "1" || first["reason"] != "its link" {
		t.Errorf("%v", first)
	}
	if last["ad_id"] != "a2" || last["ad_name"] != "a2" || last["source"] != "Pipedrive" || last["deal_id"] != "PD-77" || last["value"] != 1.0 {
		t.Errorf("%v", last)
	}
	if got := w.get("/api/campaigns/none/deals"); got.Status != 404 {
		t.Errorf("%d %s", got.Status, got.Body)
	}
}

func TestACampaignsDaysAreItsAdsTogether(t *testing.T) {
	t.Parallel()
	w := detailWorld(t)
	w.Exec(`INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor) VALUES ($1, 'a2', current_date - 2, 50, 5, 500)`, apitest.Tenant)
	days := w.get("/api/campaigns/c1/days?days=3").JSON(t)["days"].([]any)
	if len(days) != 1 {
		t.Fatalf("%v", days)
	}
	if d := days[0].(map[string]any); d["impressions"] != 250.0 || d["clicks"] != 7.0 || d["spend"] != 25.0 {
		t.Errorf("%v", d)
	}
}

func TestAdsAreFoundByTheirIDsOrAPartOfTheirName(t *testing.T) {
	t.Parallel()
	w := detailWorld(t)
	for query, want := range map[string]string{"?ids=a2,nobody": `"id":"a2"`, "?find=QUESTION": `"id":"a1"`, "?find=a2": `"name":"a2"`} {
		if a := w.get("/api/ads" + query); a.Status != 200 || strings.Count(a.Body, `"id"`) != 1 || !strings.Contains(a.Body, want) {
			t.Errorf("%s: %d %s", query, a.Status, a.Body)
		}
	}
	if a := w.get("/api/ads?ids=" + strings.Repeat("x,", 201)); a.Status != 422 || !strings.Contains(a.Body, "ids") {
		t.Errorf("too many ids: %d %s", a.Status, a.Body)
	}
}

func TestDealsAreCountedByWeekAndLayer(t *testing.T) {
	t.Parallel()
	weeks := detailWorld(t).get("/api/deals/attribution").JSON(t)["weeks"].([]any)
	if len(weeks) != 1 || len(weeks[0].(map[string]any)["methods"].([]any)) != 3 {
		t.Errorf("%v", weeks)
	}
}

func TestAnotherTenantsAdsAndCampaignsAreNotThere(t *testing.T) {
	t.Parallel()
	w := detailWorld(t)
	for _, path := range []string{"/api/ads/detail/a1", "/api/campaigns/c1/days"} {
		if a := w.Call(w.handler, "GET", path, w.OtherToken(), nil); a.Status != 404 {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	if a := w.Call(w.handler, "GET", "/api/ads?ids=a1", w.OtherToken(), nil); a.Status != 200 || strings.Contains(a.Body, `"id"`) {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}
