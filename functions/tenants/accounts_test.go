package tenants_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/pg"
)

const account = "/api/accounts/act_1"

// withAccount has an account of each tenant, and of the first an ad that won
// 400.00 for 100.00.
func withAccount(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.Exec(`INSERT INTO gv.accounts (tenant_id, account_id, name) VALUES ($1, 'act_1', 'One'), ($1, 'act_2', 'Two'), ($2, 'act_9', 'Theirs')`, apitest.Tenant, apitest.Other)
	w.Exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, 'c', 'act_1')`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id) VALUES ($1, 'ad-1', 'act_1', 'c')`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.ad_figures (tenant_id, ad_id, source, impressions, clicks, spend_minor, pipeline_minor) VALUES ($1, 'ad-1', 'import', 1000, 10, 10000, 40000)`, apitest.Tenant)
	err := pg.InTenant(t.Context(), w.App, apitest.Tenant, func(tx pgx.Tx) error {
		_, err := ads.Recompute(t.Context(), tx, []string{"ad-1"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestOnlyWhatIsNamedChanges(t *testing.T) {
	t.Parallel()
	w := withAccount(t)
	a := w.want(200, "PUT", account, `{"time_zone": "America/Chicago", "niche": "fitness", "settings": {"verdict_spend": 80, "winner_spend": 20}}`).JSON(t)
	settings := a["settings"].(map[string]any)
	if a["time_zone"] != "America/Chicago" || a["niche"] != "fitness" || a["name"] != "One" || a["mode"] != "dry_run" || settings["verdict_spend"] != 80.0 || a["num_ads"] != 1.0 {
		t.Errorf("%v", a)
	}
	a = w.want(200, "PUT", account, `{"mode": "approval", "paused": true, "settings": {"winner_spend": null}}`).JSON(t)
	if a["mode"] != "approval" || a["paused"] != true || a["niche"] != "fitness" || len(a["settings"].(map[string]any)) != 1 {
		t.Errorf("%v", a)
	}
	if got := w.Text(`SELECT settings::text FROM gv.accounts WHERE account_id = 'act_1'`); got != `{"verdict_spend": 80}` {
		t.Error(got)
	}
	list := w.want(200, "GET", "/api/accounts", nil)
	if strings.Contains(list.Body, "act_9") || len(list.JSON(t)["accounts"].([]any)) != 2 {
		t.Error(list.Body)
	}
	if got := w.want(200, "GET", account, nil).JSON(t); got["paused"] != true || got["connected"] != false {
		t.Errorf("%v", got)
	}
}

func TestTheListHasEachAccountsOwnAlarms(t *testing.T) {
	t.Parallel()
	w := withAccount(t)
	for _, id := range []string{"act_1", "act_2"} {
		w.Exec(`INSERT INTO gv.account_alerts (tenant_id, account_id, kind, opened_at, since, ads, fell_by, detail, action, seen_at, resolved_at)
		        SELECT tenant_id, account_id, 'ctr_down', now(), '2026-11-20', 7, 0.4, account_id, 'look', now(), CASE WHEN account_id = 'act_2' THEN now() END
		        FROM   gv.accounts WHERE account_id = $1`, id)
	}
	for _, a := range w.want(200, "GET", "/api/accounts", nil).JSON(t)["accounts"].([]any) {
		id := a.(map[string]any)["account_id"]
		alarms := a.(map[string]any)["account_alerts"].([]any)
		if len(alarms) != 1 || alarms[0].(map[string]any)["detail"] != id || (alarms[0].(map[string]any)["resolved_at"] == nil) != (id == "act_1") {
			t.Errorf("%v: %v", id, alarms)
		}
	}
}

func TestEveryFieldThatBreaksARuleIsNamed(t *testing.T) {
	t.Parallel()
	w := withAccount(t)
	before := w.Text(`SELECT string_agg(a::text, ';' ORDER BY account_id) FROM gv.accounts a`)
	for body, field := range map[string]string{
		`{"mode": "fast"}`:                                       "body.mode",
		`{"paused": 1}`:                                          "body.paused",
		`{"currency": "usd"}`:                                    "body.currency",
		`{"currency": "AAA"}`:                                    "body.currency",
		`{"time_zone": "Chicago"}`:                               "body.time_zone",
		`{"time_zone": "Local"}`:                                 "body.time_zone",
		`{"time_zone": ""}`:                                      "body.time_zone",
		`{"time_zone": "../etc/passwd"}`:                         "body.time_zone",
		`{"settings": {"winner_roas": -1}}`:                      "body.settings.winner_roas",
		`{"settings": {"winner_roas": "3"}}`:                     "body.settings.winner_roas",
		`{"settings": {"winner_spend": 1e10}}`:                   "body.settings.winner_spend",
		`{"settings": {"winner_spend": 1e999}}`:                  "body",
		`{"settings": {"max_spend": 1}}`:                         "body.settings",
		`{"conversion_value": -1}`:                               "body.conversion_value",
		`{"conversion_value": 100.009}`:                          "body.conversion_value",
		`{"conversion_value": "100"}`:                            "body.conversion_value",
		`{"conversion_value": 1e999}`:                            "body",
		`{"break_even": 0}`:                                      "body.break_even",
		`{"break_even": -2}`:                                     "body.break_even",
		`{"margin": 0}`:                                          "body.margin",
		`{"margin": 1.01}`:                                       "body.margin",
		`{"break_even": 2, "margin": 0.5}`:                       "body.margin",
		`{"attribution_model": "linear"}`:                        "body.attribution_model",
		`{"click_retention_days": 7}`:                            "body.click_retention_days",
		`{"click_retention_days": 401}`:                          "body.click_retention_days",
		`{"click_retention_days": 30.5}`:                         "body.click_retention_days",
		`{"lead_property": "Lead Id"}`:                           "body.lead_property",
		`{"write_back": "yes"}`:                                  "body.write_back",
		`{"verdict_spend": -1}`:                                  "body.verdict_spend",
		`{"verdict_spend": 0.001}`:                               "body.verdict_spend",
		`{"gemini_daily_cap_usd": -1}`:                           "body.gemini_daily_cap_usd",
		`{"verdict_spend": 1, "settings": {"verdict_spend": 1}}`: "body.settings.verdict_spend",
		`{"niche": "a\u0000b"}`:                                  "body.niche",
		`{"budget": 1}`:                                          "body.budget",
		`{"paused": true, "time_zone": "Nowhere"}`:               "body.time_zone",
	} {
		if a := w.want(422, "PUT", account, body); !strings.Contains(a.Body, field) {
			t.Errorf("%s: %s", body, a.Body)
		}
	}
	if after := w.Text(`SELECT string_agg(a::text, ';' ORDER BY account_id) FROM gv.accounts a`); after != before {
		t.Errorf("something was written:\n%s\n%s", before, after)
	}
}

func TestAnAccountGoesLiveOnceItIsConnected(t *testing.T) {
	t.Parallel()
	w := withAccount(t)
	if a := w.want(409, "PUT", account, `{"mode": "live", "paused": false}`); !strings.Contains(a.Body, "/api/connections/meta") {
		t.Error(a.Body)
	}
	w.Exec(`INSERT INTO gv.meta_connections (tenant_id, account_id, access_token, connected_by, disconnected_at) VALUES ($1, 'act_1', 'x', 'test', now())`, apitest.Tenant)
	w.want(409, "PUT", account, `{"mode": "live"}`)
	w.Exec(`UPDATE gv.meta_connections SET disconnected_at = NULL`)
	if a := w.want(200, "PUT", account, `{"mode": "live"}`).JSON(t); a["mode"] != "live" || a["connected"] != true {
		t.Errorf("%v", a)
	}
}

func TestTheCurrencyStaysOnceThereIsMoney(t *testing.T) {
	t.Parallel()
	w := withAccount(t)
	w.want(409, "PUT", account, `{"currency": "EUR"}`)
	w.want(200, "PUT", account, `{"currency": "USD"}`) // as it is
	if a := w.want(200, "PUT", "/api/accounts/act_2", `{"currency": "JPY"}`).JSON(t); a["currency"] != "JPY" {
		t.Errorf("%v", a)
	}
	w.Exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id, daily_budget_minor) VALUES ($1, 'd', 'act_2', 100)`, apitest.Tenant)
	w.want(409, "PUT", "/api/accounts/act_2", `{"currency": "EUR"}`)
}

