package reconcile_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
)

func TestADealThatHubSpotRefusesHoldsUpNoOtherAndIsReadLater(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"deals", "associations", "contacts"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := newCRM(t, fakehubspot.PortalConfig{})
			ids, _ := c.populate(t, 30, rand.New(rand.NewPCG(11, 11)))
			whole := newWorld(t, c)
			whole.run()
			bad := ids[7]
			refused := bad
			if kind == "contacts" {
				refused = one[int64](whole, `SELECT contact_id FROM gv.deal_contacts WHERE deal_id = $1`, bad)
			}
			c.Refuse(kind, refused, "INSUFFICIENT_PERMISSIONS")

			w := newWorld(t, c)
			if report := w.run(); report.Completed != 1 || report.Failed != 0 || report.Refused == 0 || report.Repaired != 0 {
				t.Errorf("the backfill reports %+v, want a completed portal with a refused deal", report)
			}
			if n := one[int](w, `SELECT count(*)::int FROM gv.deals WHERE state = 'live' AND deal_id <> $1`, bad); n != 29 {
				t.Errorf("%d other deals are recorded, want 29", n)
			}
			if n := one[int](w, `SELECT count(*)::int FROM gv.deals WHERE deal_id = $1`, bad); n != 0 {
				t.Error("the refused deal is recorded")
			}
			reason := one[string](w, `SELECT reason FROM gv.crm_refusals WHERE deal_id = $1`, bad)
			if !strings.Contains(reason, "INSUFFICIENT_PERMISSIONS") {
				t.Errorf("the refusal's reason is %q, want HubSpot's code", reason)
			}

			// The cursor has gone on: what changes next is found, and the refused deal is still refused.
			c.clock.pass(2 * time.Hour)
			if _, err := c.SetAmount(ids[20], "123456"); err != nil {
				t.Fatal(err)
			}
			w.exec(`UPDATE gv.crm_refusals SET last_at = now() - interval '1 hour'`)
			if report := w.run(); report.Completed != 1 || report.Repaired != 1 {
				t.Errorf("the next run reports %+v, want the changed deal repaired", report)
			}
			if n := one[int](w, `SELECT attempts FROM gv.crm_refusals WHERE deal_id = $1`, bad); n < 2 {
				t.Errorf("the refused deal was asked for %d times, want it asked for again", n)
			}

			c.Refuse(kind, refused, "")
			w.exec(`UPDATE gv.crm_refusals SET last_at = now() - interval '1 hour'`)
			if report := w.run(); report.Completed != 1 || report.Repaired != 0 || report.Refused != 0 {
				t.Errorf("once HubSpot shows the deal the run reports %+v, want nothing refused and nothing lost", report)
			}
			if n := one[int](w, `SELECT count(*)::int FROM gv.crm_refusals`); n != 0 {
				t.Errorf("%d refusals are left", n)
			}
			whole.run()
			if diff := cmp.Diff(whole.ledger(), w.ledger()); diff != "" {
				t.Errorf("never refused (-), refused for a time (+):\n%s", diff)
			}
		})
	}
}

func TestARecordedDealThatHubSpotRefusesIsNotTakenForADeletedOne(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.PortalConfig{})
	ids, _ := c.populate(t, 5, rand.New(rand.NewPCG(12, 12)))
	w := newWorld(t, c)
	w.run()
	before := w.ledger()
	c.clock.pass(2 * time.Hour)
	c.Refuse("deals", ids[1], "not a code: p1@example.com")
	if _, err := c.DeleteDeal(ids[2]); err != nil {
		t.Fatal(err)
	}
	if report := w.run(); report.Completed != 1 || report.Repaired != 1 || report.Refused != 1 {
		t.Errorf("the run reports %+v, want one deleted deal repaired and one refused", report)
	}
	if state := one[string](w, `SELECT state FROM gv.deals WHERE deal_id = $1`, ids[1]); state != "live" {
		t.Errorf("the refused deal is %s", state)
	}
	if reason := one[string](w, `SELECT reason FROM gv.crm_refusals`); strings.Contains(reason, "@") {
		t.Errorf("the reason repeats what HubSpot said of a person: %q", reason)
	}
	if len(w.ledger()) == len(before) {
		t.Error("the deleted deal is still live")
	}
}

func TestADealThatRefusesOurPropertiesHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"deals", "updates"} { // named in a 207 answer, or the whole call refused
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := newCRM(t, fakehubspot.PortalConfig{})
			ids, _ := c.populate(t, 12, rand.New(rand.NewPCG(13, 13)))
			w := newWorld(t, c)
			w.run()
			w.exec(`UPDATE gv.accounts SET write_back = true`)
			c.Refuse(kind, ids[4], "VALIDATION_ERROR")
			if report := w.run(); report.Written != 11 {
				t.Errorf("%d deals were written, want the other 11", report.Written)
			}
			for i, id := range ids {
				if got := c.Property(id, "gv_ad_id"); (got == "") != (i == 4) {
					t.Errorf("deal %d of %d says %q", i, len(ids), got)
				}
			}
			reason := func() string { return one[string](w, `SELECT coalesce(write_back_error, '') FROM gv.crm_syncs`) }
			if !strings.Contains(reason(), fmt.Sprint(ids[4])) || !strings.Contains(reason(), "VALIDATION_ERROR") {
				t.Errorf("the portal's reason is %q, want the deal and HubSpot's code", reason())
			}
			calls := c.fake.Requests(updateRoute)
			if w.run(); c.fake.Requests(updateRoute) != calls || reason() == "" {
				t.Errorf("within the hour the refused deal took %d calls, and the reason is %q", c.fake.Requests(updateRoute)-calls, reason())
			}
			c.Refuse(kind, ids[4], "")
			w.exec(`UPDATE gv.writebacks SET refused_until = now() - interval '1 second' WHERE refused_until IS NOT NULL`)
			if report := w.run(); report.Written != 1 || reason() != "" || c.Property(ids[4], "gv_ad_id") == "" {
				t.Errorf("later %d were written, the reason is %q and the deal says %q", report.Written, reason(), c.Property(ids[4], "gv_ad_id"))
			}
		})
	}
}

func TestAPortalThatRefusesEveryDealsPropertiesIsTheFault(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.PortalConfig{})
	ids, _ := c.populate(t, 4, rand.New(rand.NewPCG(14, 14)))
	w := newWorld(t, c)
	w.exec(`UPDATE gv.accounts SET write_back = true`)
	for _, id := range ids {
		c.Refuse("updates", id, "VALIDATION_ERROR")
	}
	if report := w.run(); report.Written != 0 {
		t.Errorf("%d deals were written", report.Written)
	}
	if got := one[string](w, `SELECT coalesce(write_back_error, '') FROM gv.crm_syncs`); !strings.Contains(got, "every deal") {
		t.Errorf("the portal's reason is %q", got)
	}
	if n := one[int](w, `SELECT count(*)::int FROM gv.writebacks WHERE refused_until IS NOT NULL`); n != 0 {
		t.Errorf("%d deals wait an hour for what is the portal's fault", n)
	}
}

func TestAnErasureWhoseWebhookWasLostIsFoundAndDone(t *testing.T) {
	t.Parallel()
	c, w, ids := written(t, fakehubspot.PortalConfig{}, 6)
	w.exec(`INSERT INTO gv.webhooks (tenant_id, url, secret, updated_by) VALUES ($1, 'https://example.com', 's', 'test')`, tenant)
	contact := func(i int) int64 {
		return one[int64](w, `SELECT contact_id FROM gv.deal_contacts WHERE deal_id = $1`, ids[i])
	}
	erased, deleted, merged, into := contact(0), contact(1), contact(2), contact(3)
	credit := one[string](w, `SELECT ad_id FROM gv.deals WHERE deal_id = $1`, ids[0])
	lost, err := c.EraseContact(erased)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteContact(deleted); err != nil {
		t.Fatal(err)
	}
	if _, err := c.MergeContacts(into, merged); err != nil {
		t.Fatal(err)
	}
	c.clock.pass(2 * time.Hour)
	if report := w.run(); report.Erased != 1 {
		t.Errorf("the run reports %+v, want the one erased contact and neither the deleted nor the merged one", report)
	}
	if n := one[int64](w, `SELECT contact_id FROM gv.erasures`); n != erased {
		t.Errorf("contact %d is erased, want %d", n, erased)
	}
	if n := one[int](w, `SELECT (SELECT count(*) FROM gv.contacts WHERE contact_id = $1)::int + (SELECT count(*) FROM gv.contact_keys WHERE contact_id = $1)::int`, erased); n != 0 {
		t.Errorf("%d rows of the erased contact are left", n)
	}
	c.empty(t, ids[0])
	if n := one[int](w, `SELECT last_erased FROM gv.crm_syncs`); n != 1 {
		t.Errorf("%d erasures are counted, want 1", n)
	}
	if got := one[string](w, `SELECT ad_id FROM gv.deals WHERE deal_id = $1`, ids[0]); got != credit {
		t.Errorf("the deal is credited to %q, was %q: an erasure takes no credit", got, credit)
	}
	var notices int
	for _, m := range w.queue.sent {
		if strings.Contains(string(m.Data), "contacts were erased") {
			notices++
		}
	}
	if notices != 1 {
		t.Errorf("%d notices speak of the erasure, want 1", notices)
	}
	before := w.ledger()
	for _, e := range lost { // it comes after all, in HubSpot's order and twice
		w.deliver(e, 5)
		w.deliver(e, 5)
	}
	if report := w.run(); report.Erased != 0 {
		t.Errorf("a further run erases %d contacts", report.Erased)
	}
	if diff := cmp.Diff(before, w.ledger()); diff != "" {
		t.Errorf("the late event changes what the run has recorded:\n%s", diff)
	}
}
