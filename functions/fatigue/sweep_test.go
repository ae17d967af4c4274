package fatigue_test

import (
	"context"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/functions/fatigue"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/live"
)

const sweepPath = "/api/ml/fatigue/sweep"

// tiring stores an account with four steady ads and one whose CTR has halved.
func (w world) tiring(tenant string) {
	w.T.Helper()
	w.Exec(`INSERT INTO gv.accounts (tenant_id, account_id) VALUES ($1, 'act_1')`, tenant)
	w.Exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, 'c1', 'act_1')`, tenant)
	w.Exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, adset_id, daily_budget_minor)
		SELECT $1, 'ad-' || i, 'act_1', 'c1', 'set-' || i, 5000 FROM generate_series(1, 5) i`, tenant)
	w.Exec(`INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor)
		SELECT $1, 'ad-' || i, (now() AT TIME ZONE 'UTC')::date - d, 40000, CASE WHEN i = 1 AND d <= 2 THEN 400 ELSE 800 END, 40000
		FROM   generate_series(1, 5) i, generate_series(1, 10) d`, tenant)
}

func TestAnEditorSweepsTheirOwnAdsAndNobodyElses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tiring(apitest.Tenant)
	w.tiring(apitest.Other)
	a := w.Call(w.handler, "POST", sweepPath, w.Token(auth.Editor), nil)
	got := a.JSON(t)
	if a.Status != 200 || got["looked_at"] != 5.0 || got["remediated"] != 1.0 || got["cuts"] != 1.0 || got["refreshes"] != 1.0 || strings.Contains(a.Body, "null") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	ads, _ := got["ads"].([]any)
	if len(ads) != 1 || ads[0].(map[string]any)["ad_id"] != "ad-1" || ads[0].(map[string]any)["change"] == "" {
		t.Errorf("ads %v", ads)
	}
	if got := w.Text(`SELECT string_agg(tenant_id::text || ' ' || requested_by, ', ') FROM gv.pending_ad_changes`); got != apitest.Tenant+" editor@northside.example" {
		t.Errorf("cuts: %s", got)
	}
	if got := w.Text(`SELECT count(*) FROM gv.ad_fatigue WHERE tenant_id = $1`, apitest.Other); got != "0" {
		t.Errorf("%s ads of another tenant were judged", got)
	}
	if got := w.Text(`SELECT string_agg(sweep_id::text, ', ') FROM gv.sweeps`); got != a.JSON(t)["sweep_id"] {
		t.Errorf("kept as %s, and said %v", got, a.JSON(t)["sweep_id"])
	}
	if sent := w.Queue.Sent("creative-refresh"); len(sent) != 1 || !strings.Contains(sent[0], `"ad_id":"ad-1"`) {
		t.Errorf("sent %v", sent)
	}
	a = w.Call(w.handler, "POST", sweepPath, w.Token(auth.Editor), nil)
	if got := a.JSON(t); a.Status != 200 || got["remediated"] != 0.0 || got["newly_fatigued"] != 0.0 || !strings.Contains(a.Body, "a cut of its budget was queued in the last 7 days") {
		t.Errorf("again: %d %s", a.Status, a.Body)
	}
}

func TestASweepForATenantThatIsNotSetUpIsNotFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.TokenFor("00000000-0000-4000-8000-00000000dead", "editor@northside.example", auth.Editor)
	if a := w.Call(w.handler, "POST", sweepPath, token, nil); a.Status != 404 || !strings.Contains(a.Body, "not set up here") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

