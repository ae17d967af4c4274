package connections_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/geminivideo/geminivideo/functions/connections"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

func TestADatabaseThatIsDownIsUnavailableAndNothingIsStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dead, err := pg.Open(t.Context(), pg.Config{URL: "postgres://gv_app@127.0.0.1:1/none"})
	if err != nil {
		t.Fatal(err)
	}
	h := serve.Wrap("connections", connections.New(dead, w.Access(), w.outside))
	for call, body := range map[string]any{
		"GET hubspot": nil, "GET meta": nil, "GET webhook": nil, "GET hubspot/stages": nil, "POST webhook/test": nil,
		"PUT hubspot": map[string]any{"portal_id": portal, "access_token": token, "client_secret": appKey},
		"PUT meta":    map[string]any{"account_id": "77", "access_token": metaKey},
		"PUT webhook": map[string]any{"url": "https://example.com"},
	} {
		method, path, _ := strings.Cut(call, " ")
		if a := w.Call(h, method, "/api/connections/"+path, w.Token(auth.Admin), body); a.Status != 503 || a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", call, a.Status, a.Body)
		}
	}
	for _, what := range []string{"hubspot-62515-access-token", "hubspot-62515-client-secret", "meta-act_77-access-token", "webhook-secret"} {
		if got := w.vault.Versions(secretOf(apitest.Tenant, what)); len(got) != 0 {
			t.Errorf("%s was stored: %v", what, got)
		}
	}
}

func TestTwinsOfOneRequestMakeOneSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var mu sync.Mutex
	shown := map[any]bool{}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			a := w.as(w.Token(auth.Admin), http.MethodPut, "webhook", `{"url": "https://example.com"}`, "Idempotency-Key", "k")
			switch a.Status {
			case 200:
				mu.Lock()
				shown[a.JSON(t)["secret"]] = true
				mu.Unlock()
			case 409:
			default:
				t.Errorf("%d %s", a.Status, a.Body)
			}
		})
	}
	wg.Wait()
	w.want(200, "webhook", `{"url": "https://example.com"}`, "Idempotency-Key", "k")
	if len(shown) != 1 || shown[nil] {
		t.Errorf("%d secrets were shown", len(shown))
	}
}

func TestACredentialThatIsTakenUpAgainWhileItIsGivenUpStaysReadable(t *testing.T) {
	t.Parallel()
	for path, body := range map[string][2]map[string]any{
		"meta":    {{"account_id": "77", "access_token": metaKey}, {"account_id": "77", "disconnected": true}},
		"hubspot": {{"portal_id": portal, "access_token": token}, {"portal_id": portal, "disconnected": true}},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.want(200, path, body[0])
			var once sync.Once
			w.vault.Before(func(method string) error {
				if method == "DisableSecretVersion" {
					once.Do(func() {
						if a := w.put(path, body[0]); a.Status != 200 && (a.Status != 409 || a.Header.Get("Retry-After") == "") {
							t.Errorf("%s: meanwhile %d %s", path, a.Status, a.Body)
						}
					})
				}
				return nil
			})
			w.want(200, path, body[1])
			if used := w.Text(`SELECT coalesce(max(access_token), '') FROM gv.` + path + `_connections WHERE disconnected_at IS NULL`); used != "" {
				if value, err := w.store.Get(t.Context(), used); err != nil || value == "" {
					t.Errorf("%s: the connection names a credential that cannot be read: %v", path, err)
				}
			}
			w.want(200, path, body[0])
		})
	}
}
