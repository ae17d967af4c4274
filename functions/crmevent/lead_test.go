package crmevent_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/functions/crmevent"
	"github.com/geminivideo/geminivideo/functions/leadads"
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/infra/testkit/vault"
	"github.com/geminivideo/geminivideo/shared/dealsync"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/meta"
)

const (
	pageID    = "700100"
	pageToken = "EAApage700100"
	appSecret = vault.Marker + "the app's secret"
	email     = "Ann.Lead@example.com"
	phone     = "+1 (312) 555-0144"
)

// withPage connects a page, as PUT /api/connections/meta leaves it.
func withPage(t testing.TB) (*crm, *world) {
	t.Helper()
	c := newCRM(t, fakehubspot.Options{})
	c.meta.ConnectPage(fakemeta.PageConfig{ID: pageID, Tokens: []string{pageToken}})
	for name, value := range map[string]string{"page-token": pageToken, "lead-key": "c2VjcmV0LWtleQ"} {
		if err := c.keys.Set("projects/test/secrets/"+name, value); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t, c)
	w.exec(`INSERT INTO gv.meta_pages (tenant_id, page_id, access_token, connected_by) VALUES ($1, $2, 'projects/test/secrets/page-token', 'test')`, tenant, pageID)
	w.exec(`INSERT INTO gv.lead_keys (tenant_id, secret) VALUES ($1, 'projects/test/secrets/lead-key')`, tenant)
	return c, w
}

// submit has somebody fill in a lead form on day n and returns the lead's id.
func (w *world) submit(n int, l fakemeta.Lead) string {
	w.t.Helper()
	l.Created = day(n)
	id, err := w.crm.meta.SubmitLead(pageID, l)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// notified is what the door queues of Meta's notification of leads.
func (w *world) notified(ids ...string) []message.Message {
	w.t.Helper()
	body := w.crm.meta.Notification(ids...)
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, "/webhooks/meta", bytes.NewReader(body))
	r.Header.Set("X-Hub-Signature-256", fakemeta.SignBody(appSecret, body))
	rec, sent := httptest.NewRecorder(), &queue{}
	leadads.New(w.app, sent, leadads.App{Secret: appSecret}).ServeHTTP(rec, r)
	if rec.Code != http.StatusOK {
		w.t.Fatalf("the door answers %d %s", rec.Code, rec.Body)
	}
	return sent.sent
}

// prospect makes a contact that converted on day n, and its deal.
func prospect(t testing.TB, c *crm, n int, properties map[string]string) (contact, deal int64, events []fakehubspot.Event) {
	t.Helper()
	properties["first_conversion_date"] = day(n).Format(time.RFC3339)
	contact, events = must[int64](t)(c.UpsertContact(0, properties, day(n)))
	deal, more := must[int64](t)(c.CreateDeal(fakehubspot.NewDeal{Contacts: []int64{contact}, Primary: true, Stage: "appointmentscheduled", At: day(n)}))
	return contact, deal, append(events, more...)
}

// credits is how the deals are credited, in their order.
func (w *world) credits() string {
	return one[string](w, `SELECT coalesce(string_agg(concat_ws(' ', coalesce(ad_id, '-'), attribution_method, attribution_confidence), ', ' ORDER BY deal_id), '') FROM gv.deals`)
}

// noAddress looks for the person in every table and message.
func (w *world) noAddress() {
	w.t.Helper()
	plain := []string{"ann.lead", "Ann.Lead", "5550144", "555-0144"}
	for _, text := range plain[:2] {
		plain = append(plain, fmt.Sprintf("%x", text))
	}
	if found := w.holding(plain...); len(found) > 0 {
		w.t.Errorf("an address is in plain in %v", found)
	}
	for _, m := range w.queue.sent {
		for _, text := range plain {
			if strings.Contains(string(m.Data), text) {
				w.t.Errorf("a message holds an address: %s", m.Data)
			}
		}
	}
}

// flushed delivers what the function itself has queued since.
func (w *world) flushed() {
	w.t.Helper()
	for len(w.queue.sent) > 0 {
		m := w.queue.sent[0]
		w.queue.sent = w.queue.sent[1:]
		if m.Topic == dealsync.Topic {
			w.handle(m)
		}
	}
}

