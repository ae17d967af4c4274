package connections_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/webhook"
)

func TestAWebhooksSecretIsShownOnceAndKeptInTheVaultOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if a := w.get("webhook").JSON(t); a["configured"] != false || a["enabled"] != false || len(a["kinds"].([]any)) != 0 || len(a["all_kinds"].([]any)) == 0 {
		t.Errorf("before: %v", a)
	}
	body := map[string]any{"url": "https://hooks.example.com/a", "kinds": []string{"change.cut", "ad.fatigued", "change.cut"}}
	first := w.want(200, "webhook", body, "Idempotency-Key", "k")
	secret, _ := first.JSON(t)["secret"].(string)
	if !strings.HasPrefix(secret, "whsec_") || len(secret) < 40 || len(first.JSON(t)["kinds"].([]any)) != 2 {
		t.Fatalf("%s", first.Body)
	}
	if again := w.want(200, "webhook", body, "Idempotency-Key", "k"); again.Body != first.Body {
		t.Errorf("a repeat: %s", again.Body)
	}
	for _, table := range []string{"webhooks", "idempotency_keys"} {
		if n := w.Text(`SELECT count(*) FROM gv.`+table+` t WHERE t::text LIKE '%' || $1 || '%' OR t::text LIKE '%' || encode($1::bytea, 'hex') || '%'`, secret); n != "0" {
			t.Errorf("%s holds it", table)
		}
	}
	if strings.Contains(logged.String(), secret) {
		t.Error("the log holds it")
	}
	if again := w.want(200, "webhook", body).JSON(t); again["secret"] != nil || w.get("webhook").JSON(t)["secret"] != nil {
		t.Errorf("it is shown again: %v", again)
	}
	rotated := w.want(200, "webhook", map[string]any{"url": "https://hooks.example.com/b", "rotate_secret": true}).JSON(t)
	if rotated["secret"] == nil || rotated["secret"] == secret || rotated["previous_secret_until"] == nil || len(rotated["kinds"].([]any)) != 0 {
		t.Errorf("%v", rotated)
	}
	w.want(200, "webhook", map[string]any{"url": "https://hooks.example.com/b", "rotate_secret": true})
	if got := w.vault.Versions(secretOf(apitest.Tenant, "webhook-secret")); len(got) != 2 {
		t.Errorf("the first secret can still be read: %v", got)
	}
	if a := w.as(w.OtherToken(), http.MethodGet, "webhook", nil); strings.Contains(a.Body, "hooks.example") {
		t.Errorf("another tenant sees %s", a.Body)
	}
}

func TestWhatIsNoWebhookIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for field, bodies := range map[string][]string{
		"body.url": {
			`{"url": ""}`, `{}`, `{"url": "http://10.0.0.1"}`, `{"url": "https://10.0.0.1"}`, `{"url": "https://169.254.169.254/x"}`,
			`{"url": "ftp://x"}`, `{"url": "https://a:b@example.com"}`, `{"url": "file:///etc/passwd"}`,
		},
		"body.kinds[1]": {`{"url": "https://example.com", "kinds": ["change.cut", "everything"]}`},
		"body.secret":   {`{"url": "https://example.com", "secret": "mine"}`},
	} {
		for _, body := range bodies {
			if a := w.put("webhook", body); a.Status != 422 || !strings.Contains(a.Body, field) {
				t.Errorf("%s: %d %s", body, a.Status, a.Body)
			}
		}
	}
}

func TestATestNoticeSaysWhatCameOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	test := func(headers ...string) (int, map[string]any) {
		a := w.as(w.Token(auth.Admin), http.MethodPost, "webhook/test", nil, headers...)
		return a.Status, a.JSON(t)
	}
	if status, a := test(); status != 404 {
		t.Errorf("without a webhook: %d %v", status, a)
	}
	var secret string
	var hits, answer atomic.Int64
	answer.Store(200)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		body, _ := io.ReadAll(r.Body)
		if want := webhook.Sign(secret, r.Header.Get(webhook.TimestampHeader), body); r.Header.Get(webhook.SignatureHeader) != want || !strings.Contains(string(body), `"kind":"webhook.test"`) {
			t.Errorf("received %s with %v", body, r.Header)
		}
		rw.WriteHeader(int(answer.Load()))
	}))
	t.Cleanup(server.Close)
	secret = w.want(200, "webhook", map[string]any{"url": server.URL}).JSON(t)["secret"].(string)
	for range 2 {
		if status, a := test("Idempotency-Key", "k"); status != 200 || a["delivered"] != true || hits.Load() != 1 {
			t.Errorf("%d %v after %d posts", status, a, hits.Load())
		}
	}
	answer.Store(500)
	if status, a := test(); status != 200 || a["delivered"] != false || a["status"] != 500.0 || a["reason"] == nil {
		t.Errorf("%d %v", status, a)
	}
	w.want(200, "webhook", map[string]any{"url": "https://localhost.invalid"})
	if status, a := test(); status != 200 || a["delivered"] != false || a["reason"] == nil {
		t.Errorf("%d %v", status, a)
	}
}

func TestASwitchedOffWebhookIsOnAgainOnceItIsSet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(200, "webhook", map[string]any{"url": "https://example.com", "disabled": true})
	if a := w.get("webhook").JSON(t); a["enabled"] != false || a["disabled_reason"] == nil {
		t.Errorf("%v", a)
	}
	w.want(200, "webhook", map[string]any{"url": "https://example.com"})
	if a := w.get("webhook").JSON(t); a["enabled"] != true || a["disabled_reason"] != nil {
		t.Errorf("%v", a)
	}
}
