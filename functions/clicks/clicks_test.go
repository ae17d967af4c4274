package clicks_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/functions/clicks"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/attribution"
)

const (
	path     = "/api/ml/attribution/track-click"
	anyKey   = "gv_pk_any_origin"
	shopKey  = "gv_pk_shop"
	otherKey = "gv_pk_other"
	srvKey   = "gvs_northside"
	shop     = "https://shop.example"
)

type world struct {
	*apitest.World
	handler http.Handler
}

func newWorld(t *testing.T, limits clicks.Limits) world {
	t.Helper()
	w := apitest.New(t)
	for key, c := range map[string]struct {
		tenant  string
		origins []string
	}{
		anyKey: {apitest.Tenant, []string{}}, shopKey: {apitest.Tenant, []string{shop + "/", "https://www.shop.example"}}, otherKey: {apitest.Other, []string{}},
	} {
		w.Exec(`INSERT INTO gv.publishable_keys (tenant_id, key_hash, prefix, origins, created_by) VALUES ($1, $2, $3, $4, 'test')`,
			c.tenant, attribution.KeyHash(key), key[:8], c.origins)
	}
	w.Exec(`INSERT INTO gv.publishable_keys (tenant_id, kind, key_hash, prefix, created_by) VALUES ($1, 'server', $2, 'gvs_', 'test')`,
		apitest.Tenant, attribution.KeyHash(srvKey))
	return world{w, clicks.New(w.App, w.Queue, limits)}
}

func roomy(t *testing.T) world {
	t.Helper()
	return newWorld(t, clicks.Limits{Proxies: 1, PerIP: 10_000, PerKey: 10_000})
}

// send sends a beacon of ad a1 with more members, as a page with the key that is
// good from anywhere would.
func (w world) send(more string, headers ...string) apitest.Answer {
	w.T.Helper()
	body := fmt.Sprintf(`{"tenant_id": %q, "ad_id": "a1", "campaign_id": "c1"%s}`, apitest.Tenant, more)
	return w.Call(w.handler, "POST", path, "", body, append([]string{"X-Publishable-Key", anyKey}, headers...)...)
}

// fromServer sends a beacon of ad a1 with more members, as the tenant's server does.
func (w world) fromServer(more string, headers ...string) apitest.Answer {
	w.T.Helper()
	body := fmt.Sprintf(`{"tenant_id": %q, "ad_id": "a1", "campaign_id": "c1"%s}`, apitest.Tenant, more)
	return w.Call(w.handler, "POST", path, srvKey, body, headers...)
}

func TestAClickIsRecordedWithWhatTheRequestTells(t *testing.T) {
	t.Parallel()
	w := roomy(t)
	a := w.send(`, "fbclid": "fb-1", "gclid": null, "utm_source": "meta", "utm_term": "", "cart": {"items": [1, 2]}, "click_id": "",
		"landing_page_url": "https://shop.example/?x=1", "device_type": "mobile", "fingerprint_components": {"screen": "390x844"}`,
		"X-Forwarded-For", "10.9.9.9, 203.0.113.7", "User-Agent", "Mozilla/5.0 (iPhone)")
	got := a.JSON(t)
	hash := attribution.FingerprintHash(map[string]any{"screen": "390x844"}, apitest.Tenant)
	if a.Status != 200 || got["status"] != "click_tracked" || got["fingerprint_hash"] != hash || got["attribution_window_days"] != 7.0 || len(got["click_id"].(string)) != 36 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	stored := w.Text(`SELECT concat_ws('|', ad_id, campaign_id, fbclid, coalesce(gclid, '-'), ip_address, user_agent, device_type, landing_page_url, fingerprint_hash, extra)
		FROM gv.clicks WHERE click_id = $1 AND clicked_at > now() - interval '1 minute'`, got["click_id"])
	want := `a1|c1|fb-1|-|203.0.113.7|Mozilla/5.0 (iPhone)|mobile|https://shop.example/?x=1|` + hash +
		`|{"cart": {"items": [1, 2]}, "utm_term": "", "utm_source": "meta"}`
	if stored != want {
		t.Errorf("stored %s\nwant   %s", stored, want)
	}
}