func TestAnotherThresholdMakesOtherWinnersAtOnce(t *testing.T) {
	t.Parallel()
	w := withAccount(t)
	winner := func() string { return w.Text(`SELECT is_winner::text FROM gv.ads WHERE ad_id = 'ad-1'`) }
	if winner() != "true" {
		t.Fatal("an ad with 4 for 1 is no winner")
	}
	w.Exec(`DELETE FROM gv.outbox`)
	w.want(200, "PUT", account, `{"settings": {"winner_roas": 5}}`)
	if winner() != "false" {
		t.Error("it still is at 5")
	}
	w.want(200, "PUT", account, `{"settings": {"winner_roas": 3.5}}`)
	if winner() != "true" || len(w.Queue.Sent("winner-found")) != 1 {
		t.Errorf("at 3.5: %s, %v", winner(), w.Queue.Sent("winner-found"))
	}
}

func TestAnotherTenantsAccountIsNotThere(t *testing.T) {
	t.Parallel()
	w := withAccount(t)
	w.want(404, "GET", "/api/accounts/act_9", nil)
	w.want(404, "PUT", "/api/accounts/act_9", `{"paused": true}`)
	w.want(404, "PUT", "/api/accounts/act_404", `{"paused": true}`)
	if a := w.Call(w.handler, "PUT", account, w.OtherToken(), `{"paused": true}`); a.Status != 404 || w.Text(`SELECT count(*) FROM gv.accounts WHERE paused`) != "0" {
		t.Errorf("%d", a.Status)
	}
	if a := w.Call(w.handler, "GET", account, w.Token(auth.Viewer), nil); a.Status != 200 {
		t.Errorf("%d", a.Status)
	}
}

