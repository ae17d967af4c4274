package direct_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/functions/direct"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/director"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

type plans struct {
	Plans      []director.Summary `json:"plans"`
	NextCursor string             `json:"next_cursor"`
}

func TestPlansAreListedByPagesNewestFirst(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.Exec(`INSERT INTO gv.accounts (tenant_id, account_id) VALUES ($1, 'second')`, apitest.Tenant)
	var ids []string
	for range 5 {
		ids = append(ids, w.plan(good).PlanID)
	}
	w.Exec(`UPDATE gv.plans SET created_at = (SELECT max(created_at) FROM gv.plans)`) // one moment: the id decides
	w.Exec(`UPDATE gv.plans SET account_id = 'second', kind = 'fix_plan' WHERE plan_id = $1`, ids[0])
	seen, cursor := map[string]bool{}, ""
	for page := 1; ; page++ {
		got := decode[plans](t, w.ask("GET", "plans?limit=2&cursor="+cursor, auth.Viewer, nil))
		for _, p := range got.Plans {
			if seen[p.PlanID] || p.HookType != "question" || p.GeneratedBy != "template-1" || p.PredictedCTR <= 0 {
				t.Errorf("%+v", p)
			}
			seen[p.PlanID] = true
		}
		if cursor = got.NextCursor; cursor == "" {
			if page != 3 || len(seen) != 5 {
				t.Errorf("%d plans on %d pages", len(seen), page)
			}
			break
		}
	}
	for query, want := range map[string]int{
		"account_id=second": 1, "account_id=acc": 4, "kind=fix_plan": 1, "account_id=acc&kind=fix_plan": 0, "account_id=none": 0, "video_id=v-1": 5, "ad_id=x": 0,
	} {
		if got := decode[plans](t, w.ask("GET", "plans?"+query, auth.Viewer, nil)); len(got.Plans) != want {
			t.Errorf("%s: %d plans, want %d", query, len(got.Plans), want)
		}
	}
	if a := w.ask("GET", "plans?ad_id=x", auth.Viewer, nil); !strings.Contains(a.Body, `"plans":[]`) {
		t.Errorf("%s", a.Body)
	}
}

