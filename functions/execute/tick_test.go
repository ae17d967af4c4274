package execute_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/functions/execute"
	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/changes/queue"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/pg"
)

func TestARunWaitsForWhatFallsDueAndHoldsNoConnectionMeanwhile(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "act_1", "11", 10_000)
	w.opts.Clock = nil // the world's own clock
	id := w.queue(tenant, cut("11"))
	w.exec(`UPDATE gv.pending_ad_changes SET due_at = now() + interval '1 s'`)
	one, err := pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: w.workerURL, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(one.Close)
	job := execute.New(one, meta.New(meta.Config{BaseURL: w.url, Version: "v26.0"}, meta.Options{}), w, execute.Options{Tick: 10 * time.Second})
	done := make(chan error, 1)
	go func() { _, err := job.Run(context.Background()); done <- err }()
	free := 0
	for {
		select {
		case err := <-done:
			if err != nil || free == 0 {
				t.Errorf("%v; the only connection was free %d times", err, free)
			}
			w.is(id, "applied", "")
			return
		default:
		}
		if pg.Across(t.Context(), one, func(pgx.Tx) error { return nil }) == nil {
			free++
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestADatabaseThatIsDownIsUnavailable(t *testing.T) {
	t.Parallel()
	down, err := pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: "postgres://gv_worker@127.0.0.1:1/none"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(down.Close)
	job := execute.New(down, meta.New(meta.Config{}, meta.Options{}), always{}, execute.Options{})
	if _, err := job.Run(t.Context()); fault.Of(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
}

func TestASecretThatCannotBeReadStopsItsAccountAlone(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.account(tenant, "act_2", "USD")
	w.ad(tenant, "act_1", "11", 10_000)
	w.ad(tenant, "act_2", "21", 10_000)
	broken, fine := w.queue(tenant, cut("11")), w.queue(tenant, cut("21"))
	w.exec(`UPDATE gv.meta_connections SET access_token = 'unreadable' WHERE account_id = 'act_1'`)
	w.run()
	w.is(broken, "pending", "")
	w.is(fine, "applied", "")
}

func TestTwoVerdictsAtOnceDoNotBothTakeACampaignsLastAction(t *testing.T) {
	t.Parallel()
	w := open(t)
	for _, id := range []string{"11", "12"} {
		w.ad(tenant, "act_1", id, 10_000)
	}
	w.queue(tenant, cut("11"), cut("12"))
	w.exec(`INSERT INTO gv.ad_change_history (tenant_id, account_id, campaign_id, ad_id, budget_object, action, outcome, reason, initiator, at)
	        SELECT $1, 'act_1', '91', 'x', 'adset/x' || n, 'budget', 'applied', 'x', 'x', $2 FROM generate_series(1, 14) AS n`, tenant, w.clock())
	w.pass(20 * time.Second)
	var claims []*queue.Claim
	for range 2 { // as two runs have them where the first has lost its account's lease
		w.across(func(s queue.Store) error {
			c, err := s.Claim(t.Context(), tenant, "act_1", time.Minute)
			claims = append(claims, c)
			return err
		})
	}
	acts := make(chan int, len(claims))
	for _, c := range claims {
		go func() {
			live, act := int64(10_000), 0
			_ = pg.Across(t.Context(), w.db, func(tx pgx.Tx) error {
				store := queue.NewStore(tx).WithClock(w.opts.Clock)
				state, err := store.Load(t.Context(), c)
				if err != nil {
					return err
				}
				verdict := changes.Judge(state.WithLive(changes.Live{Amount: &live, Status: "ACTIVE"}))
				if act = 0; verdict.Kind == changes.Send {
					act = 1
				}
				next, effects, err := changes.Transition(state.WithLive(changes.Live{Amount: &live, Status: "ACTIVE"}), verdict)
				if err != nil {
					return err
				}
				return store.Save(t.Context(), next, effects)
			})
			acts <- act
		}()
	}
	if n := <-acts + <-acts; n != 1 {
		t.Errorf("%d verdicts took the last action", n)
	}
}