func TestALeadFormsDealIsCreditedToItsAdBeforeAnyClick(t *testing.T) {
	t.Parallel()
	for name, properties := range map[string]func(lead string) map[string]string{
		"its id":                     func(lead string) map[string]string { return map[string]string{"gv_lead_id": lead} },
		"its id as an export has it": func(lead string) map[string]string { return map[string]string{"gv_lead_id": "l:" + lead} },
		"its e-mail address":         func(string) map[string]string { return map[string]string{"email": "ann.lead@example.com"} },
		"its phone number":           func(string) map[string]string { return map[string]string{"mobilephone": "0013125550144"} },
	} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", late: ", late), func(t *testing.T) {
				t.Parallel()
				c, w := withPage(t)
				w.click("a2", "fb-1", day(4))
				lead := w.submit(3, fakemeta.Lead{AdID: "a1", Email: email, Phone: phone})
				given := properties(lead)
				given["hs_facebook_click_id"] = "fb-1"
				_, _, events := prospect(t, c, 5, given)
				parts := [][]message.Message{w.notified(lead), messages(t, events...)}
				if late {
					parts[0], parts[1] = parts[1], parts[0]
				}
				for _, part := range parts {
					w.handle(part...)
					w.flushed()
				}
				if got := w.credits(); got != "a1 lead_id 1" {
					t.Errorf("credited %s", got)
				}
				if got := one[int64](w, `SELECT pipeline_minor FROM gv.ads WHERE ad_id = 'a1'`); got != 225000 {
					t.Errorf("the ad's pipeline value is %d, want 225000", got)
				}
				if n := one[int64](w, `SELECT count(*) FROM gv.clicks WHERE email_hash IS NOT NULL OR phone_hash IS NOT NULL`) +
					one[int64](w, `SELECT count(*) FROM gv.contact_keys WHERE kind IN ('email_hash', 'phone_hash')`); n != 0 {
					t.Errorf("%d rows hold a hash that a lead was found by", n)
				}
				w.noAddress()
			})
		}
	}
}

func TestALeadIsReadOnceHoweverOftenItIsReported(t *testing.T) {
	t.Parallel()
	_, w := withPage(t)
	lead := w.submit(3, fakemeta.Lead{AdID: "a1", Email: email})
	for range 3 {
		w.handle(w.notified(lead, lead)...)
	}
	if n := w.crm.meta.Requests("GET lead"); n != 1 {
		t.Errorf("Meta was asked %d times for one lead", n)
	}
	if got := one[string](w, `SELECT string_agg(click_id || ' ' || ad_id, ',') FROM gv.clicks`); got != "lead-"+lead+" a1" {
		t.Errorf("recorded %s", got)
	}
}

func TestALeadWithoutAnAdIsCreditedToNone(t *testing.T) {
	t.Parallel()
	c, w := withPage(t)
	lead := w.submit(3, fakemeta.Lead{Organic: true, Email: email})
	_, _, events := prospect(t, c, 5, map[string]string{"gv_lead_id": lead, "email": email})
	w.handle(append(w.notified(lead), messages(t, events...)...)...)
	if got := w.credits(); got != "- unattributed 0" {
		t.Errorf("credited %s", got)
	}
	if at := one[*time.Time](w, `SELECT last_lead_at FROM gv.meta_pages`); at == nil || !at.Equal(day(3)) {
		t.Errorf("the page's last lead is of %v", at)
	}
	w.noAddress()
}

func TestADealMadeAfterALaterLeadOfAKnownContactIsItsAds(t *testing.T) {
	t.Parallel()
	c, w := withPage(t)
	contact, _, events := prospect(t, c, 2, map[string]string{"email": email})
	w.handle(messages(t, events...)...)
	for n, ad := range map[int]string{10: "a1", 20: "a2"} { // two forms, each before a deal of its own
		w.handle(w.notified(w.submit(n, fakemeta.Lead{AdID: ad, Email: email}))...)
	}
	w.flushed()
	for _, n := range []int{12, 22} {
		_, more := must[int64](t)(c.CreateDeal(fakehubspot.NewDeal{Contacts: []int64{contact}, Primary: true, At: day(n)}))
		w.handle(messages(t, more...)...)
	}
	if got := w.credits(); got != "- unattributed 0, a1 lead_id 1, a2 lead_id 1" {
		t.Errorf("credited %s", got)
	}
}

