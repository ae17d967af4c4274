package crmevent_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/shared/message"
)

// person is a contact that clicked once and has a deal; its marks are its own.
type person struct {
	contact, deal int64
	ad            string
	fbclid, ip    string
	agent         string
	erased        bool
	heir          int // the person it was merged into, or itself
}

// marks are what no row may say of a person whose data was erased.
func (p person) marks() []string { return []string{p.fbclid, p.ip, p.agent} }

// crowd makes n people whose deals are recorded and credited.
func crowd(t *testing.T, w *world, n int) []*person {
	t.Helper()
	var all []*person
	for i := range n {
		p := &person{
			ad: fmt.Sprintf("a%d", 1+i%3), fbclid: fmt.Sprintf("fb-secret-%02d", i), ip: fmt.Sprintf("203.0.113.%d", 100+i),
			agent: fmt.Sprintf("Agent secret-%02d", i), heir: i,
		}
		w.exec(`INSERT INTO gv.clicks (tenant_id, click_id, ad_id, campaign_id, clicked_at, fbclid, ip_address, user_agent) VALUES ($1, $2, $3, 'c1', $4, $5, $6, $7)`,
			tenant, "click-"+p.fbclid, p.ad, day(1).Add(time.Duration(i)*time.Minute), p.fbclid, p.ip, p.agent)
		events := []fakehubspot.Event{}
		var more []fakehubspot.Event
		p.contact, more = must[int64](t)(w.crm.UpsertContact(0, map[string]string{
			"hs_facebook_click_id": p.fbclid, "first_conversion_date": day(2).Format(time.RFC3339),
		}, day(2)))
		events = append(events, more...)
		p.deal, more = must[int64](t)(w.crm.CreateDeal(fakehubspot.NewDeal{Contacts: []int64{p.contact}, Primary: true, At: day(2)}))
		w.handle(messages(t, append(events, more...)...)...)
		all = append(all, p)
	}
	return all
}

// TestNoHistoryLeavesPersonalDataOrTakesCredit lets contacts be deleted, restored,
// erased and merged, and deals be deleted, restored and moved, at random; events
// come late, shuffled and twice. Whoever was erased has left nothing, and every deal
// that lives is credited to its own ad, or to that of a person merged with its own.
func TestNoHistoryLeavesPersonalDataOrTakesCredit(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 7))
			now := day(3)
			c := newCRM(t, fakehubspot.Options{Now: func() time.Time { return now }, HistoryLimit: 1000})
			w := newWorld(t, c)
			people := crowd(t, w, 8)
			group := func(i int) (ads []string) { // the ads of all who were merged with i
				root := func(i int) int {
					for people[i].heir != i {
						i = people[i].heir
					}
					return i
				}
				for j := range people {
					if root(j) == root(i) {
						ads = append(ads, people[j].ad)
					}
				}
				return ads
			}
			var waiting []message.Message
			for range 60 {
				now = now.Add(time.Duration(1+rng.IntN(90)) * time.Minute)
				i, j := rng.IntN(len(people)), rng.IntN(len(people))
				var events []fakehubspot.Event
				var err error
				switch rng.IntN(8) {
				case 0:
					if events, err = c.EraseContact(people[i].contact); err == nil {
						for k, p := range people { // merged people are one
							if k == i || slices.Contains(heirs(people, k), i) {
								p.erased = true
							}
						}
					}
				case 1:
					events, _ = c.DeleteContact(people[i].contact)
				case 2:
					events, _ = c.RestoreContact(people[i].contact)
				case 3:
					if i != j && !slices.Contains(heirs(people, j), i) && !slices.Contains(heirs(people, i), j) && people[i].heir == i && people[j].heir == j {
						if events, err = c.MergeContacts(people[i].contact, people[j].contact); err == nil {
							people[j].heir = i
						}
					}
				case 4:
					events, _ = c.DeleteDeal(people[i].deal)
				case 5:
					events, _ = c.RestoreDeal(people[i].deal)
				default:
					events, _ = c.MoveStage(people[i].deal, pick(rng, stages), now)
				}
				waiting = append(waiting, messages(t, events...)...)
				rng.Shuffle(len(waiting), func(a, b int) { waiting[a], waiting[b] = waiting[b], waiting[a] })
				n := rng.IntN(len(waiting) + 1)
				w.handle(waiting[:n]...)
				if rng.IntN(3) > 0 {
					waiting = waiting[n:] // otherwise they come again
				}
			}
			for i := range people { // every deal is there at the end
				events, _ := c.RestoreDeal(people[i].deal)
				waiting = append(waiting, messages(t, events...)...)
			}
			w.handle(waiting...)
			for i, p := range people {
				if p.erased {
					if left := w.holding(p.marks()...); len(left) > 0 {
						t.Errorf("person %d was erased and is still in %v", i, left)
					}
				}
				ad := one[string](w, `SELECT state || ' ' || coalesce(ad_id, 'nobody') FROM gv.deals WHERE deal_id = $1`, p.deal)
				if !slices.ContainsFunc(group(i), func(own string) bool { return ad == "live "+own }) {
					t.Errorf("the deal of person %d is %s, want credit to one of %v", i, ad, group(i))
				}
			}
		})
	}
}

// heirs are those whom person i was merged into, one after the other.
func heirs(people []*person, i int) (all []int) {
	for people[i].heir != i {
		i = people[i].heir
		all = append(all, i)
	}
	return all
}

