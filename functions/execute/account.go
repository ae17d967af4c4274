package execute

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/changes/queue"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// account is one ad account, worked on under its lease.
type account struct {
	*tick
	due queue.Due
	// meta is nil where the account is not connected.
	meta   *meta.Account
	secret string // the name of its token
}

// connect reads the account's token.
func (t *tick) connect(ctx context.Context, d queue.Due) (*account, error) {
	a := &account{tick: t, due: d}
	err := pg.Across(ctx, t.db, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT access_token FROM gv.meta_connections
			WHERE  tenant_id = @tenant AND account_id = @account AND disconnected_at IS NULL`,
			pgx.StrictNamedArgs{"tenant": d.TenantID, "account": d.AccountID}).Scan(&a.secret)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return a, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up the connection: %w", err)
	}
	token, err := t.tokens.Get(ctx, a.secret)
	if err != nil {
		return nil, err
	}
	a.meta = t.function.meta.Account(d.AccountID, token)
	return a, nil
}

// next claims the account's next change and takes it one step further; more is
// false where no change is due, or the account is to be left alone.
func (a *account) next(ctx context.Context) (more bool, err error) {
	var c *queue.Claim
	err = a.across(ctx, func(s queue.Store) (err error) {
		c, err = s.Claim(ctx, a.due.TenantID, a.due.AccountID, a.opts.ChangeLease)
		return err
	})
	if err != nil || c == nil {
		return false, err
	}
	limited, cancel := context.WithTimeout(ctx, min(changeTime, a.opts.ChangeLease/2))
	defer cancel()
	outcome, rest, err := a.change(limited, c)
	if errors.Is(err, queue.ErrClaimLost) {
		a.count("claim_lost")
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("change %s: %w", c.ChangeID, err)
	}
	a.count(outcome)
	slog.InfoContext(ctx, "execute: "+outcome, "tenant", c.TenantID, "account", c.AccountID, "change", c.ChangeID,
		"object", c.BudgetObject, "attempt", c.Attempt, "reason", c.HeldReason)
	if rest > 0 {
		a.rest(a.due, rest)
	}
	return rest == 0, nil
}

// change takes a claimed change one step further: it reads the object, judges the
// change, writes, and records each outcome. rest is how long Meta wants the account
// left alone.
func (a *account) change(ctx context.Context, c *queue.Claim) (outcome string, rest time.Duration, err error) {
	live, unreadable := a.read(ctx, c)
	if unreadable != nil {
		_, err := a.transit(ctx, c, nil, func(changes.State) changes.Outcome { return *unreadable })
		return name(*unreadable, c), rests(*unreadable), err
	}
	var described string
	verdict, err := a.transit(ctx, c, live, func(s changes.State) changes.Outcome {
		v := changes.Judge(s)
		v.Trace, described = live.Trace, s.Describe(v)
		return v
	})
	if err != nil || verdict.Kind != changes.Send && verdict.Kind != changes.Validate {
		return name(verdict, c), 0, err
	}
	result := a.write(ctx, c, verdict)
	if verdict.Kind == changes.Validate {
		tried := changes.Tried(described, verdict, result)
		_, err = a.transit(ctx, c, nil, func(changes.State) changes.Outcome { return tried })
		return name(tried, c), rests(result), err
	}
	_, err = a.transit(ctx, c, nil, func(changes.State) changes.Outcome { return result })
	return name(result, c), rests(result), err
}

// transit loads a claimed change, lets decide choose its outcome, and saves the
// state after it. It is tried even when the change's time is up: a write must not
// go unrecorded.
func (a *account) transit(ctx context.Context, c *queue.Claim, live *changes.Live,
	decide func(changes.State) changes.Outcome,
) (o changes.Outcome, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	err = a.across(ctx, func(s queue.Store) error {
		state, err := s.Load(ctx, c)
		if err != nil {
			return err
		}
		if live != nil {
			state = state.WithLive(*live)
		}
		o = decide(state)
		next, effects, err := changes.Transition(state, o)
		if err != nil {
			return err
		}
		c.Change = next.Change
		return s.Save(ctx, next, effects)
	})
	if err == nil && o.Kind != changes.Send && o.Kind != changes.Validate {
		telemetry.Changes.Add(ctx, 1, string(o.Kind), o.WhyNot())
	}
	return o, err
}

// name is the name of an outcome in the log and the report.
func name(o changes.Outcome, c *queue.Claim) string {
	switch o.Kind {
	case changes.Applied:
		if c.Status == changes.StatusPending {
			return "step"
		}
		return string(c.Status)
	case changes.RetryLater, changes.Unreadable:
		if c.Status == changes.StatusSuperseded {
			return string(c.Status)
		}
		return string(changes.Wait)
	case changes.Forbidden, changes.Refused:
		return string(c.Status)
	}
	return string(o.Kind)
}

// longWait is how long to wait for what only a person can mend.
const longWait = 15 * time.Minute

// read asks Meta for the object of a change. Where that fails, unreadable is the
// outcome: the change is put off, or ends where the object can never be read.
func (a *account) read(ctx context.Context, c *queue.Claim) (live *changes.Live, unreadable *changes.Outcome) {
	pending := c.Status == changes.StatusPending
	if a.meta == nil {
		if pending {
			return &changes.Live{Offline: true}, nil
		}
		return nil, &changes.Outcome{
			Kind: changes.Unreadable, Wait: longWait,
			Reason: "outcome unknown; " + changes.NotConnected(c.Account()),
		}
	}
	state, err := a.meta.Read(ctx, c.BudgetObject)
	if err == nil {
		return liveOf(c, state), nil
	}
	why := because(err)
	wait, throttled := meta.Throttled(err)
	switch {
	case throttled:
		return nil, &changes.Outcome{Kind: changes.Unreadable, Wait: max(wait, time.Second), Reason: why, LeaveAlone: true}
	case meta.Gone(err):
		return nil, &changes.Outcome{Kind: changes.Fail, Reason: why, Trace: traceOf(err)}
	case meta.Unauthorized(err), meta.Forbidden(err):
		a.tokens.Forget(a.secret)
		if pending {
			return nil, &changes.Outcome{
				Kind: changes.Hold, Reason: why + "; connect the account again, then decide again",
				Trace: traceOf(err),
			}
		}
		return nil, &changes.Outcome{Kind: changes.Unreadable, Wait: longWait, Reason: "outcome unknown; " + why}
	case fault.Permanent(err):
		return nil, &changes.Outcome{Kind: changes.Fail, Reason: why, Trace: traceOf(err)}
	}
	return nil, &changes.Outcome{Kind: changes.Unreadable, Wait: min(longWait, time.Duration(c.Attempt)*30*time.Second), Reason: why}
}

// rests is how long an outcome wants the whole account left alone.
func rests(o changes.Outcome) time.Duration {
	if o.LeaveAlone {
		return o.Wait
	}
	return 0
}
