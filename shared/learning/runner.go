package learning

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/pg"
)

const (
	// maxAttempts is how often a step may be begun without coming to an end: one that
	// takes its process down with it must not do so for ever.
	maxAttempts = 3
	// grace is how much longer than a step's deadline its lease lasts.
	grace = 30 * time.Second
	// least is how much of a run's time must be left for another step to begin.
	least = 3 * time.Second
)

// Runner works on cycles.
type Runner struct {
	db    *pg.DB
	steps []Step
	// Watch, where set, is called with a cycle after each change of it. It must not
	// block for long and cannot fail the cycle.
	Watch func(ctx context.Context, c Cycle)
	// Between, where set, is called before a step's findings are written; for tests.
	Between func(step int)
}

// NewRunner returns a runner of steps on db, in the order of their numbers.
func NewRunner(db *pg.DB, steps []Step) *Runner { return &Runner{db: db, steps: steps} }

// Options are what a cycle is asked to do.
type Options struct {
	Retrain   bool
	Threshold float64
	By        string
	Now       time.Time
	// Since, where set, is from when on one cycle is enough: a run that has found the
	// account due may come after another one that has done its cycle.
	Since time.Time
}

// Start begins a cycle of an account, or returns the one that is running, or that has
// begun since o.Since; began says which.
func (r *Runner) Start(ctx context.Context, tenant, account string, o Options) (c Cycle, began bool, err error) {
	err = pg.InTenant(ctx, r.db, tenant, func(tx pgx.Tx) (err error) {
		c, began, err = NewStore(tx).start(ctx, account, o)
		return err
	})
	c.Tenant = tenant
	if err == nil && began {
		r.watch(ctx, c)
	}
	return c, began, err
}

// Run works on a cycle until it has ended, another run has it, or ctx is about to
// end: then the next run goes on at the step where it stopped. It returns the cycle
// as it then stands.
func (r *Runner) Run(ctx context.Context, tenant, id string) (Cycle, error) {
	token := uuid.NewString()
	var c Cycle
	var mine bool
	err := pg.InTenant(ctx, r.db, tenant, func(tx pgx.Tx) (err error) {
		s := NewStore(tx)
		if mine, err = s.claim(ctx, id, token, r.longest()+grace); err != nil {
			return err
		}
		c, err = s.Get(ctx, id)
		return err
	})
	c.Tenant = tenant
	if err != nil || !mine {
		return c, err
	}
	defer r.release(ctx, tenant, id, token)
	for i := range c.Steps {
		if c.Steps[i].Status.Ended() {
			continue
		}
		if end, ok := ctx.Deadline(); ok && time.Until(end) < least || ctx.Err() != nil {
			return c, nil // handed on
		}
		if err := r.step(ctx, &c, &c.Steps[i], token); err != nil {
			return c, err
		}
		if !c.Steps[i].Status.Ended() {
			return c, nil // handed on in the middle of it
		}
	}
	err = r.under(ctx, &c, token, func(ctx context.Context, s Store) (err error) {
		c.Status, c.CompletedAt, err = s.finish(ctx, id, outcome(c.Steps))
		return err
	})
	if err == nil {
		r.watch(ctx, c)
	}
	return c, err
}

func (r *Runner) longest() time.Duration {
	d := time.Duration(0)
	for _, s := range r.steps {
		d = max(d, s.Deadline)
	}
	return d
}

// outcome is a cycle's status by its steps'.
func outcome(steps []StepState) Status {
	for _, s := range steps {
		if s.Status == Failed {
			return Failed
		}
	}
	return Completed
}

// errLost is returned where another run has taken the cycle over.
var errLost = errors.New("the cycle's lease has passed to another run")

// under runs fn in a transaction that holds the cycle's lease, and lengthens it.
func (r *Runner) under(ctx context.Context, c *Cycle, token string, fn func(context.Context, Store) error) error {
	return pg.InTenant(ctx, r.db, c.Tenant, func(tx pgx.Tx) error {
		s := NewStore(tx)
		held, err := s.extend(ctx, c.ID, token, r.longest()+grace)
		if err != nil {
			return err
		}
		if !held {
			return errLost
		}
		return fn(ctx, s)
	})
}