func TestACutThatWasADryRunIsMadeInEarnestOnceTheAccountIsLive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tiring(apitest.Tenant)
	sweep := func() any {
		w.T.Helper()
		return w.Call(w.handler, "POST", sweepPath, w.Token(auth.Editor), nil).JSON(t)["cuts"]
	}
	first := sweep()
	w.Exec(`UPDATE gv.pending_ad_changes SET status = 'dry_run', finished_at = now(), created_at = created_at - interval '1 second'`)
	still := sweep()
	w.Exec(`UPDATE gv.accounts SET mode = 'live'`)
	live, after := sweep(), sweep()
	if first != 1.0 || still != 0.0 || live != 1.0 || after != 0.0 {
		t.Errorf("cuts: %v at first, %v in the dry run still, then %v and %v", first, still, live, after)
	}
	if got := w.Text(`SELECT string_agg(concat_ws(' ', mode, status), ', ' ORDER BY created_at) FROM gv.pending_ad_changes`); got != "dry_run dry_run, live pending" {
		t.Error(got)
	}
}

func TestARepeatedSweepRequestIsOneSweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tiring(apitest.Tenant)
	first := w.Call(w.handler, "POST", sweepPath, w.Token(auth.Editor), nil, "Idempotency-Key", "k1")
	again := w.Call(w.handler, "POST", sweepPath, w.Token(auth.Editor), nil, "Idempotency-Key", "k1")
	if first.Status != 200 || again.Status != 200 || first.Body != again.Body || w.Text(`SELECT count(*) FROM gv.sweeps`) != "1" {
		t.Errorf("%d %s\n%d %s", first.Status, first.Body, again.Status, again.Body)
	}
}

func TestASweepThatIsUnderWayIsNotBegunAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tiring(apitest.Tenant)
	w.Exec(`INSERT INTO gv.leases (name, tenant_id, token, expires_at) VALUES ('sweep/' || $1::text, $1::uuid, gen_random_uuid(), now() + interval '1 minute')`, apitest.Tenant)
	a := w.Call(w.handler, "POST", sweepPath, w.Token(auth.Editor), nil)
	if a.Status != 409 || a.Header.Get("Retry-After") == "" || !strings.Contains(a.Body, "running") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	w.Exec(`UPDATE gv.leases SET expires_at = now() - interval '1 second'`) // its holder died
	if a := w.Call(w.handler, "POST", sweepPath, w.Token(auth.Editor), nil); a.Status != 200 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

func TestSweepingNeedsAnEditorAndADatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if a := w.Call(w.handler, "POST", sweepPath, "", nil); a.Status != 401 {
		t.Errorf("nobody: %d %s", a.Status, a.Body)
	}
	if a := w.Call(w.handler, "POST", sweepPath, w.Token(auth.Viewer), nil); a.Status != 403 {
		t.Errorf("a viewer: %d %s", a.Status, a.Body)
	}
	a := w.Call(w.handler, "POST", sweepPath, w.Token(auth.Editor), nil)
	if got := a.JSON(t); a.Status != 200 || got["looked_at"] != 0.0 || strings.Contains(a.Body, "null") || got["sweep_id"] == nil {
		t.Errorf("without ads: %d %s", a.Status, a.Body)
	}
	w.App.Close()
	if a := w.Call(w.handler, "POST", sweepPath, w.Token(auth.Editor), nil); a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("without a database: %d %s", a.Status, a.Body)
	}
}

func TestASweepIsShownInTheLiveView(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tiring(apitest.Tenant)
	docs := make(chan map[string]any, 100)
	h := fatigue.New(w.App, w.Access(), w.Queue, live.New(func(_ context.Context, path string, doc map[string]any) error {
		if !strings.HasPrefix(path, "tenants/"+apitest.Tenant+"/progress/sweep-") {
			t.Errorf("written to %s", path)
		}
		docs <- doc
		return nil
	}))
	if a := w.Call(h, "POST", sweepPath, w.Token(auth.Editor), nil); a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	for doc := range docs { // the last one says that it has ended
		if doc["ended"] == true {
			if doc["looked_at"] != 5 || doc["remediated"] != 1 || doc["requested_by"] != "editor@northside.example" {
				t.Errorf("%v", doc)
			}
			return
		}
	}
}
