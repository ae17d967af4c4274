package learn_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/functions/learn"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/live"
)

const path = "/api/ml/self-learning-cycle"

// noon is on one day with the figures that the tests store.
var noon = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

func open(t *testing.T) (*apitest.World, http.Handler, *time.Time) {
	t.Helper()
	w := apitest.New(t)
	now := noon
	h := learn.New(w.App, w.Access(), embed.Only(embed.Local{}), w.Queue, learn.Options{Now: func() time.Time { return now }})
	w.Exec(`INSERT INTO gv.accounts (tenant_id, account_id, niche) VALUES ($1, 'acc', 'fitness'), ($1, 'empty', '')`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, 'c', 'acc')`, apitest.Tenant)
	return w, h, &now
}

// ads stores n ads that began 20 days before noon; every other one opens with a
// question, which is clicked half as often again.
func ads(w *apitest.World, n int) {
	for i := range n {
		hook, ctr := "offer", 0.02
		if i%2 == 0 {
			hook, ctr = "question", 0.03
		}
		clicks := int(20_000 * ctr * (0.92 + 0.02*float64(i%9)))
		w.Exec(`
			INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, creative_dna, impressions, clicks, spend_minor, pipeline_minor, daily_budget_minor, created_at, is_winner)
			VALUES ($1, $2, 'acc', 'c', jsonb_build_object('hook_type', $3::text, 'visual_pacing', $4::text), 20000, $5::int, 50000, $6, 2000, $7, $8)`,
			apitest.Tenant, fmt.Sprintf("ad-%02d", i), hook, []string{"fast", "slow", "medium"}[i%3], clicks, 40_000+i%5*60_000, noon.AddDate(0, 0, -20), i%5 == 4)
		w.Exec(`
			INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor)
			SELECT $1, $2, $3::date - d, 1000, $4::int / 20, 2500 FROM generate_series(1, 20) AS d`, apitest.Tenant, fmt.Sprintf("ad-%02d", i), noon, clicks)
	}
}

func step(t *testing.T, a apitest.Answer, n int) map[string]any {
	t.Helper()
	return a.JSON(t)["steps"].([]any)[n-1].(map[string]any)
}

func TestACycleDoesItsSevenStepsAndSaysWhatEachFound(t *testing.T) {
	t.Parallel()
	w, h, now := open(t)
	ads(w, 30)
	a := w.Call(h, "POST", path, w.Token(auth.Editor), `{"account_id": "acc"}`)
	body := a.JSON(t)
	if a.Status != 200 || body["status"] != "completed" || body["cycle_completed_at"] == nil || len(body["steps"].([]any)) != 7 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if s := step(t, a, 1); s["predicted"] != 30.0 || s["successful"] != 0.0 || s["reason"] == nil {
		t.Errorf("step 1: %v", s)
	}
	if s := step(t, a, 2); s["accuracy"] != nil || s["reason"] == nil {
		t.Errorf("step 2 has nothing to judge, so its accuracy is null with a reason: %v", s)
	}
	if _, there := step(t, a, 2)["accuracy"]; !there {
		t.Error("accuracy is left out where it should be null")
	}
	if s := step(t, a, 4); s["new_patterns"].(float64) < 1 || s["patterns"].([]any)[0].(map[string]any)["feature"] != "hook_type" {
		t.Errorf("step 4: %v", s)
	}
	if s := step(t, a, 7); s["not_indexed"] != 6.0 || s["queued"] != 6.0 || len(w.Queue.Sent("winner-found")) != 6 {
		t.Errorf("step 7: %v, sent %v", s, w.Queue.Sent("winner-found"))
	}

	// Ten days later the ads have shown what the predictions said, and more.
	w.Exec(`UPDATE gv.ads SET impressions = impressions + 30000, clicks = clicks + clicks * 3 / 2, spend_minor = spend_minor * 2, pipeline_minor = pipeline_minor * 2`)
	*now = noon.AddDate(0, 0, 25)
	a = w.Call(h, "POST", path, w.Token(auth.Editor), `{"account_id": "acc"}`)
	if s := step(t, a, 1); s["successful"].(float64) < 20 {
		t.Errorf("step 1: %v", s)
	}
	if s := step(t, a, 2); s["accuracy"] == nil || s["accuracy"].(float64) < 0.7 {
		t.Errorf("step 2: %v", s)
	}
	if s := step(t, a, 4); s["new_patterns"] != 0.0 || s["active_patterns"].(float64) < 1 {
		t.Errorf("step 4 found the same again as new: %v", s)
	}
	history := w.Call(h, "GET", path+"?account_id=acc", w.Token(auth.Viewer), nil).JSON(t)
	cycles := history["cycles"].([]any)
	if len(cycles) != 2 || cycles[0].(map[string]any)["accuracy"] == nil || cycles[1].(map[string]any)["accuracy"] != nil || len(history["patterns"].([]any)) == 0 {
		t.Errorf("history: %v", history)
	}
	id := body["cycle_id"].(string)
	if one := w.Call(h, "GET", path+"/"+id, w.Token(auth.Viewer), nil); one.Status != 200 || one.Body != w.Call(h, "GET", path+"/"+id, w.Token(auth.Viewer), nil).Body {
		t.Errorf("%d %s", one.Status, one.Body)
	}
}

func TestAKeyThatIsSentAgainGivesTheSameCycle(t *testing.T) {
	t.Parallel()
	w, h, _ := open(t)
	ads(w, 6)
	first := w.Call(h, "POST", path, w.Token(auth.Editor), `{"account_id": "acc"}`, "Idempotency-Key", "k")
	again := w.Call(h, "POST", path, w.Token(auth.Editor), `{"account_id": "acc"}`, "Idempotency-Key", "k")
	if first.Body != again.Body || again.Status != 200 || w.Text(`SELECT count(*) FROM gv.learning_cycles`) != "1" {
		t.Errorf("%s\n%s", first.Body, again.Body)
	}
}

func TestACycleThatIsNotDoneInTimeAnswers202AndGoesOnLater(t *testing.T) {
	t.Parallel()
	w, _, _ := open(t)
	ads(w, 6)
	h := learn.New(w.App, w.Access(), embed.Only(embed.Local{}), w.Queue, learn.Options{Now: func() time.Time { return noon }, Patience: time.Nanosecond})
	a := w.Call(h, "POST", path, w.Token(auth.Editor), `{"account_id": "acc"}`)
	if a.Status != 202 || a.JSON(t)["status"] != "running" || step(t, a, 1)["status"] != "pending" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	patient := learn.New(w.App, w.Access(), embed.Only(embed.Local{}), w.Queue, learn.Options{Now: func() time.Time { return noon }})
	b := w.Call(patient, "POST", path, w.Token(auth.Editor), `{"account_id": "acc"}`)
	if b.Status != 200 || b.JSON(t)["cycle_id"] != a.JSON(t)["cycle_id"] || b.JSON(t)["status"] != "completed" {
		t.Errorf("%d %s", b.Status, b.Body)
	}
}

func TestAnEmptyAccountsCycleSaysWhyItFoundNothing(t *testing.T) {
	t.Parallel()
	w, h, _ := open(t)
	a := w.Call(h, "POST", path, w.Token(auth.Editor), `{"account_id": "empty", "trigger_retrain": false}`)
	if a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	for n := 1; n <= 7; n++ {
		if s := step(t, a, n); s["status"] == "failed" || s["reason"] == nil {
			t.Errorf("step %d: %v", n, s)
		}
	}
}

func TestWhoMayRunAndSeeCycles(t *testing.T) {
	t.Parallel()
	w, h, _ := open(t)
	for _, c := range []struct {
		method, path, token, body string
		want                      int
	}{
		{"POST", path, w.Token(auth.Viewer), `{"account_id": "acc"}`, 403},
		{"POST", path, "", `{"account_id": "acc"}`, 401},
		{"POST", path, w.OtherToken(), `{"account_id": "acc"}`, 404},
		{"POST", path, w.Token(auth.Editor), `{}`, 422},
		{"POST", path, w.Token(auth.Editor), `{"account_id": "acc", "accuracy_threshold": 1.5}`, 422},
		{"POST", path, w.Token(auth.Editor), `{"account_id": "acc", "surprise": 1}`, 422},
		{"GET", path, w.Token(auth.Viewer), "", 422},
		{"GET", path + "?account_id=acc", w.OtherToken(), "", 404},
		{"GET", path + "/nothing", w.Token(auth.Viewer), "", 404},
	} {
		var body any
		if c.body != "" {
			body = c.body
		}
		if a := w.Call(h, c.method, c.path, c.token, body); a.Status != c.want {
			t.Errorf("%s %s %s: %d, want %d: %s", c.method, c.path, c.body, a.Status, c.want, a.Body)
		}
	}
}

// firestore records the documents that are written.
type firestore struct {
	mu   sync.Mutex
	last map[string]map[string]any
}

func (f *firestore) set(_ context.Context, path string, document map[string]any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last == nil {
		f.last = map[string]map[string]any{}
	}
	f.last[path] = document
	return nil
}

func TestACycleIsShownInTheLiveViewWithWhatItsStepsFound(t *testing.T) {
	t.Parallel()
	w, _, _ := open(t)
	ads(w, 6)
	var seen firestore
	h := learn.New(w.App, w.Access(), embed.Only(embed.Local{}), w.Queue, learn.Options{Now: func() time.Time { return noon }, Live: live.New(seen.set)})
	a := w.Call(h, "POST", path, w.Token(auth.Editor), `{"account_id": "acc"}`)
	id, _ := a.JSON(t)["cycle_id"].(string)
	seen.mu.Lock()
	defer seen.mu.Unlock()
	doc := seen.last[live.Path(apitest.Tenant, live.Cycle, id)]
	if len(seen.last) != 1 || doc["status"] != "completed" || doc["ended"] != true || doc["account_id"] != "acc" {
		t.Fatalf("%d documents: %v", len(seen.last), doc)
	}
	steps, _ := doc["steps"].([]map[string]any)
	if len(steps) != 7 || steps[0]["name"] != "fetch_actuals" || steps[0]["predicted"] != 6.0 || steps[6]["status"] != "completed" {
		t.Errorf("%v", steps)
	}
}

func TestAFirestoreThatIsDownChangesNothingOfACycle(t *testing.T) {
	t.Parallel()
	w, _, _ := open(t)
	ads(w, 6)
	down := live.New(func(context.Context, string, map[string]any) error { return errors.New("unavailable") })
	h := learn.New(w.App, w.Access(), embed.Only(embed.Local{}), w.Queue, learn.Options{Now: func() time.Time { return noon }, Live: down})
	if a := w.Call(h, "POST", path, w.Token(auth.Editor), `{"account_id": "acc"}`); a.Status != 200 || a.JSON(t)["status"] != "completed" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}
