package changes

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/notice"
)

// Decide judges a claimed change by what the platform says of its object, and
// writes the verdict down, all of it but for Act and Try: for Act it records the
// intent, so that whoever comes after a crash knows what may have been sent; for
// Try nothing. It returns what the step does in plain words. The caller then
// writes to the platform and calls Settle.
func (s Store) Decide(ctx context.Context, c *Claim, live Live) (Verdict, string, error) {
	h, err := s.hold(ctx, c)
	if err != nil {
		return Verdict{}, "", err
	}
	if live.Offline {
		live = h.offline(c)
	}
	h.moment.Live = live
	v := Judge(h.moment)
	told := h.moment.Tell(v)
	h.learn(v)
	switch v.Action {
	case Act:
		c.Status, c.SentAt = Applying, &h.now
		c.Sends++
		c.StepMinor, c.StepBefore, c.FloorMinor = nil, nil, v.Floor
		if c.Kind != KindStatus {
			c.StepMinor, c.StepBefore = &v.Step, live.Amount
		} else {
			c.BeforeStatus = live.Status
		}
		err = s.save(ctx, c, true)
	case Try:
	case Wait:
		err = s.wait(ctx, c, h, v.Until, v.Reason)
	case Hold:
		err = s.finish(ctx, c, h, Held, v.Reason, Result{Trace: live.Trace})
	case Fail:
		err = s.finish(ctx, c, h, Failed, v.Reason, Result{Trace: live.Trace})
	case Ask:
		c.PlanDigest, c.ApprovedBy, c.ApprovedAt = nil, "", nil
		c.Status, c.HeldReason = Awaiting, v.Reason
		if err = s.save(ctx, c, false); err == nil {
			err = notice.Put(ctx, s.tx, c.TenantID, c.notice(notice.ChangeAwaiting, "waits for an admin's approval: "+v.Reason, h.now))
		}
	case Done:
		err = s.finish(ctx, c, h, Applied, v.Reason, Result{Trace: live.Trace})
	case Found:
		err = s.applied(ctx, c, h, Result{Trace: live.Trace, Note: v.Reason})
	case Again:
		err = s.again(ctx, c, h, v)
	}
	if err == nil && v.Foreign {
		err = s.settleForeign(ctx, c, h)
	}
	if err == nil {
		err = s.saveObjects(ctx, c.TenantID, []*Object{h.moment.Object})
	}
	return v, told, err
}

// offline is what is known of an object that cannot be read.
func (h *held) offline(c *Claim) Live {
	live := Live{Offline: true, Amount: h.moment.Object.KnownMinor, Status: cmp.Or(h.moment.Object.KnownStatus, c.BeforeStatus), CampaignBudget: c.Kind == KindLimits}
	if live.Amount == nil && c.Kind == KindBudget {
		live.Amount = c.BeforeMinor
	}
	return live
}

// learn remembers what the platform says of the object.
func (h *held) learn(v Verdict) {
	o, live, c := h.moment.Object, h.moment.Live, h.moment.Change
	if live.Offline {
		return
	}
	o.KnownAt = &h.now
	if v.Foreign {
		o.ForeignAt, o.ForeignWasMinor, o.ForeignMinor = &h.now, nil, nil
		if c.Kind != KindStatus {
			o.ForeignWasMinor, o.ForeignMinor = o.KnownMinor, live.Amount
		}
		if c.Kind == KindStatus {
			o.PausedBy = nil
		}
	}
	if c.Kind == KindStatus {
		o.KnownStatus = live.Status
	} else if (live.Amount != nil || v.Foreign) && v.Action != Found {
		o.KnownMinor = live.Amount
	}
}

// wait puts a change that waits back until then.
func (s Store) wait(ctx context.Context, c *Claim, h *held, until time.Time, why string) error {
	if h.newer != nil && c.Status != Pending {
		return s.giveWay(ctx, c, h)
	}
	c.Status, c.DueAt, c.HeldReason = Pending, until, why
	return s.save(ctx, c, false)
}

// again makes a step that was not made due again, and keeps the try that was cut
// off in the history.
func (s Store) again(ctx context.Context, c *Claim, h *held, v Verdict) error {
	if c.Prior == Applying { // nobody lived to record that its outcome was not known
		e := c.stepEntry(Unknown, "the try was cut off. "+v.Reason, h.now)
		if err := s.note(ctx, c.TenantID, []Entry{e}); err != nil {
			return err
		}
	}
	return s.wait(ctx, c, h, v.Until, v.Reason)
}

// giveWay ends a change whose object has a newer decision waiting.
func (s Store) giveWay(ctx context.Context, c *Claim, h *held) error {
	c.SupersededBy = h.newer
	return s.finish(ctx, c, h, Superseded, "a newer decision took its place", Result{})
}

// finish ends a change for good and says so in the history and to the tenant.
func (s Store) finish(ctx context.Context, c *Claim, h *held, as Status, why string, r Result) error {
	c.Status, c.HeldReason, c.FinishedAt = as, why, &h.now
	o := h.moment.Object
	if as != Applied && as != DryRun && as != Superseded && c.Steps == 0 && o.isCut(c.ChangeID) {
		o.allowRaises() // a cut that was not made forbids nothing
	}
	e := c.entry(as, why, h.now)
	e.Trace, e.Took = r.Trace, r.Took
	if c.Kind != KindStatus && h.moment.Live.Amount != nil {
		e.BeforeMinor = h.moment.Live.Amount
	}
	if err := s.note(ctx, c.TenantID, []Entry{e}); err != nil {
		return err
	}
	kind := map[Status]string{Held: notice.ChangeHeld, Failed: notice.ChangeFailed}[as]
	if kind != "" {
		if err := notice.Put(ctx, s.tx, c.TenantID, c.notice(kind, string(as)+": "+why, h.now)); err != nil {
			return err
		}
	}
	return s.save(ctx, c, false)
}

// save writes the change back, and gives its lease up unless it is kept.
func (s Store) save(ctx context.Context, c *Claim, keep bool) error {
	_, err := s.tx.Exec(ctx, `
		UPDATE gv.pending_ad_changes
		SET    status = @status, before_minor = @before, before_status = @before_status, step_minor = @step, step_before = @step_before,
		       floor_minor = @floor, steps = @steps, sends = @sends, sent_at = @sent, plan_digest = @digest, approved_by = nullif(@approver, ''),
		       approved_at = @approved, held_reason = nullif(@why, ''), due_at = @due, progress_at = @progress, finished_at = @finished,
		       superseded_by = @newer, lease_token = CASE WHEN @keep THEN lease_token END, lease_until = CASE WHEN @keep THEN lease_until END
		WHERE  tenant_id = @tenant AND change_id = @change`,
		pgx.StrictNamedArgs{
			"tenant": c.TenantID, "change": c.ChangeID, "status": c.Status, "before": c.BeforeMinor, "before_status": c.BeforeStatus,
			"step": c.StepMinor, "step_before": c.StepBefore, "floor": c.FloorMinor, "steps": c.Steps, "sends": c.Sends, "sent": c.SentAt,
			"digest": c.PlanDigest, "approver": c.ApprovedBy, "approved": c.ApprovedAt, "why": c.HeldReason, "due": c.DueAt,
			"progress": c.ProgressAt, "finished": c.FinishedAt, "newer": c.SupersededBy, "keep": keep,
		})
	if err != nil {
		return fmt.Errorf("save change %s: %w", c.ChangeID, err)
	}
	return nil
}