// TestInAnyOrderOfLeadsAndEventsTheLedgerIsTheSame gives people one lead each and
// delivers all messages, some of them twice, in random orders.
func TestInAnyOrderOfLeadsAndEventsTheLedgerIsTheSame(t *testing.T) {
	t.Parallel()
	c, first := withPage(t)
	var all []message.Message
	for n := range 6 {
		address := fmt.Sprintf("person%d@example.com", n)
		lead := first.submit(3+n, fakemeta.Lead{AdID: fmt.Sprintf("a%d", 1+n%3), Email: address, Phone: fmt.Sprintf("+1312555%04d", n)})
		known := []map[string]string{{"email": address}, {"gv_lead_id": lead}, {"phone": fmt.Sprintf("1312555%04d", n)}}[n%3]
		_, _, events := prospect(t, c, 5+n, known)
		all = append(append(all, first.notified(lead)...), messages(t, events...)...)
	}
	first.handle(all...)
	first.flushed()
	want := first.dump()
	rng := rand.New(rand.NewPCG(7, 7))
	for range 6 {
		w := newWorld(t, c)
		w.exec(`INSERT INTO gv.meta_pages (tenant_id, page_id, access_token, connected_by) VALUES ($1, $2, 'projects/test/secrets/page-token', 'test')`, tenant, pageID)
		w.exec(`INSERT INTO gv.lead_keys (tenant_id, secret) VALUES ($1, 'projects/test/secrets/lead-key')`, tenant)
		order := append(append([]message.Message{}, all...), all[:len(all)/2]...)
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		inParallel(t, w, order, 3)
		w.flushed()
		if diff := cmp.Diff(want, w.dump()); diff != "" {
			t.Fatalf("another order leaves another ledger:\n%s", diff)
		}
	}
}

func TestAnErasedContactsLeadGoesAndItsDealStaysOnTheAd(t *testing.T) {
	t.Parallel()
	for name, matched := range map[string]bool{"with a deal": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, w := withPage(t)
			lead := w.submit(3, fakemeta.Lead{AdID: "a1", Email: email, Phone: phone})
			w.handle(w.notified(lead)...)
			var contact int64
			var events []fakehubspot.Event
			if matched {
				contact, _, events = prospect(t, c, 5, map[string]string{"email": email})
			} else {
				contact, events = must[int64](t)(c.UpsertContact(0, map[string]string{"email": email}, day(5)))
			}
			w.handle(messages(t, events...)...)
			erasure, err := c.EraseContact(contact)
			if err != nil {
				t.Fatal(err)
			}
			w.handle(messages(t, erasure...)...)
			w.exec(`DELETE FROM gv.inbox`) // long after: Meta sends it again
			if n := one[int64](w, `SELECT count(*) FROM gv.clicks WHERE coalesce(lead_id, email_hash, phone_hash, lead_contact_id::text) IS NOT NULL`); n != 0 {
				t.Errorf("%d leads of the erased contact are left", n)
			}
			w.handle(w.notified(lead)...)
			if n := one[int64](w, `SELECT count(*) FROM gv.clicks WHERE lead_id IS NOT NULL`); n != 0 {
				t.Errorf("the lead of an erased contact came back")
			}
			if found := w.holding(lead + `"`); len(found) > 0 && !onlyInbox(found) {
				t.Errorf("the lead's id is in %v", found)
			}
			if matched {
				if got := w.credits(); got != "a1 lead_id 1" {
					t.Errorf("the deal is credited %s", got)
				}
			}
			w.noAddress()
		})
	}
}

// onlyInbox reports whether a lead's id is only where a repeat of its message is known by.
func onlyInbox(found []string) bool { return len(found) == 1 && strings.HasPrefix(found[0], "inbox ") }

