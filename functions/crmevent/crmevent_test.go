package crmevent_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/message"
)

// day is noon of the nth day of the tests' story, which lies in the past: what is
// dated ahead of the clock counts as now.
func day(n int) time.Time { return begun.AddDate(0, 0, n) }

var begun = time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -60).Add(12 * time.Hour)

// lead makes a contact that clicked with fbclid and converted on day n, and its
// deal; it returns the deal's id and all events.
func lead(t testing.TB, c *crm, fbclid string, n int) (int64, []fakehubspot.Event) {
	t.Helper()
	contact, events := must[int64](t)(c.UpsertContact(0, map[string]string{
		"hs_facebook_click_id": fbclid, "first_conversion_date": day(n).Format(time.RFC3339),
	}, day(n)))
	deal, more := must[int64](t)(c.CreateDeal(fakehubspot.NewDeal{Contacts: []int64{contact}, Primary: true, At: day(n)}))
	return deal, append(events, more...)
}

func move(t testing.TB, c *crm, deal int64, stage string, n int) []fakehubspot.Event {
	t.Helper()
	events, err := c.MoveStage(deal, stage, day(n))
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func TestADealsValueReachesTheAdThatWasClicked(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.Options{})
	w := newWorld(t, c)
	w.click("a1", "fb-1", day(1))
	deal, events := lead(t, c, "fb-1", 2)
	w.handle(messages(t, events...)...)
	w.handle(messages(t, move(t, c, deal, "appointmentscheduled", 3)...)...)
	if got := one[int64](w, `SELECT pipeline_minor FROM gv.ads WHERE ad_id = 'a1'`); got != 225000 {
		t.Errorf("pipeline value is %d, want 225000", got)
	}
	if got := one[string](w, `SELECT attribution_method || ' ' || attribution_confidence FROM gv.deals`); got != "url_param 1" {
		t.Errorf("attribution is %q", got)
	}
	more, err := c.SetAmount(deal, "4321.50")
	if err != nil {
		t.Fatal(err)
	}
	w.handle(messages(t, append(more, move(t, c, deal, "closedwon", 9)...)...)...)
	if got := one[string](w, `SELECT pipeline_minor || ' ' || revenue_minor || ' ' || is_winner FROM gv.ads WHERE ad_id = 'a1'`); got != "432150 432150 true" {
		t.Errorf("after the deal was won the ad has %q", got)
	}
	winners := 0
	for _, m := range w.queue.sent {
		if m.Topic == "winner-found" && string(m.Data) == `{"ad_id":"a1"}` {
			winners++
		}
	}
	if winners != 1 {
		t.Errorf("%d winner-found messages, want 1", winners)
	}
	w.handle(messages(t, move(t, c, deal, "closedlost", 12)...)...)
	if got := one[string](w, `SELECT pipeline_minor || ' ' || is_winner FROM gv.ads WHERE ad_id = 'a1'`); got != "0 false" {
		t.Errorf("a lost deal leaves the ad %q", got)
	}
}

func TestRedeliveryChangesNothing(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.Options{})
	w := newWorld(t, c)
	w.click("a1", "fb-1", day(1))
	deal, events := lead(t, c, "fb-1", 2)
	all := messages(t, append(events, move(t, c, deal, "closedwon", 5)...)...)
	w.handle(all...)
	before, requests := w.dump(), c.fake.Requests("")
	for range 3 {
		w.handle(all...)
	}
	if diff := cmp.Diff(before, w.dump()); diff != "" {
		t.Errorf("redelivery changed (-before +after):\n%s", diff)
	}
	if got := c.fake.Requests(""); got != requests {
		t.Errorf("redelivery asked the CRM %d times", got-requests)
	}
}

func TestTwoDealsOfOneAdAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.Options{})
	w := newWorld(t, c)
	const n = 12
	var wg sync.WaitGroup
	for i := range n {
		fbclid := "fb-" + string(rune('a'+i))
		w.click("a1", fbclid, day(1))
		deal, events := lead(t, c, fbclid, 2)
		events = append(events, move(t, c, deal, "appointmentscheduled", 3)...)
		for _, m := range messages(t, events...) {
			wg.Go(func() { deliver(t, w.consumer, m) })
		}
	}
	wg.Wait()
	if got := one[int64](w, `SELECT pipeline_minor FROM gv.ads WHERE ad_id = 'a1'`); got != n*225000 {
		t.Errorf("pipeline value is %d, want %d", got, n*225000)
	}
}

