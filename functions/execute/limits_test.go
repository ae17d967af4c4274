package execute_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/changes/queue"
)

// TestTheLimitsHoldOnMetasOwnLog queues changes, edits budgets as somebody else,
// syncs, undoes and loses answers, in a random order, and then adds up the writes in
// Meta's own log.
func TestTheLimitsHoldOnMetasOwnLog(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			m := &mix{world: open(t), random: rand.New(rand.NewPCG(seed, 9))}
			for _, id := range m.ads() {
				m.ad(tenant, "act_1", id, 10_000)
			}
			for range 100 {
				m.event(m.ads()[m.random.IntN(len(m.ads()))])
				m.run()
				m.pass(time.Duration(m.random.Int64N(int64(2 * time.Hour))))
			}
			m.fake.Heal()
			for range 3 { // what is still unknown is read
				m.run()
			}
			m.check()
		})
	}
}

// mix is a world in which many things happen to some ads.
type mix struct {
	*world
	random *rand.Rand
	edits  int
}

func (m *mix) ads() []string { return []string{"11", "12", "13"} }

// event is one thing that happens to an ad.
func (m *mix) event(ad string) {
	set := "5" + ad
	busy := m.text(`SELECT count(*) FROM gv.pending_ad_changes WHERE budget_object = 'adset/' || $1 AND status IN ('applying', 'unknown')`, set) != "0"
	switch m.random.IntN(20) {
	default:
		_ = m.ask(to(ad, 6_000+m.random.Int64N(10_000)))
	case 0:
		_ = m.ask(cut(ad))
	case 1, 2:
		if !busy { // an edit between our write and its reading looks like a write that was not made
			budget := 5_000 + m.random.Int64N(12_000)
			m.fake.Edit(set, &budget, "")
			m.edits++
		}
	case 3, 4:
		budget := m.fake.AdSet(set).DailyBudget
		m.across(func(s queue.Store) error {
			return s.Observe(context.Background(), tenant, m.clock(), []changes.Seen{{Object: "adset/" + set, Budget: &budget, Status: "ACTIVE"}})
		})
	case 5, 6:
		latest := m.text(`SELECT coalesce((SELECT change_id::text FROM gv.pending_ad_changes
			WHERE budget_object = 'adset/' || $1 AND steps > 0 AND source <> 'undo' AND status NOT IN ('undone', 'applying', 'unknown')
			ORDER BY progress_at DESC LIMIT 1), '')`, set)
		if latest != "" {
			m.across(func(s queue.Store) error {
				_, _ = s.Undo(context.Background(), tenant, latest, "admin", "", false) // one that cannot be undone says so
				return nil
			})
		}
	case 7, 8:
		m.fake.Inject([]fakemeta.Fault{{Method: "POST", Status: 500, After: true}, {Method: "POST", Status: 502}}[m.random.IntN(2)])
	}
}

// ask queues an intent and returns what became of it.
func (m *mix) ask(in changes.Intent) (done []changes.Enqueued) {
	m.across(func(s queue.Store) (err error) {
		done, err = s.Enqueue(context.Background(), tenant, []changes.Intent{in})
		return err
	})
	return done
}

// write is a line of our history about a write.
type write struct {
	Before, After int64
	Exempt        bool // of an undo, or of what it undid
}

