package reconcile_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/shared/notice"
)

// deals is the size of the portals; the full one is
//
//	go test ./functions/reconcile -run 'AnySize|LosesEvents' -deals 25000 -timeout 2h -v
var deals = flag.Int("deals", 60, "deals of a portal")

// populate creates the portal's deals, each with a contact that clicked an ad, over
// the last days, and moves some; it returns the deals and the events.
func (c *crm) populate(t testing.TB, n int, random *rand.Rand) (ids []int64, events []fakehubspot.Event) {
	t.Helper()
	stages := []string{"appointmentscheduled", "closedwon", "closedlost", "qualifiedtobuy"}
	for i := range n {
		at := c.clock.now().Add(-time.Duration(random.IntN(200)) * time.Minute)
		contact, made, err := c.UpsertContact(0, map[string]string{
			"hs_facebook_click_id": fmt.Sprintf("fb-a%d", i%3), "first_conversion_date": at.Format(time.RFC3339), "email": fmt.Sprintf("p%d@example.com", i),
		}, at)
		events = append(events, made...)
		if err != nil {
			t.Fatal(err)
		}
		id, made, err := c.CreateDeal(fakehubspot.NewDeal{
			Stage: stages[random.IntN(len(stages))], Amount: fmt.Sprint(1000 + random.IntN(9000)), Contacts: []int64{contact}, Primary: i%2 == 0, At: at,
		})
		if err != nil {
			t.Fatal(err)
		}
		ids, events = append(ids, id), append(events, made...)
	}
	return ids, events
}

// change does one thing that people do in a CRM.
func (c *crm) change(t testing.TB, ids []int64, random *rand.Rand) []fakehubspot.Event {
	t.Helper()
	c.clock.pass(time.Duration(random.IntN(120)) * time.Second)
	id := ids[random.IntN(len(ids))]
	var events []fakehubspot.Event
	var err error
	switch random.IntN(10) {
	case 0:
		events, err = c.DeleteDeal(id)
	case 1:
		events, err = c.RestoreDeal(id)
	case 2:
		_, events, err = c.MergeDeals(id, ids[random.IntN(len(ids))], random.IntN(2) == 0)
	case 3, 4:
		events, err = c.SetAmount(id, fmt.Sprint(500+random.IntN(5000)))
	default:
		events, err = c.MoveStage(id, []string{"appointmentscheduled", "closedwon", "closedlost", "qualifiedtobuy"}[random.IntN(4)], time.Time{})
	}
	_ = err // the deal was deleted or merged before: nothing happened
	return events
}

func TestABackfillLeavesTheLedgerThatEventsWouldHaveLeft(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.PortalConfig{})
	random := rand.New(rand.NewPCG(1, 1))
	ids, events := c.populate(t, *deals, random)
	for range *deals {
		events = append(events, c.change(t, ids, random)...)
	}
	evented, fresh := newWorld(t, c), newWorld(t, c)
	for _, e := range events {
		evented.deliver(e, 5)
	}
	before := c.fake.Requests("")
	report := fresh.run()
	if report.Completed != 1 || report.Repaired != 0 {
		t.Errorf("the run reports %+v, want one completed portal and nothing repaired", report)
	}
	if diff := cmp.Diff(evented.ledger(), fresh.ledger()); diff != "" {
		t.Errorf("by events (-), by backfill (+):\n%s", diff)
	}
	live := one[int](fresh, `SELECT count(*)::int FROM gv.deals WHERE state = 'live'`)
	if read := one[int](fresh, `SELECT backfill_read FROM gv.crm_syncs WHERE backfill_state = 'completed'`); read != live {
		t.Errorf("the backfill says that it read %d deals, and %d are live", read, live)
	}
	if asked := c.fake.Requests("") - before; asked > 15+live/8 {
		t.Errorf("%d deals took %d requests", live, asked)
	}
}

