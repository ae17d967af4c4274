package hubspot_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/functions/connections"
	"github.com/geminivideo/geminivideo/functions/hubspot"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/infra/testkit/vault"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/webhook"
)

// The two functions share the database and Secret Manager, and nothing restarts.
func TestASecretThatAnAdminRotatesIsTakenAtOnceBesideTheOneBefore(t *testing.T) {
	t.Parallel()
	w := apitest.New(t)
	_, store := vault.New(t)
	crmFake, err := fakehubspot.New(fakehubspot.Options{})
	if err != nil {
		t.Fatal(err)
	}
	crmFake.Connect(fakehubspot.PortalConfig{ID: 9, Tokens: []string{"pat-9"}})
	api := httptest.NewServer(crmFake)
	t.Cleanup(api.Close)
	admin := serve.Wrap("connections", connections.New(w.App, w.Access(), connections.Outside{
		Project: "p", Vault: store, Queue: w.Queue, HubSpot: connections.HubSpotConfig{URL: api.URL},
		Meta: meta.New(meta.Config{}, meta.Options{}), Webhook: webhook.New(webhook.Config{}),
	}))
	receiver := serve.Wrap("hubspot", hubspot.New(w.App, w.Queue, store, publicURL, ownApp))
	connect := func(secret, more string) {
		t.Helper()
		if secret != "" {
			more += `, "client_secret": "` + secret + `"`
		}
		if a := w.Call(admin, http.MethodPut, "/api/connections/hubspot", w.Token(auth.Admin), `{"portal_id": 9, "access_token": "pat-9"`+more+`}`); a.Status != http.StatusOK {
			t.Fatalf("connect: %d %s", a.Status, a.Body)
		}
	}
	n := 0
	takes := func(when string, want map[string]int) {
		t.Helper()
		time.Sleep(2 * time.Millisecond) // the batches after it are no part of the burst before it
		for key, status := range want {
			n++
			body := fmt.Appendf(nil, `[%s]`, event(9, n))
			rec := httptest.NewRecorder()
			rec.Code = http.StatusServiceUnavailable
			for rec.Code == http.StatusServiceUnavailable { // a busy machine: HubSpot sends it again
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks/hubspot", bytes.NewReader(body))
				r.Header = signed(key, body, time.Now())
				rec = httptest.NewRecorder()
				receiver.ServeHTTP(rec, r)
			}
			if rec.Code != status {
				t.Errorf("%s, signed with %q: %d %s, want %d", when, key, rec.Code, rec.Body, status)
			}
		}
	}
	takes("before the portal is connected", map[string]int{ownApp: 401, "app-1": 401})
	connect("", "")
	takes("with the deployment's app", map[string]int{ownApp: 200, "app-1": 401})
	connect("app-1", "")
	takes("while the tenant's own app replaces it", map[string]int{ownApp: 200, "app-1": 200, "app-2": 401})
	connect("app-2", "")
	takes("while a secret is rotated", map[string]int{"app-1": 200, "app-2": 200, ownApp: 401})
	connect("app-2", `, "overlap_hours": 0`)
	takes("once the overlap is ended", map[string]int{"app-1": 401, "app-2": 200})
	connect("app-3", "")
	w.Exec(`UPDATE gv.hubspot_connections SET previous_until = now() - interval '1 second'`)
	takes("once the overlap is over", map[string]int{"app-2": 401, "app-3": 200})
	if a := w.Call(admin, http.MethodPut, "/api/connections/hubspot", w.Token(auth.Admin), `{"portal_id": 9, "disconnected": true}`); a.Status != http.StatusOK {
		t.Fatalf("disconnect: %d %s", a.Status, a.Body)
	}
	takes("once it is disconnected", map[string]int{"app-3": 401, ownApp: 401})
}