func TestATroubledMetaIsAskedAgainAndARefusedTokenIsReportedOnce(t *testing.T) {
	t.Parallel()
	c, w := withPage(t)
	w.exec(`INSERT INTO gv.webhooks (tenant_id, url, secret, updated_by) VALUES ($1, 'https://hook.example', 'projects/test/secrets/hook', 'test')`, tenant)
	lead := w.submit(3, fakemeta.Lead{AdID: "a1"})
	all := w.notified(lead)
	for name, one := range map[string]fakemeta.Fault{
		"the app's quota": {Code: 4}, "429": {Status: 429}, "a gateway's page": {Status: 502}, "cut off": {Drop: true}, "half an answer": {Truncate: true},
	} {
		one.Path, one.Times = lead, 5 // HTTP itself repeats a read on a connection that was cut off
		c.meta.Inject(one)
		// A client of its own, for a throttled one leaves Meta alone for minutes.
		again := w.reader(meta.Options{Attempts: 1})
		if err := again.Handle(t.Context(), all[0]); fault.Of(err) != fault.Unavailable {
			t.Errorf("%s: %v, want one that is tried again", name, err)
		}
		c.meta.Heal()
	}
	c.meta.Inject(fakemeta.Fault{Path: lead, Delay: time.Hour})
	if err := w.reader(meta.Options{Attempts: 1, Timeout: 50 * time.Millisecond}).Handle(t.Context(), all[0]); fault.Of(err) != fault.Unavailable {
		t.Errorf("a Meta that hangs: %v, want one that is tried again", err)
	}
	c.meta.Heal()
	c.meta.ConnectPage(fakemeta.PageConfig{ID: pageID, Tokens: []string{"EAAanother"}})
	for range 2 {
		if err := w.reader(meta.Options{Attempts: 1}).Handle(t.Context(), all[0]); !fault.Permanent(err) {
			t.Errorf("a revoked token: %v, want one that is not tried again", err)
		}
	}
	if got := one[string](w, `SELECT last_error FROM gv.meta_pages`); !strings.Contains(got, "page "+pageID) || !strings.Contains(got, "connect it again") {
		t.Errorf("the page says %q", got)
	}
	notices := 0
	for _, m := range w.queue.sent {
		if m.Topic == "tenant-notices" && strings.Contains(string(m.Data), "connection.refused") {
			notices++
		}
	}
	if notices != 1 {
		t.Errorf("%d notices of one refusal", notices)
	}
	c.meta.ConnectPage(fakemeta.PageConfig{ID: pageID, Tokens: []string{pageToken}})
	w.handle(all...) // replayed
	if got := one[string](w, `SELECT ad_id || coalesce((SELECT last_error FROM gv.meta_pages), '') FROM gv.clicks`); got != "a1" {
		t.Errorf("after the page was connected again: %s", got)
	}
}

// reader is the function with a client of Meta of its own.
func (w *world) reader(o meta.Options) interface {
	Handle(context.Context, message.Message) error
} {
	return crmevent.New(w.app, nil, w.queue, w.crm.vault, dealsync.Config{URL: w.crm.api.URL}, meta.New(meta.Config{BaseURL: w.crm.graph.URL}, o))
}

func TestALeadThatMetaHasNoMoreIsCreditedByItsNotification(t *testing.T) {
	t.Parallel()
	c, w := withPage(t)
	w.exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id) VALUES ($1, '120500000001', 'act_1', 'c1')`, tenant)
	lead := w.submit(3, fakemeta.Lead{AdID: "120500000001", Email: email})
	all := w.notified(lead)
	c.meta.DropLead(lead)
	_, _, events := prospect(t, c, 5, map[string]string{"gv_lead_id": lead})
	w.handle(append(all, messages(t, events...)...)...)
	if got := w.credits(); got != "120500000001 lead_id 1" {
		t.Errorf("credited %s", got)
	}
}

func TestALeadOfAPageThatIsNotTheTenantsIsRefused(t *testing.T) {
	t.Parallel()
	_, w := withPage(t)
	lead := w.submit(3, fakemeta.Lead{AdID: "a1"})
	m := w.notified(lead)[0]
	w.exec(`UPDATE gv.meta_pages SET disconnected_at = now()`)
	if err := w.consumer.Handle(t.Context(), m); !fault.Permanent(err) {
		t.Errorf("of a disconnected page: %v", err)
	}
	other := m
	other.Attributes = map[string]string{message.KeyAttribute: m.Key(), message.TenantAttribute: "b9e60f6e-52f5-4c7e-8f0c-3a4f5f3b7c02"}
	w.exec(`INSERT INTO gv.tenants (tenant_id, name) VALUES ('b9e60f6e-52f5-4c7e-8f0c-3a4f5f3b7c02', 'Southside')`)
	if err := w.consumer.Handle(t.Context(), other); !fault.Permanent(err) {
		t.Errorf("of another tenant's page: %v", err)
	}
	if n := w.crm.meta.Requests("GET lead"); n != 0 {
		t.Errorf("Meta was asked %d times", n)
	}
}
