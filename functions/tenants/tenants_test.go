package tenants_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/geminivideo/geminivideo/functions/tenants"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

type world struct {
	*apitest.World
	t       *testing.T
	handler http.Handler
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{World: apitest.New(t), t: t}
	w.handler = serve.Wrap("tenants", tenants.New(w.App, w.Access(), w.Queue, nil))
	return w
}

func (w *world) call(method, path string, body any, headers ...string) apitest.Answer {
	w.t.Helper()
	return w.Call(w.handler, method, path, w.Token(auth.Admin), body, headers...)
}

func (w *world) want(status int, method, path string, body any, headers ...string) apitest.Answer {
	w.t.Helper()
	a := w.call(method, path, body, headers...)
	if a.Status != status {
		w.t.Errorf("%s %s %v: %d %s, want %d", method, path, body, a.Status, a.Body, status)
	}
	return a
}

// accept makes the address a member of Tenant by its own token, which names no tenant.
func (w *world) accept(email string) {
	w.t.Helper()
	path := "/api/me/invitations/" + apitest.Tenant + "/accept"
	if a := w.Call(w.handler, "POST", path, w.TokenFor("", email, auth.Viewer), nil); a.Status != 200 {
		w.t.Fatalf("accept as %s: %d %s", email, a.Status, a.Body)
	}
}

const members, keys = "/api/tenants/members", "/api/tenants/keys"

func TestAMemberIsAddedOnceByAnySpelling(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(200, "POST", members, `{"email": " Ana@Example.com ", "role": "viewer"}`)
	a := w.want(200, "POST", members, `{"email": "ana@example.com", "role": "editor"}`).JSON(t)
	if a["email"] != "ana@example.com" || a["role"] != "editor" || a["added_by"] != "admin@northside.example" {
		t.Errorf("%v", a)
	}
	if got := w.Text(`SELECT string_agg(email || ' ' || role, ', ' ORDER BY email) FROM gv.members WHERE tenant_id = $1`, apitest.Tenant); got != "admin@northside.example admin, ana@example.com editor, editor@northside.example editor, viewer@northside.example viewer" {
		t.Error(got)
	}
	list := w.want(200, "GET", members, nil)
	if strings.Contains(list.Body, "southside") || len(list.JSON(t)["members"].([]any)) != 4 || strings.Count(list.Body, `"invited"`) != 1 {
		t.Error(list.Body)
	}
	w.want(200, "POST", members+"/remove", `{"email": "ANA@example.com"}`)
	w.want(200, "POST", members+"/remove", `{"email": "ana@example.com"}`)
	if list := w.want(200, "GET", members, nil); strings.Contains(list.Body, "ana@") {
		t.Error(list.Body)
	}
	w.want(200, "POST", members, `{"email": "ana@example.com", "role": "viewer"}`)
	w.want(404, "POST", members+"/remove", `{"email": "nobody@example.com"}`)
	w.want(404, "POST", members+"/remove", `{"email": "admin@southside.example"}`)
}

func TestTheLastAdminStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(409, "POST", members, `{"email": "admin@northside.example", "role": "editor"}`)
	w.want(409, "POST", members+"/remove", `{"email": "admin@northside.example"}`)
	w.want(200, "POST", members, `{"email": "second@northside.example", "role": "admin"}`)
	w.want(409, "POST", members+"/remove", `{"email": "admin@northside.example"}`) // an invited admin is none yet
	w.accept("second@northside.example")
	var wg sync.WaitGroup
	for _, email := range []string{"admin", "second"} { // each removes the other at once
		wg.Go(func() {
			other := map[string]string{"admin": "second", "second": "admin"}[email] + "@northside.example"
			w.Call(w.handler, "POST", members+"/remove", w.TokenFor(apitest.Tenant, other, auth.Admin), `{"email": "`+email+`@northside.example"}`)
		})
	}
	wg.Wait()
	if n := w.Text(`SELECT count(*) FROM gv.members WHERE tenant_id = $1 AND role = 'admin' AND removed_at IS NULL`, apitest.Tenant); n != "1" {
		t.Errorf("%s admins are left", n)
	}
}

func TestWhatIsNoMemberIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for body, field := range map[string]string{
		`{"email": "ana", "role": "viewer"}`:                               "body.email",
		`{"email": "Ana <ana@example.com>", "role": "viewer"}`:             "body.email",
		`{"email": "", "role": "viewer"}`:                                  "body.email",
		`{"email": "ana@example.com", "role": "owner"}`:                    "body.role",
		`{"email": "ana@example.com"}`:                                     "body.role",
		`{"email": "ana@example.com", "role": "viewer", "tenant_id": "x"}`: "body.tenant_id",
	} {
		if a := w.want(422, "POST", members, body); !a.Names(field) || strings.Contains(a.Body, "ana@") {
			t.Errorf("%s: %s", body, a.Body)
		}
	}
}

func TestAServerKeyIsStoredAsAHashAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := `{"kind": "server", "label": "shop server"}`
	made := w.want(200, "POST", keys, body, "Idempotency-Key", "k").JSON(t)
	key := made["key"].(string)
	if !strings.HasPrefix(key, "gvs_") || len(key) < 40 || made["kind"] != "server" {
		t.Errorf("made %v", made)
	}
	again := w.want(200, "POST", keys, body, "Idempotency-Key", "k").JSON(t)
	if again["key"] != "" || again["key_id"] != made["key_id"] {
		t.Errorf("a repeat shows %v", again)
	}
	if n := w.Text(`SELECT count(*) FROM gv.idempotency_keys k WHERE position($1 IN convert_from(answer, 'UTF8')) > 0`, key); n != "0" {
		t.Errorf("the key stands in %s kept answers", n)
	}
	if got := w.Text(`SELECT concat_ws(' ', gv.key_tenant(sha256($1::bytea), 'server'), gv.key_tenant(sha256($1::bytea), 'publishable')) FROM gv.publishable_keys`, key); got != apitest.Tenant {
		t.Errorf("the key opens %q", got)
	}
	if a := w.want(422, "POST", keys, `{"kind": "server", "origins": ["https://shop.example"]}`); !a.Names("body.origins") {
		t.Error(a.Body)
	}
	if a := w.want(422, "POST", keys, `{"kind": "secret"}`); !a.Names("body.kind") {
		t.Error(a.Body)
	}
	w.want(200, "POST", keys+"/"+made["key_id"].(string)+"/revoke", nil)
	if got := w.Text(`SELECT gv.key_tenant(sha256($1::bytea), 'server')`, key); got != "" {
		t.Errorf("revoked, it opens %q", got)
	}
}

func TestAKeyIsShownOnceAndRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.want(200, "POST", keys, `{"origins": ["https://WWW.Example.com/", "http://localhost:3000", "https://shop.example:443"], "label": "shop"}`, "Idempotency-Key", "k")
	made := a.JSON(t)
	key := made["key"].(string)
	if again := w.want(200, "POST", keys, `{"origins": ["https://WWW.Example.com/", "http://localhost:3000", "https://shop.example:443"], "label": "shop"}`, "Idempotency-Key", "k"); again.Body != a.Body {
		t.Errorf("a repeat: %s", again.Body)
	}
	if !strings.HasPrefix(key, made["prefix"].(string)) || len(key) < 40 ||
		w.Text(`SELECT origins::text FROM gv.publishable_keys`) != "{https://www.example.com,http://localhost:3000,https://shop.example}" {
		t.Errorf("%v with %s", made, w.Text(`SELECT origins::text FROM gv.publishable_keys`))
	}
	if owner := w.Text(`SELECT gv.key_tenant(sha256($1::bytea))::text`, key); owner != apitest.Tenant {
		t.Errorf("the key is %q's", owner)
	}
	list := w.want(200, "GET", keys, nil)
	if strings.Contains(list.Body, key) || len(list.JSON(t)["keys"].([]any)) != 1 {
		t.Error(list.Body)
	}
	path := keys + "/" + made["key_id"].(string) + "/revoke"
	if a := w.Call(w.handler, "POST", path, w.OtherToken(), nil); a.Status != 404 {
		t.Errorf("another tenant revokes it: %d", a.Status)
	}
	first := w.want(200, "POST", path, nil)
	if again := w.want(200, "POST", path, nil); again.Body != first.Body || again.JSON(t)["revoked_by"] != "admin@northside.example" {
		t.Errorf("%s\n%s", first.Body, again.Body)
	}
	if owner := w.Text(`SELECT gv.key_tenant(sha256($1::bytea))::text`, key); owner != "" {
		t.Errorf("the revoked key is %q's", owner)
	}
	w.want(422, "POST", keys+"/nonsense/revoke", nil)
}

func TestWhatIsNoOriginIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, bad := range []string{"example.com", "https://", "https://example.com/shop", "ftp://example.com", "https://*.example.com", "https://user@example.com", "https://example.com?a", "null", "*", ""} {
		if a := w.want(422, "POST", keys, map[string]any{"origins": []string{"https://ok.example", bad}}); !a.Names("body.origins[1]") {
			t.Errorf("%q: %s", bad, a.Body)
		}
	}
	if n := w.Text(`SELECT count(*) FROM gv.publishable_keys`); n != "0" {
		t.Errorf("%s keys were made", n)
	}
}

func TestTheTenantIsPausedAndRenamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.want(200, "PUT", "/api/tenants", `{"paused": true}`).JSON(t)
	if a["paused"] != true || a["name"] != "Northside" || a["currency"] != "USD" {
		t.Errorf("%v", a)
	}
	a = w.want(200, "PUT", "/api/tenants", `{"name": "North"}`).JSON(t)
	if a["paused"] != true || a["name"] != "North" || w.Text(`SELECT name FROM gv.tenants WHERE tenant_id = $1`, apitest.Other) != "Southside" {
		t.Errorf("%v", a)
	}
	for _, bad := range []string{`{"name": ""}`, `{"name": "  "}`, `{"currency": "EUR"}`, `{"paused": "yes"}`} {
		w.want(422, "PUT", "/api/tenants", bad)
	}
}

func TestOnlyAnAdminWritesAndViewersReadAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Exec(`INSERT INTO gv.accounts (tenant_id, account_id) VALUES ($1, 'act_1')`, apitest.Tenant)
	for path, want := range map[string]int{
		"GET /api/accounts": 200, "GET /api/accounts/act_1": 200, "GET /api/tenants": 200, "GET " + members: 403, "GET " + keys: 403,
		"PUT /api/tenants": 403, "PUT /api/accounts/act_1": 403, "POST " + members: 403, "POST " + members + "/remove": 403, "POST " + keys: 403,
	} {
		method, at, _ := strings.Cut(path, " ")
		var body any
		if method != "GET" {
			body = `{}`
		}
		for _, role := range []auth.Role{auth.Viewer, auth.Editor} {
			if a := w.Call(w.handler, method, at, w.Token(role), body); a.Status != want {
				t.Errorf("%s as %s: %d %s", path, role, a.Status, a.Body)
			}
		}
		if a := w.Call(w.handler, method, at, "", body); a.Status != 401 {
			t.Errorf("%s as nobody: %d", path, a.Status)
		}
	}
}

func TestADatabaseThatIsDownIsUnavailable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dead, err := pg.Open(t.Context(), pg.Config{URL: "postgres://gv_app@127.0.0.1:1/none"})
	if err != nil {
		t.Fatal(err)
	}
	h := serve.Wrap("tenants", tenants.New(dead, w.Access(), w.Queue, nil))
	for _, call := range []string{"GET /api/accounts", "GET " + members, "PUT /api/accounts/a", "PUT /api/tenants"} {
		method, at, _ := strings.Cut(call, " ")
		var body any
		if method != "GET" {
			body = `{}`
		}
		if a := w.Call(h, method, at, w.Token(auth.Admin), body); a.Status != 503 || a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", call, a.Status, a.Body)
		}
	}
}
