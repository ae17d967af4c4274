package connections_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/shared/pg"
)

func TestAnAccountIsConnectedWithWhatMetaSaysOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, id := range []string{"77", "act_77"} {
		a := w.want(200, "meta", map[string]any{"account_id": id, "access_token": metaKey}).JSON(t)
		if a["account_id"] != "act_77" || a["name"] != "Seventy-seven" || a["currency"] != "JPY" || a["time_zone"] != "Asia/Tokyo" || a["mode"] != "dry_run" || a["connected"] != true {
			t.Errorf("%v", a)
		}
	}
	w.Exec(`UPDATE gv.meta_connections SET synced_through = '2026-11-20', last_error = 'was down'`)
	list := w.get("meta").JSON(t)["connections"].([]any)[0].(map[string]any)
	if list["synced_through"] != "2026-11-20" || list["last_error"] != "was down" {
		t.Errorf("%v", list)
	}
	name := secretOf(apitest.Tenant, "meta-act_77-access-token")
	if got := w.Text(`SELECT access_token FROM gv.meta_connections`); got != name+"/versions/1" {
		t.Error(got)
	}
	a := w.want(200, "meta", map[string]any{"account_id": "77", "access_token": metaKey2}).JSON(t)
	if got := w.vault.Versions(name); len(got) != 1 || got[0] != name+"/versions/2" || a["last_error"] != nil {
		t.Errorf("after a new token: %v, %v", got, a)
	}
}

func TestSeveralAccountsAreConnectedAndOneIsGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meta.Connect(fakemeta.AccountConfig{ID: "act_78", Name: "More", Tokens: []string{metaKey}})
	for _, id := range []string{"77", "78"} {
		w.want(200, "meta", map[string]any{"account_id": id, "access_token": metaKey})
	}
	w.Exec(`UPDATE gv.accounts SET mode = 'live'`)
	for range 2 {
		a := w.want(200, "meta", map[string]any{"account_id": "77", "disconnected": true}).JSON(t)
		if a["connected"] != false || a["disconnected_at"] == nil || a["mode"] != "dry_run" {
			t.Errorf("%v", a)
		}
	}
	if got := w.Text(`SELECT string_agg(account_id || ' ' || mode, ', ' ORDER BY account_id) FROM gv.accounts`); got != "act_77 dry_run, act_78 live" {
		t.Error(got)
	}
	if n := len(w.vault.Versions(secretOf(apitest.Tenant, "meta-act_77-access-token"))); n != 0 {
		t.Errorf("%d tokens can still be read", n)
	}
	if a := w.as(w.OtherToken(), http.MethodPut, "meta", map[string]any{"account_id": "78", "disconnected": true}); a.Status != 404 {
		t.Errorf("another tenant: %d %s", a.Status, a.Body)
	}
	w.want(200, "meta", map[string]any{"account_id": "77", "access_token": metaKey}) // its version was disabled
}

func TestAnAccountThatGoesLiveWhileItIsDisconnectedDoesNotStayLive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(200, "meta", map[string]any{"account_id": "77", "access_token": metaKey})
	done := make(chan apitest.Answer, 1)
	err := pg.InTenant(t.Context(), w.App, apitest.Tenant, func(tx pgx.Tx) error {
		// What PUT /api/accounts/{id} does: it has seen the connection, and not committed.
		for _, sql := range []string{`SELECT FROM gv.accounts WHERE account_id = 'act_77' FOR UPDATE`, `UPDATE gv.accounts SET mode = 'live'`} {
			if _, err := tx.Exec(t.Context(), sql); err != nil {
				return err
			}
		}
		go func() { done <- w.put("meta", map[string]any{"account_id": "77", "disconnected": true}) }()
		for len(done) == 0 && w.Text(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == "0" {
			time.Sleep(5 * time.Millisecond)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if a := <-done; a.Status != 200 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if mode := w.Text(`SELECT mode FROM gv.accounts`); mode != "dry_run" {
		t.Errorf("an account without a connection is %s", mode)
	}
}

func TestWhatMetaRefusesIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meta.Connect(fakemeta.AccountConfig{ID: "act_79", Tokens: []string{"EAAother"}})
	for name, c := range map[string]struct {
		body  map[string]any
		field string
	}{
		"unknown token":   {map[string]any{"account_id": "77", "access_token": "EAA" + canary + "bad"}, "body.access_token"},
		"another account": {map[string]any{"account_id": "77", "access_token": "EAAother"}, "body."},
		"no token":        {map[string]any{"account_id": "77"}, "body.access_token"},
		"no account":      {map[string]any{"account_id": "act_", "access_token": metaKey}, "body.account_id"},
		"a path":          {map[string]any{"account_id": "77/campaigns", "access_token": metaKey}, "body.account_id"},
		"both at once":    {map[string]any{"account_id": "77", "access_token": metaKey, "disconnected": true}, "body.disconnected"},
	} {
		if a := w.put("meta", c.body); a.Status != 422 || !strings.Contains(a.Body, c.field) {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	if n := w.Text(`SELECT count(*) FROM gv.accounts`); n != "0" {
		t.Errorf("%s accounts were made", n)
	}
}

func TestAMetaThatHangsIsUnavailable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.waits(time.Second)
	w.meta.Inject(fakemeta.Fault{Delay: time.Hour, Times: 3})
	if a := w.put("meta", map[string]any{"account_id": "77", "access_token": metaKey}); a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

func TestAnAccountWithMetricsKeepsItsCurrency(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Exec(`INSERT INTO gv.accounts (tenant_id, account_id, currency, niche) VALUES ($1, 'act_77', 'USD', 'fitness')`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id, daily_budget_minor) VALUES ($1, 'c', 'act_77', 100)`, apitest.Tenant)
	if a := w.put("meta", map[string]any{"account_id": "77", "access_token": metaKey}); a.Status != 409 || !strings.Contains(a.Body, "JPY") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if n := len(w.vault.Versions(secretOf(apitest.Tenant, "meta-act_77-access-token"))); n != 0 {
		t.Errorf("%d versions were written", n)
	}
	w.Exec(`UPDATE gv.campaigns SET daily_budget_minor = NULL`)
	w.want(200, "meta", map[string]any{"account_id": "77", "access_token": metaKey})
	if got := w.Text(`SELECT currency || ' ' || time_zone || ' ' || niche FROM gv.accounts`); got != "JPY Asia/Tokyo fitness" {
		t.Error(got)
	}
}
