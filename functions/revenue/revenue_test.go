package revenue_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/geminivideo/geminivideo/functions/revenue"
	"github.com/geminivideo/geminivideo/infra/local/apitest"
	"github.com/geminivideo/geminivideo/shared/auth"
)

const root = "/api/ml/synthetic-revenue/"

type world struct {
	*apitest.World
	handler http.Handler
}

func newWorld(t *testing.T) world {
	t.Helper()
	w := apitest.New(t)
	return world{w, revenue.New(w.App, w.Access(), w.Queue)}
}

func (w world) post(path, body string) apitest.Answer {
	w.T.Helper()
	return w.Call(w.handler, "POST", root+path, w.Token(auth.Viewer), strings.ReplaceAll(body, "TENANT", apitest.Tenant))
}

func (w world) put(stage, body string, headers ...string) apitest.Answer {
	w.T.Helper()
	return w.Call(w.handler, "PUT", root+"stages/"+stage, w.Token(auth.Editor), strings.ReplaceAll(body, "TENANT", apitest.Tenant), headers...)
}

func TestAChangeOfStageIsWorthTheDifference(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		body                        string
		synthetic, gain, confidence float64
	}{
		{`"stage_to": "lead"`, 0, 0, 0.1},
		{`"stage_to": "show_up"`, 9000, 9000, 0.85},
		{`"stage_from": null, "stage_to": "show_up", "deal_value": null`, 9000, 9000, 0.85},
		{`"stage_from": "appointment_scheduled", "stage_to": "show_up"`, 9000, 6750, 0.85},
		{`"stage_from": "show_up", "stage_to": "appointment_scheduled"`, 2250, -6750, 0.6},
		{`"stage_from": "show_up", "stage_to": "closed_won"`, 15000, 6000, 1},
		{`"stage_from": "show_up", "stage_to": "closed_won", "deal_value": 21000.55`, 21000.55, 12000.55, 1},
		{`"stage_from": "show_up", "stage_to": "closed_won", "deal_value": 0`, 0, -9000, 1},
		{`"stage_from": "closed_won", "stage_to": "closed_lost", "deal_value": 400`, 0, -400, 1},
		{`"stage_from": "lead", "stage_to": "show_up", "deal_value": 777`, 9000, 9000, 0.85},
	} {
		a := w.post("calculate", `{"tenant_id": "TENANT", `+c.body+`}`)
		got := a.JSON(t)
		if a.Status != 200 || got["synthetic_value"] != c.synthetic || got["calculated_value"] != c.gain || got["confidence"] != c.confidence {
			t.Errorf("%s: %d %s", c.body, a.Status, a.Body)
		}
		if got["reason"] == "" || got["timestamp"] == nil || got["stage_to"] == "" {
			t.Errorf("%s: an answer without reason, time or stage: %s", c.body, a.Body)
		}
		if _, there := got["stage_from"]; !there {
			t.Errorf("%s: stage_from is missing: %s", c.body, a.Body)
		}
	}
}

func TestAnAdsPipelineIsTheSumOfItsChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.post("ad-roas", `{"tenant_id": "TENANT", "ad_spend": 1000, "stage_changes": [
		{"stage_to": "appointment_scheduled"},
		{"stage_from": "appointment_scheduled", "stage_to": "show_up"},
		{"stage_from": "show_up", "stage_to": "closed_lost"},
		{"stage_from": "show_up", "stage_to": "closed_won", "deal_value": 20000}]}`)
	// 2250 + 6750 - 9000 + 11000, sure by (2250*0.6 + 6750*0.85 + 9000 + 11000) / 29000
	want := map[string]any{"pipeline_value": 11000.0, "pipeline_roas": 11.0, "avg_confidence": 27087.5 / 29000, "num_stage_changes": 4.0, "ad_spend": 1000.0}
	got := a.JSON(t)
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %v, want %v", name, got[name], value)
		}
	}
	none := w.post("ad-roas", `{"tenant_id": "TENANT", "ad_spend": 0, "stage_changes": []}`)
	if got := none.JSON(t); none.Status != 200 || got["avg_confidence"] != 0.0 || got["pipeline_roas"] != 0.0 {
		t.Errorf("an ad without deals: %d %s", none.Status, none.Body)
	}
	unspent := w.post("ad-roas", `{"tenant_id": "TENANT", "ad_spend": 0, "stage_changes": [{"stage_to": "show_up"}]}`)
	if got := unspent.JSON(t); got["pipeline_roas"] != 9000.0 {
		t.Errorf("spend below 1 does not count as 1: %s", unspent.Body)
	}
}

