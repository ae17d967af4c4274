package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
)

// TestWhatMetaHasIsSyncedAndShown puts a campaign into the fake Meta by hand, has
// it synced, and finds it in the API, with the numbers that Meta reported.
func TestWhatMetaHasIsSyncedAndShown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := launch(t, "-addr", anyPort, "-db", pgtest.Empty(t).AdminURL, "-data", dir, "-demo=false").ready(dir)
	if p.env["META_API_URL"] != p.url+"/_local/meta" || p.env["META_ACCESS_TOKEN"] == "" {
		t.Errorf("META_API_URL %q, a token %t", p.env["META_API_URL"], p.env["META_ACCESS_TOKEN"] != "")
	}
	if help := p.want(200, "GET", "/_local/meta/control/", "", ""); !strings.Contains(help, "/control/writes") {
		t.Errorf("the fake's switches: %s", help)
	}
	put := func(kind, body string) string {
		var made struct{ ID string }
		text := p.want(200, "POST", "/_local/meta/control/accounts/"+p.env["ACCOUNT_ID"]+"/"+kind, "", body)
		if err := json.Unmarshal([]byte(text), &made); err != nil {
			t.Fatal(err)
		}
		return made.ID
	}
	campaign := put("campaigns", `{"name": "Winter"}`)
	set := put("adsets", `{"campaign_id": "`+campaign+`", "name": "Set", "daily_budget": 2500}`)
	ad := put("ads", `{"adset_id": "`+set+`", "name": "Snow"}`)
	day := time.Now().UTC().AddDate(0, 0, -2).Format(time.DateOnly)
	put("insights", `[{"ad_id": "`+ad+`", "day": "`+day+`", "impressions": 1000, "clicks": 12, "reach": 800, "frequency": 1.25, "spend": "12.34"}]`)
	if report := p.want(200, "POST", "/_local/run/sync", "", ""); !strings.Contains(report, `"failed":0`) {
		t.Errorf("report: %s", report)
	}
	if text := p.want(200, "GET", "/api/campaigns/"+campaign+"/ads", "TOKEN", ""); !strings.Contains(text, `"name":"Snow"`) ||
		!strings.Contains(text, `"daily_budget":25`) || !strings.Contains(text, `"impressions":1000`) || !strings.Contains(text, `"spend":12.34`) {
		t.Errorf("ads: %s", text)
	}
	if text := p.want(200, "GET", "/api/campaigns", "OTHER_TENANT_TOKEN", ""); strings.Contains(text, "Winter") {
		t.Errorf("another tenant sees %s", text)
	}
	page, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/_local/meta/control/objects/"+ad, strings.NewReader(`{"status": "PAUSED"}`))
	if err != nil {
		t.Fatal(err)
	}
	page.Header.Set("Origin", "https://elsewhere.example")
	resp, err := http.DefaultClient.Do(page)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("another origin's page changed an ad: %d", resp.StatusCode)
	}
	log, err := os.ReadFile(filepath.Join(dir, "local.log"))
	if err != nil || strings.Contains(string(log), p.env["META_ACCESS_TOKEN"]) {
		t.Errorf("the log holds the token, or cannot be read: %v", err)
	}
}
