package connections_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/infra/testkit/fakeslack"
	"github.com/geminivideo/geminivideo/shared/auth"
)

const slackPath = "/services/T1/B1/" + canary

func TestASlackChannelIsSetAndItsAddressShownNowhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fake := &fakeslack.Fake{}
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	w.Exec(`INSERT INTO gv.accounts (tenant_id, account_id, time_zone) VALUES ($1, 'act_1', 'America/Chicago')`, apitest.Tenant)
	if a := w.get("slack").JSON(t); a["configured"] != false || a["time_zone"] != "America/Chicago" || a["hour"] != 8.0 || a["weekday"] != 1.0 {
		t.Errorf("at first: %v", a)
	}
	a := w.want(200, "slack", map[string]any{"url": server.URL + slackPath, "at_once": true, "daily": true}).JSON(t)
	if a["enabled"] != true || a["time_zone"] != "America/Chicago" || a["next_daily"] == nil || a["next_weekly"] != nil {
		t.Errorf("%v", a)
	}
	if got, want := w.Text(`SELECT url FROM gv.slack_connections`), secretOf(apitest.Tenant, "slack-url")+"/versions/1"; got != want {
		t.Errorf("the row says %s, want %s", got, want)
	}
	if a := w.as(w.Token(auth.Admin), http.MethodPost, "slack/test", nil); a.Status != 200 || !strings.Contains(a.Body, `"delivered":true`) || len(fake.Taken(slackPath)) != 1 {
		t.Errorf("the test: %d %s", a.Status, a.Body)
	}
	fake.Break(slackPath, 404, "no_service")
	if a := w.as(w.Token(auth.Admin), http.MethodPost, "slack/test", nil); a.Status != 200 || !strings.Contains(a.Body, `"reason":"Slack answered 404 no_service"`) {
		t.Errorf("the test of a dead address: %d %s", a.Status, a.Body)
	}
	a = w.want(200, "slack", map[string]any{"weekly": true, "weekday": 0, "hour": 0, "time_zone": "Asia/Tokyo", "kinds": []string{"change.cut", "change.cut"}}).JSON(t)
	if a["next_weekly"] == nil || a["at_once"] != false || len(a["kinds"].([]any)) != 1 {
		t.Errorf("%v", a)
	}
	if a := w.want(200, "slack", map[string]any{"disabled": true}).JSON(t); a["enabled"] != false || a["disabled_reason"] != "switched off by a member" {
		t.Errorf("%v", a)
	}
	w.want(200, "slack", map[string]any{"url": server.URL + slackPath + "2", "at_once": true})
	if got := w.vault.Versions(secretOf(apitest.Tenant, "slack-url")); len(got) != 1 || !strings.HasSuffix(got[0], "/versions/2") {
		t.Errorf("after a new address: %v", got)
	}
}

func TestWhatIsNoSlackChannelIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const good = "http://127.0.0.1:1" + slackPath
	for field, body := range map[string]map[string]any{
		"body.url":         {"url": "hooks.slack.com/" + canary, "at_once": true},
		"body.url ":        {"at_once": true},
		"body.at_once":     {"url": good},
		"body.kinds[1]":    {"url": good, "at_once": true, "kinds": []string{"change.cut", "change.nothing"}},
		"body.time_zone":   {"url": good, "daily": true, "time_zone": "Mars/Olympus"},
		"body.time_zone ":  {"url": good, "daily": true, "time_zone": "Local"},
		"body.hour":        {"url": good, "daily": true, "hour": 24},
		"body.weekday":     {"url": good, "weekly": true, "weekday": 7},
		"body.daily_at_no": {"url": good, "daily": true, "daily_at_no": 1},
	} {
		if a := w.put("slack", body); a.Status != 422 || !strings.Contains(a.Body, strings.TrimSpace(field)) {
			t.Errorf("%s: %d %s", field, a.Status, a.Body)
		}
	}
	if a := w.as(w.Token(auth.Admin), http.MethodPost, "slack/test", nil); a.Status != 404 {
		t.Errorf("a test without a channel: %d", a.Status)
	}
	if a := w.as(w.Token(auth.Editor), http.MethodGet, "slack", nil); a.Status != 403 {
		t.Errorf("an editor: %d", a.Status)
	}
	if n := w.Text(`SELECT count(*) FROM gv.slack_connections`); n != "0" {
		t.Errorf("%s channels were set", n)
	}
}
