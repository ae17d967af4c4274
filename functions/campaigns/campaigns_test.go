package campaigns_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/auth"
)

func TestCampaignsAreListedWithWhatTheirAdsDid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	if a := w.get("/api/campaigns"); a.Status != 200 || strings.TrimSpace(a.Body) != `{"campaigns":[]}` {
		t.Errorf("none: %d %s", a.Status, a.Body)
	}
	w.imported(w.upload("", plainReport))
	w.Exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id, status, daily_budget_minor) VALUES ($1, 'empty', 'acc', 'PAUSED', 999)`, apitest.Tenant)
	want := `{"campaigns":[` +
		`{"id":"c1","name":"Spring","status":"ACTIVE","total_budget":20,"num_ads":2,"impressions":3000,"clicks":90,"spend":130.3,"pipeline_value":30000,"revenue":30000,"account_id":"acc","currency":"USD"},` +
		`{"id":"c2","name":"Summer","status":"ACTIVE","total_budget":0,"num_ads":1,"impressions":3000,"clicks":30,"spend":80.3,"pipeline_value":0,"revenue":0,"account_id":"acc","currency":"USD"},` +
		`{"id":"empty","name":"empty","status":"PAUSED","total_budget":9.99,"num_ads":0,"impressions":0,"clicks":0,"spend":0,"pipeline_value":0,"revenue":0,"account_id":"acc","currency":"USD"}]}`
	if diff := cmp.Diff(want, strings.TrimSpace(w.get("/api/campaigns").Body)); diff != "" {
		t.Error(diff)
	}
	w.Exec(`UPDATE gv.ads SET created_at = '2026-11-01T00:00:00Z'`)
	w.Exec(`INSERT INTO gv.ad_fatigue (tenant_id, ad_id, status, changed_at) VALUES ($1, 'a2', 'FATIGUING', now())`, apitest.Tenant)
	const a2 = `{"id":"a2","name":"Second","status":"PAUSED","daily_budget":7.5,"impressions":2000,"clicks":40,"spend":70.2,"pipeline_value":0,"revenue":0,"created_at":"2026-11-01T00:00:00Z","fatigue_status":"FATIGUING"}`
	list := w.get("/api/campaigns/c1/ads")
	if list.Status != 200 || !strings.HasPrefix(list.Body, `{"ads":[{"id":"a1",`) || !strings.Contains(list.Body, `"fatigue_status":"INSUFFICIENT_DATA"},{`) || !strings.HasSuffix(strings.TrimSpace(list.Body), a2+`]}`) {
		t.Errorf("%d %s", list.Status, list.Body)
	}
	one := w.get("/api/campaigns/c1").JSON(t)
	if one["id"] != "c1" || one["spend"] != 130.3 || len(one["ads"].([]any)) != 2 {
		t.Errorf("%v", one)
	}
	if a := w.get("/api/campaigns/empty"); a.JSON(t)["ads"] == nil || len(a.JSON(t)["ads"].([]any)) != 0 {
		t.Errorf("no ads: %s", a.Body)
	}
}

func TestSumsLoseNoMinorUnit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	var file strings.Builder
	file.WriteString("ad_id,campaign_id,impressions,clicks,spend\n")
	for i := range 1000 {
		fmt.Fprintf(&file, "a%d,c,1,0,0.1\n", i)
	}
	file.WriteString("big,c,1,0,90071992547.41\n")
	w.imported(w.upload("", file.String()))
	if a := w.get("/api/campaigns"); !strings.Contains(a.Body, `"spend":90071992647.41`) {
		t.Error(a.Body)
	}
}

func TestLongListsComeInPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	w.account(apitest.Tenant, "acc2", "USD")
	w.imported(w.upload("?account_id=acc", "ad_id,campaign_id,impressions,clicks,spend\na1,c1,1,1,1\na2,c1,1,1,1\na3,c1,1,1,1\na4,c2,1,1,1\n"))
	w.imported(w.upload("?account_id=acc2", "ad_id,campaign_id,impressions,clicks,spend\nb1,c3,1,1,1\n"))
	ids := func(path, list string) string {
		body := w.get(path).JSON(t)
		var found []string
		for _, item := range body[list].([]any) {
			found = append(found, item.(map[string]any)["id"].(string))
		}
		if next, ok := body["next"]; ok {
			found = append(found, "next="+next.(string))
		}
		return strings.Join(found, " ")
	}
	for _, tt := range []struct{ path, list, want string }{
		{"/api/campaigns?limit=2", "campaigns", "c1 c2 next=c2"},
		{"/api/campaigns?limit=2&after=c2", "campaigns", "c3"},
		{"/api/campaigns?account_id=acc2", "campaigns", "c3"},
		{"/api/campaigns/c1/ads?limit=2", "ads", "a1 a2 next=a2"},
		{"/api/campaigns/c1/ads?limit=2&after=a2", "ads", "a3"},
		{"/api/campaigns/c1?limit=3", "ads", "a1 a2 a3"},
	} {
		if got := ids(tt.path, tt.list); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.path, got, tt.want)
		}
	}
	for _, path := range []string{"/api/campaigns?limit=0", "/api/campaigns?limit=10001", "/api/campaigns?limit=x"} {
		if a := w.get(path); a.Status != 422 || !a.Names("query.limit") {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
}

func TestAnotherTenantsCampaignsDoNotExist(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.account(apitest.Tenant, "acc", "USD")
	w.imported(w.upload("", plainReport))
	for _, path := range []string{"/api/campaigns/c1", "/api/campaigns/c1/ads", "/api/campaigns/none", "/api/campaigns/none/ads"} {
		if a := w.Call(w.handler, "GET", path, w.OtherToken(), nil); a.Status != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	if a := w.Call(w.handler, "GET", "/api/campaigns", w.OtherToken(), nil); strings.TrimSpace(a.Body) != `{"campaigns":[]}` {
		t.Error(a.Body)
	}
	// The same ids in another tenant are other ads.
	body, kind := form(t, "file", strings.Replace(plainReport, "60.10", "1.00", 1))
	if a := w.Call(w.handler, "POST", "/api/ads/import", w.OtherToken(), body, "Content-Type", kind); a.Status != 200 {
		t.Fatal(a.Body)
	}
	if diff := cmp.Diff("First ACTIVE c1 1000 50 6010 3000000 3000000 import 1250", w.figures("a1")); diff != "" {
		t.Error(diff)
	}
	if a := w.get("/api/campaigns/%00"); a.Status != 422 && a.Status != 404 && a.Status != 400 {
		t.Errorf("an id that is no text: %d %s", a.Status, a.Body)
	}
}

func TestTheFunnelCountsEveryStageAndReportsWhatIsAmiss(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, deal := range []string{
		`'live', 'p', 's1', 'lead', 0, NULL, 'url_param', ''`,
		`'live', 'p', 's2', 'show_up', 900000, NULL, 'url_param', ''`,
		`'live', 'p', 's2', 'show_up', 900000, NULL, 'unattributed', 'no click within 7 days'`,
		`'live', 'p', 's3', 'closed_won', 1234567, NULL, 'fingerprint', ''`,
		`'live', 'p', 's3', 'closed_won', 0, 'the amount is in EUR and HubSpot gives no amount in USD', 'unattributed', 'no click within 7 days'`,
		`'live', 'p', 's4', 'closed_lost', 0, NULL, 'unattributed', ''`,
		`'live', 'p2', 's9', NULL, 0, NULL, 'url_param', ''`,
		`'gone', '', '', NULL, 0, NULL, 'unattributed', ''`,
	} {
		w.Exec(fmt.Sprintf(`INSERT INTO gv.deals (tenant_id, portal_id, deal_id, state, pipeline_id, stage_id, stage_name, value_minor, amount_issue, attribution_method, attribution_reason)
			VALUES ($1, 7, %d, %s)`, i+1, deal), apitest.Tenant)
	}
	want := `{"currency":"USD","stages":[` +
		`{"stage_name":"lead","outcome":"open","stage_value":0,"count":1,"value":0},` +
		`{"stage_name":"appointment_scheduled","outcome":"open","stage_value":2250,"count":0,"value":0},` +
		`{"stage_name":"show_up","outcome":"open","stage_value":9000,"count":2,"value":18000},` +
		`{"stage_name":"closed_won","outcome":"won","stage_value":15000,"count":2,"value":12345.67},` +
		`{"stage_name":"closed_lost","outcome":"lost","stage_value":0,"count":1,"value":0}],` +
		`"open":{"count":3,"value":18000},"won":{"count":2,"value":12345.67},"lost":{"count":1,"value":0},"won_without_amount":{"count":1,"value":12345.67},` +
		`"unknown_ads":{"count":0,"value":0},"clicked_another_ad_before":{"deals":0,"after_another_ad":0,"share":null,"ads":[]},` +
		`"unmapped_stages":[{"portal_id":7,"pipeline_id":"p2","stage_id":"s9","count":1}],` +
		`"unusable_amounts":[{"reason":"the amount is in EUR and HubSpot gives no amount in USD","count":1}],` +
		`"unattributed":{"count":3,"value":9000},` +
		`"unattributed_reasons":[{"reason":"no click within 7 days","count":2,"value":9000},{"reason":"","count":1,"value":0}]}`
	if diff := cmp.Diff(want, strings.TrimSpace(w.get("/api/deals/funnel").Body)); diff != "" {
		t.Error(diff)
	}
	other := w.Call(w.handler, "GET", "/api/deals/funnel", w.OtherToken(), nil).JSON(t)
	if len(other["stages"].([]any)) != 5 || other["unattributed"].(map[string]any)["count"] != 0.0 {
		t.Errorf("another tenant's: %v", other)
	}
	if a := w.Call(w.handler, "GET", "/api/deals/funnel", w.Token(auth.Viewer), nil); strings.Contains(strings.Replace(a.Body, `"share":null`, "", 1), "null") {
		t.Error(a.Body)
	}
}

func TestTheFunnelSaysWhichAdsCollectWhatOthersBegan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i, clicks := range []string{"begins", "begins retargets", "begins retargets", "retargets", "nobody's"} {
		for hour, ad := range strings.Fields(clicks) {
			w.Exec(`INSERT INTO gv.deal_touches (tenant_id, portal_id, deal_id, click_id, ad_id, clicked_at, method, layer, confidence, reason, eligible)
				VALUES ($1, 7, $2, $3, $4, $5, 'url_param', 2, 1, '', true)`, apitest.Tenant, i, fmt.Sprintf("k-%d-%d", i, hour), ad, at.Add(time.Duration(hour)*time.Hour))
		}
		last := strings.Fields(clicks)
		w.Exec(`INSERT INTO gv.deals (tenant_id, portal_id, deal_id, state, click_id, ad_id, attribution_method, value_minor) VALUES ($1, 7, $2, 'live', $3, $4, 'url_param', 100)`,
			apitest.Tenant, i, fmt.Sprintf("k-%d-%d", i, len(last)-1), last[len(last)-1])
	}
	body := w.get("/api/deals/funnel").Body
	want := `"clicked_another_ad_before":{"deals":5,"after_another_ad":2,"share":0.4,"ads":[` +
		`{"ad_id":"retargets","deals":3,"after_another_ad":2,"share":0.6666666666666666},` +
		`{"ad_id":"begins","deals":1,"after_another_ad":0,"share":0},{"ad_id":"nobody's","deals":1,"after_another_ad":0,"share":0}]}`
	if !strings.Contains(body, want) || !strings.Contains(body, `"unknown_ads":{"count":5,"value":5}`) {
		t.Error(body)
	}
}
