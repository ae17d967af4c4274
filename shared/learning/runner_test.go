package learning_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/learning"
)

var began = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

var asked = learning.Options{Retrain: true, Threshold: 0.8, By: "test", Now: began}

// plain is a runner of seven steps that each write one row.
func plain(w *apitest.World, change func([]learning.Step)) *learning.Runner {
	steps := make([]learning.Step, len(learning.Names))
	for i, name := range learning.Names {
		steps[i] = learning.Step{Deadline: time.Minute, Do: func(_ context.Context, c *learning.Cycle) (learning.Work, error) {
			return learning.Work{Write: func(ctx context.Context, tx pgx.Tx) (any, error) {
				_, err := tx.Exec(ctx, `INSERT INTO gv.sweeps (tenant_id, report, requested_by, started_at) VALUES (gv.tenant(), '{}', $1, $2)`, name, c.StartedAt)
				return map[string]int{"found": i}, err
			}}, nil
		}}
	}
	if change != nil {
		change(steps)
	}
	return learning.NewRunner(w.App, steps)
}

func world(t *testing.T) *apitest.World {
	t.Helper()
	w := apitest.New(t)
	w.Exec(`INSERT INTO gv.accounts (tenant_id, account_id) VALUES ($1, 'acc')`, apitest.Tenant)
	return w
}

