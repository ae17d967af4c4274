package attribute_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/functions/attribute"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/auth"
)

const path = "/api/ml/attribution/attribute-conversion"

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

type world struct {
	*apitest.World
	handler http.Handler
}

func newWorld(t *testing.T) world {
	t.Helper()
	w := apitest.New(t)
	return world{w, attribute.New(w.App, w.Access())}
}

// ask attributes conversion id at noon, or when extra says.
func (w world) ask(id, extra string, headers ...string) apitest.Answer {
	w.T.Helper()
	body := fmt.Sprintf(`{"tenant_id": %q, "conversion_id": %q, "conversion_type": "lead", "conversion_value": 120.5`, apitest.Tenant, id)
	if !strings.Contains(extra, "conversion_timestamp") {
		body += `, "conversion_timestamp": "2026-03-14T12:00:00Z"`
	}
	return w.Call(w.handler, "POST", path, w.Token(auth.Editor), body+extra+"}", headers...)
}

func (w world) click(tenant, id, ad string, ago time.Duration, column, value string) {
	w.T.Helper()
	w.Exec(`INSERT INTO gv.clicks (tenant_id, click_id, ad_id, campaign_id, clicked_at, `+column+`) VALUES ($1, $2, $3, 'c1', $4, $5)`,
		tenant, id, ad, noon.Add(-ago), value)
}

func TestAConversionIsCreditedByTheFirstLayerThatKnowsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hash := attribution.FingerprintHash(map[string]any{"screen": "390x844"}, apitest.Tenant)
	w.click(apitest.Tenant, "k-fb", "a1", 50*time.Hour, "fbclid", "fb-1")
	w.click(apitest.Tenant, "k-fp", "a2", 30*time.Hour, "fingerprint_hash", hash)
	w.click(apitest.Tenant, "k-ip", "a3", 18*time.Hour, "ip_address", "2001:db8::1")
	w.Exec(`UPDATE gv.clicks SET user_agent = 'Mozilla/5.0' WHERE click_id = 'k-ip'`)
	device := `, "ip_address": "2001:0DB8:0:0::1", "user_agent": " Mozilla/5.0 "`
	for _, c := range []struct {
		extra, click, ad, method string
		confidence, hours        float64
	}{
		{`, "click_id": "k-fp", "fbclid": "fb-1"`, "k-fp", "a2", "url_param", 1, 30},
		{`, "fbclid": "fb-1", "gclid": null, "click_id": ""`, "k-fb", "a1", "url_param", 1, 50},
		{`, "fingerprint_hash": "` + hash + `"` + device, "k-fp", "a2", "fingerprint", 0.9, 30},
		{`, "fingerprint_components": {"screen": "390x844", "canvas": null}`, "k-fp", "a2", "fingerprint", 0.9, 30},
		{device, "k-ip", "a3", "probabilistic", 0.65, 18},
	} {
		a := w.ask(c.extra, c.extra)
		got := a.JSON(t)
		if a.Status != 200 || got["success"] != true || got["attributed_click_id"] != c.click || got["ad_id"] != c.ad || got["campaign_id"] != "c1" ||
			got["attribution_method"] != c.method || got["attribution_confidence"] != c.confidence || got["attribution_window_hours"] != c.hours || got["reason"] == "" {
			t.Errorf("%s: %d %s", c.extra, a.Status, a.Body)
		}
	}
	a := w.ask("nobody", `, "fbclid": "unknown", "ip_address": "192.0.2.1", "fingerprint_components": null`)
	got := a.JSON(t)
	if a.Status != 200 || got["success"] != false || got["attribution_method"] != "unattributed" || got["attribution_confidence"] != 0.0 ||
		got["attributed_click_id"] != nil || got["ad_id"] != nil || got["campaign_id"] != nil || got["attribution_window_hours"] != 0.0 ||
		!strings.Contains(a.Body, "no click in the 7 days before the conversion has the same fbclid") {
		t.Errorf("nobody's conversion: %d %s", a.Status, a.Body)
	}
}

func TestClicksAfterTheConversionExpiredOrOfOthersNeverMatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.click(apitest.Tenant, "late", "a1", -time.Second, "fbclid", "fb-1")
	w.click(apitest.Tenant, "old", "a1", 7*24*time.Hour+time.Second, "fbclid", "fb-1")
	w.click(apitest.Other, "theirs", "a1", time.Hour, "fbclid", "fb-1")
	if got := w.ask("v1", `, "fbclid": "fb-1", "click_id": "theirs"`).JSON(t); got["attribution_method"] != "unattributed" {
		t.Errorf("credited to %v", got)
	}
	w.click(apitest.Tenant, "edge", "a2", 7*24*time.Hour, "fbclid", "fb-1")
	if got := w.ask("v1", `, "fbclid": "fb-1"`).JSON(t); got["attributed_click_id"] != "edge" || got["attribution_window_hours"] != 168.0 {
		t.Errorf("a click exactly seven days before: %v", got)
	}
	w.click(apitest.Tenant, "now", "a3", -300*time.Millisecond, "fbclid", "fb-1")
	if got := w.ask("v1", `, "fbclid": "fb-1"`).JSON(t); got["attributed_click_id"] != "now" || got["attribution_window_hours"] != 0.0 {
		t.Errorf("a click within the conversion's second: %v", got)
	}
}

func TestTheSameConversionAgainAnswersTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.click(apitest.Tenant, "k1", "a1", 5*time.Hour, "fbclid", "fb-1")
	first := w.ask("v1", `, "fbclid": "fb-1"`)
	for _, extra := range []string{`, "fbclid": "fb-1"`, ``, `, "gclid": "g-1"`} {
		if again := w.ask("v1", extra); again.Body != first.Body {
			t.Errorf("again with %q: %s, want %s", extra, again.Body, first.Body)
		}
	}
	moved := w.ask("v1", `, "conversion_timestamp": "2026-03-14T06:59:59Z"`).JSON(t)
	if moved["success"] != false {
		t.Errorf("as of before its click: %v", moved)
	}
	if got := w.Text(`SELECT count(*) || ' ' || min(value_minor) || ' ' || min(method) FROM gv.conversions`); got != "1 12050 unattributed" {
		t.Errorf("recorded: %s", got)
	}
	one := w.ask("v2", `, "fbclid": "fb-1"`, "Idempotency-Key", "k")
	if two := w.ask("v3", `, "fbclid": "fb-1"`, "Idempotency-Key", "k"); two.Status != 409 {
		t.Errorf("one key for two conversions: %d %s then %d %s", one.Status, one.Body, two.Status, two.Body)
	}
}

func TestTwinRequestsRecordOneConversion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.click(apitest.Tenant, "k1", "a1", 5*time.Hour, "fbclid", "fb-1")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if got := w.ask("v1", `, "fbclid": "fb-1"`); got.Status != 200 || !strings.Contains(got.Body, `"k1"`) {
				t.Errorf("%d %s", got.Status, got.Body)
			}
		})
	}
	all.Wait()
	if got := w.Text(`SELECT count(*) FROM gv.conversions`); got != "1" {
		t.Errorf("%s conversions, want 1", got)
	}
}

func TestBadInputIsRefusedByField(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	soon := time.Now().Add(10 * time.Minute).UTC().Format(time.RFC3339)
	for _, c := range []struct{ extra, field string }{
		{`, "conversion_timestamp": "yesterday"`, "body.conversion_timestamp"},
		{`, "conversion_timestamp": "2026-03-14 12:00:00"`, "body.conversion_timestamp"},
		{`, "conversion_timestamp": 1773489600`, "body.conversion_timestamp"},
		{`, "conversion_timestamp": "` + soon + `"`, "body.conversion_timestamp"},
		{`, "ip_address": "999.1.1.1"`, "body.ip_address"},
		{`, "fbclid": 5`, "body.fbclid"},
		{`, "fbclid": "a\u0000b"`, "body.fbclid"},
		{`, "fbclid": "` + strings.Repeat("x", 1025) + `"`, "body.fbclid"},
		{`, "fingerprint_components": []`, "body.fingerprint_components"},
		{`, "conversion_value": -1`, "body.conversion_value"},
		{`, "conversion_value": NaN`, "body.conversion_value"},
		{`, "conversion_value": 1e300`, "body.conversion_value"},
		{`, "conversion_id": " "`, "body.conversion_id"},
		{`, "conversion_type": ""`, "body.conversion_type"},
		{`, "surprise": 1`, "body.surprise"},
	} {
		if a := w.ask("bad", c.extra); a.Status != 422 || !a.Names(c.field) {
			t.Errorf("%.80s: %d %s, want 422 naming %s", c.extra, a.Status, a.Body, c.field)
		}
	}
	if a := w.Call(w.handler, "POST", path, w.Token(auth.Editor), `{}`); a.Status != 422 || !a.Names("body.conversion_id") || !a.Names("body.conversion_timestamp") {
		t.Errorf("nothing at all: %d %s", a.Status, a.Body)
	}
	if got := w.Text(`SELECT count(*) FROM gv.conversions`); got != "0" {
		t.Errorf("refused requests left %s conversions", got)
	}
}

func TestOnlyAnEditorOfTheTenantMayAttribute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := fmt.Sprintf(`{"tenant_id": %q, "conversion_id": "v1", "conversion_type": "lead", "conversion_value": 1, "conversion_timestamp": "2026-03-14T12:00:00Z"}`, apitest.Tenant)
	for name, c := range map[string]struct {
		token  string
		status int
	}{
		"another tenant's admin": {w.OtherToken(), 403}, "a viewer": {w.Token(auth.Viewer), 403}, "nobody": {"", 401},
	} {
		if a := w.Call(w.handler, "POST", path, c.token, body); a.Status != c.status {
			t.Errorf("%s: %d %s, want %d", name, a.Status, a.Body, c.status)
		}
	}
	if got := w.Text(`SELECT count(*) FROM gv.conversions`); got != "0" {
		t.Errorf("they left %s conversions", got)
	}
	w.App.Close()
	if a := w.ask("v1", ``); a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("without a database: %d %s", a.Status, a.Body)
	}
}

func TestALeadsConversionIsItsAdsWithoutAClick(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.click(apitest.Tenant, "k1", "a1", time.Hour, "fbclid", "fb-1")
	w.click(apitest.Tenant, "lead-900", "a2", 480*time.Hour, "lead_id", "900")
	w.click(apitest.Other, "lead-901", "a3", time.Hour, "lead_id", "901")
	for lead, want := range map[string]string{
		"900": "a2 lead_id <nil>", "l:900": "a2 lead_id <nil>", "901": "a1 url_param k1", "": "a1 url_param k1",
	} {
		a := w.ask("v-"+lead, fmt.Sprintf(`, "lead_id": %q, "fbclid": "fb-1"`, lead)).JSON(t)
		if got := fmt.Sprint(a["ad_id"], " ", a["attribution_method"], " ", a["attributed_click_id"]); got != want {
			t.Errorf("lead %q: %s, want %s", lead, got, want)
		}
	}
}