func TestSettingsAreSetOneByOneAndNullIsTheDefault(t *testing.T) {
	t.Parallel()
	w := withAccount(t)
	for i, step := range []struct{ body, field, want string }{
		{`{"paused": false}`, "conversion_value", "null"},
		{`{"paused": false}`, "break_even", "null"},
		{`{"paused": false}`, "attribution_model", `"last"`},
		{`{"paused": false}`, "click_retention_days", "90"},
		{`{"paused": false}`, "lead_property", `""`},
		{`{"paused": false}`, "write_back", "false"},
		{`{"conversion_value": 40.5}`, "conversion_value", "40.5"},
		{`{"conversion_value": 0}`, "conversion_value", "0"},
		{`{"conversion_value": null}`, "conversion_value", "null"},
		{`{"break_even": 2.5}`, "break_even", "2.5"},
		{`{"margin": 0.4}`, "margin", "0.4"},
		{`{"paused": true}`, "break_even", "null"}, // the margin took its place
		{`{"paused": true}`, "margin", "0.4"},
		{`{"break_even": 3}`, "margin", "null"},
		{`{"break_even": null, "margin": 1}`, "margin", "1"},
		{`{"attribution_model": "position"}`, "attribution_model", `"position"`},
		{`{"attribution_model": null}`, "attribution_model", `"last"`},
		{`{"click_retention_days": 8}`, "click_retention_days", "8"},
		{`{"click_retention_days": 400}`, "click_retention_days", "400"},
		{`{"lead_property": "meta_lead_id"}`, "lead_property", `"meta_lead_id"`},
		{`{"lead_property": ""}`, "lead_property", `""`},
		{`{"write_back": true}`, "write_back", "true"},
		{`{"verdict_spend": 80.25}`, "verdict_spend", "80.25"},
		{`{"settings": {"verdict_spend": 90}}`, "verdict_spend", "90"},
		{`{"gemini_daily_cap_usd": 5}`, "gemini_daily_cap_usd", "5"},
		{`{"gemini_daily_cap_usd": null}`, "gemini_daily_cap_usd", "null"},
	} {
		w.want(200, "PUT", account, step.body)
		shown := w.want(200, "GET", account, nil).JSON(t)
		if got, _ := json.Marshal(shown[step.field]); string(got) != step.want {
			t.Errorf("step %d: after %s, %s is %s, want %s", i, step.body, step.field, got, step.want)
		}
	}
	if got := w.Text(`SELECT settings::text FROM gv.accounts WHERE account_id = 'act_1'`); got != `{"verdict_spend": 90}` {
		t.Error(got)
	}
	if other := w.want(200, "GET", "/api/accounts/act_2", nil).JSON(t); other["write_back"] != false || other["click_retention_days"] != 90.0 {
		t.Errorf("the other account changed: %v", other)
	}
}

func TestAConversionValueIsInTheCurrencyOfTheAccount(t *testing.T) {
	t.Parallel()
	w := withAccount(t)
	const other = "/api/accounts/act_2"
	w.want(200, "PUT", other, `{"conversion_value": 40.5}`)
	if a := w.want(422, "PUT", other, `{"currency": "JPY"}`); !strings.Contains(a.Body, "body.conversion_value") {
		t.Error(a.Body)
	}
	w.want(422, "PUT", other, `{"currency": "JPY", "conversion_value": 40.5}`)
	if a := w.want(200, "PUT", other, `{"currency": "JPY", "conversion_value": 4500}`).JSON(t); a["conversion_value"] != 4500.0 {
		t.Errorf("%v", a)
	}
	if got := w.Text(`SELECT conversion_value_minor::text FROM gv.accounts WHERE account_id = 'act_2'`); got != "4500" {
		t.Errorf("stored %s minor units, want 4500", got)
	}
}