// check adds up Meta's log. Writes of an undo, and of what it undid, do not count;
// which those are is found in the history, whose lines must be Meta's, one to one.
func (m *mix) check() {
	m.t.Helper()
	counted, undone := 0, 0
	for _, ad := range m.ads() {
		set := "5" + ad
		log := m.fake.Applied(set)
		rows, _ := m.admin.Query(context.Background(), `
			SELECT h.before_minor, h.after_minor, p.source = 'undo' OR p.status = 'undone'
			FROM   gv.ad_change_history h JOIN gv.pending_ad_changes p USING (change_id)
			WHERE  h.budget_object = 'adset/' || $1 AND h.outcome = 'applied' AND h.action <> 'none' ORDER BY h.at`, set)
		history, err := pgx.CollectRows(rows, pgx.RowToStructByPos[write])
		if err != nil || len(history) != len(log) {
			m.t.Fatalf("ad set %s: %d lines of history for %d writes, %v", set, len(history), len(log), err)
		}
		var moves []changes.Move
		for _, w := range log {
			i := slices.IndexFunc(history, func(h write) bool { return w.Before == fmt.Sprint(h.Before) && w.After == fmt.Sprint(h.After) })
			if i < 0 {
				m.t.Fatalf("ad set %s: the history lacks Meta's %+v", set, w)
			}
			if h := history[i]; h.Exempt {
				undone++
			} else {
				moves = append(moves, changes.Move{At: w.At, Before: h.Before, After: h.After})
			}
			history = slices.Delete(history, i, i+1)
		}
		for i, first := range moves {
			smallest, moved := first.Before, int64(0)
			for _, w := range moves[i:] {
				if w.At.Sub(first.At) >= changes.VelocityWindow {
					break
				}
				smallest, moved = min(smallest, w.Before), moved+max(w.After-w.Before, w.Before-w.After)
				if moved*changes.Velocity > smallest {
					m.t.Errorf("ad set %s: %d within 6 hours of %v, more than a fifth of %d", set, moved, first.At, smallest)
				}
			}
		}
		counted += len(moves)
	}
	m.t.Logf("%d writes counted, %d undone or undos, %d edits of somebody else", counted, undone, m.edits)
	if counted < 15 || undone == 0 || m.edits == 0 {
		m.t.Error("too little happened to prove anything")
	}
}

func TestAWriteWhoseOutcomeStayedUnknownCountsForTheLimit(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	id := w.queue(tenant, cut("11"))
	w.fake.Inject(fakemeta.Fault{Method: "POST", Status: 500, After: true})
	w.run()
	w.is(id, "unknown", "")
	budget := int64(9_000)
	w.fake.Edit("511", &budget, "") // before we could read what became of it
	w.run()
	w.run()
	w.is(id, "held", "whether our write arrived first is unknown")
	w.pass(time.Hour)
	more := w.queue(tenant, to("11", 8_000))
	w.run()
	w.is(more, "pending", "moved by 20% within 6 hours")
	if n := len(w.fake.Applied("511")); n != 1 {
		t.Errorf("%d writes, want the first alone", n)
	}
}

func TestALifetimeBudgetIsRefusedWhenItIsQueued(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	w.exec(`INSERT INTO gv.ad_sets (tenant_id, adset_id, account_id, campaign_id, lifetime_budget) VALUES ($1, '511', 'act_1', '91', true)`, tenant)
	m := &mix{world: w}
	for _, in := range []changes.Intent{to("11", 9_000), cut("11")} {
		done := m.ask(in)
		if done[0].Status != changes.StatusRefused || !matches(done[0].Reason, "ad set 511 has a lifetime budget", "only daily budgets can be changed") {
			t.Errorf("%+v", done[0])
		}
	}
	if stop := m.ask(to("11", 0)); stop[0].Status != changes.StatusPending {
		t.Errorf("it can still be paused: %+v", stop[0])
	}
}

func TestAReportOfAnEarlierDayChangesNothingThatIsKnownOfToday(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	first := w.queue(tenant, to("11", 11_000))
	w.run()
	w.is(first, "applied", "")
	w.exec(`UPDATE gv.ads SET daily_budget_minor = 4000`) // as a report of last week would have it
	w.pass(time.Hour)
	second := w.queue(tenant, to("11", 10_500))
	w.run()
	w.is(second, "applied", "") // and not held for an edit that nobody made
	if got := w.history(second); got != "applied budget 11000 10500" {
		t.Error(got)
	}
}
