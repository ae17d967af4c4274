package crmevent_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/shared/ledger"
	"github.com/geminivideo/geminivideo/shared/message"
)

// TestAnAttributionModelIsAppliedToRecordedClicks has a contact click three ads,
// whose clicks' data is gone by the time that the account's model changes.
func TestAnAttributionModelIsAppliedToRecordedClicks(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.Options{})
	w := newWorld(t, c)
	contact, events := must[int64](t)(c.UpsertContact(0, map[string]string{
		"hs_facebook_click_id": "fb-1", "first_conversion_date": day(3).Format(time.RFC3339),
	}, day(1)))
	for i, fbclid := range []string{"fb-2", "fb-3"} {
		more, err := w.setContact(contact, fbclid, day(2).Add(time.Duration(i)*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, more...)
	}
	w.click("a1", "fb-1", day(1))
	w.click("a2", "fb-2", day(2))
	w.click("a3", "fb-3", day(2).Add(time.Hour))
	deal, more := must[int64](t)(c.CreateDeal(fakehubspot.NewDeal{Contacts: []int64{contact}, At: day(3), Amount: "1000.01"}))
	events = append(append(events, more...), move(t, c, deal, "closedwon", 5)...)
	w.handle(messages(t, events...)...)
	const figures = `SELECT string_agg(concat_ws(':', ad_id, pipeline_minor, revenue_minor), ' ' ORDER BY ad_id) FROM gv.ads`
	if got := one[string](w, figures); got != "a1:0:0 a2:0:0 a3:100001:100001" {
		t.Fatalf("by the last click: %s", got)
	}
	w.exec(`DELETE FROM gv.clicks WHERE click_id <> 'click-fb-3'`)
	for i, step := range []struct{ model, want, ad string }{
		{"first", "a1:100001:100001 a2:0:0 a3:0:0", "a1"},
		{"position", "a1:40000:40000 a2:20001:20001 a3:40000:40000", "a3"},
		{"last", "a1:0:0 a2:0:0 a3:100001:100001", "a3"},
	} {
		w.exec(`UPDATE gv.accounts SET attribution_model = $1`, step.model)
		data, err := json.Marshal(ledger.ModelChange{Kind: ledger.ModelKind, AccountID: "act_1"})
		if err != nil {
			t.Fatal(err)
		}
		m := message.Message{ID: step.model, Data: data, Attributes: map[string]string{message.TenantAttribute: tenant, message.KeyAttribute: step.model}}
		w.handle(m, m)
		if got := one[string](w, figures); got != step.want {
			t.Errorf("%d, by %s: %s, want %s", i, step.model, got, step.want)
		}
		if got := one[string](w, `SELECT ad_id FROM gv.deals`); got != step.ad {
			t.Errorf("by %s the deal stands for %s, want %s", step.model, got, step.ad)
		}
	}
}

// setContact changes the contact's click id, as a later click does.
func (w *world) setContact(contact int64, fbclid string, at time.Time) ([]fakehubspot.Event, error) {
	_, events, err := w.crm.UpsertContact(contact, map[string]string{"hs_facebook_click_id": fbclid}, at)
	return events, err
}
