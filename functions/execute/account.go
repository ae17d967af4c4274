package execute

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// account is one ad account, worked on under its lease.
type account struct {
	*tick
	due changes.Due
	// meta is nil where the account is not connected.
	meta   *meta.Account
	secret string // its token's name
}

// connect reads the account's token.
func (t *tick) connect(ctx context.Context, d changes.Due) (*account, error) {
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

// next claims the account's next change and does what is to be done with it now;
// more is false where there is none, or the account is to rest.
func (a *account) next(ctx context.Context) (more bool, err error) {
	var c *changes.Claim
	err = a.across(ctx, func(s changes.Store) (err error) {
		c, err = s.Claim(ctx, a.due.TenantID, a.due.AccountID, a.opts.ChangeLease)
		return err
	})
	if err != nil || c == nil {
		return false, err
	}
	limited, cancel := context.WithTimeout(ctx, min(changeTime, a.opts.ChangeLease/2))
	defer cancel()
	outcome, rest, err := a.change(limited, c)
	if errors.Is(err, changes.ErrLost) {
		a.count("lost")
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

// change carries a claimed change one step further. rest is how long Meta wants
// the account left alone.
func (a *account) change(ctx context.Context, c *changes.Claim) (outcome string, rest time.Duration, err error) {
	live := changes.Live{Offline: true}
	if a.meta != nil {
		state, err := a.meta.Read(ctx, c.BudgetObject)
		if err != nil {
			return a.unreadable(ctx, c, err)
		}
		live = liveOf(c, state)
	} else if c.Prior != changes.Pending {
		return a.postpone(ctx, c, longWait, "it is not known whether the last try was made, and "+changes.NotConnected(c.AccountID))
	}
	var v changes.Verdict
	var told string
	err = a.record(ctx, func(s changes.Store, ctx context.Context) (err error) {
		v, told, err = s.Decide(ctx, c, live)
		return err
	})
	if err != nil {
		return "", 0, err
	}
	if v.Action != changes.Act && v.Action != changes.Try {
		return names[v.Action], 0, nil
	}
	r, rest := a.write(ctx, c, v)
	err = a.record(ctx, func(s changes.Store, ctx context.Context) error { return s.Settle(ctx, c, v, told, r) })
	outcome = string(c.Status)
	if c.Status == changes.Pending {
		outcome = "waiting"
		if r.Effect == changes.Took {
			outcome = "step"
		}
	}
	return outcome, rest, err
}

var names = map[changes.Action]string{
	changes.Wait: "waiting", changes.Hold: "held", changes.Fail: "failed", changes.Ask: "awaiting_approval",
	changes.Done: "so_already", changes.Found: "found", changes.Again: "again",
}

// record runs a transaction that must be tried even when the change's time is up:
// what has been done must not go unrecorded.
func (a *account) record(ctx context.Context, fn func(changes.Store, context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	return a.across(ctx, func(s changes.Store) error { return fn(s, ctx) })
}

// longWait is how long to leave what only a person can mend.
const longWait = 15 * time.Minute

// unreadable puts a change off whose object could not be read, or ends it where
// it never will be.
func (a *account) unreadable(ctx context.Context, c *changes.Claim, cause error) (outcome string, rest time.Duration, err error) {
	why := because(cause)
	wait, throttled := meta.Throttled(cause)
	pending := c.Prior == changes.Pending
	switch {
	case throttled:
		wait = max(wait, time.Second)
		outcome, _, err = a.postpone(ctx, c, wait, why)
		return outcome, wait, err
	case meta.Gone(cause):
		return a.refuse(ctx, c, changes.Failed, why, cause)
	case meta.Unauthorized(cause), meta.Forbidden(cause):
		a.tokens.Forget(a.secret)
		if pending {
			return a.refuse(ctx, c, changes.Held, why+"; connect the account again and decide again", cause)
		}
		return a.postpone(ctx, c, longWait, "it is not known whether the last try was made. "+why)
	case fault.Permanent(cause):
		return a.refuse(ctx, c, changes.Failed, why, cause)
	}
	return a.postpone(ctx, c, min(longWait, time.Duration(c.Attempt)*30*time.Second), why)
}

func (a *account) postpone(ctx context.Context, c *changes.Claim, wait time.Duration, why string) (string, time.Duration, error) {
	err := a.record(ctx, func(s changes.Store, ctx context.Context) error { return s.Defer(ctx, c, wait, why) })
	return "waiting", 0, err
}

func (a *account) refuse(ctx context.Context, c *changes.Claim, as changes.Status, why string, cause error) (string, time.Duration, error) {
	err := a.record(ctx, func(s changes.Store, ctx context.Context) error { return s.Refuse(ctx, c, as, why, traceOf(cause)) })
	return string(as), 0, err
}
