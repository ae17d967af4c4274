package connections_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
)

const (
	page     = "700100"
	pageKey  = "EAA" + canary + "page"
	pageKey2 = "EAA" + canary + "page2"
)

func withPage(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.meta.ConnectPage(fakemeta.PageConfig{ID: page, Name: "Northside", Tokens: []string{pageKey, pageKey2}})
	return w
}

func TestAPageIsConnectedAndItsLeadsSubscribedTo(t *testing.T) {
	t.Parallel()
	w := withPage(t)
	for range 2 {
		a := w.want(200, "meta", map[string]any{"page_id": page, "page_access_token": pageKey}).JSON(t)
		if a["page_id"] != page || a["name"] != "Northside" || a["connected"] != true || a["account_id"] != nil {
			t.Errorf("%v", a)
		}
	}
	key := w.Text(`SELECT secret FROM gv.lead_keys`)
	if key != secretOf(apitest.Tenant, "lead-key")+"/versions/1" {
		t.Errorf("the key that addresses are hashed with is %q", key)
	}
	w.want(200, "meta", map[string]any{"page_id": page, "page_access_token": pageKey2})
	name := secretOf(apitest.Tenant, "meta-page-"+page+"-access-token")
	if got := w.vault.Versions(name); len(got) != 1 || got[0] != name+"/versions/2" {
		t.Errorf("after a new token: %v", got)
	}
	if got := w.Text(`SELECT secret FROM gv.lead_keys`); got != key {
		t.Errorf("a page that is connected again has another key: %s", got)
	}
	list := w.get("meta").JSON(t)
	if pages := list["pages"].([]any); len(pages) != 1 || pages[0].(map[string]any)["page_id"] != page || len(list["connections"].([]any)) != 0 {
		t.Errorf("%v", list)
	}
	if n := w.meta.Requests("POST subscribed_apps"); n != 3 {
		t.Errorf("Meta was asked %d times to send the page's leads, want each time", n)
	}
	a := w.want(200, "meta", map[string]any{"page_id": page, "disconnected": true}).JSON(t)
	if a["connected"] != false || a["disconnected_at"] == nil || len(w.vault.Versions(name)) != 0 {
		t.Errorf("%v, its token's versions %v", a, w.vault.Versions(name))
	}
	w.want(200, "meta", map[string]any{"page_id": page, "page_access_token": pageKey2})
}

func TestAPageBelongsToOneTenant(t *testing.T) {
	t.Parallel()
	w := withPage(t)
	w.want(200, "meta", map[string]any{"page_id": page, "page_access_token": pageKey})
	body := map[string]any{"page_id": page, "page_access_token": pageKey}
	a := w.as(w.OtherToken(), http.MethodPut, "meta", body)
	if a.Status != 409 || strings.Contains(a.Body, apitest.Tenant) || strings.Contains(a.Body, "Northside") {
		t.Errorf("another tenant: %d %s", a.Status, a.Body)
	}
	if a := w.as(w.OtherToken(), http.MethodPut, "meta", map[string]any{"page_id": page, "disconnected": true}); a.Status != 404 {
		t.Errorf("another tenant disconnects: %d %s", a.Status, a.Body)
	}
	w.want(200, "meta", map[string]any{"page_id": page, "disconnected": true})
	if a := w.as(w.OtherToken(), http.MethodPut, "meta", body); a.Status != 200 {
		t.Errorf("once it is free: %d %s", a.Status, a.Body)
	}
	if n := w.Text(`SELECT count(*) FROM gv.lead_keys`); n != "2" {
		t.Errorf("%s tenants have a key of their own", n)
	}
}

func TestWhatIsNoPageIsNamed(t *testing.T) {
	t.Parallel()
	w := withPage(t)
	w.meta.ConnectPage(fakemeta.PageConfig{ID: "700101", Tokens: []string{"EAAanother"}})
	for name, c := range map[string]struct {
		body  map[string]any
		field string
	}{
		"neither":              {map[string]any{"page_access_token": pageKey}, "body.account_id"},
		"both":                 {map[string]any{"page_id": page, "account_id": "77", "page_access_token": pageKey}, "body.page_id"},
		"a path":               {map[string]any{"page_id": page + "/feed", "page_access_token": pageKey}, "body.page_id"},
		"no token":             {map[string]any{"page_id": page}, "body.page_access_token"},
		"an account's token":   {map[string]any{"page_id": page, "access_token": metaKey}, "body.access_token"},
		"a page's token":       {map[string]any{"account_id": "77", "access_token": metaKey, "page_access_token": pageKey}, "body.page_access_token"},
		"a wrong token":        {map[string]any{"page_id": page, "page_access_token": "EAA" + canary + "bad"}, "body.page_access_token"},
		"another page's token": {map[string]any{"page_id": page, "page_access_token": "EAAanother"}, "body.page_access_token"},
		"no page":              {map[string]any{"page_id": "1", "page_access_token": pageKey}, "body.page_id"},
		"token and goodbye":    {map[string]any{"page_id": page, "page_access_token": pageKey, "disconnected": true}, "body.disconnected"},
	} {
		if a := w.put("meta", c.body); a.Status != 422 || !strings.Contains(a.Body, c.field) {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	w.meta.Inject(fakemeta.Fault{Delay: time.Hour})
	w.waits(50 * time.Millisecond)
	if a := w.put("meta", map[string]any{"page_id": page, "page_access_token": pageKey}); a.Status != 503 {
		t.Errorf("a Meta that hangs: %d %s", a.Status, a.Body)
	}
	if n := w.Text(`SELECT (SELECT count(*) FROM gv.meta_pages) + (SELECT count(*) FROM gv.lead_keys)`); n != "0" {
		t.Errorf("%s rows were written", n)
	}
}

func TestThePropertyOfALeadsIDIsChosenAndStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := map[string]any{"portal_id": portal, "access_token": token}
	if a := w.want(200, "hubspot", body).JSON(t); a["lead_property"] != "gv_lead_id" {
		t.Errorf("%v", a["lead_property"])
	}
	body["lead_property"] = "facebook_lead_id"
	w.want(200, "hubspot", body)
	delete(body, "lead_property")
	if a := w.want(200, "hubspot", body).JSON(t); a["lead_property"] != "facebook_lead_id" {
		t.Errorf("connected again: %v", a["lead_property"])
	}
	for _, bad := range []string{"", "Facebook Lead", "1id", "a-b", strings.Repeat("x", 101)} {
		body["lead_property"] = bad
		if a := w.put("hubspot", body); a.Status != 422 || !strings.Contains(a.Body, "body.lead_property") {
			t.Errorf("%q: %d %s", bad, a.Status, a.Body)
		}
	}
}