func TestBadInputIsRefusedByField(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct{ path, body, field string }{
		{"calculate", `{"tenant_id": "TENANT", "stage_to": "nirvana"}`, "body.stage_to"},
		{"calculate", `{"tenant_id": "TENANT", "stage_from": "nirvana", "stage_to": "lead"}`, "body.stage_from"},
		{"calculate", `{"tenant_id": "TENANT", "stage_to": ""}`, "body.stage_to"},
		{"calculate", `{"tenant_id": "TENANT", "stage_to": 7}`, "body.stage_to"},
		{"calculate", `{"tenant_id": "TENANT"}`, "body.stage_to"},
		{"calculate", `{"tenant_id": "TENANT", "stage_to": "lead", "deal_value": -1}`, "body.deal_value"},
		{"calculate", `{"tenant_id": "TENANT", "stage_to": "lead", "deal_value": NaN}`, "body.deal_value"},
		{"calculate", `{"tenant_id": "TENANT", "stage_to": "lead", "deal_value": 1e300}`, "body.deal_value"},
		{"calculate", `{"tenant_id": "TENANT", "stage_to": "lead", "surprise": 1}`, "body.surprise"},
		{"ad-roas", `{"tenant_id": "TENANT", "ad_spend": -1, "stage_changes": []}`, "body.ad_spend"},
		{"ad-roas", `{"tenant_id": "TENANT", "ad_spend": 1e300, "stage_changes": []}`, "body.ad_spend"},
		{"ad-roas", `{"tenant_id": "TENANT", "ad_spend": 1, "stage_changes": null}`, "body.stage_changes"},
		{"ad-roas", `{"tenant_id": "TENANT", "ad_spend": 1, "stage_changes": [{"stage_to": "lead"}, {"stage_to": "nirvana"}]}`, "body.stage_changes[1].stage_to"},
		{"ad-roas", `{"tenant_id": "TENANT", "ad_spend": 1, "stage_changes": [{"stage_to": "lead", "deal_value": -2}]}`, "body.stage_changes[0].deal_value"},
		{"get-stages", `{"tenant_id": ""}`, "body.tenant_id"},
		{"get-stages", `{}`, "body.tenant_id"},
	} {
		if a := w.post(c.path, c.body); a.Status != 422 || !a.Names(c.field) {
			t.Errorf("%s %s: %d %s, want 422 naming %s", c.path, c.body, a.Status, a.Body, c.field)
		}
	}
	if a := w.Call(w.handler, "GET", root+"stages", w.Token(auth.Viewer), nil); a.Status != 422 || !a.Names("query.tenant_id") {
		t.Errorf("stages without a tenant: %d %s", a.Status, a.Body)
	}
	if a := w.post("calculate", `{"tenant_id": `); a.Status != 400 {
		t.Errorf("half a body: %d %s", a.Status, a.Body)
	}
	for _, c := range []struct{ stage, body, field string }{
		{"lead", `{"tenant_id": "TENANT"}`, "body.value"},
		{"lead", `{"tenant_id": "TENANT", "value": -0.01}`, "body.value"},
		{"lead", `{"tenant_id": "TENANT", "value": 1e300}`, "body.value"},
		{"lead", `{"tenant_id": "TENANT", "value": 1, "confidence": 1.01}`, "body.confidence"},
		{"lead", `{"tenant_id": "TENANT", "value": 1, "confidence": Infinity}`, "body.confidence"},
		{"lead", `{"tenant_id": "TENANT", "value": 1, "description": "a\u0000b"}`, "body.description"},
		{"lead", `{"tenant_id": "TENANT", "value": 1, "name": "x"}`, "body.name"},
		{"%20", `{"tenant_id": "TENANT", "value": 1}`, "path.stage_name"},
		{"a%00b", `{"tenant_id": "TENANT", "value": 1}`, "path.stage_name"},
		{"a%FFb", `{"tenant_id": "TENANT", "value": 1}`, "path.stage_name"},
		{strings.Repeat("x", 101), `{"tenant_id": "TENANT", "value": 1}`, "path.stage_name"},
	} {
		if a := w.put(c.stage, c.body); a.Status != 422 || !a.Names(c.field) {
			t.Errorf("PUT %s %s: %d %s, want 422 naming %s", c.stage, c.body, a.Status, a.Body, c.field)
		}
	}
	if got := w.Text(`SELECT count(*) FROM gv.stage_value_history`); got != "0" {
		t.Errorf("refused requests left %s lines of history", got)
	}
}

