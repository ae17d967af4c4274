package reconcile_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/shared/writeback"
)

const updateRoute = "POST /crm/v3/objects/deals/batch/update"

// listening is a portal that reports every change of our properties too, as one
// whose owner has subscribed to them does.
func listening() fakehubspot.PortalConfig {
	subscriptions := slices.Clone(fakehubspot.DefaultSubscriptions)
	for _, p := range writeback.Properties {
		subscriptions = append(subscriptions, "deal.propertyChange:"+p.Name)
	}
	return fakehubspot.PortalConfig{Subscriptions: subscriptions}
}

// written is a world whose n deals' ads were written back once.
func written(t *testing.T, config fakehubspot.PortalConfig, n int) (*crm, *world, []int64) {
	t.Helper()
	c := newCRM(t, config)
	ids, _ := c.populate(t, n, rand.New(rand.NewPCG(9, 9)))
	w := newWorld(t, c)
	w.exec(`UPDATE gv.accounts SET write_back = true`)
	w.exec(`UPDATE gv.ads SET name = 'Spring' WHERE ad_id = 'a0'`)
	if report := w.run(); report.Written != n {
		t.Fatalf("%d deals were written back, want %d", report.Written, n)
	}
	return c, w, ids
}

// empty fails the test unless the deal has none of our properties.
func (c *crm) empty(t *testing.T, deal int64) {
	t.Helper()
	for _, p := range writeback.Properties {
		if got := c.Property(deal, p.Name); got != "" {
			t.Errorf("deal %d: %s is %q, want none", deal, p.Name, got)
		}
	}
}

func TestNothingIsWrittenBackUnlessSwitchedOn(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.PortalConfig{})
	ids, _ := c.populate(t, 3, rand.New(rand.NewPCG(9, 9)))
	w := newWorld(t, c)
	w.run()
	w.run()
	c.empty(t, ids[0])
	for _, route := range []string{updateRoute, "POST /crm/v3/properties/deals", "POST /crm/v3/properties/deals/groups"} {
		if n := c.fake.Requests(route); n != 0 {
			t.Errorf("%s was called %d times", route, n)
		}
	}
}

func TestAttributionIsWrittenIntoPropertiesThatAreMadeAtTheSwitch(t *testing.T) {
	t.Parallel()
	c, w, ids := written(t, fakehubspot.PortalConfig{}, 5)
	for name, column := range map[string]string{
		"gv_ad_id": "ad_id", "gv_campaign_id": "campaign_id", "gv_attribution_method": "attribution_method",
		"gv_attribution_confidence": "round(attribution_confidence::numeric, 2)::text", "gv_pipeline_value": "round(value_minor / 100.0, 2)::text",
	} {
		for _, id := range ids {
			if got, want := c.Property(id, name), one[string](w, `SELECT `+column+` FROM gv.deals WHERE deal_id = $1`, id); got != want || got == "" {
				t.Errorf("deal %d: %s is %q, want %q", id, name, got, want)
			}
		}
	}
	if ad, name := c.Property(ids[0], "gv_ad_id"), c.Property(ids[0], "gv_ad_name"); ad != "a0" || name != "Spring" {
		t.Errorf("the ad is %q, %q, want a0, Spring", ad, name)
	}
	if _, err := time.Parse(time.RFC3339, c.Property(ids[0], "gv_attributed_at")); err != nil {
		t.Error(err)
	}
	if n := c.fake.Requests("POST /crm/v3/properties/deals"); n != len(writeback.Properties) {
		t.Errorf("%d properties were made, want %d", n, len(writeback.Properties))
	}
}