func TestASlowReadingNeverOverwritesALaterOne(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.Options{})
	w := newWorld(t, c)
	w.click("a1", "fb-1", day(1))
	deal, events := lead(t, c, "fb-1", 2)
	w.handle(messages(t, events...)...)
	early := messages(t, move(t, c, deal, "appointmentscheduled", 3)...)
	// The first request for the deal is answered late; by then the deal is won.
	c.fake.Inject(fakehubspot.Fault{Path: "/crm/v3/objects/contacts", Delay: 400 * time.Millisecond})
	before := c.fake.Requests("")
	var wg sync.WaitGroup
	wg.Go(func() { w.handle(early...) })
	for c.fake.Requests("") == before { // until the slow reading is under way
		time.Sleep(time.Millisecond)
	}
	w.handle(messages(t, move(t, c, deal, "closedwon", 4)...)...)
	wg.Wait()
	if got := one[string](w, `SELECT stage_name FROM gv.deals`); got != "closed_won" {
		t.Errorf("the deal is at %s, want closed_won", got)
	}
}

func TestWhatCanNeverSucceedIsKeptWithItsReasonAtOnce(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.Options{})
	w := newWorld(t, c)
	at := day(2).UnixMilli()
	for name, e := range map[string]fakehubspot.Event{
		"does not exist in portal 4711":       {PortalID: portalID, EventID: 1, OccurredAt: at, SubscriptionType: "deal.propertyChange", ObjectID: 99, PropertyName: "dealstage"},
		"portal 815 is not connected":         {PortalID: 815, EventID: 2, OccurredAt: at, SubscriptionType: "deal.creation", ObjectID: 99},
		"objectId must be the id of a record": {PortalID: portalID, EventID: 3, OccurredAt: at, SubscriptionType: "deal.creation"},
	} {
		m := messages(t, e)[0]
		err := w.consumer.Handle(t.Context(), m)
		if err == nil || !fault.Permanent(err) || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want a permanent error with %q", err, name)
			continue
		}
		if err := w.consumer.Reject(t.Context(), m, err); err != nil {
			t.Fatal(err)
		}
	}
	if got := one[int64](w, `SELECT count(*) FROM gv.dead_letters WHERE topic = 'crm-events' AND reason <> ''`); got != 3 {
		t.Errorf("%d dead letters, want 3", got)
	}
	if got := one[int64](w, `SELECT count(*) FROM gv.deals`); got != 0 {
		t.Errorf("%d deals recorded, want none", got)
	}
}

func TestAClickThatArrivesLateGetsItsDeal(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.Options{})
	w := newWorld(t, c)
	deal, events := lead(t, c, "fb-1", 2)
	w.handle(messages(t, append(events, move(t, c, deal, "appointmentscheduled", 3)...)...)...)
	if got := one[string](w, `SELECT attribution_method FROM gv.deals`); got != "unattributed" {
		t.Fatalf("attributed by %s before there was a click", got)
	}
	w.click("a2", "fb-1", day(1))
	data, err := json.Marshal(map[string]any{"kind": "attribute", "portal_id": portalID, "deal_id": deal})
	if err != nil {
		t.Fatal(err)
	}
	late := message.Message{ID: "late", Data: data, Attributes: map[string]string{message.TenantAttribute: tenant}}
	w.handle(late, late)
	if got := one[int64](w, `SELECT pipeline_minor FROM gv.ads WHERE ad_id = 'a2'`); got != 225000 {
		t.Errorf("pipeline value is %d, want 225000", got)
	}
}

func TestALaterClickOfTheContactDoesNotMoveTheDeal(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.Options{})
	w := newWorld(t, c)
	w.click("a1", "fb-1", day(1))
	w.click("a2", "fb-2", day(20))
	contact, events := must[int64](t)(c.UpsertContact(0, map[string]string{
		"hs_facebook_click_id": "fb-1", "first_conversion_date": day(2).Format(time.RFC3339),
	}, day(2)))
	deal, more := must[int64](t)(c.CreateDeal(fakehubspot.NewDeal{Contacts: []int64{contact}, At: day(2)}))
	_, later := must[int64](t)(c.UpsertContact(contact, map[string]string{"hs_facebook_click_id": "fb-2"}, day(20)))
	events = append(append(events, more...), later...)
	w.handle(messages(t, append(events, move(t, c, deal, "closedwon", 25)...)...)...)
	if got := one[string](w, `SELECT ad_id FROM gv.deals`); got != "a1" {
		t.Errorf("credited to %s, want a1", got)
	}
}

