package crmevent_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// TestAnAdThatBecomesKnownGetsTheDealsOfItsClicks reports a click for an ad that
// nobody has imported, and afterwards the same click id for another ad, as a
// stranger would. While the first ad is unknown the deal is the other's.
func TestAnAdThatBecomesKnownGetsTheDealsOfItsClicks(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.Options{})
	w := newWorld(t, c)
	w.click("late", "fb-1", day(1))
	w.exec(`INSERT INTO gv.clicks (tenant_id, click_id, ad_id, campaign_id, clicked_at, fbclid, recorded_at)
		VALUES ($1, 'click-again', 'a2', 'c1', $2, 'fb-1', now() + interval '1 second')`, tenant, day(2))
	for i := range 250 { // more than one message looks at, with the one that counts among the oldest
		w.exec(`INSERT INTO gv.clicks (tenant_id, click_id, ad_id, campaign_id, clicked_at, fbclid) VALUES ($1, 'more-' || $2::int, 'late', 'c1', $3, 'more-' || $2::int)`,
			tenant, i, day(4).Add(time.Duration(i)*time.Second))
	}
	contact, events := must[int64](t)(c.UpsertContact(0, map[string]string{
		"hs_facebook_click_id": "fb-1", "first_conversion_date": day(3).Format(time.RFC3339),
	}, day(3)))
	deal, more := must[int64](t)(c.CreateDeal(fakehubspot.NewDeal{Contacts: []int64{contact}, At: day(3), Amount: "1000"}))
	events = append(append(events, more...), move(t, c, deal, "closedwon", 5)...)
	w.handle(messages(t, events...)...)
	const owner = `SELECT ad_id FROM gv.deals`
	if got := one[string](w, owner); got != "a2" {
		t.Fatalf("while its ad is unknown the deal stands for %s, want a2", got)
	}

	err := pg.InTenant(t.Context(), w.app, tenant, func(tx pgx.Tx) error {
		var clicked []string
		err := tx.QueryRow(t.Context(), `
			WITH added AS (
				INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id) VALUES ($1, 'late', 'act_1', 'c1'), ($1, 'quiet', 'act_1', 'c1') RETURNING ad_id
			) SELECT `+ads.AddedWithClicks("added"), tenant).Scan(&clicked)
		if err != nil {
			return err
		}
		if len(clicked) != 1 || clicked[0] != "late" {
			t.Errorf("the ads with clicks are %v, want late", clicked)
		}
		return ads.PutAdded(t.Context(), tx, clicked)
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // each message may ask for the next
		for _, m := range w.takeOutbox() {
			w.handle(m, m)
		}
	}
	if got := one[string](w, owner); got != "late" {
		t.Errorf("the deal stands for %s, want late", got)
	}
	const figures = `SELECT string_agg(ad_id || ':' || revenue_minor, ' ' ORDER BY ad_id) FROM gv.ads WHERE revenue_minor > 0`
	if got := one[string](w, figures); got != "late:100000" {
		t.Errorf("revenue %s, want late:100000", got)
	}
}

// takeOutbox returns the messages of crm-events that wait, and those that were sent.
func (w *world) takeOutbox() []message.Message {
	w.t.Helper()
	rows, err := w.admin.Query(w.t.Context(), `DELETE FROM gv.outbox WHERE topic = 'crm-events' RETURNING message_id::text, data`)
	if err != nil {
		w.t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (m message.Message, err error) {
		err = row.Scan(&m.ID, &m.Data)
		return m, err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.queue.mu.Lock()
	for _, m := range w.queue.sent {
		if m.Topic == "crm-events" {
			all = append(all, m)
		}
	}
	w.queue.sent = nil
	w.queue.mu.Unlock()
	for i := range all {
		all[i].Attributes = map[string]string{message.TenantAttribute: tenant, message.KeyAttribute: all[i].ID + all[i].Key()}
	}
	return all
}
