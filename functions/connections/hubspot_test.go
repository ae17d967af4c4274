package connections_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/shared/auth"
)

func TestAPortalIsConnectedByNameOfItsCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if a := w.get("hubspot"); a.Status != 200 || !strings.Contains(a.Body, `"connections":[]`) {
		t.Errorf("before: %d %s", a.Status, a.Body)
	}
	a := w.want(200, "hubspot", map[string]any{"portal_id": portal, "access_token": token, "client_secret": appKey}).JSON(t)
	if a["connected"] != true || a["connected_by"] != "admin@northside.example" || a["portal_id"] != float64(portal) {
		t.Errorf("%v", a)
	}
	for what, want := range map[string]string{"access-token": token, "client-secret": appKey} {
		column := map[string]string{"access-token": "access_token", "client-secret": "client_secret"}[what]
		name := w.Text(`SELECT `+column+` FROM gv.hubspot_connections WHERE tenant_id = $1`, apitest.Tenant)
		if name != secretOf(apitest.Tenant, "hubspot-62515-"+what)+"/versions/1" {
			t.Errorf("%s is recorded as %s", what, name)
		}
		if got, err := w.store.Get(t.Context(), name); err != nil || got != want {
			t.Errorf("%s is stored as %q, %v", what, got, err)
		}
	}
	list := w.get("hubspot").JSON(t)["connections"].([]any)[0].(map[string]any)
	secret := list["client_secret"].(map[string]any)
	if secret["source"] != "own" || secret["version"] != "1" || secret["set_at"] == nil || list["access_token"].(map[string]any)["version"] != "1" {
		t.Errorf("%v", list)
	}
}

func TestConnectingAgainChangesNothingAndARepeatAsksNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := map[string]any{"portal_id": portal, "access_token": token, "client_secret": appKey}
	first := w.want(200, "hubspot", body, "Idempotency-Key", "k")
	asked := w.hubspot.Requests("")
	if again := w.want(200, "hubspot", body, "Idempotency-Key", "k"); again.Body != first.Body || w.hubspot.Requests("") != asked {
		t.Errorf("a repeat answers %s after %d requests more", again.Body, w.hubspot.Requests("")-asked)
	}
	if a := w.put("hubspot", map[string]any{"portal_id": portal, "access_token": second}, "Idempotency-Key", "k"); a.Status != 409 {
		t.Errorf("another body: %d %s", a.Status, a.Body)
	}
	again := w.want(200, "hubspot", body)
	if again.Body != first.Body || len(w.vault.Versions(secretOf(apitest.Tenant, "hubspot-62515-client-secret"))) != 1 {
		t.Errorf("again: %s", again.Body)
	}
}

func TestATokenThatHubSpotRefusesIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hubspot.Connect(fakehubspot.PortalConfig{ID: 99, Tokens: []string{"pat-other"}})
	for name, c := range map[string]struct {
		body  map[string]any
		field string
	}{
		"unknown token":     {map[string]any{"portal_id": portal, "access_token": "pat-" + canary + "-bad"}, "body.access_token"},
		"another portal's":  {map[string]any{"portal_id": portal, "access_token": "pat-other"}, "body.portal_id"},
		"no token":          {map[string]any{"portal_id": portal}, "body.access_token"},
		"a token of lines":  {map[string]any{"portal_id": portal, "access_token": "a\nb"}, "body.access_token"},
		"a secret of lines": {map[string]any{"portal_id": portal, "access_token": token, "client_secret": "a b"}, "body.client_secret"},
		"no portal":         {map[string]any{"portal_id": 0, "access_token": token}, "body.portal_id"},
		"overlap of days":   {map[string]any{"portal_id": portal, "access_token": token, "overlap_hours": 25}, "body.overlap_hours"},
		"a negative one":    {map[string]any{"portal_id": portal, "access_token": token, "overlap_hours": -1}, "body.overlap_hours"},
		"both at once":      {map[string]any{"portal_id": portal, "access_token": token, "disconnected": true}, "body.disconnected"},
		"unknown field":     {map[string]any{"portal_id": portal, "access_token": token, "token": "x"}, "body.token"},
	} {
		if a := w.put("hubspot", c.body); a.Status != 422 || !strings.Contains(a.Body, c.field) {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	if n := w.Text(`SELECT count(*) FROM gv.hubspot_connections`); n != "0" || len(w.vault.Versions(secretOf(apitest.Tenant, "hubspot-62515-access-token"))) != 0 {
		t.Errorf("%s rows, and versions are left", n)
	}
}

func TestARotatedClientSecretKeepsTheOneBeforeForItsOverlap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := func(secret string, more ...any) map[string]any {
		b := map[string]any{"portal_id": portal, "access_token": token, "client_secret": secret}
		for i := 0; i < len(more); i += 2 {
			b[more[i].(string)] = more[i+1]
		}
		return b
	}
	left := func() string {
		return w.Text(`SELECT round(extract(epoch FROM previous_until - now()) / 3600)::text FROM gv.hubspot_connections`)
	}
	secret := secretOf(apitest.Tenant, "hubspot-62515-client-secret")
	w.connect() // with the deployment's own app
	w.want(200, "hubspot", body(appKey))
	if got := w.Text(`SELECT previous_secret FROM gv.hubspot_connections`); got != "" || left() != "24" {
		t.Errorf("the deployment's own is beside it as %q for %s h", got, left())
	}
	w.want(200, "hubspot", body(appKey2, "overlap_hours", 2))
	if got := w.Text(`SELECT previous_secret FROM gv.hubspot_connections`); got != secret+"/versions/1" || left() != "2" {
		t.Errorf("beside it: %s for %s h", got, left())
	}
	w.want(200, "hubspot", body(appKey2)) // a repeat does not renew the overlap
	if left() != "2" || len(w.vault.Versions(secret)) != 2 {
		t.Errorf("after a repeat: %s h, %v", left(), w.vault.Versions(secret))
	}
	w.want(200, "hubspot", body(appKey2, "overlap_hours", 0)) // the old one leaked
	if left() != "" || len(w.vault.Versions(secret)) != 1 {
		t.Errorf("after it was ended: %s h, %v", left(), w.vault.Versions(secret))
	}
	w.want(200, "hubspot", map[string]any{"portal_id": portal, "access_token": second})
	if got := w.Text(`SELECT client_secret FROM gv.hubspot_connections`); got != secret+"/versions/2" {
		t.Errorf("a new token alone leaves %s", got)
	}
	if got := w.vault.Versions(secretOf(apitest.Tenant, "hubspot-62515-access-token")); len(got) != 1 || !strings.HasSuffix(got[0], "/2") {
		t.Errorf("tokens: %v", got)
	}
}

func TestAPortalOfAnotherTenantIsRefusedWithoutSayingWhose(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.connect()
	body := map[string]any{"portal_id": portal, "access_token": second}
	a := w.as(w.OtherToken(), http.MethodPut, "hubspot", body)
	if a.Status != 409 || strings.Contains(a.Body, "Northside") || strings.Contains(a.Body, apitest.Tenant) {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if n := len(w.vault.Versions(secretOf(apitest.Other, "hubspot-62515-access-token"))); n != 0 {
		t.Errorf("%d versions were written", n)
	}
	// Who cannot read the portal does not learn that it is connected.
	body["access_token"] = "guess"
	if a := w.as(w.OtherToken(), http.MethodPut, "hubspot", body); a.Status != 422 {
		t.Errorf("with a guess: %d %s", a.Status, a.Body)
	}
	if a := w.as(w.OtherToken(), http.MethodPut, "hubspot", map[string]any{"portal_id": portal, "disconnected": true}); a.Status != 404 {
		t.Errorf("disconnecting: %d %s", a.Status, a.Body)
	}
	for range 2 {
		w.want(200, "hubspot", map[string]any{"portal_id": portal, "disconnected": true})
	}
	if n := len(w.vault.Versions(secretOf(apitest.Tenant, "hubspot-62515-access-token"))); n != 0 {
		t.Errorf("%d versions can still be read", n)
	}
	body["access_token"] = second
	if a := w.as(w.OtherToken(), http.MethodPut, "hubspot", body); a.Status != 200 {
		t.Errorf("once it is free: %d %s", a.Status, a.Body)
	}
	if a := w.put("hubspot", map[string]any{"portal_id": portal, "access_token": token}); a.Status != 409 {
		t.Errorf("back: %d %s", a.Status, a.Body)
	}
}

func TestOfTwoTenantsAtOnceOneGetsThePortal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var mu sync.Mutex
	got := map[int]int{}
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			key := w.Token(auth.Admin)
			if i%2 == 0 {
				key = w.OtherToken()
			}
			a := w.as(key, http.MethodPut, "hubspot", map[string]any{"portal_id": portal, "access_token": token})
			mu.Lock()
			got[a.Status]++
			mu.Unlock()
		})
	}
	wg.Wait()
	if got[200] != 3 || got[409] != 3 {
		t.Errorf("%v", got)
	}
}

func TestAPortalInOtherMoneyIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hubspot.Connect(fakehubspot.PortalConfig{ID: 5, Tokens: []string{"pat-eur"}, HomeCurrency: "EUR"})
	if a := w.put("hubspot", map[string]any{"portal_id": 5, "access_token": "pat-eur"}); a.Status != 409 || !strings.Contains(a.Body, "EUR") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

func TestASecretManagerThatIsDownLeavesNothingHalfWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, method := range []string{"AccessSecretVersion", "CreateSecret", "AddSecretVersion"} {
		w.vault.Before(func(called string) error {
			if called == method {
				return status.Error(codes.Internal, "down")
			}
			return nil
		})
		a := w.put("hubspot", map[string]any{"portal_id": portal, "access_token": token, "client_secret": appKey})
		if a.Status != 503 || a.Header.Get("Retry-After") == "" || w.Text(`SELECT count(*) FROM gv.hubspot_connections`) != "0" {
			t.Errorf("%s: %d %s", method, a.Status, a.Body)
		}
	}
	w.vault.Before(nil)
	w.want(200, "hubspot", map[string]any{"portal_id": portal, "access_token": token, "client_secret": appKey})
	if got := w.Text(`SELECT access_token FROM gv.hubspot_connections`); !strings.HasSuffix(got, "/versions/1") {
		t.Errorf("then it is %s", got)
	}
}

func TestACrashBetweenTheSecretAndItsRowIsRepairedByTheNextRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// The row's table is gone when the secret has been written.
	w.vault.Before(func(method string) error {
		if method == "AddSecretVersion" {
			w.Exec(`ALTER TABLE gv.hubspot_connections RENAME TO away`)
		}
		return nil
	})
	body := map[string]any{"portal_id": portal, "access_token": token}
	if a := w.put("hubspot", body); a.Status != 500 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	w.vault.Before(nil)
	w.Exec(`ALTER TABLE gv.away RENAME TO hubspot_connections`)
	w.want(200, "hubspot", body)
	if got := w.vault.Versions(secretOf(apitest.Tenant, "hubspot-62515-access-token")); len(got) != 1 || w.Text(`SELECT access_token FROM gv.hubspot_connections`) != got[0] {
		t.Errorf("versions %v, recorded %s", got, w.Text(`SELECT access_token FROM gv.hubspot_connections`))
	}
}

func TestAHubSpotThatHangsOrFailsIsUnavailable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, fault := range map[string]fakehubspot.Fault{"hangs": {Delay: time.Hour, Times: 2}, "fails": {Status: 502, Times: 4}} {
		w.waits(time.Second)
		w.hubspot.Inject(fault)
		if a := w.put("hubspot", map[string]any{"portal_id": portal, "access_token": token}); a.Status != 503 || a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	if w.Text(`SELECT count(*) FROM gv.hubspot_connections`) != "0" {
		t.Error("something was connected")
	}
}

func TestOnlyAnAdminConnects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, role := range []auth.Role{auth.Viewer, auth.Editor} {
		for _, path := range []string{"hubspot", "meta", "webhook"} {
			if a := w.as(w.Token(role), http.MethodGet, path, nil); a.Status != 403 {
				t.Errorf("%s reads %s: %d", role, path, a.Status)
			}
			if a := w.as(w.Token(role), http.MethodPut, path, map[string]any{}); a.Status != 403 {
				t.Errorf("%s writes %s: %d", role, path, a.Status)
			}
		}
	}
	if a := w.as("", http.MethodGet, "hubspot", nil); a.Status != 401 {
		t.Errorf("nobody: %d", a.Status)
	}
}