func TestNobodySeesAnotherTenantsPlansAndRefreshes(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(apitest.Tenant, "ours", good, 100, 100)
	id := w.plan(good).PlanID
	refresh := decode[map[string]string](t, w.ask("POST", "refresh-creative", auth.Editor, `{"ad_id":"ours","reason":"tired"}`))["refresh_id"]
	other := func(method, path string, body any) apitest.Answer {
		return w.Call(w.handler, method, base+path, w.OtherToken(), body)
	}
	for _, path := range []string{"plans/" + id, "refreshes/" + refresh} {
		if a := other("GET", path, nil); a.Status != 404 {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	for _, path := range []string{"plans", "refreshes"} {
		if a := other("GET", path, nil); a.Status != 200 || !strings.Contains(a.Body, ":[]") {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	if a := other("POST", "refresh-creative", `{"ad_id":"ours","reason":"tired"}`); a.Status != 404 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := other("POST", "battle-plan", `{"video_id":"v","account_id":"acc","creative_dna":`+good+`}`); a.Status != 404 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	for _, call := range [][2]string{{"POST", "battle-plan"}, {"GET", "plans"}, {"GET", "plans/" + id}, {"POST", "refresh-creative"}, {"GET", "refreshes"}} {
		if a := w.Call(w.handler, call[0], base+call[1], "", map[string]any{}); a.Status != 401 {
			t.Errorf("%s: %d without a token", call, a.Status)
		}
	}
}

func TestBadQueriesAreRefused(t *testing.T) {
	t.Parallel()
	w := open(t)
	for path, field := range map[string]string{
		"plans?limit=0": "query.limit", "plans?limit=999": "query.limit", "plans?cursor=x": "query.cursor", "plans?cursor=" + url.QueryEscape("////"): "query.cursor",
		"plans?kind=war": "query.kind", "plans?account_id=%00": "query.account_id", "plans?video_id=%ff": "query.video_id", "plans/x": "path.id",
		"refreshes?status=lost": "query.status", "refreshes?ad_id=%00": "query.ad_id", "refreshes?cursor=eCB5": "query.cursor", "refreshes/1": "path.id",
	} {
		if a := w.ask("GET", path, auth.Viewer, nil); a.Status != 422 || !a.Names(field) {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	for _, path := range []string{"plans/", "refreshes/"} {
		if a := w.ask("GET", path+"99999999-9999-4999-8999-999999999999", auth.Viewer, nil); a.Status != 404 {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
}

type asked struct {
	RefreshID string `json:"refresh_id"`
	Status    string `json:"status"`
	Note      string `json:"note"`
}

func TestARefreshIsQueuedOnceWhileItIsUnderWay(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(apitest.Tenant, "tired", good, 100, 100)
	ask := func(headers ...string) asked {
		a := w.ask("POST", "refresh-creative", auth.Editor, `{"ad_id":"tired","reason":"CTR is down 34%"}`, headers...)
		if a.Status != 202 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		return decode[asked](t, a)
	}
	first, again := ask("Idempotency-Key", "k"), ask()
	if first.Status != "queued" || first.RefreshID == "" || again.RefreshID != first.RefreshID || again.Note == "" || ask("Idempotency-Key", "k") != first {
		t.Errorf("%+v %+v", first, again)
	}
	sent := w.Queue.Sent(director.RefreshTopic)
	if len(sent) != 1 || !strings.Contains(sent[0], first.RefreshID) || !strings.Contains(sent[0], "tired") {
		t.Errorf("sent %q", sent)
	}
	one := decode[director.Request](t, w.ask("GET", "refreshes/"+first.RefreshID, auth.Viewer, nil))
	if one.AdID != "tired" || one.Status != "queued" || one.Reason != "CTR is down 34%" || one.RequestedBy != "editor@northside.example" || one.FinishedAt != nil {
		t.Errorf("%+v", one)
	}
	var all struct{ Refreshes []director.Request }
	if all = decode[struct{ Refreshes []director.Request }](t, w.ask("GET", "refreshes?status=queued&ad_id=tired", auth.Viewer, nil)); len(all.Refreshes) != 1 {
		t.Errorf("%+v", all)
	}
}

func TestABadRefreshIsRefused(t *testing.T) {
	t.Parallel()
	w := open(t)
	for body, want := range map[string]int{
		`{"ad_id":"unknown","reason":"x"}`: 404, `{"ad_id":"","reason":"x"}`: 422, `{"ad_id":"a","reason":" "}`: 422, `{"ad_id":"a"}`: 422,
		`{"reason":"x"}`: 422, `{"ad_id":"a","reason":"x","more":1}`: 422, `{"ad_id":"a\u0000","reason":"x"}`: 422, `[]`: 422,
	} {
		if a := w.ask("POST", "refresh-creative", auth.Editor, body); a.Status != want {
			t.Errorf("%s: %d %s", body, a.Status, a.Body)
		}
	}
	if a := w.ask("POST", "refresh-creative", auth.Viewer, `{"ad_id":"a","reason":"x"}`); a.Status != 403 {
		t.Errorf("a viewer: %d", a.Status)
	}
	if n := w.Text(`SELECT count(*)::text FROM gv.refreshes`); n != "0" {
		t.Errorf("%s refreshes", n)
	}
}

func TestWithoutADatabaseEveryPathSays503(t *testing.T) {
	t.Parallel()
	w := open(t)
	dead, err := pg.Open(t.Context(), pg.Config{URL: "postgres://gv_app@127.0.0.1:1/none"})
	if err != nil {
		t.Fatal(err)
	}
	w.handler = serve.Wrap("direct", direct.New(dead, w.Access(), w.Queue, nil, director.Config{Fallback: director.FallbackTemplate}, nil))
	for path, body := range map[string]any{
		"plans": nil, "refreshes": nil, "plans/99999999-9999-4999-8999-999999999999": nil,
		"battle-plan": `{"video_id":"v","account_id":"acc","creative_dna":{"a":1}}`, "refresh-creative": `{"ad_id":"a","reason":"x"}`,
	} {
		method := "GET"
		if body != nil {
			method = "POST"
		}
		if a := w.ask(method, path, auth.Editor, body); a.Status != 503 || a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
}