func TestWriteBackFollowsAReattributionAndANewValue(t *testing.T) {
	t.Parallel()
	c, w, ids := written(t, fakehubspot.PortalConfig{}, 4)
	first, calls := c.Property(ids[0], "gv_attributed_at"), c.fake.Requests(updateRoute)
	w.exec(`UPDATE gv.deals SET value_minor = value_minor + 100 WHERE deal_id = $1`, ids[0])
	if _, err := w.job().Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := c.fake.Requests(updateRoute) - calls; n != 1 || c.Property(ids[0], "gv_attributed_at") != first {
		t.Errorf("a new value took %d calls, and the time of attribution is %s, was %s", n, c.Property(ids[0], "gv_attributed_at"), first)
	}
	contact := one[int64](w, `SELECT contact_id FROM gv.deal_contacts WHERE deal_id = $1`, ids[0])
	if _, _, err := c.UpsertContact(contact, map[string]string{"hs_facebook_click_id": "fb-a2"}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	w.run()
	if ad, at := c.Property(ids[0], "gv_ad_id"), c.Property(ids[0], "gv_attributed_at"); ad != "a2" || at <= first || c.Property(ids[0], "gv_ad_name") != "" {
		t.Errorf("after the new click the deal says %s %q since %s, want a2 without a name since later than %s", ad, c.Property(ids[0], "gv_ad_name"), at, first)
	}
	if ad := c.Property(ids[1], "gv_ad_id"); ad != "a1" {
		t.Errorf("another deal says %s, want a1", ad)
	}
}

func TestErasureEmptiesTheDealOnceAndForGood(t *testing.T) {
	t.Parallel()
	c, w, ids := written(t, fakehubspot.PortalConfig{}, 4)
	contact := one[int64](w, `SELECT contact_id FROM gv.deal_contacts WHERE deal_id = $1`, ids[0])
	events, err := c.EraseContact(contact)
	if err != nil || len(events) == 0 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for _, e := range slices.Concat(events, events) { // HubSpot repeats
		w.deliver(e, 5)
	}
	w.run()
	c.empty(t, ids[0])
	if c.Property(ids[1], "gv_ad_id") != "a1" {
		t.Error("another contact's deal was emptied too")
	}
	calls := c.fake.Requests(updateRoute)
	if _, err := c.MoveStage(ids[0], "closedwon", time.Time{}); err != nil {
		t.Fatal(err)
	}
	w.deliver(events[0], 5)
	w.run()
	c.empty(t, ids[0])
	if n := c.fake.Requests(updateRoute) - calls; n != 0 {
		t.Errorf("the emptied deal was written %d times more", n)
	}
}

func TestWhatWeWriteCausesABoundedCountOfEventsAndNoFurtherWrite(t *testing.T) {
	t.Parallel()
	c := newCRM(t, listening())
	ids, _ := c.populate(t, 120, rand.New(rand.NewPCG(9, 9))) // more than one batch
	w := newWorld(t, c)
	w.exec(`UPDATE gv.accounts SET write_back = true`)
	// HubSpot takes the first batch, and its answer is lost: the batch is sent again.
	c.fake.Inject(fakehubspot.Fault{Path: "/crm/v3/objects/deals/batch/update", Truncate: true})
	if report := w.run(); report.Written != len(ids) {
		t.Fatalf("%d deals were written back, want %d", report.Written, len(ids))
	}
	calls, batches := c.fake.Requests(updateRoute), c.fake.Undelivered()
	if calls > 3 {
		t.Errorf("%d deals took %d calls, want 2 and the repeated one", len(ids), calls)
	}
	// A deal without a name of its ad has six properties, and HubSpot sends 100 events in a request.
	if most := (100*6+99)/100 + (20*6+99)/100; batches == 0 || batches > most {
		t.Errorf("HubSpot sends %d batches of events, want at most %d", batches, most)
	}
	for _, p := range writeback.Properties { // the events arrive, each twice
		events, err := c.SetDeal(ids[0], map[string]string{p.Name: c.Property(ids[0], p.Name)}, time.Time{})
		if err != nil || len(events) != 1 {
			t.Fatalf("%d events, %v", len(events), err)
		}
		w.deliver(events[0], 5)
		w.deliver(events[0], 5)
	}
	for range 3 { // what we wrote moved the deals' last change, and nothing else
		if report := w.run(); report.Repaired != 0 || report.Written != 0 {
			t.Fatalf("our own writes are answered with %d repaired and %d written deals", report.Repaired, report.Written)
		}
	}
	if c.fake.Requests(updateRoute) != calls || c.fake.Undelivered() != batches {
		t.Errorf("nothing has changed, and there are %d calls and %d batches of events more",
			c.fake.Requests(updateRoute)-calls, c.fake.Undelivered()-batches)
	}
	if letters := one[int](w, `SELECT count(*)::int FROM gv.dead_letters`); letters != 0 {
		t.Errorf("%d of our own events are dead letters", letters)
	}
}

func TestAPortalThatAnswers429And500GetsEverythingInTheEnd(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.PortalConfig{})
	ids, _ := c.populate(t, 3, rand.New(rand.NewPCG(9, 9)))
	w := newWorld(t, c)
	w.exec(`UPDATE gv.accounts SET write_back = true`)
	reason := func() string { return one[string](w, `SELECT coalesce(write_back_error, '') FROM gv.crm_syncs`) }
	update := "/crm/v3/objects/deals/batch/update"
	// First for so long that a run gives up: the deals are read, and none is written.
	c.fake.Inject(fakehubspot.Fault{Path: update, Status: http.StatusInternalServerError, Times: 1000})
	if report := w.run(); report.Completed != 1 || report.Written != 0 || reason() == "" {
		t.Errorf("the run reports %+v and %q, want a completed portal, nothing written and the reason", report, reason())
	}
	if n := one[int](w, `SELECT count(*)::int FROM gv.writebacks WHERE sent <> '{}'`); n != 0 {
		t.Errorf("%d deals are recorded as written", n)
	}
	// Then for so short that the calls are repeated within the run.
	c.fake.Heal()
	c.fake.Inject(
		fakehubspot.Fault{Path: "/crm/v3/properties", Status: http.StatusTooManyRequests, RetryAfter: "0.01", Times: 2},
		fakehubspot.Fault{Path: update, Status: http.StatusTooManyRequests, RetryAfter: "0.01"},
		fakehubspot.Fault{Path: update, Status: http.StatusInternalServerError},
	)
	if report := w.run(); report.Written != 3 || reason() != "" {
		t.Errorf("the next run reports %+v and %q, want all 3 written and no error", report, reason())
	}
	for i, id := range ids {
		if got, want := c.Property(id, "gv_ad_id"), fmt.Sprintf("a%d", i); got != want {
			t.Errorf("deal %d says %q, want %s", id, got, want)
		}
	}
}