func TestWithoutConsentNoAddressAgentOrFingerprintIsStored(t *testing.T) {
	t.Parallel()
	w := roomy(t)
	a := w.send(`, "consent": false, "fbclid": "fb-1", "ip_address": "203.0.113.7", "user_agent": "UA", "utm_source": "meta", "my_ip": "203.0.113.7",
		"fingerprint_components": {"screen": "390x844"}, "fingerprint_hash": "abc"`, "User-Agent", "UA", "X-Forwarded-For", "203.0.113.7")
	if a.Status != 200 || a.JSON(t)["fingerprint_hash"] != "" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if got := w.Text(`SELECT to_jsonb(c) - 'recorded_at' - 'clicked_at' - 'click_id' FROM gv.clicks c WHERE ip_address IS NULL AND user_agent IS NULL AND fingerprint_hash IS NULL`); !strings.Contains(got, "fb-1") || strings.Contains(got, "203.0.113.7") || strings.Contains(got, "UA") {
		t.Errorf("stored: %s", got)
	}
}

func TestTwinBeaconsAreOneClickAndTheFirstCounts(t *testing.T) {
	t.Parallel()
	w := roomy(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if a := w.send(`, "click_id": "k1", "fbclid": "fb-1"`); a.Status != 200 || a.JSON(t)["click_id"] != "k1" {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		})
	}
	all.Wait()
	if a := w.send(`, "click_id": "k1", "fbclid": "fb-2"`); a.Status != 200 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if got := w.Text(`SELECT string_agg(click_id || ' ' || fbclid, ',') FROM gv.clicks`); got != "k1 fb-1" {
		t.Errorf("stored: %s", got)
	}
	first := w.send(``, "Idempotency-Key", "once")
	if again := w.send(``, "Idempotency-Key", "once"); again.Body != first.Body {
		t.Errorf("one key, two answers: %s and %s", first.Body, again.Body)
	}
}

func TestTheKeyDecidesWhoseClickItIs(t *testing.T) {
	t.Parallel()
	w := roomy(t)
	w.Exec(`INSERT INTO gv.publishable_keys (tenant_id, key_hash, prefix, created_by, revoked_at) VALUES ($1, $2, 'gv', 'test', now())`,
		apitest.Tenant, attribution.KeyHash("gv_pk_revoked"))
	inBody := func(key string) string { return `, "publishable_key": "` + key + `"` }
	for _, c := range []struct {
		name, more string
		headers    []string
		status     int
	}{
		{"in the header", ``, nil, 200},
		{"in the body", inBody(anyKey), []string{"X-Publishable-Key", ""}, 200},
		{"none", ``, []string{"X-Publishable-Key", ""}, 401},
		{"unknown", ``, []string{"X-Publishable-Key", "made-up"}, 401},
		{"revoked", ``, []string{"X-Publishable-Key", "gv_pk_revoked"}, 401},
		{"another tenant's", ``, []string{"X-Publishable-Key", otherKey}, 403},
		{"no text", `, "publishable_key": 7`, []string{"X-Publishable-Key", ""}, 401},
		{"the shop's, from the shop", ``, []string{"X-Publishable-Key", shopKey, "Origin", shop}, 200},
		{"the shop's, from its other site", ``, []string{"X-Publishable-Key", shopKey, "Origin", "https://WWW.shop.example"}, 200},
		{"the shop's, from elsewhere", ``, []string{"X-Publishable-Key", shopKey, "Origin", "https://evil.example"}, 403},
		{"the shop's, from a sandbox", ``, []string{"X-Publishable-Key", shopKey, "Origin", "null"}, 403},
		{"the shop's, from a server", ``, []string{"X-Publishable-Key", shopKey}, 200},
		{"any, from elsewhere", ``, []string{"Origin", "https://evil.example"}, 200},
	} {
		before := w.Text(`SELECT count(*) FROM gv.clicks`)
		a := w.send(c.more, c.headers...)
		if a.Status != c.status {
			t.Errorf("key %s: %d %s, want %d", c.name, a.Status, a.Body, c.status)
		}
		if stored := w.Text(`SELECT count(*) FROM gv.clicks`) != before; stored != (c.status == 200) {
			t.Errorf("key %s: answered %d, stored %v", c.name, a.Status, stored)
		}
	}
	if got := w.Text(`SELECT count(*) FROM gv.clicks WHERE tenant_id = $1 OR extra ? 'publishable_key'`, apitest.Other); got != "0" {
		t.Errorf("%s clicks of another tenant, or with a key", got)
	}
}

