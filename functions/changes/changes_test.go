package changes_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/functions/changes"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/infra/testkit/meter"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/pg"
)

type world struct {
	*apitest.World
	h http.Handler
}

func open(t *testing.T) *world {
	t.Helper()
	w := &world{World: apitest.New(t)}
	w.h = changes.New(w.App, w.Access(), w.Queue)
	for _, tenant := range []string{apitest.Tenant, apitest.Other} {
		w.Exec(`INSERT INTO gv.accounts (tenant_id, account_id, mode) VALUES ($1, 'act_1', 'approval')`, tenant)
		w.Exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, 'c1', 'act_1')`, tenant)
		w.Exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, adset_id, daily_budget_minor) VALUES ($1, 'a', 'act_1', 'c1', 's1', 10000)`, tenant)
	}
	return w
}

// queue queues a change of the ad a and returns it.
func (w *world) queue(units float64) map[string]any {
	w.T.Helper()
	a := w.Call(w.h, "POST", "/api/ads/changes", w.Token(auth.Editor), map[string]any{"ad_id": "a", "target_budget": units})
	if a.Status != 200 {
		w.T.Fatalf("%d %s", a.Status, a.Body)
	}
	change, _ := a.JSON(w.T)["change"].(map[string]any)
	return change
}

func (w *world) post(role auth.Role, id any, verb string, body any) apitest.Answer {
	w.T.Helper()
	return w.Call(w.h, "POST", fmt.Sprintf("/api/ads/changes/%v/%s", id, verb), w.Token(role), body)
}

func TestAMemberQueuesAChangeAndAnAdminApprovesExactlyThat(t *testing.T) {
	t.Parallel()
	w := open(t)
	c := w.queue(150)
	if c["status"] != "awaiting_approval" || c["before_budget"] != 100.0 || c["target_budget"] != 150.0 || c["steps_left"] != 3.0 || c["why_not"] == "" {
		t.Errorf("%v", c)
	}
	body := map[string]any{"digest": c["digest"]}
	if a := w.post(auth.Editor, c["id"], "approve", body); a.Status != 403 {
		t.Errorf("an editor approves: %d", a.Status)
	}
	if a := w.post(auth.Admin, c["id"], "approve", map[string]any{"digest": strings.Repeat("0", 64)}); a.Status != 409 {
		t.Errorf("another digest: %d %s", a.Status, a.Body)
	}
	for range 2 { // the second changes nothing
		a := w.post(auth.Admin, c["id"], "approve", body)
		if got := a.JSON(t); a.Status != 200 || got["status"] != "pending" || got["approved_by"] != "admin@northside.example" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	}
}

// TestAReviewIsCountedOnce runs alone: the metrics are the process's.
func TestAReviewIsCountedOnce(t *testing.T) {
	meter.Start(t)
	w := open(t)
	counted := func(outcome, whyNot string) float64 {
		return meter.Value(t, "gv_changes_total", "outcome="+outcome, "why_not="+whyNot)
	}
	c := w.queue(60)
	before := counted("approved", "none")
	for range 2 {
		if a := w.post(auth.Admin, c["id"], "approve", map[string]any{"digest": c["digest"]}); a.Status != 200 {
			t.Fatalf("approve: %d %s", a.Status, a.Body)
		}
	}
	if n := counted("approved", "none") - before; n != 1 {
		t.Errorf("approving twice counts %v", n)
	}
	for range 2 {
		if a := w.post(auth.Editor, c["id"], "reject", nil); a.Status != 200 {
			t.Fatalf("reject: %d %s", a.Status, a.Body)
		}
	}
	if n := counted("rejected", "member"); n != 1 {
		t.Errorf("rejecting twice counts %v", n)
	}
	w.post(auth.Admin, c["id"], "approve", map[string]any{"digest": c["digest"]}) // it is rejected by now
	if n := counted("approved", "none") - before; n != 1 {
		t.Errorf("a third approval, of what is rejected, makes it %v", n)
	}
}

