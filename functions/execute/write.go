package execute

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/meta"
)

// liveOf is what Meta says of a change's object, as the rules want it.
func liveOf(c *changes.Claim, s meta.State) changes.Live {
	live := changes.Live{Amount: s.DailyBudget, Status: s.Status, CampaignBudget: s.CampaignBudget, Trace: s.Trace}
	if c.Kind == changes.KindLimits {
		live.Amount, live.Floor = s.SpendCap, s.MinSpend
	}
	return live
}

// write sends a step, or has it validated, and reads it back.
func (a *account) write(ctx context.Context, c *changes.Claim, v changes.Verdict) (changes.Result, time.Duration) {
	if a.meta == nil {
		return changes.Result{Effect: changes.Later, Why: changes.NotConnected(c.AccountID)}, 0
	}
	began := time.Now()
	validate := v.Action == changes.Try
	trace, err := a.send(ctx, c, v, validate)
	r, rest := a.resultOf(err)
	r.Trace = trace
	if r.Trace == "" {
		r.Trace = traceOf(err)
	}
	if r.Effect == changes.Took && !validate {
		a.readBack(ctx, c, v, &r)
	}
	r.Took = time.Since(began)
	return r, rest
}

func (a *account) send(ctx context.Context, c *changes.Claim, v changes.Verdict, validate bool) (string, error) {
	switch c.Kind {
	case changes.KindStatus:
		return a.meta.SetStatus(ctx, c.BudgetObject, c.TargetStatus, validate)
	case changes.KindLimits:
		least := v.Floor
		if v.Step == changes.NoLimits {
			least = new(int64)
		}
		return a.meta.SetSpendLimits(ctx, c.BudgetObject, least, &v.Step, validate)
	}
	return a.meta.SetBudget(ctx, c.BudgetObject, v.Step, validate)
}

// resultOf says what an error of a write means, and how long the account is to be
// left alone.
func (a *account) resultOf(err error) (changes.Result, time.Duration) {
	if err == nil {
		return changes.Result{Effect: changes.Took}, 0
	}
	why := because(err)
	if meta.Outcome(err) == meta.Unknown {
		return changes.Result{Effect: changes.Unheard, Why: why, Wait: a.opts.Settle}, 0
	}
	if wait, throttled := meta.Throttled(err); throttled {
		wait = max(wait, time.Second)
		if meta.BudgetLimited(err) {
			return changes.Result{Effect: changes.Later, Why: why, Wait: wait}, 0
		}
		return changes.Result{Effect: changes.Later, Why: why, Wait: wait}, wait
	}
	switch {
	case meta.Unauthorized(err), meta.Forbidden(err):
		a.tokens.Forget(a.secret)
		return changes.Result{Effect: changes.Barred, Why: why + "; connect the account again and decide again"}, 0
	case fault.Permanent(err):
		return changes.Result{Effect: changes.Denied, Why: why}, 0
	}
	return changes.Result{Effect: changes.Later, Why: why, Wait: time.Minute}, 0 // it never left this process
}

// readBack makes sure that Meta has what it took. Where it says otherwise, that is
// read again later; where it cannot be read, Meta's word counts.
func (a *account) readBack(ctx context.Context, c *changes.Claim, v changes.Verdict, r *changes.Result) {
	state, err := a.meta.Read(ctx, c.BudgetObject)
	if err != nil {
		r.Note = "Meta took it, and could not be read again: " + because(err)
		return
	}
	live := liveOf(c, state)
	switch {
	case c.Kind == changes.KindStatus && live.Status == c.TargetStatus:
	case c.Kind != changes.KindStatus && live.Amount != nil && *live.Amount == v.Step:
	case c.Kind == changes.KindLimits && live.Amount == nil && v.Step == changes.NoLimits:
	default:
		r.Effect, r.Wait = changes.Unheard, a.opts.Settle
		r.Why = fmt.Sprintf("Meta took it, but %s reads otherwise", c.BudgetObject)
	}
}

// because is an error in words for people; only Meta's own are repeated. What has
// no status Meta never saw: we held it back.
func because(err error) string {
	var own *meta.Error
	var known *fault.Error
	switch {
	case errors.As(err, &own) && own.HTTPStatus == 0 && own.Message != "":
		return own.Message
	case errors.As(err, &own) && own.Code == 0:
		return "Meta: " + own.Message
	case errors.As(err, &own):
		return fmt.Sprintf("Meta: %s (code %d/%d)", own.Message, own.Code, own.Subcode)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "Meta did not answer in time"
	case errors.As(err, &known):
		return known.Message
	}
	return "the call to Meta failed"
}

func traceOf(err error) string {
	var own *meta.Error
	if errors.As(err, &own) {
		return own.Trace
	}
	return ""
}