func TestNobodyReachesAnotherTenantsStages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct{ method, path, body string }{
		{"POST", "calculate", `{"tenant_id": "TENANT", "stage_to": "lead"}`},
		{"POST", "ad-roas", `{"tenant_id": "TENANT", "ad_spend": 1, "stage_changes": []}`},
		{"POST", "get-stages", `{"tenant_id": "TENANT"}`},
		{"GET", "stages?tenant_id=TENANT", ``},
		{"PUT", "stages/lead", `{"tenant_id": "TENANT", "value": 5}`},
	} {
		var body any
		if c.body != "" {
			body = strings.ReplaceAll(c.body, "TENANT", apitest.Tenant)
		}
		path := root + strings.ReplaceAll(c.path, "TENANT", apitest.Tenant)
		if a := w.Call(w.handler, c.method, path, w.OtherToken(), body); a.Status != 403 {
			t.Errorf("%s %s as another tenant: %d %s", c.method, c.path, a.Status, a.Body)
		}
		if a := w.Call(w.handler, c.method, path, "", body); a.Status != 401 {
			t.Errorf("%s %s without a token: %d %s", c.method, c.path, a.Status, a.Body)
		}
	}
	viewer := w.Call(w.handler, "PUT", root+"stages/lead", w.Token(auth.Viewer), map[string]any{"tenant_id": apitest.Tenant, "value": 5})
	if viewer.Status != 403 {
		t.Errorf("a viewer sets a stage: %d %s", viewer.Status, viewer.Body)
	}
}

func TestStagesAreListedByValue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if a := w.put("proposal%20sent", `{"tenant_id": "TENANT", "value": 4000.5, "description": "an offer is out"}`); a.Status != 200 || a.JSON(t)["created"] != true {
		t.Fatalf("create a stage: %d %s", a.Status, a.Body)
	}
	for _, a := range []apitest.Answer{
		w.post("get-stages", `{"tenant_id": "TENANT"}`),
		w.Call(w.handler, "GET", root+"stages?tenant_id="+strings.ToUpper(apitest.Tenant), w.Token(auth.Viewer), nil),
	} {
		got := a.JSON(t)
		var names []string
		for _, s := range got["stages"].([]any) {
			names = append(names, s.(map[string]any)["stage_name"].(string))
		}
		if want := "closed_lost lead appointment_scheduled proposal sent show_up closed_won"; strings.Join(names, " ") != want || got["num_stages"] != 6.0 {
			t.Errorf("stages %v of %v, want %s", names, got["num_stages"], want)
		}
		if !strings.Contains(a.Body, `{"stage_name":"proposal sent","value":4000.5,"confidence":0.5,"description":"an offer is out"}`) ||
			!strings.Contains(a.Body, `"value":9000,"confidence":0.85`) {
			t.Errorf("stages: %s", a.Body)
		}
	}
}

