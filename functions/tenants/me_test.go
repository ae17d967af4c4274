package tenants_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/functions/tenants"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// as calls with a token that names no tenant, as somebody who belongs to none has it.
func (w *world) as(email, method, path string, body any) apitest.Answer {
	w.t.Helper()
	return w.Call(w.handler, method, path, w.TokenFor("", email, auth.Viewer), body)
}

func TestAnInvitationDecidesNothingUntilItIsAccepted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(200, "POST", members, `{"email": "ana@example.com", "role": "editor"}`)
	invited := w.as("Ana@example.com", "GET", "/api/me", nil).JSON(t)
	first := invited["tenants"].([]any)[0].(map[string]any)
	if invited["email"] != "ana@example.com" || invited["current"] != nil || first["state"] != "invited" || first["name"] != "Northside" || first["role"] != "editor" {
		t.Errorf("invited: %v", invited)
	}
	stale := w.TokenFor(apitest.Tenant, "ana@example.com", auth.Editor)
	if a := w.Call(w.handler, "PUT", "/api/tenants", w.TokenFor(apitest.Tenant, "ana@example.com", auth.Admin), `{"name": "Mine"}`); a.Status != 403 {
		t.Errorf("an invited admin writes: %d %s", a.Status, a.Body)
	}
	w.accept("ana@example.com")
	w.accept("ana@example.com") // twice is once
	me := w.Call(w.handler, "GET", "/api/me", stale, nil).JSON(t)
	if me["current"] != apitest.Tenant || me["tenants"].([]any)[0].(map[string]any)["state"] != "member" {
		t.Errorf("accepted: %v", me)
	}
	if a := w.as("ana@example.com", "POST", "/api/me/invitations/"+apitest.Tenant+"/decline", nil); a.Status != 409 {
		t.Errorf("declining what was accepted: %d %s", a.Status, a.Body)
	}
}

func TestADeclinedInvitationIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(200, "POST", members, `{"email": "ana@example.com", "role": "editor"}`)
	if a := w.as("ana@example.com", "POST", "/api/me/invitations/"+apitest.Tenant+"/decline", nil); a.Status != 200 || strings.Contains(a.Body, "Northside") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := w.as("ana@example.com", "POST", "/api/me/invitations/"+apitest.Tenant+"/accept", nil); a.Status != 404 {
		t.Errorf("accepting afterwards: %d %s", a.Status, a.Body)
	}
	if list := w.want(200, "GET", members, nil); strings.Contains(list.Body, "ana@") {
		t.Error(list.Body)
	}
}

func TestNobodyAcceptsForATenantThatDidNotInviteThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tenant := range []string{apitest.Other, "00000000-0000-4000-8000-000000000000", "nonsense", "'"} {
		a := w.as("ana@example.com", "POST", "/api/me/invitations/"+tenant+"/accept", nil)
		b := w.Call(w.handler, "PUT", "/api/me/tenant", w.TokenFor("", "ana@example.com", auth.Viewer), map[string]string{"tenant_id": tenant})
		if a.Status != 404 || b.Status != 404 || a.Body != b.Body {
			t.Errorf("%s: %d %s, %d %s", tenant, a.Status, a.Body, b.Status, b.Body)
		}
	}
	if a := w.Call(w.handler, "GET", "/api/me", "", nil); a.Status != 401 {
		t.Errorf("without a token: %d", a.Status)
	}
	if a := w.as("ana@example.com", "GET", "/api/tenants", nil); a.Status != 403 {
		t.Errorf("a token without a tenant reads one: %d %s", a.Status, a.Body)
	}
}

func TestSomebodyWithSeveralTenantsChoosesTheNextTokensTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Exec(`INSERT INTO gv.members (tenant_id, email, role, added_by, accepted_at) VALUES
		($1, 'ana@example.com', 'admin', 'test', now()), ($2, 'ana@example.com', 'viewer', 'test', now())`, apitest.Tenant, apitest.Other)
	token := func() string {
		return w.Text(`SELECT gv.access_token_hook('{"user_id": "11111111-1111-4111-8111-111111111111", "claims": {"email": "ana@example.com"}}') #>> '{claims,app_metadata,tenant_id}'`)
	}
	for _, tenant := range []string{apitest.Other, apitest.Tenant, apitest.Other} {
		if a := w.Call(w.handler, "PUT", "/api/me/tenant", w.TokenFor("", "ana@example.com", auth.Viewer), map[string]string{"tenant_id": tenant}); a.Status != 200 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		if got := token(); got != tenant {
			t.Errorf("the next token is of %s, chosen was %s", got, tenant)
		}
	}
}

func TestADemotedMemberLosesWritesAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(200, "POST", members, `{"email": "ana@example.com", "role": "admin"}`)
	w.accept("ana@example.com")
	token := w.TokenFor(apitest.Tenant, "ana@example.com", auth.Admin)
	rename := func() int {
		return w.Call(w.handler, "PUT", "/api/tenants", token, `{"name": "Northside"}`).Status
	}
	if got := rename(); got != 200 {
		t.Fatalf("an admin: %d", got)
	}
	w.want(200, "POST", members, `{"email": "ana@example.com", "role": "editor"}`)
	if got := rename(); got != 403 {
		t.Errorf("demoted, with the old token: %d", got)
	}
	w.want(200, "POST", members+"/remove", `{"email": "ana@example.com"}`)
	if got := rename(); got != 403 {
		t.Errorf("removed, with the old token: %d", got)
	}
	if a := w.Call(w.handler, "GET", "/api/tenants", token, nil); a.Status != 200 {
		t.Errorf("reading waits for the next token: %d", a.Status)
	}
}

func TestAWriteWaitsForNoMembershipThatCannotBeRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	access := w.Access()
	w.App.Close()
	handler := serve.Wrap("tenants", tenants.New(w.App, access, w.Queue, nil))
	if a := w.Call(handler, "PUT", "/api/tenants", w.Token(auth.Admin), `{"name": "x"}`); a.Status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}