func TestAnErasureWorksHoweverLateItComes(t *testing.T) {
	t.Parallel()
	for _, dealless := range []bool{false, true} {
		for _, order := range []string{"erasure first", "deletion first"} {
			t.Run(fmt.Sprintf("%s, without a deal %v", order, dealless), func(t *testing.T) {
				t.Parallel()
				c := newCRM(t, fakehubspot.Options{})
				w := newWorld(t, c)
				w.exec(`INSERT INTO gv.clicks (tenant_id, click_id, ad_id, campaign_id, clicked_at, fbclid, ip_address, user_agent)
				        VALUES ($1, 'click-secret', 'a1', 'c1', $2, 'fb-secret', '203.0.113.7', 'Agent secret')`, tenant, day(1))
				contact, events := must[int64](t)(c.UpsertContact(0, map[string]string{
					"hs_facebook_click_id": "fb-secret", "first_conversion_date": day(2).Format(time.RFC3339),
				}, day(2)))
				if !dealless {
					_, more := must[int64](t)(c.CreateDeal(fakehubspot.NewDeal{Contacts: []int64{contact}, At: day(2)}))
					events = append(events, more...)
				}
				w.handle(messages(t, events...)...)
				w.answered(`{"status":"click_tracked","click_id":"click-secret","fingerprint_hash":"print"}`)
				w.answered(`{"attributed_click_id":"click-secret","ad_id":"a1"}`)
				w.answered(`{"click_id":"click-of-another"}`)
				erasure, err := c.EraseContact(contact) // HubSpot sends a deletion beside it
				if err != nil {
					t.Fatal(err)
				}
				slices.SortFunc(erasure, func(a, _ fakehubspot.Event) int {
					if (a.SubscriptionType == "contact.deletion") == (order == "deletion first") {
						return -1
					}
					return 1
				})
				w.handle(messages(t, erasure...)...)
				w.handle(messages(t, events...)...)
				if left := w.holding("fb-secret", "203.0.113.7", "Agent secret", "click-secret"); len(left) > 0 {
					t.Errorf("personal data is left in %v", left)
				}
				if got := one[string](w, `SELECT string_agg(convert_from(answer, 'UTF8'), ' ') FROM gv.idempotency_keys`); got != `{"click_id":"click-of-another"}` {
					t.Errorf("the answers stored for repeats are %s, want the other person's alone", got)
				}
				if !dealless {
					if got := one[string](w, `SELECT ad_id FROM gv.deals`); got != "a1" {
						t.Errorf("the deal is credited to %s, want a1", got)
					}
				}
			})
		}
	}
}

func TestDeletingAContactTakesNothingFromItsAd(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.Options{})
	w := newWorld(t, c)
	people := crowd(t, w, 1)
	events, err := c.SetAmount(people[0].deal, "8000")
	if err != nil {
		t.Fatal(err)
	}
	events = append(events, move(t, c, people[0].deal, "closedwon", 5)...)
	w.handle(messages(t, events...)...)
	deleted, err := c.DeleteContact(people[0].contact)
	if err != nil {
		t.Fatal(err)
	}
	w.handle(messages(t, deleted...)...)
	w.handle(messages(t, move(t, c, people[0].deal, "closedwon", 6)...)...) // derived again
	if got := one[int64](w, `SELECT revenue_minor FROM gv.ads WHERE ad_id = 'a1'`); got != 800000 {
		t.Errorf("the ad has revenue of %d, want 800000", got)
	}
	if got := one[int64](w, `SELECT count(*) FROM gv.contact_keys`); got != 0 {
		t.Errorf("%d keys of the deleted contact are left as they stood", got)
	}
}

func TestWhoTakesAContactFromADealTakesItsCredit(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.Options{})
	w := newWorld(t, c)
	people := crowd(t, w, 1)
	events, err := c.Dissociate(people[0].deal, people[0].contact)
	if err != nil {
		t.Fatal(err)
	}
	w.handle(messages(t, events...)...)
	if got := one[string](w, `SELECT attribution_method FROM gv.deals`); got != "unattributed" {
		t.Errorf("still credited by %s", got)
	}
}

func TestErasingOnePersonLeavesAnothersDealOnItsAd(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.Options{})
	w := newWorld(t, c)
	people := crowd(t, w, 1)
	second, events := lead(t, c, people[0].fbclid, 2) // somebody else with the same link
	w.handle(messages(t, events...)...)
	erasure, err := c.EraseContact(people[0].contact)
	if err != nil {
		t.Fatal(err)
	}
	w.handle(messages(t, erasure...)...)
	w.handle(messages(t, move(t, c, second, "closedwon", 9)...)...)
	if got := one[string](w, `SELECT string_agg(ad_id, ' ') FROM gv.deals`); got != "a1 a1" {
		t.Errorf("credited to %q, want both to a1", got)
	}
	if got := one[string](w, `SELECT concat_ws(' ', fbclid, ip_address, user_agent, left(click_id, 7), ad_id) FROM gv.clicks`); got != "erased- a1" {
		t.Errorf("the click says %q", got)
	}
}

// answered stores what a write with an Idempotency-Key was answered.
func (w *world) answered(body string) {
	w.t.Helper()
	w.exec(`INSERT INTO gv.idempotency_keys (tenant_id, operation, key, body_hash, answer) VALUES ($1, 'POST /x', $2, '', $3)`,
		tenant, body, []byte(body))
}
