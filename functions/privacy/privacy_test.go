package privacy_test

import (
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/functions/privacy"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/auth"
)

func TestTheExportHoldsWhatIsStoredOfAContactAndNobodyElse(t *testing.T) {
	t.Parallel()
	w := apitest.New(t)
	h := privacy.New(w.App, w.Access())
	for _, tenant := range []string{apitest.Tenant, apitest.Other} {
		w.Exec(`INSERT INTO gv.contacts (tenant_id, portal_id, contact_id, converted_at) VALUES ($1, 1, 7, now())`, tenant)
		w.Exec(`INSERT INTO gv.contact_keys (tenant_id, portal_id, contact_id, kind, value) VALUES ($1::uuid, 1, 7, 'fbclid', 'fb-' || left($1::uuid::text, 3))`, tenant)
		w.Exec(`INSERT INTO gv.contact_hashes (tenant_id, portal_id, contact_id, kind, hash) SELECT tenant_id, portal_id, contact_id, kind, gv.key_hash(tenant_id, kind, value) FROM gv.contact_keys WHERE tenant_id = $1`, tenant)
		w.Exec(`INSERT INTO gv.clicks (tenant_id, click_id, ad_id, campaign_id, clicked_at, fbclid, ip_address, user_agent) VALUES ($1::uuid, 'k', 'a1', 'c', now(), 'fb-' || left($1::uuid::text, 3), '203.0.113.7', 'UA')`, tenant)
	}
	w.Exec(`INSERT INTO gv.clicks (tenant_id, click_id, ad_id, campaign_id, clicked_at, fbclid) VALUES ($1, 'stranger', 'a1', 'c', now(), 'other')`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.deals (tenant_id, portal_id, deal_id, state, contact_id, click_id, ad_id, attribution_method) VALUES ($1, 1, 70, 'live', 7, 'k', 'a1', 'url_param')`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.deal_contacts (tenant_id, portal_id, deal_id, contact_id, position) VALUES ($1, 1, 70, 7, 0)`, apitest.Tenant)
	w.Exec(`INSERT INTO gv.conversions (tenant_id, conversion_id, conversion_type, value_minor, converted_at, converted_until, fbclid, method, confidence, reason)
		VALUES ($1::uuid, 'v1', 'lead', 0, now(), now(), 'fb-' || left($1::uuid::text, 3), 'unattributed', 0, '')`, apitest.Tenant)
	const path = "/api/privacy/contacts/7"
	a := w.Call(h, "GET", path, w.Token(auth.Admin), nil)
	if a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	held := a.JSON(t)["contacts"].([]any)
	one := held[0].(map[string]any)
	for name, want := range map[string]int{"keys": 1, "deals": 1, "clicks": 1, "conversions": 1} {
		if got := len(one[name].([]any)); got != want {
			t.Errorf("%d %s, want %d", got, name, want)
		}
	}
	if len(held) != 1 || one["hashes"] != 1.0 || strings.Contains(a.Body, "stranger") || strings.Contains(a.Body, "null,\"keys") || !strings.Contains(a.Body, "203.0.113.7") {
		t.Error(a.Body)
	}
	for _, c := range []struct {
		path, token string
		status      int
	}{
		{path, w.Token(auth.Editor), 403},
		{path, "", 401},
		{"/api/privacy/contacts/8", w.Token(auth.Admin), 404},
		{path + "?portal_id=2", w.Token(auth.Admin), 404},
		{"/api/privacy/contacts/x", w.Token(auth.Admin), 422},
		{"/api/privacy/contacts/0", w.Token(auth.Admin), 422},
	} {
		if a := w.Call(h, "GET", c.path, c.token, nil); a.Status != c.status {
			t.Errorf("%s: %d %s, want %d", c.path, a.Status, a.Body, c.status)
		}
	}
	w.Exec(`DELETE FROM gv.contacts WHERE tenant_id = $1`, apitest.Tenant)
	if a := w.Call(h, "GET", path, w.Token(auth.Admin), nil); a.Status != 200 || !strings.Contains(a.Body, "203.0.113.7") {
		t.Errorf("of a contact that the CRM deleted: %d %s", a.Status, a.Body)
	}
}