func TestBrowsersMaySendItAsTheyCan(t *testing.T) {
	t.Parallel()
	w := roomy(t)
	pre := w.Call(w.handler, "OPTIONS", path, "", nil, "Origin", "https://anywhere.example", "Access-Control-Request-Method", "POST",
		"Access-Control-Request-Headers", "content-type,x-publishable-key")
	if pre.Status != 204 || pre.Header.Get("Access-Control-Allow-Origin") != "https://anywhere.example" ||
		pre.Header.Get("Access-Control-Allow-Credentials") != "true" || !strings.Contains(pre.Header.Get("Access-Control-Allow-Headers"), "X-Publishable-Key") {
		t.Errorf("preflight: %d %v", pre.Status, pre.Header)
	}
	for kind, status := range map[string]int{
		"application/json": 200, "application/json; charset=utf-8": 200, "text/plain;charset=UTF-8": 200, "": 200,
		"application/x-www-form-urlencoded": 415, "multipart/form-data; boundary=x": 415, "no type": 415,
	} {
		a := w.send(``, "Content-Type", kind, "Origin", shop)
		if a.Status != status || a.Header.Get("Access-Control-Allow-Origin") != shop {
			t.Errorf("as %q: %d %s", kind, a.Status, a.Body)
		}
	}
}

func TestOnlyWhatAClickCannotDoWithoutIsRefused(t *testing.T) {
	t.Parallel()
	w := roomy(t)
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, c := range []struct{ more, field string }{
		{`, "ad_id": 120208`, "body.ad_id"},
		{`, "ad_id": ""`, "body.ad_id"},
		{`, "ad_id": "  "`, "body.ad_id"},
		{`, "ad_id": null`, "body.ad_id"},
		{`, "ad_id": "a\u0000b"`, "body.ad_id"},
		{`, "campaign_id": {}`, "body.campaign_id"},
		{`, "tenant_id": false`, "body.tenant_id"},
	} {
		if a := w.send(c.more); a.Status != 422 || !a.Names(c.field) {
			t.Errorf("%.60s: %d %.300s, want 422 naming %s", c.more, a.Status, a.Body, c.field)
		}
	}
	for body, status := range map[string]int{`{"tenant_id": `: 400, ``: 400, `[]`: 422, `null`: 422, `{}`: 422, `{} {}`: 400, `{"x": "` + long(70_000) + `"}`: 413} {
		if a := w.Call(w.handler, "POST", path, "", body, "X-Publishable-Key", anyKey); a.Status != status {
			t.Errorf("%.30q: %d %s, want %d", body, a.Status, a.Body, status)
		}
	}
	if a := w.send(`, "x": "`+long(70_000)+`"`, "Idempotency-Key", "k"); a.Status != 413 {
		t.Errorf("a large body with a key: %d %s", a.Status, a.Body)
	}
	if a := w.send(`, "publishable_key": "`+anyKey+`", "x": "`+long(40_000)+`"`, "X-Publishable-Key", ""); a.Status != 413 {
		t.Errorf("a body of 40 kB that has to bring its key: %d %s", a.Status, a.Body)
	}
	if got := w.Text(`SELECT count(*) FROM gv.clicks`); got != "0" {
		t.Errorf("refused beacons left %s clicks", got)
	}
}

