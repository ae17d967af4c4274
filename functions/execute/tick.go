package execute

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/changes/queue"
	"github.com/geminivideo/geminivideo/shared/lease"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// report is what a run did.
type report struct {
	// Accounts is how many accounts had something due.
	Accounts int `json:"accounts"`
	// Outcomes counts the changes that were worked on, by outcome: applied, step (more
	// follow), dry_run, held, failed, unknown, confirmed, retry, already_set,
	// awaiting_approval, superseded, waiting, claim_lost.
	Outcomes map[string]int `json:"outcomes"`
	// Busy counts accounts that another run was working on.
	Busy int `json:"busy"`
	// Errors counts accounts whose work ended with an error, which is in the log.
	Errors int `json:"errors"`
}

// tick is one run.
type tick struct {
	*function
	end time.Time

	mu      sync.Mutex
	report  report
	at      map[string]bool      // accounts being worked on
	resting map[string]time.Time // accounts that are left alone until then
	seen    map[string]bool
	slots   chan struct{}
	done    chan struct{} // an account is finished
}

// Run carries out the changes that are due, and those that become due while it runs.
// It holds no connection while it waits. When its instance stops, it finishes the
// changes that it works on and claims no others.
func (f *function) Run(ctx context.Context) (any, error) {
	t := &tick{
		function: f, end: time.Now().Add(f.opts.Tick), report: report{Outcomes: map[string]int{}},
		at: map[string]bool{}, resting: map[string]time.Time{}, seen: map[string]bool{},
		slots: make(chan struct{}, f.opts.Accounts), done: make(chan struct{}, 1),
	}
	var working sync.WaitGroup
	defer working.Wait()
	for {
		due, now, err := t.due(ctx)
		if err != nil {
			working.Wait()
			if errors.Is(context.Cause(ctx), serve.ErrStopping) {
				return t.report, nil
			}
			return t.report, err
		}
		wait := f.opts.Poll
		idle := true
		for _, d := range due {
			switch {
			case d.At.After(now):
				wait, idle = min(wait, d.At.Sub(now)), false
			case t.begin(d):
				idle = false
				working.Go(func() { t.account(ctx, d) })
			}
		}
		if idle && !t.busy() {
			return t.report, nil
		}
		left := time.Until(t.end)
		if left <= 0 || ctx.Err() != nil || serve.IsStopping(ctx) {
			working.Wait()
			return t.report, nil
		}
		timer := time.NewTimer(max(min(wait, left), time.Millisecond))
		select {
		case <-ctx.Done():
		case <-serve.Stopping(ctx):
		case <-timer.C:
		case <-t.done:
		}
		timer.Stop()
	}
}

// due lists the accounts with changes that are due before the run ends.
func (t *tick) due(ctx context.Context) (due []queue.Due, now time.Time, err error) {
	err = t.across(ctx, func(s queue.Store) error {
		if now, err = s.Now(ctx); err != nil {
			return err
		}
		due, err = s.Due(ctx, now.Add(max(time.Until(t.end), 0)))
		return err
	})
	if err != nil {
		err = fmt.Errorf("look for changes that are due: %w", err)
	}
	return due, now, err
}

func (t *tick) across(ctx context.Context, fn func(s queue.Store) error) error {
	return pg.Across(ctx, t.db, func(tx pgx.Tx) error { return fn(queue.NewStore(tx).WithClock(t.opts.Clock)) })
}

// begin starts to work on an account, unless it is worked on already, is to be left
// alone, or there is no slot for it or no time left.
func (t *tick) begin(d queue.Due) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	name := d.TenantID + "/" + d.AccountID
	if t.at[name] || time.Now().Before(t.resting[name]) || !time.Now().Before(t.end) {
		return false
	}
	select {
	case t.slots <- struct{}{}:
	default:
		return false
	}
	t.at[name] = true
	if !t.seen[name] {
		t.seen[name] = true
		t.report.Accounts++
	}
	return true
}

func (t *tick) busy() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.at) > 0
}

// account carries out the due changes of one account. Its errors are logged and stop
// no other account.
func (t *tick) account(ctx context.Context, d queue.Due) {
	name := d.TenantID + "/" + d.AccountID
	defer func() {
		broken := recover()
		t.mu.Lock()
		delete(t.at, name)
		if broken != nil {
			t.report.Errors++
			slog.ErrorContext(ctx, "execute: panic", "tenant", d.TenantID, "account", d.AccountID, "panic", fmt.Sprint(broken))
			t.resting[name] = t.end
		}
		t.mu.Unlock()
		<-t.slots
		select {
		case t.done <- struct{}{}:
		default:
		}
	}()
	err := lease.Run(ctx, t.db, "execute/"+name, t.opts.AccountLease, func(ctx context.Context) error {
		a, err := t.connect(ctx, d)
		if err != nil {
			return err
		}
		for looked := 0; time.Now().Before(t.end) && ctx.Err() == nil && !serve.IsStopping(ctx); looked++ {
			if more, err := a.next(ctx); err != nil || !more {
				if looked == 0 && err == nil { // another run claimed them first
					t.rest(d, t.opts.Poll)
				}
				return err
			}
		}
		return nil
	})
	if errors.Is(err, lease.ErrHeld) {
		t.mu.Lock()
		t.report.Busy++
		t.resting[name] = time.Now().Add(t.opts.Poll)
		t.mu.Unlock()
		return
	}
	if err != nil {
		t.mu.Lock()
		t.report.Errors++
		t.resting[name] = time.Now().Add(t.opts.Poll)
		t.mu.Unlock()
		slog.WarnContext(ctx, "execute: work on an account ended with an error; the next run goes on",
			"tenant", d.TenantID, "account", d.AccountID, "error", err.Error())
	}
}

func (t *tick) count(outcome string) {
	t.mu.Lock()
	t.report.Outcomes[outcome]++
	t.mu.Unlock()
}

// rest leaves an account alone for a while.
func (t *tick) rest(d queue.Due, wait time.Duration) {
	t.mu.Lock()
	t.resting[d.TenantID+"/"+d.AccountID] = time.Now().Add(wait)
	t.mu.Unlock()
}
