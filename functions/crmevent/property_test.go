package crmevent_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/shared/message"
)

// story plays a random history of deals and contacts in the CRM. After each
// happening it hands over the events that HubSpot sends.
type story struct {
	t        testing.TB
	rng      *rand.Rand
	c        *crm
	now      time.Time
	deals    []int64
	contacts []int64
	removes  bool // whether contacts are deleted, restored, erased and merged, too
}

var stages = []string{"appointmentscheduled", "qualifiedtobuy", "closedwon", "closedlost", "tasting"}

// step makes one thing happen. What is impossible just now makes no events.
func (s *story) step() []fakehubspot.Event {
	s.now = s.now.Add(time.Duration(1+s.rng.IntN(600)) * time.Minute)
	var events []fakehubspot.Event
	switch n := s.rng.IntN(20); {
	case n < 3 || len(s.contacts) == 0:
		id, made, err := s.c.UpsertContact(0, map[string]string{
			"hs_facebook_click_id": clickOf(len(s.contacts), s.rng.IntN(2)), "first_conversion_date": s.now.Format(time.RFC3339),
		}, s.now)
		if err == nil {
			s.contacts = append(s.contacts, id)
		}
		events = made
	case n < 6 || len(s.deals) == 0:
		d := fakehubspot.NewDeal{At: s.now, Primary: s.rng.IntN(2) == 0}
		if s.rng.IntN(3) > 0 {
			d.Amount = fmt.Sprintf("%d.50", 100+s.rng.IntN(5000))
			d.Currency = []string{"USD", "EUR", "GBP"}[s.rng.IntN(3)]
		}
		for range s.rng.IntN(3) {
			if c := pick(s.rng, s.contacts); !slices.Contains(d.Contacts, c) {
				d.Contacts = append(d.Contacts, c)
			}
		}
		id, made, err := s.c.CreateDeal(d)
		if err == nil {
			s.deals = append(s.deals, id)
		}
		events = made
	case n < 12:
		events, _ = s.c.MoveStage(pick(s.rng, s.deals), pick(s.rng, stages), s.now)
	case n == 12:
		events, _ = s.c.SetAmount(pick(s.rng, s.deals), fmt.Sprint(s.rng.IntN(9000)))
	case n == 13:
		events, _ = s.c.Associate(pick(s.rng, s.deals), pick(s.rng, s.contacts), s.rng.IntN(2) == 0)
	case n == 14:
		events, _ = s.c.Dissociate(pick(s.rng, s.deals), pick(s.rng, s.contacts))
	case n == 15:
		into, made, err := s.c.MergeDeals(pick(s.rng, s.deals), pick(s.rng, s.deals), s.rng.IntN(2) == 0)
		if err == nil && !slices.Contains(s.deals, into) {
			s.deals = append(s.deals, into)
		}
		events = made
	case n == 16:
		events, _ = s.c.DeleteDeal(pick(s.rng, s.deals))
	case n == 17:
		events, _ = s.c.RestoreDeal(pick(s.rng, s.deals))
	case n == 18:
		n := s.rng.IntN(len(s.contacts))
		_, events, _ = s.c.UpsertContact(s.contacts[n], map[string]string{"hs_facebook_click_id": clickOf(n, s.rng.IntN(2))}, s.now)
	case !s.removes:
	default:
		events = s.remove()
	}
	return events
}

// remove takes a contact away, in one of the ways that HubSpot has, or back.
func (s *story) remove() []fakehubspot.Event {
	var events []fakehubspot.Event
	switch s.rng.IntN(4) {
	case 0:
		events, _ = s.c.EraseContact(pick(s.rng, s.contacts))
	case 1:
		events, _ = s.c.MergeContacts(pick(s.rng, s.contacts), pick(s.rng, s.contacts))
	case 2:
		events, _ = s.c.DeleteContact(pick(s.rng, s.contacts))
	default:
		events, _ = s.c.RestoreContact(pick(s.rng, s.contacts))
	}
	return events
}

// clickOf is the id of one of the two clicks that the nth contact made.
func clickOf(n, which int) string { return fmt.Sprintf("fb-%d-%d", n, which) }

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

// TestAnyOrderOfDeliveriesLeavesTheSameLedger plays random histories. One tenant
// handles events in their order; the other gets them shuffled, in part twice,
// several at once. Both must end the same. Where no contact goes, the first handles
// events as they happen, some of them late: of a contact that goes it would keep
// what it found, which whoever reads the CRM afterwards cannot find any more.
func TestAnyOrderOfDeliveriesLeavesTheSameLedger(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 1))
			s := &story{t: t, rng: rng, now: day(1), removes: seed%2 == 0}
			s.c = newCRM(t, fakehubspot.Options{Now: func() time.Time { return s.now }, HistoryLimit: 1000})
			live, after := newWorld(t, s.c), newWorld(t, s.c)
			for i := range 20 {
				for _, w := range []*world{live, after} {
					w.click(fmt.Sprintf("a%d", 1+i%3), clickOf(i, 0), day(1).Add(-time.Hour))
					w.click(fmt.Sprintf("a%d", 1+(i+1)%3), clickOf(i, 1), day(3))
				}
			}
			var all, late []message.Message
			for range 40 {
				for _, m := range messages(t, s.step()...) {
					all = append(all, m)
					if s.removes || rng.IntN(3) == 0 {
						late = append(late, m)
						continue
					}
					live.handle(m)
				}
			}
			live.handle(late...)

			shuffled := slices.Concat(all, all[:len(all)/2])
			rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			inParallel(t, after, shuffled, 3)

			if diff := cmp.Diff(live.dump(), after.dump()); diff != "" {
				t.Errorf("in order (-), shuffled (+):\n%s", diff)
			}
		})
	}
}

func inParallel(t testing.TB, w *world, all []message.Message, n int) {
	t.Helper()
	feed := make(chan message.Message)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for m := range feed {
				deliver(t, w.consumer, m)
			}
		})
	}
	for _, m := range all {
		feed <- m
	}
	close(feed)
	wg.Wait()
}
