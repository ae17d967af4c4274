package fakemeta_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
)

const token = "the-token"

// meta is a fake behind HTTP with a clock of its own.
type meta struct {
	t    *testing.T
	fake *fakemeta.Fake
	url  string
	now  time.Time
}

func start(t *testing.T, o fakemeta.Options) *meta {
	t.Helper()
	m := &meta{t: t, now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
	o.Now = func() time.Time { return m.now }
	var err error
	if m.fake, err = fakemeta.New(o); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(m.fake)
	t.Cleanup(server.Close)
	m.url = server.URL
	return m
}

// ask sends a request and returns the status and the answer.
func (m *meta) ask(method, path, body string) (int, map[string]any) {
	m.t.Helper()
	r, err := http.NewRequestWithContext(m.t.Context(), method, m.url+path, strings.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if !strings.HasPrefix(path, "/control/") {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		m.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	got := map[string]any{"header": resp.Header}
	_ = json.Unmarshal(raw, &got)
	return resp.StatusCode, got
}

// code is the error's code and subcode.
func code(answer map[string]any) string {
	e, ok := answer["error"].(map[string]any)
	if !ok {
		return ""
	}
	number := func(v any) int64 { n, _ := v.(float64); return int64(n) }
	return fmt.Sprint(number(e["code"]), "/", number(e["error_subcode"]))
}

func TestFourBudgetChangesAnHourAndNoMore(t *testing.T) {
	t.Parallel()
	m := start(t, fakemeta.Options{})
	a := m.fake.Connect(fakemeta.AccountConfig{ID: "7", Tokens: []string{token}})
	set := a.PutAdSet(fakemeta.AdSet{CampaignID: a.PutCampaign(fakemeta.Campaign{}), DailyBudget: 100})
	for i := range 4 {
		if status, got := m.ask("POST", "/v26.0/"+set, fmt.Sprintf("daily_budget=%d", 101+i)); status != 200 || got["success"] != true {
			t.Fatalf("%d %v", status, got)
		}
		m.now = m.now.Add(time.Minute)
	}
	if status, got := m.ask("POST", "/v26.0/"+set, "daily_budget=999"); status != 400 || code(got) != "613/1487632" {
		t.Errorf("the fifth: %d %v", status, got)
	}
	validate := "daily_budget=999&execution_options=" + url.QueryEscape(`["validate_only"]`)
	if _, got := m.ask("POST", "/v26.0/"+set, validate); code(got) != "613/1487632" {
		t.Errorf("its validation: %v", got)
	}
	m.now = m.now.Add(56 * time.Minute)
	if status, got := m.ask("POST", "/v26.0/"+set, validate); status != 200 || m.fake.AdSet(set).DailyBudget != 104 {
		t.Errorf("validated an hour after the first: %d %v", status, got)
	}
	if status, got := m.ask("POST", "/v26.0/"+set, "daily_budget=999"); status != 200 || m.fake.AdSet(set).DailyBudget != 999 {
		t.Errorf("an hour after the first: %d %v", status, got)
	}
	if all, applied := m.fake.Writes(set), m.fake.Applied(set); len(all) != 8 || len(applied) != 5 || applied[4].Before != "104" || applied[4].After != "999" || all[4].Subcode != 1487632 {
		t.Errorf("%+v", all)
	}
}

func TestWhatMetaRefusesIsRefusedWhole(t *testing.T) {
	t.Parallel()
	m := start(t, fakemeta.Options{PostsPerSecond: 30})
	a := m.fake.Connect(fakemeta.AccountConfig{ID: "7", Tokens: []string{token}})
	m.fake.Connect(fakemeta.AccountConfig{ID: "8", Tokens: []string{"another"}})
	holding := a.PutCampaign(fakemeta.Campaign{DailyBudget: 5000})
	under := a.PutAdSet(fakemeta.AdSet{CampaignID: holding})
	set := a.PutAdSet(fakemeta.AdSet{CampaignID: a.PutCampaign(fakemeta.Campaign{}), DailyBudget: 100})
	ad := a.PutAd(fakemeta.Ad{AdSetID: set})
	for body, c := range map[string][2]string{
		"daily_budget=1":                       {under, "100/1885621"},
		"daily_spend_cap=1":                    {set, "100/1885621"},
		"daily_budget=0":                       {set, "100/1885272"},
		"daily_budget=ten":                     {set, "100/0"},
		"daily_budget=5&status=SLEEPING":       {set, "100/0"},
		"daily_budget=6":                       {ad, "100/0"},
		"status=PAUSED":                        {"404", "100/33"},
		"":                                     {set, "100/0"},
		"daily_budget=7&access_token=" + token: {set, "190/0"},
	} {
		if status, got := m.ask("POST", "/v26.0/"+c[0], body); status != 400 || code(got) != c[1] {
			t.Errorf("%q to %s: %d %v", body, c[0], status, got)
		}
	}
	if status, got := m.ask("GET", "/v26.0/act_8?fields=name", ""); status != 400 || code(got) != "200/0" {
		t.Errorf("another's account: %d %v", status, got)
	}
	if _, got := m.ask("GET", "/v1/act_7", ""); code(got) != "2635/0" {
		t.Errorf("an old version: %v", got)
	}
	if m.fake.AdSet(set).DailyBudget != 100 || len(m.fake.Applied("")) != 0 {
		t.Error("something was applied")
	}
	for range 40 {
		_, got := m.ask("POST", "/v26.0/"+ad, "status=PAUSED")
		if c := code(got); c != "" && c != "613/5044001" {
			t.Errorf("%v", got)
		}
	}
	if n := len(m.fake.Applied(ad)); n == 0 || n >= 30 {
		t.Errorf("%d of 40 posts in one moment got through", n)
	}
}

func TestTheFakeIsFoundAgainInItsFileAndByTheControls(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "meta.json")
	m := start(t, fakemeta.Options{File: file})
	m.fake.Connect(fakemeta.AccountConfig{ID: "act_7", Currency: "EUR", Tokens: []string{token}})
	made := func(kind, body string) string {
		t.Helper()
		status, got := m.ask("POST", "/control/accounts/act_7/"+kind, body)
		if status != 200 {
			t.Fatalf("%s: %d %v", kind, status, got)
		}
		return fmt.Sprint(got["id"])
	}
	set := made("adsets", `{"campaign_id": "`+made("campaigns", `{"name": "C"}`)+`", "daily_budget": 100}`)
	ad := made("ads", `{"adset_id": "`+set+`", "name": "A"}`)
	made("insights", `[{"ad_id": "`+ad+`", "day": "2026-11-19", "impressions": 5, "spend": "1.00"}]`)
	made("usage", `{"management": 85}`)
	if status, _ := m.ask("POST", "/control/objects/"+ad, `{"status": "PAUSED"}`); status != 200 {
		t.Error("an edit by hand failed")
	}
	if status, _ := m.ask("POST", "/v26.0/"+set, "daily_budget=120"); status != 200 {
		t.Error("a write failed")
	}
	for path, body := range map[string]string{
		"/control/accounts/act_9/ads":      `{}`,
		"/control/accounts/act_7/ads":      `{"adset_id": "none"}`,
		"/control/accounts/act_7/adsets":   `{"campaign": "typing mistake"}`,
		"/control/accounts/act_7/insights": `[{"ad_id": "none", "day": "2026-11-19"}]`,
		"/control/objects/404":             `{"status": "PAUSED"}`,
		"/control/objects/" + ad:           `{"status": "GONE"}`,
		"/control/objects/" + set:          `{"daily_budget": -1}`,
	} {
		if status, got := m.ask("POST", path, body); status != 400 && status != 404 || got["message"] == nil {
			t.Errorf("%s: %d %v", path, status, got)
		}
	}

	again := start(t, fakemeta.Options{File: file})
	again.fake.Connect(fakemeta.AccountConfig{ID: "7", Currency: "EUR", Tokens: []string{token}})
	if again.fake.AdSet(set).DailyBudget != 120 || again.fake.Ad(ad).Status != "PAUSED" || len(again.fake.Applied(set)) != 1 || len(again.fake.AdSet(set).Changes) != 1 {
		t.Errorf("%+v %+v", again.fake.AdSet(set), again.fake.Ad(ad))
	}
	status, got := again.ask("GET", "/v26.0/"+set+"?fields=daily_budget,ads.limit(5){id}", "")
	header, _ := got["header"].(http.Header)
	if status != 200 || got["daily_budget"] != "120" || got["ads"] == nil || !strings.Contains(header.Get("X-Business-Use-Case-Usage"), "85") {
		t.Errorf("%d %v", status, got)
	}
	if status, got := again.ask("GET", "/control/accounts/act_7", ""); status != 200 || len(got["insights"].([]any)) != 1 {
		t.Errorf("%d %v", status, got)
	}
	if _, got := again.ask("GET", "/control/writes?object="+set, ""); len(got["writes"].([]any)) != 1 {
		t.Errorf("%v", got)
	}
}

func TestFaultsStrikeBeforeOrAfterAsOrdered(t *testing.T) {
	t.Parallel()
	m := start(t, fakemeta.Options{})
	a := m.fake.Connect(fakemeta.AccountConfig{ID: "7", Tokens: []string{token}})
	ad := a.PutAd(fakemeta.Ad{})
	if status, _ := m.ask("POST", "/control/faults", `{"method": "POST", "path": "`+ad+`", "skip": 1, "after": true, "status": 500}`); status != 200 {
		t.Error("the fault was not taken")
	}
	for i, want := range []struct {
		to, held string
		status   int
	}{{"PAUSED", "PAUSED", 200}, {"ACTIVE", "ACTIVE", 500}, {"PAUSED", "PAUSED", 200}} {
		if status, _ := m.ask("POST", "/v26.0/"+ad, "status="+want.to); status != want.status || m.fake.Ad(ad).Status != want.held {
			t.Errorf("%d: %d, %s", i, status, m.fake.Ad(ad).Status)
		}
	}
	m.fake.Inject(fakemeta.Fault{Status: 200, Code: 17, Times: 5})
	if status, got := m.ask("POST", "/v26.0/"+ad, "status=ACTIVE"); status != 200 || code(got) != "17/0" || m.fake.Ad(ad).Status != "PAUSED" {
		t.Errorf("%d %v", status, got)
	}
	if status, _ := m.ask("DELETE", "/control/faults", ""); status != 204 {
		t.Error("the faults stay")
	}
	if status, _ := m.ask("POST", "/v26.0/"+ad, "status=ACTIVE"); status != 200 {
		t.Error("it still fails")
	}
}
