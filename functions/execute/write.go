package execute

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/changes/queue"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/meta"
)

// liveOf is a change's object as Meta shows it, for the rules.
func liveOf(c *queue.Claim, s meta.State) *changes.Live {
	live := &changes.Live{
		Amount: s.DailyBudget, Status: s.Status, CampaignBudget: s.CampaignBudget, LifetimeBudget: s.LifetimeBudget != nil, Trace: s.Trace,
	}
	if c.Kind == changes.KindLimits {
		live.Amount, live.Floor = s.SpendCap, s.MinSpend
	}
	return live
}

// write sends a step, or has it validated, and reads it back.
func (a *account) write(ctx context.Context, c *queue.Claim, v changes.Outcome) changes.Outcome {
	if a.meta == nil { // a dry run
		return changes.Outcome{Kind: changes.RetryLater, Reason: changes.NotConnected(c.Account())}
	}
	began := time.Now()
	validate := v.Kind == changes.Validate
	trace, err := a.send(ctx, c, v, validate)
	o := a.outcomeOf(err)
	if o.Trace = trace; trace == "" {
		o.Trace = traceOf(err)
	}
	if o.Kind == changes.Applied && !validate {
		a.readBack(ctx, c, v, &o)
	}
	o.Took = time.Since(began)
	return o
}

func (a *account) send(ctx context.Context, c *queue.Claim, v changes.Outcome, validate bool) (string, error) {
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

// outcomeOf says what an error of a write means.
func (a *account) outcomeOf(err error) changes.Outcome {
	if err == nil {
		return changes.Outcome{Kind: changes.Applied}
	}
	why := because(err)
	if meta.Outcome(err) == meta.Unknown {
		return changes.Outcome{Kind: changes.OutcomeUnknown, Reason: why, Wait: a.opts.ReadAfter}
	}
	if wait, throttled := meta.Throttled(err); throttled {
		return changes.Outcome{Kind: changes.RetryLater, Reason: why, Wait: max(wait, time.Second), LeaveAlone: !meta.BudgetLimited(err)}
	}
	switch {
	case meta.Unauthorized(err), meta.Forbidden(err):
		a.tokens.Forget(a.secret)
		return changes.Outcome{Kind: changes.Forbidden, Reason: why + "; connect the account again, then decide again"}
	case fault.Permanent(err):
		return changes.Outcome{Kind: changes.Refused, Reason: why}
	}
	return changes.Outcome{Kind: changes.RetryLater, Reason: why, Wait: time.Minute} // it never left this process
}

// readBack checks that Meta has what it accepted. Where Meta shows something else,
// it is asked again later; where it cannot be read, its answer to the write counts.
func (a *account) readBack(ctx context.Context, c *queue.Claim, v changes.Outcome, o *changes.Outcome) {
	state, err := a.meta.Read(ctx, c.BudgetObject)
	if err != nil {
		o.Reason = "Meta accepted it, and could not be read afterwards: " + because(err)
		return
	}
	live := liveOf(c, state)
	switch {
	case c.Kind == changes.KindStatus && live.Status == c.TargetStatus:
	case c.Kind != changes.KindStatus && live.Amount != nil && *live.Amount == v.Step:
	case c.Kind == changes.KindLimits && live.Amount == nil && v.Step == changes.NoLimits:
	default:
		o.Kind, o.Wait = changes.OutcomeUnknown, a.opts.ReadAfter
		o.Reason = fmt.Sprintf("Meta accepted it, but shows something else for %s", c.Object())
	}
}

// because writes an error for people. Only Meta's own words are repeated; an error
// without an HTTP status is ours, and nothing was sent.
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
