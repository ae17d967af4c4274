package revenue_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/functions/revenue"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
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

func TestWithoutADatabaseItSaysSoAndWhenToComeBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.App.Close()
	a := w.post("get-stages", `{"tenant_id": "TENANT"}`)
	if a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d %v %s", a.Status, a.Header, a.Body)
	}
}