func TestForeignCurrencyCountsInTheHomeCurrencyOrIsReported(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.Options{})
	w := newWorld(t, c)
	for currency, want := range map[string]string{"EUR": "110000 ", "GBP": "0 the amount is in GBP and HubSpot gives no amount in USD"} {
		deal, events := must[int64](t)(c.CreateDeal(fakehubspot.NewDeal{Amount: "1000", Currency: currency, At: day(2)}))
		w.handle(messages(t, append(events, move(t, c, deal, "closedwon", 3)...)...)...)
		if got := one[string](w, `SELECT value_minor || ' ' || coalesce(amount_issue, '') FROM gv.deals WHERE deal_id = $1`, deal); got != want {
			t.Errorf("%s: %q, want %q", currency, got, want)
		}
	}
}

func TestAnUnmappedStageIsKeptAndWorthNothing(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.Options{})
	w := newWorld(t, c)
	deal, events := must[int64](t)(c.CreateDeal(fakehubspot.NewDeal{At: day(2)}))
	w.handle(messages(t, append(events, move(t, c, deal, "tasting", 3)...)...)...)
	if got := one[string](w, `SELECT stage_id || ' ' || (stage_name IS NULL) || ' ' || value_minor FROM gv.deals`); got != "tasting true 0" {
		t.Errorf("recorded %q", got)
	}
}

func TestAnErasedContactStaysErased(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.Options{})
	w := newWorld(t, c)
	w.click("a1", "fb-1", day(1))
	contact, old := must[int64](t)(c.UpsertContact(0, map[string]string{
		"hs_facebook_click_id": "fb-1", "first_conversion_date": day(2).Format(time.RFC3339),
	}, day(2)))
	_, more := must[int64](t)(c.CreateDeal(fakehubspot.NewDeal{Contacts: []int64{contact}, At: day(2)}))
	w.handle(messages(t, append(old, more...)...)...)
	w.exec(`INSERT INTO gv.conversions (tenant_id, conversion_id, conversion_type, value_minor, converted_at, converted_until, fbclid, ip_address, user_agent,
	                                   click_id, ad_id, campaign_id, method, confidence, reason)
	        VALUES ($1, 'v1', 'form', 0, now(), now(), 'fb-1', '192.0.2.1', 'browser', 'click-fb-1', 'a1', 'c1', 'url_param', 1, 'the same click')`, tenant)
	erasure, err := c.EraseContact(contact)
	if err != nil {
		t.Fatal(err)
	}
	w.handle(messages(t, erasure...)...)
	w.handle(messages(t, append(old, more...)...)...) // older redeliveries
	for _, table := range []string{"contacts", "contact_keys", "deal_contacts"} {
		if got := one[int64](w, `SELECT count(*) FROM gv.`+table); got != 0 {
			t.Errorf("%d rows left in %s", got, table)
		}
	}
	if got := w.holding("fb-1", "192.0.2.1", "browser"); len(got) != 0 {
		t.Errorf("personal data is left in %v", got)
	}
	// What was found stays: for the deal and the conversion, under one new id.
	if got := one[string](w, `SELECT concat_ws(' ', d.ad_id, v.ad_id, k.ad_id) FROM gv.deals d JOIN gv.conversions v USING (click_id) JOIN gv.clicks k USING (click_id)`); got != "a1 a1 a1" {
		t.Errorf("the deal, its conversion and their click are of %q", got)
	}
	if got := one[int64](w, `SELECT count(*) FROM gv.inbox WHERE subject IS NOT NULL`); got != 0 {
		t.Errorf("%d handled events still name the contact", got)
	}
	if got := one[int64](w, `SELECT count(*) FROM gv.erasures`); got != 1 {
		t.Errorf("%d tombstones, want 1", got)
	}
}