func TestAPortalThatLosesEventsIsRepairedByTheNextRunAndCounted(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 7))
	c := newCRM(t, fakehubspot.PortalConfig{SearchLag: 2 * time.Minute})
	troubled := newWorld(t, c)
	ids, events := c.populate(t, *deals, random)
	c.clock.pass(time.Hour)
	troubled.run() // connected, and read once
	for hour := range 6 {
		for range *deals / 2 {
			events = append(events, c.change(t, ids, random)...)
		}
		if hour == 2 { // HubSpot's API is down for 30 hours; events end as dead letters
			c.fake.Inject(fakehubspot.Fault{Path: "/crm/", Status: http.StatusBadRequest, Times: 1_000_000})
		}
		random.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		for len(events) > *deals/3 { // the rest comes later still
			if random.IntN(20) != 0 {
				troubled.deliver(events[0], 1)
			}
			events = events[1:]
		}
		if hour == 2 {
			troubled.due()
			if _, err := troubled.job().Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			c.fake.Heal()
			c.clock.pass(30 * time.Hour)
		}
		troubled.killedRun(random)
	}
	for _, e := range events {
		troubled.deliver(e, 5)
	}
	c.clock.pass(time.Hour) // the search has caught up
	calm := newWorld(t, c)
	calm.run()
	want := troubled.differences(calm)
	report := troubled.run()
	if diff := cmp.Diff(calm.ledger(), troubled.ledger()); diff != "" {
		t.Errorf("HubSpot's truth (-), the ledger after the run (+):\n%s", diff)
	}
	if report.Repaired != want {
		t.Errorf("%d deals differed and the run counts %d repaired", want, report.Repaired)
	}
	if again := troubled.run(); again.Repaired != 0 {
		t.Errorf("a further run repairs %d deals: nothing had changed", again.Repaired)
	}
}

// killedRun runs the function and ends its process after a random number of requests.
func (w *world) killedRun(random *rand.Rand) {
	w.due()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	left := w.crm.fake.Requests("") + random.IntN(12)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = w.job().Run(ctx)
	}()
	for {
		select {
		case <-done:
			return
		case <-time.After(time.Millisecond):
			if w.crm.fake.Requests("") > left {
				cancel()
			}
		}
	}
}

// differences counts the deals of which the two worlds' ledgers say different things.
func (w *world) differences(truth *world) int {
	w.t.Helper()
	read := func(w *world) map[int64]string {
		rows, err := w.admin.Query(context.Background(), `
			SELECT deal_id, concat_ws('|', (to_jsonb(d) - 'processed_at')::text,
			       (SELECT string_agg(stage_id || occurred_at, ',' ORDER BY occurred_at, stage_id) FROM gv.deal_stages s WHERE s.deal_id = d.deal_id),
			       (SELECT string_agg(contact_id || ' ' || position, ',' ORDER BY position, contact_id) FROM gv.deal_contacts c WHERE c.deal_id = d.deal_id))
			FROM gv.deals d WHERE state = 'live'`)
		if err != nil {
			w.t.Fatal(err)
		}
		defer rows.Close()
		found := map[int64]string{}
		for rows.Next() {
			var id int64
			var text string
			if err := rows.Scan(&id, &text); err != nil {
				w.t.Fatal(err)
			}
			found[id] = text
		}
		return found
	}
	mine, true_ := read(w), read(truth)
	n := 0
	for id, text := range true_ {
		if mine[id] != text {
			n++
		}
		delete(mine, id)
	}
	return n + len(mine)
}