// step works on one step. An error is one of the run; a step that failed says so in
// its state, and the steps that do not need it go on.
func (r *Runner) step(ctx context.Context, c *Cycle, s *StepState, token string) error {
	todo := r.steps[s.Step-1]
	for _, n := range todo.Needs {
		if before := c.Steps[n-1]; before.Status == Failed {
			return r.end(ctx, c, s, token, Skipped, fmt.Sprintf("needs step %d, %s, which failed", n, before.Name), nil)
		}
	}
	if s.Attempts >= maxAttempts {
		return r.end(ctx, c, s, token, Failed, fmt.Sprintf("stopped %d times before it came to an end", s.Attempts), nil)
	}
	err := r.under(ctx, c, token, func(ctx context.Context, store Store) error { return store.begin(ctx, c.ID, s) })
	if err != nil {
		return err
	}
	r.watch(ctx, *c)
	bounded, cancel := context.WithTimeout(ctx, todo.Deadline)
	defer cancel()
	work, err := attempt(bounded, todo, c)
	switch {
	case err == nil && work.Skip != "":
		return r.end(ctx, c, s, token, Skipped, work.Skip, nil)
	case err == nil:
		if r.Between != nil {
			r.Between(s.Step)
		}
		err = r.end(bounded, c, s, token, Completed, work.Reason, work.Write)
	}
	if err == nil || errors.Is(err, errLost) {
		return err
	}
	if ctx.Err() != nil || fault.Of(err) == fault.Unavailable && bounded.Err() == nil {
		// The run's time is up, or the database away: the next run begins the step anew.
		return r.handOn(ctx, c, s, token, err)
	}
	if bounded.Err() != nil {
		err = fmt.Errorf("not done within %s: %w", todo.Deadline, err)
	}
	slog.ErrorContext(ctx, "a learning step failed", "tenant", c.Tenant, "account", c.Account, "cycle", c.ID, "step", s.Name, "error",
		err.Error())
	return r.end(ctx, c, s, token, Failed, public(err, bounded.Err() != nil, todo.Deadline), nil)
}

// attempt runs a step's work; a panic is an error of the step.
func attempt(ctx context.Context, todo Step, c *Cycle) (w Work, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return todo.Do(ctx, c)
}

// end writes a step's end with what it found.
func (r *Runner) end(ctx context.Context, c *Cycle, s *StepState, token string, status Status, reason string, write func(context.Context, pgx.Tx) (any, error)) error {
	done := *s
	err := r.under(ctx, c, token, func(ctx context.Context, store Store) error {
		var found any
		if write != nil {
			var err error
			if found, err = write(ctx, store.tx); err != nil {
				return err
			}
		}
		done = *s
		return store.end(ctx, c.ID, &done, status, reason, found)
	})
	if err != nil {
		return err
	}
	*s = done
	r.watch(ctx, *c)
	return nil
}

// handOn leaves a step to the next run: its time was up, which is no fault of its.
func (r *Runner) handOn(ctx context.Context, c *Cycle, s *StepState, token string, cause error) error {
	if ctx.Err() == nil {
		return cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), least)
	defer cancel()
	return r.under(ctx, c, token, func(ctx context.Context, store Store) error { return store.handOn(ctx, c.ID, s) })
}

// release gives the lease back, so that the next run need not wait for its end.
func (r *Runner) release(ctx context.Context, tenant, id, token string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), least)
	defer cancel()
	err := pg.InTenant(ctx, r.db, tenant, func(tx pgx.Tx) error { return NewStore(tx).release(ctx, id, token) })
	if err != nil {
		slog.WarnContext(ctx, "a cycle's lease was not given back; it ends by itself", "tenant", tenant, "cycle", id, "error", err.Error())
	}
}

// public is what of a step's error may be shown.
func public(err error, late bool, deadline time.Duration) string {
	var public *fault.Error
	switch {
	case late:
		return fmt.Sprintf("was not done within %s", deadline)
	case errors.As(err, &public) && public.Message != "":
		return public.Message
	}
	return "an internal error stopped it; the log has the cause"
}

func (r *Runner) watch(ctx context.Context, c Cycle) {
	if r.Watch != nil {
		r.Watch(ctx, c)
	}
}