func start(t *testing.T, r *learning.Runner) learning.Cycle {
	t.Helper()
	c, _, err := r.Start(t.Context(), apitest.Tenant, "acc", asked)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func run(t *testing.T, r *learning.Runner, id string) learning.Cycle {
	t.Helper()
	c, err := r.Run(t.Context(), apitest.Tenant, id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// statuses writes a cycle's status and its steps'.
func statuses(c learning.Cycle) string {
	s := string(c.Status) + ":"
	for _, p := range c.Steps {
		s += " " + string(p.Status)
	}
	return s
}

const allDone = "completed: completed completed completed completed completed completed completed"

func TestTwoTriggersAtOnceGiveOneCycle(t *testing.T) {
	t.Parallel()
	w := world(t)
	r := plain(w, nil)
	var fresh atomic.Int64
	var all sync.WaitGroup
	ids := make([]string, 6)
	for i := range ids {
		all.Go(func() {
			c, first, err := r.Start(t.Context(), apitest.Tenant, "acc", asked)
			if err != nil {
				t.Error(err)
			}
			if ids[i] = c.ID; first {
				fresh.Add(1)
			}
			if _, err := r.Run(t.Context(), apitest.Tenant, c.ID); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := w.Text(`SELECT count(*) FROM gv.learning_cycles`); n != fmt.Sprint(fresh.Load()) {
		t.Errorf("%s cycles, of which %d say that they began", n, fresh.Load())
	}
	if each := w.Text(`SELECT max(n) FROM (SELECT count(*) AS n FROM gv.sweeps GROUP BY requested_by) AS s`); each != fmt.Sprint(fresh.Load()) {
		t.Errorf("a step was written %s times in %d cycles", each, fresh.Load())
	}
}

func TestACycleThatIsKilledBeforeAStepWritesGoesOnThereAndWritesOnce(t *testing.T) {
	t.Parallel()
	for kill := range len(learning.Names) {
		t.Run(learning.Names[kill], func(t *testing.T) {
			t.Parallel()
			w := world(t)
			r := plain(w, nil)
			c := start(t, r)
			r.Between = func(step int) {
				if step == kill+1 {
					panic("killed")
				}
			}
			func() {
				defer func() { _ = recover() }()
				_, _ = r.Run(t.Context(), apitest.Tenant, c.ID)
			}()
			if n := w.Text(`SELECT count(*) FROM gv.sweeps`); n != fmt.Sprint(kill) {
				t.Fatalf("%s steps had written, want %d", n, kill)
			}
			r.Between = nil
			// A process that dies gives no lease back: it ends by its time.
			w.Exec(`UPDATE gv.learning_cycles SET lease_token = gen_random_uuid(), lease_until = now() + interval '1 hour'`)
			if held := run(t, r, c.ID); held.Status != learning.Running {
				t.Fatalf("went on under another's lease: %s", statuses(held))
			}
			w.Exec(`UPDATE gv.learning_cycles SET lease_until = now() - interval '1 second'`)
			if got := statuses(run(t, r, c.ID)); got != allDone {
				t.Error(got)
			}
			if n := w.Text(`SELECT count(*) || ' ' || count(DISTINCT requested_by) FROM gv.sweeps`); n != "7 7" {
				t.Errorf("written: %s", n)
			}
		})
	}
}

func TestAStepThatFailsIsReportedAndOnlyWhatNeedsItIsSkipped(t *testing.T) {
	t.Parallel()
	w := world(t)
	r := plain(w, func(steps []learning.Step) {
		steps[1].Do = func(context.Context, *learning.Cycle) (learning.Work, error) {
			return learning.Work{}, errors.New("secret cause")
		}
		steps[2].Needs = []int{2}
		steps[3].Do = func(context.Context, *learning.Cycle) (learning.Work, error) { panic("broken") }
		steps[4].Do = func(context.Context, *learning.Cycle) (learning.Work, error) {
			return learning.Work{Skip: "nothing to do"}, nil
		}
	})
	c := run(t, r, start(t, r).ID)
	if got := statuses(c); got != "failed: completed failed skipped failed skipped completed completed" {
		t.Error(got)
	}
	if c.Steps[1].Reason != "an internal error stopped it; the log has the cause" || c.Steps[2].Reason != "needs step 2, calculate_accuracy, which failed" || c.Steps[4].Reason != "nothing to do" {
		t.Errorf("%+v", c.Steps)
	}
	if again, first, err := r.Start(t.Context(), apitest.Tenant, "acc", asked); err != nil || !first || again.ID == c.ID {
		t.Errorf("after a failed cycle there is no new one: %v %v", first, err)
	}
}

func TestAStepThatHangsEndsWithItsDeadline(t *testing.T) {
	t.Parallel()
	w := world(t)
	r := plain(w, func(steps []learning.Step) {
		steps[3].Deadline = time.Millisecond
		steps[3].Do = func(ctx context.Context, _ *learning.Cycle) (learning.Work, error) {
			<-ctx.Done()
			return learning.Work{}, ctx.Err()
		}
	})
	c := run(t, r, start(t, r).ID)
	if got := statuses(c); got != "failed: completed completed completed failed completed completed completed" || c.Steps[3].Reason != "was not done within 1ms" {
		t.Errorf("%s: %s", got, c.Steps[3].Reason)
	}
}

func TestARunWhoseTimeIsUpIsHandedOnAndNotHeldAgainstTheStep(t *testing.T) {
	t.Parallel()
	w := world(t)
	ctx, cancel := context.WithCancel(t.Context())
	var once atomic.Bool
	r := plain(w, func(steps []learning.Step) {
		do := steps[2].Do
		steps[2].Do = func(ctx context.Context, c *learning.Cycle) (learning.Work, error) {
			if once.CompareAndSwap(false, true) {
				cancel()
				return learning.Work{}, fault.Down("the time is up", ctx.Err())
			}
			return do(ctx, c)
		}
	})
	id := start(t, r).ID
	c, err := r.Run(ctx, apitest.Tenant, id)
	if err != nil || c.Status != learning.Running {
		t.Fatalf("%s %v", statuses(c), err)
	}
	if n := w.Text(`SELECT sum(attempts) FROM gv.learning_steps WHERE step = 3`); n != "0" {
		t.Errorf("the step has %s attempts against it", n)
	}
	if got := statuses(run(t, r, id)); got != allDone {
		t.Error(got)
	}
}

func TestAStepThatTakesItsProcessDownIsGivenUpAfterThreeTimes(t *testing.T) {
	t.Parallel()
	w := world(t)
	r := plain(w, nil)
	id := start(t, r).ID
	w.Exec(`UPDATE gv.learning_steps SET status = 'active', attempts = 3 WHERE step = 1`)
	c := run(t, r, id)
	if got := statuses(c); got != "failed: failed completed completed completed completed completed completed" || c.Steps[0].Reason != "stopped 3 times before it came to an end" {
		t.Errorf("%s: %s", got, c.Steps[0].Reason)
	}
}

func TestARunnerThatLostItsLeaseWritesNothing(t *testing.T) {
	t.Parallel()
	w := world(t)
	r := plain(w, nil)
	id := start(t, r).ID
	r.Between = func(step int) {
		if step == 2 {
			w.Exec(`UPDATE gv.learning_cycles SET lease_token = gen_random_uuid()`)
		}
	}
	if _, err := r.Run(t.Context(), apitest.Tenant, id); err == nil {
		t.Error("went on without its lease")
	}
	if n := w.Text(`SELECT count(*) FROM gv.sweeps`); n != "1" {
		t.Errorf("%s steps have written, want the first alone", n)
	}
}

func TestAnAccountOfAnotherTenantHasNoCycle(t *testing.T) {
	t.Parallel()
	w := world(t)
	r := plain(w, nil)
	c := start(t, r)
	if _, _, err := r.Start(t.Context(), apitest.Other, "acc", asked); fault.Of(err) != fault.NotFound {
		t.Errorf("%v", err)
	}
	if _, err := r.Run(t.Context(), apitest.Other, c.ID); fault.Of(err) != fault.NotFound {
		t.Errorf("%v", err)
	}
}