func TestAPlanThatChangedSinceMustBeApprovedAnew(t *testing.T) {
	t.Parallel()
	w := open(t)
	c := w.queue(150)
	w.Exec(`UPDATE gv.budget_objects SET known_minor = 12000 WHERE tenant_id = $1`, apitest.Tenant) // a sync found another budget
	stale := w.post(auth.Admin, c["id"], "approve", map[string]any{"digest": c["digest"]})
	if stale.Status != 409 || !strings.Contains(stale.Body, "from 120.00 USD to 150.00 USD") {
		t.Errorf("%d %s", stale.Status, stale.Body)
	}
	list := w.Call(w.h, "GET", "/api/ads/changes?status=awaiting_approval", w.Token(auth.Viewer), nil).JSON(t)
	now := list["changes"].([]any)[0].(map[string]any)
	if now["digest"] == c["digest"] || now["before_budget"] != 120.0 {
		t.Errorf("%v", now)
	}
	if a := w.post(auth.Admin, c["id"], "approve", map[string]any{"digest": now["digest"]}); a.Status != 200 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

func TestAChangeNamesEachAdOnceAndStaysAsItWasOnceItIsFinished(t *testing.T) {
	t.Parallel()
	w := open(t)
	first := w.queue(150)
	if again := w.queue(150); again["id"] != first["id"] || fmt.Sprint(again["ads"]) != "[a]" {
		t.Errorf("%v", again)
	}
	w.queue(140)
	w.Exec(`UPDATE gv.budget_objects SET known_minor = 12000 WHERE tenant_id = $1`, apitest.Tenant)
	list := w.Call(w.h, "GET", "/api/ads/changes?status=superseded", w.Token(auth.Viewer), nil).JSON(t)
	was := list["changes"].([]any)[0].(map[string]any)
	if was["id"] != first["id"] || was["before_budget"] != first["before_budget"] || was["digest"] != first["digest"] {
		t.Errorf("%v, and it was %v", was, first)
	}
}

func TestAChangeAndItsHistorySayWhatTheAdIsCalled(t *testing.T) {
	t.Parallel()
	w := open(t)
	c := w.queue(150)
	if c["ad_name"] != "a" { // nobody named it
		t.Errorf("%v", c["ad_name"])
	}
	w.Exec(`UPDATE gv.ads SET name = CASE tenant_id WHEN $1 THEN 'Summer' ELSE 'another tenant''s' END WHERE ad_id = 'a'`, apitest.Tenant)
	if a := w.post(auth.Editor, c["id"], "reject", nil); a.JSON(t)["ad_name"] != "Summer" {
		t.Error(a.Body)
	}
	for path, list := range map[string]string{"/api/ads/changes": "changes", "/api/ads/history": "history"} {
		found := w.Call(w.h, "GET", path, w.Token(auth.Viewer), nil).JSON(t)[list].([]any)
		if len(found) != 1 || found[0].(map[string]any)["ad_name"] != "Summer" {
			t.Errorf("%s: %v", path, found)
		}
	}
	for campaign, lines := range map[string]int{"c1": 1, "c2": 0} {
		if got := w.Call(w.h, "GET", "/api/ads/history?campaign_id="+campaign, w.Token(auth.Viewer), nil).JSON(t)["history"].([]any); len(got) != lines {
			t.Errorf("campaign %s: %v", campaign, got)
		}
	}
}

func TestTwinApprovalsAreOne(t *testing.T) {
	t.Parallel()
	w := open(t)
	c := w.queue(150)
	statuses := make(chan int, 4)
	for range 4 {
		go func() {
			statuses <- w.Call(w.h, "POST", fmt.Sprintf("/api/ads/changes/%v/approve", c["id"]), w.Token(auth.Admin), map[string]any{"digest": c["digest"]}).Status
		}()
	}
	for range 4 {
		if s := <-statuses; s != 200 {
			t.Errorf("a twin got %d", s)
		}
	}
}

func TestARejectedOrReplacedChangeCannotBeApproved(t *testing.T) {
	t.Parallel()
	w := open(t)
	first := w.queue(150)
	second := w.queue(140)
	if a := w.post(auth.Admin, first["id"], "approve", map[string]any{"digest": first["digest"]}); a.Status != 409 || !strings.Contains(a.Body, "superseded") {
		t.Errorf("a replaced one: %d %s", a.Status, a.Body)
	}
	for range 2 {
		if a := w.post(auth.Editor, second["id"], "reject", map[string]any{"reason": "too much"}); a.Status != 200 || a.JSON(t)["why_not"] != "too much" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	}
	if a := w.post(auth.Admin, second["id"], "approve", map[string]any{"digest": second["digest"]}); a.Status != 409 {
		t.Errorf("a rejected one: %d %s", a.Status, a.Body)
	}
	h := w.Call(w.h, "GET", "/api/ads/history?ad_id=a", w.Token(auth.Viewer), nil).JSON(t)["history"].([]any)
	if len(h) != 2 || h[0].(map[string]any)["outcome"] != "rejected" || h[0].(map[string]any)["initiator"] != "editor@northside.example" {
		t.Errorf("%v", h)
	}
}

func TestOnlyTheLatestAppliedChangeIsUndoneAndOnce(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.Exec(`UPDATE gv.accounts SET mode = 'live'`)
	c := w.queue(90)
	if a := w.post(auth.Admin, c["id"], "undo", nil); a.Status != 409 || !strings.Contains(a.Body, "nothing was written") {
		t.Errorf("not applied yet: %d %s", a.Status, a.Body)
	}
	w.Exec(`UPDATE gv.pending_ad_changes SET status = 'applied', steps = 1, finished_at = now() WHERE change_id = $1`, c["id"])
	w.Exec(`UPDATE gv.budget_objects SET known_minor = 9000 WHERE tenant_id = $1`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.ad_change_history (tenant_id, change_id, account_id, campaign_id, ad_id, budget_object, action, outcome, before_minor, after_minor, reason, initiator)
	        VALUES ($1, $2, 'act_1', 'c1', 'a', 'adset/s1', 'budget', 'applied', 10000, 9000, 'x', 'x')`, apitest.Tenant, c["id"])
	if a := w.post(auth.Editor, c["id"], "undo", nil); a.Status != 403 {
		t.Errorf("an editor: %d", a.Status)
	}
	a := w.post(auth.Admin, c["id"], "undo", map[string]any{"reason": "it sold well"})
	back := a.JSON(t)
	if a.Status != 200 || back["source"] != "undo" || back["before_budget"] != 90.0 || back["target_budget"] != 100.0 || back["status"] != "pending" || back["undo_of"] != c["id"] {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if again := w.post(auth.Admin, c["id"], "undo", nil).JSON(t); again["id"] != back["id"] {
		t.Errorf("again: %v", again)
	}
	w.Exec(`UPDATE gv.pending_ad_changes SET status = 'failed' WHERE change_id = $1`, back["id"])
	w.Exec(`UPDATE gv.pending_ad_changes SET progress_at = progress_at - interval '1 hour' WHERE change_id = $1`, c["id"])
	newer := w.queue(80)
	w.Exec(`UPDATE gv.pending_ad_changes SET status = 'applied', steps = 1, finished_at = now() WHERE change_id = $1`, newer["id"])
	if a := w.post(auth.Admin, c["id"], "undo", nil); a.Status != 409 || !strings.Contains(a.Body, "undo that one first") {
		t.Errorf("an older one: %d %s", a.Status, a.Body)
	}
}

func TestBadInputIsNamedAndQueuesNothing(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.Exec(`UPDATE gv.accounts SET currency = 'JPY' WHERE tenant_id = $1`, apitest.Tenant)
	for name, c := range map[string]struct {
		body   string
		status int
		field  string
	}{
		"nothing":     {`{"ad_id":"a"}`, 422, "body.target_budget"},
		"both":        {`{"ad_id":"a","target_budget":1,"status":"PAUSED"}`, 422, "body.target_budget"},
		"negative":    {`{"ad_id":"a","target_budget":-1}`, 422, "body.target_budget"},
		"NaN":         {`{"ad_id":"a","target_budget":NaN}`, 422, "body.target_budget"},
		"half a yen":  {`{"ad_id":"a","target_budget":10.5}`, 422, "body.target_budget"},
		"too much":    {`{"ad_id":"a","target_budget":1e30}`, 422, "body.target_budget"},
		"a word":      {`{"ad_id":"a","status":"STOPPED"}`, 422, "body.status"},
		"no ad":       {`{"ad_id":"","target_budget":1}`, 422, "body.ad_id"},
		"unknown":     {`{"ad_id":"a","target_budget":1,"budget":1}`, 422, "body.budget"},
		"another's":   {`{"ad_id":"b","target_budget":1}`, 404, ""},
		"not JSON":    {`{`, 400, ""},
		"already so":  {`{"ad_id":"a","target_budget":10000}`, 200, ""},
		"not a digit": {`{"ad_id":"a","target_budget":"1"}`, 422, "body.target_budget"},
	} {
		a := w.Call(w.h, "POST", "/api/ads/changes", w.Token(auth.Editor), c.body)
		if a.Status != c.status || c.field != "" && !a.Names(c.field) {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
		if whole := strings.Contains(a.Body, "must be a whole number: JPY has no decimals"); whole != (name == "half a yen") {
			t.Errorf("%s: %s", name, a.Body)
		}
	}
	for path, field := range map[string]string{
		"/api/ads/changes?status=x": "query.status", "/api/ads/changes?limit=0": "query.limit", "/api/ads/changes?cursor=x": "query.cursor",
		"/api/ads/history?outcome=x": "query.outcome", "/api/ads/history?change_id=x": "query.change_id", "/api/ads/history?cursor=eA": "query.cursor",
	} {
		if a := w.Call(w.h, "GET", path, w.Token(auth.Viewer), nil); a.Status != 422 || !a.Names(field) {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	if n := w.Text(`SELECT count(*) FROM gv.pending_ad_changes`); n != "0" {
		t.Errorf("%s changes", n)
	}
}

func TestAnotherTenantSeesAndChangesNothing(t *testing.T) {
	t.Parallel()
	w := open(t)
	c := w.queue(150)
	for _, path := range []string{"/api/ads/changes", "/api/ads/history", "/api/ads/changes?account_id=act_1&ad_id=a"} {
		if a := w.Call(w.h, "GET", path, w.OtherToken(), nil); a.Status != 200 || !strings.Contains(a.Body, `":[]`) {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	for verb, body := range map[string]any{"approve": map[string]any{"digest": c["digest"]}, "reject": nil, "undo": nil} {
		if a := w.Call(w.h, "POST", fmt.Sprintf("/api/ads/changes/%v/%s", c["id"], verb), w.OtherToken(), body); a.Status != 404 {
			t.Errorf("%s: %d %s", verb, a.Status, a.Body)
		}
	}
	if a := w.Call(w.h, "POST", "/api/ads/changes", w.Token(auth.Viewer), map[string]any{"ad_id": "a", "target_budget": 1}); a.Status != 403 {
		t.Errorf("a viewer queues: %d", a.Status)
	}
}

func TestPagesFollowEachOtherAndAKeyMakesARepeatOneChange(t *testing.T) {
	t.Parallel()
	w := open(t)
	for i := range 5 {
		for range 2 {
			a := w.Call(w.h, "POST", "/api/ads/changes", w.Token(auth.Editor), map[string]any{"ad_id": "a", "target_budget": 50 + i}, "Idempotency-Key", fmt.Sprint(i))
			if a.Status != 200 {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
		}
	}
	seen := map[any]bool{}
	path := "/api/ads/changes?limit=2"
	for pages := 0; path != ""; pages++ {
		body := w.Call(w.h, "GET", path, w.Token(auth.Viewer), nil).JSON(t)
		for _, c := range body["changes"].([]any) {
			seen[c.(map[string]any)["id"]] = true
		}
		path = ""
		if next, ok := body["next_cursor"].(string); ok {
			path = "/api/ads/changes?limit=2&cursor=" + next
		}
	}
	if len(seen) != 5 {
		t.Errorf("%d changes", len(seen))
	}
	if open := w.Call(w.h, "GET", "/api/ads/changes?status=open", w.Token(auth.Viewer), nil).JSON(t)["changes"].([]any); len(open) != 1 {
		t.Errorf("%d open", len(open))
	}
}

func TestADatabaseThatIsDownIsA503(t *testing.T) {
	t.Parallel()
	w := open(t)
	down, err := pg.Open(t.Context(), pg.Config{URL: "postgres://gv_app@127.0.0.1:1/none"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(down.Close)
	h := changes.New(down, w.Access(), w.Queue)
	if a := w.Call(h, "GET", "/api/ads/changes", w.Token(auth.Viewer), nil); a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}