func (w world) ad(id, currency string) {
	w.T.Helper()
	account := "act_" + currency
	w.Exec(`INSERT INTO gv.accounts (tenant_id, account_id, currency) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, apitest.Tenant, account, currency)
	w.Exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, $2, $2) ON CONFLICT DO NOTHING`, apitest.Tenant, account)
	w.Exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id) VALUES ($1, $2, $3, $3)`, apitest.Tenant, id, account)
	w.Exec(`INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor) VALUES ($1, $2, '2026-03-01', 1000, 20, 200000)`, apitest.Tenant, id)
}

func (w world) deal(id int, stage, ad string, amount, issue any) {
	w.T.Helper()
	w.Exec(`INSERT INTO gv.deals (tenant_id, portal_id, deal_id, state, stage_name, amount_minor, amount_issue, ad_id, attribution_method, attribution_confidence)
		VALUES ($1, 1, $2, 'live', $3, $4, $5, nullif($6, ''), 'url_param', 1)`, apitest.Tenant, id, stage, amount, issue, ad)
}

func TestAStageSetAnewRevaluesItsDealsAndTheirAdsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ad("a1", "USD")
	w.ad("a2", "USD")
	w.deal(1, "show_up", "a1", nil, nil)
	w.deal(2, "show_up", "a1", 99, nil)
	w.deal(3, "show_up", "", nil, nil)
	w.deal(4, "lead", "a2", nil, nil)
	w.deal(5, "show_up", "a2", nil, "the amount is in EUR")
	w.Exec(`INSERT INTO gv.deals (tenant_id, portal_id, deal_id, state, stage_name, ad_id) VALUES ($1, 1, 6, 'gone', 'show_up', 'a1')`, apitest.Tenant)

	a := w.put("show_up", `{"tenant_id": "TENANT", "value": 10000.25, "confidence": 0.9}`)
	got := a.JSON(t)
	if a.Status != 200 || got["revalued_deals"] != 4.0 || got["settled_ads"] != 2.0 || got["previous_value"] != 9000.0 || got["created"] != false {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if got := w.Text(`SELECT string_agg(deal_id || '=' || value_minor, ' ' ORDER BY deal_id) FROM gv.deals`); got != "1=1000025 2=1000025 3=1000025 4=0 5=0 6=0" {
		t.Errorf("deals: %s", got)
	}
	if got := w.Text(`SELECT string_agg(ad_id || '=' || pipeline_minor || ' ' || is_winner, ' ' ORDER BY ad_id) FROM gv.ads`); got != "a1=2000050 true a2=0 false" {
		t.Errorf("ads: %s", got)
	}
	if sent := w.Queue.Sent("winner-found"); len(sent) != 1 || sent[0] != `{"ad_id":"a1"}` {
		t.Errorf("winners found: %v", sent)
	}
	if got := w.Text(`SELECT string_agg(stage_name || ' ' || value_minor || ' ' || confidence || ' ' || replaced_by, ', ') FROM gv.stage_value_history`); got != "show_up 900000 0.85 editor@northside.example" {
		t.Errorf("history: %s", got)
	}
	if again := w.put("show_up", `{"tenant_id": "TENANT", "value": 10000.25}`).JSON(t); again["revalued_deals"] != 0.0 || again["confidence"] != 0.9 {
		t.Errorf("the same value again: %v", again)
	}
	if got := w.Text(`SELECT count(*) FROM gv.stage_value_history`); got != "1" {
		t.Errorf("%s lines of history after setting the same again, want 1", got)
	}
}

func TestAWonDealKeepsItsRealAmountAndImportsFollowTheStage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, ad := range []string{"real", "typical", "foreign", "imported", "daily"} {
		w.ad(ad, "USD")
	}
	w.deal(1, "closed_won", "real", 777700, nil)
	w.deal(2, "closed_won", "typical", nil, nil)
	w.deal(3, "closed_won", "foreign", nil, "the amount is in EUR")
	w.Exec(`INSERT INTO gv.ad_figures (tenant_id, ad_id, source, conversions) VALUES ($1, 'imported', 'import', 2)`, apitest.Tenant)
	w.Exec(`UPDATE gv.ad_metrics SET conversions = 3 WHERE ad_id = 'daily'`)
	w.put("closed_won", `{"tenant_id": "TENANT", "value": 1}`)
	w.Exec(`UPDATE gv.ads SET value_source = 'import' WHERE ad_id IN ('imported', 'daily')`)

	if a := w.put("closed_won", `{"tenant_id": "TENANT", "value": 100}`); a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	want := "daily=30000 foreign=0 imported=20000 real=777700 typical=10000"
	if got := w.Text(`SELECT string_agg(ad_id || '=' || pipeline_minor, ' ' ORDER BY ad_id) FROM gv.ads`); got != want {
		t.Errorf("ads: %s, want %s", got, want)
	}
}

func TestAStageSetTwiceWithOneKeyIsSetOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.put("lead", `{"tenant_id": "TENANT", "value": 5}`, "Idempotency-Key", "k1")
	w.put("lead", `{"tenant_id": "TENANT", "value": 6}`)
	second := w.put("lead", `{"tenant_id": "TENANT", "value": 5}`, "Idempotency-Key", "k1")
	if first.Status != 200 || second.Body != first.Body {
		t.Errorf("first %d %s, second %d %s", first.Status, first.Body, second.Status, second.Body)
	}
	if got := w.Text(`SELECT value_minor FROM gv.stage_values WHERE tenant_id = $1 AND stage_name = 'lead'`, apitest.Tenant); got != "600" {
		t.Errorf("the repeat took effect: %s", got)
	}
	if a := w.put("lead", `{"tenant_id": "TENANT", "value": 7}`, "Idempotency-Key", "k1"); a.Status != 409 {
		t.Errorf("the same key with another body: %d %s", a.Status, a.Body)
	}
}

func TestEditorsAtOnceLeaveAHistoryWithoutGaps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var all sync.WaitGroup
	for _, value := range []string{"1", "2", "3", "4", "5", "6"} {
		all.Go(func() {
			if a := w.put("brand_new", `{"tenant_id": "TENANT", "value": `+value+`}`); a.Status != 200 {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		})
	}
	all.Wait()
	if got := w.Text(`SELECT count(*) FROM gv.stage_value_history WHERE valid_from <= valid_until`); got != "5" {
		t.Errorf("%s lines of history, want 5", got)
	}
	gaps := w.Text(`SELECT count(*) FROM gv.stage_value_history a WHERE NOT EXISTS (
		SELECT FROM gv.stage_value_history b WHERE b.valid_from = a.valid_until UNION ALL
		SELECT FROM gv.stage_values s WHERE s.stage_name = a.stage_name AND s.updated_at = a.valid_until)`)
	if gaps != "0" {
		t.Errorf("%s gaps in the history", gaps)
	}
}

func TestWithoutADatabaseItSaysSoAndWhenToComeBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.App.Close()
	a := w.post("get-stages", `{"tenant_id": "TENANT"}`)
	if a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d %v %s", a.Status, a.Header, a.Body)
	}
}

func TestYenHasNoDecimals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Exec(`UPDATE gv.tenants SET currency = 'JPY' WHERE tenant_id = $1`, apitest.Tenant)
	if a := w.put("lead", `{"tenant_id": "TENANT", "value": 1234.6}`); a.JSON(t)["value"] != 1235.0 || a.JSON(t)["currency"] != "JPY" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}
