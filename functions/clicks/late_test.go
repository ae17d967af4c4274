package clicks_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/functions/attribute"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/auth"
)

func TestAClickThatArrivesLateTakesItsConversionOver(t *testing.T) {
	t.Parallel()
	w := roomy(t)
	asked := attribute.New(w.App, w.Access())
	at := time.Now().Add(-time.Hour).UTC()
	ask := func() map[string]any {
		return w.Call(asked, "POST", "/api/ml/attribution/attribute-conversion", w.Token(auth.Editor), map[string]any{
			"tenant_id": apitest.Tenant, "conversion_id": "v1", "conversion_type": "lead", "conversion_value": 5,
			"conversion_timestamp": at.Format(time.RFC3339), "fbclid": "fb-1",
		}).JSON(t)
	}
	ask()
	steps := []struct {
		click string
		ago   time.Duration
		want  string
	}{
		{"first", 3 * time.Hour, "first"}, {"earlier", 5 * time.Hour, "first"}, {"later", 2 * time.Hour, "later"}, {"after", 10 * time.Minute, "later"},
	}
	for _, s := range steps {
		sent := at.Add(time.Hour).Add(-s.ago)
		if a := w.fromServer(`, "fbclid": "fb-1", "click_id": "` + s.click + `", "clicked_at": "` + sent.Format(time.RFC3339Nano) + `"`); a.Status != 200 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		if got := w.Text(`SELECT click_id FROM gv.conversions`); got != s.want {
			t.Errorf("after %s: credited to %s, want %s", s.click, got, s.want)
		}
	}
	if got := ask(); got["attributed_click_id"] != "later" || got["attribution_window_hours"].(float64) < 0.99 {
		t.Errorf("asked again: %v", got)
	}
}

func TestAClickThatArrivesLateHasItsDealsCreditedAnew(t *testing.T) {
	t.Parallel()
	w := roomy(t)
	contact := func(id int, tenant, value string, ago time.Duration) {
		w.Exec(`INSERT INTO gv.contacts (tenant_id, portal_id, contact_id, converted_at) VALUES ($1, 9, $2, $3)`, tenant, id, time.Now().Add(-ago))
		w.Exec(`INSERT INTO gv.contact_keys (tenant_id, portal_id, contact_id, kind, value) VALUES ($1, 9, $2, 'fbclid', $3)`, tenant, id, value)
		w.Exec(`INSERT INTO gv.deals (tenant_id, portal_id, deal_id, state) VALUES ($1, 9, $2 + 100, CASE WHEN $2 = 4 THEN 'gone' ELSE 'live' END)`, tenant, id)
		w.Exec(`INSERT INTO gv.deal_contacts (tenant_id, portal_id, deal_id, contact_id, position) VALUES ($1, 9, $2 + 100, $2, 0)`, tenant, id)
	}
	contact(1, apitest.Tenant, "fb-1", time.Hour)    // takes it
	contact(2, apitest.Tenant, "fb-1", 72*time.Hour) // converted before the click
	contact(3, apitest.Tenant, "fb-2", time.Hour)    // somebody else
	contact(4, apitest.Tenant, "fb-1", time.Hour)    // gone
	contact(5, apitest.Other, "fb-1", time.Hour)     // another tenant's
	late := `, "fbclid": "fb-1", "click_id": "k1", "clicked_at": "` + time.Now().Add(-2*time.Hour).UTC().Format(time.RFC3339) + `"`
	for range 2 { // the twin changes nothing
		if a := w.fromServer(late); a.Status != 200 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
	}
	sent := w.Queue.Sent("crm-events")
	if len(sent) != 1 || sent[0] != `{"kind":"attribute","portal_id":9,"deal_id":101}` {
		t.Errorf("sent %v, want deal 101 once", sent)
	}
	if got := w.Text(`SELECT count(*) FROM gv.outbox`); got != "0" {
		t.Errorf("%s messages left", got)
	}
	w.Exec(`INSERT INTO gv.deal_touches (tenant_id, portal_id, deal_id, click_id, ad_id, clicked_at, method, layer, confidence, reason, eligible)
		VALUES ($1, 9, 101, 'k1', 'a1', now(), 'url_param', 2, 1, '', true)`, apitest.Tenant)
	for i, ago := range []time.Duration{3 * time.Hour, 90 * time.Minute} { // earlier and later than the deal's own: either may share its credit
		w.fromServer(fmt.Sprintf(`, "fbclid": "fb-1", "click_id": "more-%d", "clicked_at": %q`, i, time.Now().Add(-ago).UTC().Format(time.RFC3339)))
		if got := len(w.Queue.Sent("crm-events")); got != 2+i {
			t.Errorf("a click %v ago: %d messages, want %d", ago, got, 2+i)
		}
	}
}