func TestATroubledCRMIsTriedAgain(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.Options{})
	w := newWorld(t, c)
	_, events := must[int64](t)(c.CreateDeal(fakehubspot.NewDeal{At: day(2)}))
	m := messages(t, events...)[0]
	c.SetTokens("another")
	err := w.consumer.Handle(t.Context(), m)
	if err == nil || fault.Permanent(err) || strings.Contains(err.Error(), token) {
		t.Errorf("with a refused token: %v, want an error that passes and does not show the token", err)
	}
	if got := one[string](w, `SELECT last_error FROM gv.hubspot_connections`); !strings.Contains(got, "connect it again") {
		t.Errorf("the connection says %q", got)
	}
	c.SetTokens(token)
	w.handle(m)
	if got := one[int64](w, `SELECT count(*) FROM gv.deals`); got != 1 {
		t.Errorf("%d deals, want 1", got)
	}
	if got := one[int64](w, `SELECT count(*) FROM gv.hubspot_connections WHERE last_error IS NULL`); got != 1 {
		t.Error("a connection that works again does not say so")
	}
}

func TestAnEventDatedAheadOfTheClockCountsAsNow(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.Options{})
	w := newWorld(t, c)
	deal, events := must[int64](t)(c.CreateDeal(fakehubspot.NewDeal{At: day(2)}))
	w.handle(messages(t, events...)...)
	ahead := fakehubspot.Event{
		PortalID: portalID, EventID: 99, OccurredAt: time.Now().Add(10 * time.Minute).UnixMilli(), SubscriptionType: "deal.propertyChange",
		ObjectID: deal, PropertyName: "dealstage", PropertyValue: &[]string{"closedlost"}[0],
	}
	stage := func() string { return one[string](w, `SELECT stage_name FROM gv.deals`) }
	w.handle(messages(t, ahead)...)
	if got := stage(); got != "closed_lost" {
		t.Errorf("the event leaves the deal at %s", got)
	}
	moved, err := c.MoveStage(deal, "closedwon", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	w.handle(messages(t, moved...)...)
	w.handle(messages(t, ahead)...) // delivered again
	if got := stage(); got != "closed_won" {
		t.Errorf("a change after it leaves the deal at %s, want closed_won", got)
	}
	if got := one[int64](w, `SELECT count(*) FROM gv.deal_stages WHERE occurred_at > now()`); got != 0 {
		t.Errorf("%d moves lie in the future", got)
	}
}

func TestADealCreatedAndDeletedBeforeItWasReadIsNoDeadLetter(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.Options{})
	w := newWorld(t, c)
	deal, events := lead(t, c, "fb-1", 2)
	events = append(events, move(t, c, deal, "closedwon", 3)...)
	gone, err := c.DeleteDeal(deal)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages(t, append(events, gone...)...) {
		if err := w.consumer.Handle(t.Context(), m); err != nil {
			t.Errorf("%s: %v", m.Data, err)
		}
	}
	if got := one[string](w, `SELECT state FROM gv.deals`); got != "gone" {
		t.Errorf("the deal is %s", got)
	}
}

func TestACookieOfMetasStandsForItsClickID(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.Options{})
	w := newWorld(t, c)
	w.click("a1", "case-fbc-1", day(1))
	_, events := lead(t, c, "fb.1.1795986541737.case-fbc-1", 2)
	w.handle(messages(t, events...)...)
	if got := one[string](w, `SELECT attribution_method || ' ' || ad_id FROM gv.deals`); got != "url_param a1" {
		t.Errorf("credited by %s", got)
	}
}

func TestAContactIsKnownByEveryPlatformsClickID(t *testing.T) {
	t.Parallel()
	for kind, properties := range map[string]map[string]string{
		"ttclid": {"hs_tiktok_click_id": "of-a-platform"},
		"gbraid": {"hs_analytics_first_url": "https://shop.example/?gbraid=of-a-platform"},
		"wbraid": {"hs_analytics_first_url": "https://shop.example/?wbraid=of-a-platform"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := newCRM(t, fakehubspot.Options{})
			w := newWorld(t, c)
			w.exec(`INSERT INTO gv.clicks (tenant_id, click_id, ad_id, campaign_id, clicked_at, `+kind+`) VALUES ($1, 'click-1', 'a1', 'c1', $2, 'of-a-platform')`,
				tenant, day(1))
			properties["first_conversion_date"] = day(2).Format(time.RFC3339)
			contact, events := must[int64](t)(c.UpsertContact(0, properties, day(2)))
			_, more := must[int64](t)(c.CreateDeal(fakehubspot.NewDeal{Contacts: []int64{contact}, Primary: true, At: day(2)}))
			w.handle(messages(t, append(events, more...)...)...)
			if got := one[string](w, `SELECT attribution_method || ' ' || ad_id FROM gv.deals`); got != "url_param a1" {
				t.Errorf("credited by %s", got)
			}
		})
	}
}