func TestAMemberThatCannotBeUsedNeverCostsTheClick(t *testing.T) {
	t.Parallel()
	w := roomy(t)
	long := func(n int) string { return strings.Repeat("x", n) }
	deep := strings.Repeat(`[`, 30) + strings.Repeat(`]`, 30)
	var many strings.Builder
	for i := range 51 {
		fmt.Fprintf(&many, `, "own_%02d": 1`, i)
	}
	for _, c := range []struct{ more, dropped string }{
		{`, "fbclid": 1`, "fbclid"},
		{`, "fbclid": "` + long(1025) + `"`, "fbclid"},
		{`, "fbclid": "a\u0000b"`, "fbclid"},
		{`, "gclid": "{{gclid}}"`, "gclid"},
		{`, "click_id": ["k"]`, "click_id"},
		{`, "click_id": "undefined"`, "click_id"},
		{`, "utm_source": 5`, "utm_source"},
		{`, "utm_term": "` + long(501) + `"`, "utm_term"},
		{`, "landing_page_url": "https://shop.example/?q=` + long(5000) + `"`, "landing_page_url"},
		{`, "ip_address": "203.0.113.7"`, "ip_address"},
		{`, "user_agent": "` + long(1025) + `"`, "user_agent"},
		{`, "fingerprint_components": "x"`, "fingerprint_components"},
		{`, "clicked_at": "soon"`, "clicked_at"},
		{`, "clicked_at": {"a": 1}`, "clicked_at"},
		{`, "cart": {"note": "a\u0000b"}`, "cart"},
		{`, "cart": ` + deep, "cart"},
		{`, "cart": 1e999`, "cart"},
		{`, "` + long(101) + `": 1`, "a member whose name cannot be used"},
		{many.String(), "own_50"},
		{`, "consent": "granted"`, ""},
		{`, "consent": 1`, ""},
		{`, "consent": true`, ""},
		{`, "consent": false`, ""},
		{`, "consent": "yes"`, "consent"},
		{`, "consent": 0`, "consent"},
		{`, "timestamp": 1795986541737`, ""},
		{`, "fbc": "fb.1.1795986541737.case-fbc-1"`, ""},
		{`, "fbc": "nonsense"`, "fbc"},
		{`, "ad_id": "{{ad.id}}", "campaign_id": "__CID__"`, "ad_id campaign_id"},
	} {
		a := w.send(strings.ReplaceAll(c.more, "1795986541737", fmt.Sprint(time.Now().Add(-time.Hour).UnixMilli())))
		if a.Status != 200 {
			t.Errorf("%.60s: %d %.300s, want 200", c.more, a.Status, a.Body)
			continue
		}
		var names []string
		for _, name := range a.JSON(t)["dropped"].([]any) {
			names = append(names, name.(string))
		}
		if got := strings.Join(names, " "); got != c.dropped {
			t.Errorf("%.60s: dropped %q, want %q", c.more, got, c.dropped)
		}
		if got := w.Text(`SELECT count(*) FROM gv.clicks WHERE click_id = $1`, a.JSON(t)["click_id"]); got != "1" {
			t.Errorf("%.60s: the click is not there", c.more)
		}
	}
	if got := w.Text(`SELECT count(*) FROM gv.clicks WHERE fbclid = 'case-fbc-1'`); got != "1" {
		t.Errorf("%s clicks by the cookie's id", got)
	}
	if got := w.Text(`SELECT string_agg(concat_ws(',', consent, count), ' ' ORDER BY consent) FROM (SELECT consent, count(*) FROM gv.clicks WHERE consent IS NOT NULL GROUP BY consent) x`); got != "f,3 t,3" {
		t.Errorf("consents: %s, want 3 of each", got)
	}
}

func TestAMacroThatNobodyFilledInIsNoAd(t *testing.T) {
	t.Parallel()
	w := roomy(t)
	for _, id := range []string{"{{ad.id}}", "{{ad_id}}", "undefined", "NULL", "__AID__", "%7B%7Bad.id%7D%7D", "{creative}", "${ad}", "%%ADID%%", "[AD]", "(not set)"} {
		a := w.send(`, "ad_id": "` + id + `"`)
		if got := w.Text(`SELECT ad_id FROM gv.clicks WHERE click_id = $1`, a.JSON(t)["click_id"]); a.Status != 200 || got != "" {
			t.Errorf("%s: %d, stored as %q", id, a.Status, got)
		}
	}
	for _, id := range []string{"120900000000000001", "ad-1", "summer_sale", "a{b"} {
		a := w.send(`, "ad_id": "` + id + `"`)
		if got := w.Text(`SELECT ad_id FROM gv.clicks WHERE click_id = $1`, a.JSON(t)["click_id"]); got != id {
			t.Errorf("%s is stored as %q", id, got)
		}
	}
}