func TestWhatAnAccountNoLongerWritesIsEmptied(t *testing.T) {
	t.Parallel()
	c, w, ids := written(t, fakehubspot.PortalConfig{}, 4)
	w.exec(`INSERT INTO gv.accounts (tenant_id, account_id) VALUES ($1, 'act_2')`, tenant)
	w.exec(`UPDATE gv.ads SET account_id = 'act_2' WHERE ad_id = 'a1'`)
	w.run()
	c.empty(t, ids[1])
	if c.Property(ids[0], "gv_ad_id") != "a0" {
		t.Error("the deal of an account that is switched on was emptied too")
	}
	w.exec(`UPDATE gv.accounts SET write_back = false`)
	w.run()
	c.empty(t, ids[0])
	calls := c.fake.Requests(updateRoute)
	if w.run(); c.fake.Requests(updateRoute) != calls {
		t.Error("switched off and empty, and the portal is still written")
	}
}

func TestAPropertyOfAnotherTypeIsReportedAndNothingIsWritten(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.PortalConfig{})
	c.DefineProperty(fakehubspot.Definition{Name: "gv_ad_id", Label: "theirs", Type: "number", FieldType: "number"})
	ids, _ := c.populate(t, 1, rand.New(rand.NewPCG(9, 9)))
	w := newWorld(t, c)
	w.exec(`UPDATE gv.accounts SET write_back = true`)
	w.run()
	if got := one[string](w, `SELECT coalesce(write_back_error, '') FROM gv.crm_syncs`); got == "" || c.fake.Requests(updateRoute) != 0 {
		t.Errorf("the error is %q, and the deals were written %d times: %q", got, c.fake.Requests(updateRoute), c.Property(ids[0], "gv_campaign_id"))
	}
}