func TestARepairIsANoticeAndALostContactChangeIsOne(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.PortalConfig{})
	random := rand.New(rand.NewPCG(3, 3))
	ids, _ := c.populate(t, 4, random)
	w := newWorld(t, c)
	w.exec(`INSERT INTO gv.webhooks (tenant_id, url, secret, updated_by) VALUES ($1, 'https://example.com', 's', 'test')`, tenant)
	w.run()
	c.clock.pass(2 * time.Hour)
	contact := one[int64](w, `SELECT contact_id FROM gv.deal_contacts WHERE deal_id = $1`, ids[0])
	if _, _, err := c.UpsertContact(contact, map[string]string{"hs_facebook_click_id": "fb-a2"}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteDeal(ids[1]); err != nil {
		t.Fatal(err)
	}
	if report := w.run(); report.Repaired != 2 {
		t.Errorf("%d repaired, want the deal of the contact and the deleted one", report.Repaired)
	}
	if gone := one[int](w, `SELECT last_gone FROM gv.crm_syncs`); gone != 1 {
		t.Errorf("%d are counted as gone, want 1", gone)
	}
	var sent []string
	for _, m := range w.queue.sent {
		if m.Topic == notice.Topic && strings.Contains(string(m.Data), notice.CRMRepaired) {
			sent = append(sent, string(m.Data))
		}
	}
	if len(sent) != 1 || !strings.Contains(sent[0], `"repaired":2`) || !strings.Contains(sent[0], fmt.Sprint(ids[1])) {
		t.Errorf("notices: %v, want one that names 2 repaired deals and their ids", sent)
	}
}

func TestDealsOlderThanTheHorizonStayOut(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.PortalConfig{})
	for _, days := range []int{539, 541} {
		if _, _, err := c.CreateDeal(fakehubspot.NewDeal{Stage: "closedwon", At: c.clock.now().AddDate(0, 0, -days)}); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t, c)
	w.run()
	if n := one[int](w, `SELECT count(*)::int FROM gv.deals`); n != 1 {
		t.Errorf("%d deals are recorded, want the one of 539 days ago", n)
	}
}

func TestACancelledBackfillStopsAndWritesNoMore(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.PortalConfig{})
	c.populate(t, 30, rand.New(rand.NewPCG(5, 5)))
	w := newWorld(t, c)
	// The search answers; then the backfill, which is seen to run before its first page
	// is there, is cancelled while the deals are read.
	cancelled := make(chan struct{})
	c.fake.Inject(fakehubspot.Fault{Path: "/crm/v3/objects/deals/batch", Until: cancelled})
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.run()
	}()
	for one[int](w, `SELECT count(*)::int FROM gv.crm_syncs WHERE claim IS NOT NULL AND backfill_state = 'running'`) == 0 {
		time.Sleep(time.Millisecond)
	}
	w.exec(`UPDATE gv.crm_syncs SET backfill_state = 'cancelled', claim = NULL, claimed_until = NULL, deals_at = now(), due_at = now() + interval '1 hour'`)
	close(cancelled)
	<-done
	if state := one[string](w, `SELECT backfill_state FROM gv.crm_syncs`); state != "cancelled" {
		t.Errorf("the backfill is %s, want cancelled", state)
	}
	if _, err := w.job().Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := one[int](w, `SELECT count(*)::int FROM gv.crm_syncs WHERE last_finished_at IS NOT NULL`); n != 0 {
		t.Error("a cancelled backfill went on")
	}
}

func TestDeadLettersMakeAPortalDue(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.PortalConfig{})
	w := newWorld(t, c)
	w.run()
	count := func() int {
		return one[int](w, `SELECT count(*)::int FROM gv.crm_syncs WHERE last_started_at > now() - interval '1 hour'`)
	}
	w.exec(`UPDATE gv.crm_syncs SET last_started_at = now() - interval '2 hours'`)
	for n := range 10 {
		if _, err := w.job().Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if c := one[int](w, `SELECT count(*)::int FROM gv.crm_syncs WHERE due_at <= now()`); c != 0 || n > 0 && count() != 0 {
			t.Fatalf("the portal ran after %d dead letters", n)
		}
		w.exec(`INSERT INTO gv.dead_letters (tenant_id, topic, message_id, data, reason, attempts) VALUES ($1, 'crm-events', $2, '', 'down', 10)`, tenant, fmt.Sprint(n))
	}
	report, err := w.job().Run(t.Context())
	if err != nil || !strings.Contains(fmt.Sprintf("%+v", report), "Portals:1") {
		t.Errorf("after ten dead letters the run reports %+v, %v", report, err)
	}
}