func TestOnlyAServersWordOnTimeAddressAndAgentCounts(t *testing.T) {
	t.Parallel()
	w := roomy(t)
	now := time.Now().UTC()
	stored := func(a apitest.Answer) string {
		t.Helper()
		if a.Status != 200 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		return w.Text(`SELECT concat_ws('|', coalesce(ip_address, '-'), coalesce(user_agent, '-'), extract(epoch FROM $2::timestamptz - clicked_at)::int / 60,
			extract(epoch FROM $2::timestamptz - claimed_at)::int / 60) FROM gv.clicks WHERE click_id = $1`, a.JSON(t)["click_id"], now)
	}
	said := `, "ip_address": "198.51.100.9:51234", "user_agent": "Theirs", "clicked_at": ` + fmt.Sprint(now.Add(-2*time.Hour).UnixMilli())
	if got := stored(w.send(said, "X-Forwarded-For", "203.0.113.7", "User-Agent", "Mine")); got != "203.0.113.7|Mine|0|120" {
		t.Errorf("with a publishable key: %s", got)
	}
	if got := stored(w.fromServer(said, "X-Forwarded-For", "203.0.113.7", "User-Agent", "Mine")); got != "198.51.100.9|Theirs|120|120" {
		t.Errorf("with a server key: %s", got)
	}
	if got := stored(w.fromServer(``, "User-Agent", "curl")); got != "-|-|0" {
		t.Errorf("of a server that does not say: %s, want neither its own address nor its agent", got)
	}
	for _, c := range []struct {
		at      any
		minutes string
		dropped string
	}{
		{now.Add(-3 * time.Hour).Format(time.RFC3339), "180", "[]"},
		{now.Add(-3 * time.Hour).Unix(), "180", "[]"},
		{fmt.Sprint(now.Add(-3 * time.Hour).UnixMilli()), "180", "[]"},
		{now.Add(time.Hour).Format(time.RFC3339), "0", "[]"},
		{now.Add(-169 * time.Hour).Unix(), "0", "[clicked_at]"},
	} {
		text, _ := json.Marshal(c.at)
		a := w.fromServer(`, "clicked_at": ` + string(text))
		got := w.Text(`SELECT (extract(epoch FROM $2::timestamptz - clicked_at)::int / 60)::text FROM gv.clicks WHERE click_id = $1`, a.JSON(t)["click_id"], now)
		if a.Status != 200 || got != c.minutes || fmt.Sprint(a.JSON(t)["dropped"]) != c.dropped {
			t.Errorf("at %v: %d, %s minutes ago, %v", c.at, a.Status, got, a.Body)
		}
	}
}

func TestEachKindOfKeyOpensItsOwnDoor(t *testing.T) {
	t.Parallel()
	w := roomy(t)
	body := fmt.Sprintf(`{"tenant_id": %q, "ad_id": "a1", "campaign_id": "c1"}`, apitest.Tenant)
	inBody := fmt.Sprintf(`{"tenant_id": %q, "ad_id": "a1", "campaign_id": "c1", "publishable_key": %q}`, apitest.Tenant, srvKey)
	for name, c := range map[string]struct {
		token, body string
		headers     []string
		status      int
	}{
		"server key as a bearer":       {srvKey, body, nil, 200},
		"from a web page":              {srvKey, body, []string{"Origin", shop}, 401},
		"server key in the body":       {"", inBody, nil, 401},
		"as a publishable key":         {"", body, []string{"X-Publishable-Key", srvKey}, 401},
		"unknown server key":           {"gvs_unknown", body, nil, 401},
		"publishable key as a bearer":  {anyKey, body, nil, 401},
		"another tenant's in the body": {srvKey, strings.Replace(body, apitest.Tenant, apitest.Other, 1), nil, 403},
	} {
		if a := w.Call(w.handler, "POST", path, c.token, c.body, c.headers...); a.Status != c.status {
			t.Errorf("%s: %d %s, want %d", name, a.Status, a.Body, c.status)
		}
	}
}

func TestARequestWithoutAGoodKeyCostsNoBody(t *testing.T) {
	t.Parallel()
	w := roomy(t)
	for name, set := range map[string]func(h http.Header){
		"unknown": func(h http.Header) { h.Set("X-Publishable-Key", "made-up") },
		"server":  func(h http.Header) { h.Set("Authorization", "Bearer gvs_made_up") },
	} {
		body := strings.NewReader(`{"tenant_id": "x"}`)
		r := httptest.NewRequestWithContext(t.Context(), "POST", path, nil)
		r.Body = io.NopCloser(body)
		set(r.Header)
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, r)
		if rec.Code != 401 || body.Len() != 18 {
			t.Errorf("%s: %d, %d bytes read", name, rec.Code, 18-body.Len())
		}
	}
}

func TestAnAddressThatTheCallerMadeUpCountsForNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		proxies        int
		forwarded, ip  string
		connectionSays bool
	}{
		{1, "6.6.6.6, 203.0.113.7", "203.0.113.7", false},
		{2, "6.6.6.6, 203.0.113.7, 35.191.0.1", "203.0.113.7", false},
		{2, "203.0.113.7", "192.0.2.1", true},
		{1, "", "192.0.2.1", true},
		{0, "6.6.6.6", "192.0.2.1", true},
		{1, "[2001:DB8::7]:4711", "2001:db8::7", false},
		{1, "::ffff:203.0.113.7", "203.0.113.7", false},
		{1, "unknown", "", false},
	} {
		w := newWorld(t, clicks.Limits{Proxies: c.proxies, PerIP: 100, PerKey: 100})
		if a := w.send(``, "X-Forwarded-For", c.forwarded); a.Status != 200 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		if got := w.Text(`SELECT ip_address FROM gv.clicks`); got != c.ip {
			t.Errorf("%d proxies, forwarded for %q: %q, want %q", c.proxies, c.forwarded, got, c.ip)
		}
	}
}

func TestWhoSendsTooManyIsToldWhenToComeBack(t *testing.T) {
	t.Parallel()
	// A thousandth of a click a second admits one, and a slow machine wins
	// nothing by waiting.
	const hardly, plenty = 0.001, 1000
	refused := func(w world, addresses ...string) (n int) {
		for _, ip := range addresses {
			a := w.send(``, "X-Forwarded-For", ip)
			if a.Status == 429 && a.Header.Get("Retry-After") != "" {
				n++
			} else if a.Status != 200 {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		}
		return n
	}
	byAddress := newWorld(t, clicks.Limits{Proxies: 1, PerIP: hardly, PerKey: plenty})
	if got := refused(byAddress, "203.0.113.7", "203.0.113.7", "203.0.113.7"); got != 2 {
		t.Errorf("one address: %d of 3 refused, want 2", got)
	}
	if got := refused(byAddress, "203.0.113.8", "2001:db8::1"); got != 0 {
		t.Errorf("other addresses: %d refused, want none", got)
	}
	byKey := newWorld(t, clicks.Limits{Proxies: 1, PerIP: plenty, PerKey: hardly})
	if got := refused(byKey, "203.0.113.7", "203.0.113.8", "2001:db8::1"); got != 2 {
		t.Errorf("one key: %d of 3 refused, want 2", got)
	}
}

func TestStrangersStoreNoMoreClicksADayThanTheLimitHoweverManyInstancesThereAre(t *testing.T) {
	t.Parallel()
	limits := clicks.Limits{Proxies: 1, PerIP: 1000, PerKey: 1000, PerDay: 3}
	w := newWorld(t, limits)
	second := world{w.World, clicks.New(w.App, w.Queue, limits)}
	taken := 0
	for i := range 8 {
		one := w
		if i%2 == 1 {
			one = second
		}
		switch a := one.send(fmt.Sprintf(`, "fbclid": "f%d"`, i)); {
		case a.Status == 200:
			taken++
		case a.Status != 429 || a.Header.Get("Retry-After") == "" || !strings.Contains(a.Body, "daily limit"):
			t.Errorf("click %d: %d %s", i, a.Status, a.Body)
		}
	}
	if stored := w.Text(`SELECT count(*) FROM gv.clicks WHERE tenant_id = $1`, apitest.Tenant); taken != 3 || stored != "3" {
		t.Errorf("%d were taken and %s stored", taken, stored)
	}
	if a := w.fromServer(``); a.Status != 200 {
		t.Errorf("the tenant's own server: %d %s", a.Status, a.Body)
	}
	body := fmt.Sprintf(`{"tenant_id": %q, "ad_id": "a1", "campaign_id": "c1"}`, apitest.Other)
	if a := w.Call(w.handler, "POST", path, "", body, "X-Publishable-Key", otherKey); a.Status != 200 {
		t.Errorf("another tenant: %d %s", a.Status, a.Body)
	}
	w.Exec(`UPDATE gv.click_days SET day = day - 1`)
	third := world{w.World, clicks.New(w.App, w.Queue, limits)}
	if a := third.send(``); a.Status != 200 {
		t.Errorf("the next day: %d %s", a.Status, a.Body)
	}
}

// Instances reserve a thousandth of the limit at a time, and the last part is what is
// left of it.
func TestTheLastPartOfADaysLimitIsWhatIsLeftOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, clicks.Limits{Proxies: 1, PerIP: 1000, PerKey: 1000, PerDay: 2500})
	w.send(``)
	if got := w.Text(`SELECT reserved FROM gv.click_days`); got != "2" {
		t.Errorf("%s are reserved, want a thousandth of 2,500", got)
	}
	w.Exec(`UPDATE gv.click_days SET reserved = 2499`)
	taken := 0
	for range 4 {
		if w.send(``).Status == 200 {
			taken++
		}
	}
	if got := w.Text(`SELECT reserved FROM gv.click_days`); got != "2500" || taken != 2 { // one of its own part, and the last
		t.Errorf("%d were taken, %s reserved", taken, got)
	}
}

func TestWithoutADatabaseItSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	w := roomy(t)
	w.App.Close()
	if a := w.send(``); a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}
