package changes

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/notice"
)

// Effect is what a write did to the platform.
type Effect int

// The effects.
const (
	Took    Effect = iota // it was taken
	Unheard               // it was sent, and what became of it was not heard
	Denied                // it was refused, for good
	Later                 // it was refused for now: the try does not count
	Barred                // it was refused because we may not: the change is held
)

// Result is what became of a step that Decide wanted written, or tried.
type Result struct {
	Effect Effect
	// Why is the platform's reason, Note what the history adds to a success.
	Why, Note string
	// Wait is how long to leave it, for Later and Unheard.
	Wait  time.Duration
	Trace string
	// Took is how long the platform took to take and confirm the write.
	Took time.Duration
}

// Settle records what became of the step that Decide returned v and told for. It
// returns ErrLost where somebody else resolved the change meanwhile.
func (s Store) Settle(ctx context.Context, c *Claim, v Verdict, told string, r Result) error {
	h, err := s.hold(ctx, c)
	if err != nil {
		return err
	}
	h.moment.Live.Amount = c.StepBefore
	switch {
	case v.Action == Try:
		err = s.tried(ctx, c, h, v, told, r)
	case r.Effect == Took:
		err = s.applied(ctx, c, h, r)
	case r.Effect == Unheard:
		e := c.stepEntry(Unknown, "whether it was made is not known, and will be read: "+r.Why, h.now)
		e.Trace, e.Took = r.Trace, r.Took
		c.Status, c.HeldReason, c.DueAt = Unknown, e.Reason, h.now.Add(r.Wait)
		if err = s.note(ctx, c.TenantID, []Entry{e}); err == nil {
			err = s.save(ctx, c, false)
		}
	case r.Effect == Later:
		c.Sends--
		err = s.wait(ctx, c, h, h.now.Add(r.Wait), r.Why)
	case r.Effect == Barred:
		err = s.finish(ctx, c, h, Held, r.Why, r)
	default:
		err = s.finish(ctx, c, h, Failed, r.Why, r)
	}
	if err != nil {
		return err
	}
	return s.saveObjects(ctx, c.TenantID, []*Object{h.moment.Object})
}

// Defer puts a claimed change off for so long, because its object could not even
// be read; Refuse ends it. Both before anything was sent.
func (s Store) Defer(ctx context.Context, c *Claim, wait time.Duration, why string) error {
	if err := s.holdChange(ctx, c); err != nil {
		return err
	}
	now, err := s.Now(ctx)
	if err != nil {
		return err
	}
	c.DueAt, c.HeldReason = now.Add(wait), why
	return s.save(ctx, c, false)
}

// Refuse ends a claimed change, as Held or Failed, before anything was sent.
func (s Store) Refuse(ctx context.Context, c *Claim, as Status, why, trace string) error {
	h, err := s.hold(ctx, c)
	if err != nil {
		return err
	}
	if err := s.finish(ctx, c, h, as, why, Result{Trace: trace}); err != nil {
		return err
	}
	return s.saveObjects(ctx, c.TenantID, []*Object{h.moment.Object})
}

// tried ends a dry run: it says what would have been done, and what the platform
// says to that.
func (s Store) tried(ctx context.Context, c *Claim, h *held, v Verdict, told string, r Result) error {
	why := "dry run: would " + told
	switch r.Effect {
	case Took:
		why += "; Meta would take it"
	case Later, Unheard:
		why += "; Meta could not be asked: " + r.Why
	default:
		why += "; Meta would refuse it: " + r.Why
	}
	if c.Kind != KindStatus {
		c.StepMinor = &v.Step
	}
	return s.finish(ctx, c, h, DryRun, why, r)
}

// applied records a step that the platform has taken, and what follows from it.
func (s Store) applied(ctx context.Context, c *Claim, h *held, r Result) error {
	reason := c.Reason
	if r.Note != "" {
		reason += " (" + r.Note + ")"
	}
	e := c.stepEntry(Applied, reason, h.now)
	e.Trace, e.Took = r.Trace, r.Took
	if err := s.note(ctx, c.TenantID, []Entry{e}); err != nil {
		return err
	}
	if c.BeforeMinor == nil && c.PlanDigest == nil { // an approved plan stays what it was
		c.BeforeMinor = c.StepBefore
	}
	c.Steps++
	c.Sends, c.ProgressAt = 0, h.now
	h.remember()
	final := c.Kind == KindStatus || *c.StepMinor == *c.TargetMinor
	if err := s.settleAds(ctx, c, h, final); err != nil {
		return err
	}
	if c.UndoOf != nil && final {
		if err := s.undone(ctx, c, h); err != nil {
			return err
		}
	}
	if err := notice.Put(ctx, s.tx, c.TenantID, c.appliedNotice(e, h.now)); err != nil {
		return err
	}
	if final {
		c.Status, c.HeldReason, c.FinishedAt = Applied, "", &h.now
		return s.save(ctx, c, false)
	}
	if h.newer != nil {
		return s.giveWay(ctx, c, h)
	}
	moves := append(h.moment.Moves, Move{At: h.now, Before: amountOr(c.StepBefore, amountOr(c.BeforeMinor, *c.StepMinor)), After: *c.StepMinor})
	_, until := Pace(h.now, *c.StepMinor, *c.TargetMinor, moves, meta.Step(c.Currency))
	if until.Before(h.now) {
		until = h.now
	}
	c.Status, c.DueAt = Pending, until.Add(Jitter(c.ChangeID, c.Steps))
	c.HeldReason = fmt.Sprintf("step %d was made; at most a fifth in 6 hours, so the next follows after %s", c.Steps, clock(until))
	return s.save(ctx, c, false)
}

// remember keeps in the object's row what the step made of it.
func (h *held) remember() {
	c, o := h.moment.Change, h.moment.Object
	o.KnownAt = &h.now
	if c.Kind != KindStatus {
		o.KnownMinor = c.StepMinor
		if c.Kind == KindLimits && *c.StepMinor == NoLimits {
			o.KnownMinor = nil
		}
		if c.Source == Fatigue && o.isCut(c.ChangeID) {
			until := h.now.Add(RaiseBan)
			o.NoRaiseUntil = &until
		}
		return
	}
	o.KnownStatus, o.PausedBy = c.TargetStatus, nil
	if c.TargetStatus == paused && c.Source != Undo && c.Source != Member {
		o.PausedBy = &c.ChangeID
	}
}

// settleAds makes the ads' own rows say what they have now.
func (s Store) settleAds(ctx context.Context, c *Claim, h *held, final bool) error {
	sql := `UPDATE gv.ads SET status = @status, updated_at = now() WHERE tenant_id = @tenant AND ad_id = @ad`
	args := pgx.StrictNamedArgs{"tenant": c.TenantID}
	switch {
	case c.Kind == KindStatus:
		args["status"], args["ad"] = c.TargetStatus, c.AdID
	case len(h.ads) > 1 && !final:
		return nil // the parts hold once the sum does
	default:
		parts := c.Splits
		if len(h.ads) == 1 {
			parts = map[string]int64{c.AdID: *c.StepMinor}
		}
		sql = `UPDATE gv.ads a SET daily_budget_minor = p.value::bigint, updated_at = now()
		       FROM jsonb_each_text(@parts::jsonb) AS p WHERE a.tenant_id = @tenant AND a.ad_id = p.key`
		args["parts"] = parts
	}
	if _, err := s.tx.Exec(ctx, sql, args); err != nil {
		return fmt.Errorf("settle the ads of change %s: %w", c.ChangeID, err)
	}
	return nil
}

// settleForeign makes the ad's own row say what somebody else has set, as the next
// sync would: a newer decision starts from there. The money of a shared ad set is
// no single ad's.
func (s Store) settleForeign(ctx context.Context, c *Claim, h *held) error {
	live := h.moment.Live
	if c.Kind != KindStatus && (len(h.ads) > 1 || live.Amount == nil) {
		return nil
	}
	args := pgx.StrictNamedArgs{"tenant": c.TenantID, "ad": c.AdID, "status": nil, "budget": nil}
	if c.Kind == KindStatus {
		args["status"] = live.Status
	} else {
		args["budget"] = live.Amount
	}
	_, err := s.tx.Exec(ctx, `
		UPDATE gv.ads SET status = coalesce(@status, status), daily_budget_minor = coalesce(@budget, daily_budget_minor), updated_at = now()
		WHERE  tenant_id = @tenant AND ad_id = @ad`, args)
	if err != nil {
		return fmt.Errorf("settle the ad of change %s: %w", c.ChangeID, err)
	}
	return nil
}

// undone marks the change that this one took back, and lifts what it forbade.
func (s Store) undone(ctx context.Context, c *Claim, h *held) error {
	found, err := s.changes(ctx, `
		WITH done AS (
			UPDATE gv.pending_ad_changes SET status = 'undone', finished_at = coalesce(finished_at, @now)
			WHERE  tenant_id = @tenant AND change_id = @change AND status IN ('applied', 'superseded', 'held', 'failed', 'rejected')
			RETURNING *
		)
		SELECT `+changeColumns+` FROM done p JOIN gv.accounts a USING (tenant_id, account_id)`,
		pgx.StrictNamedArgs{"tenant": c.TenantID, "change": *c.UndoOf, "now": h.now})
	if err != nil {
		return fmt.Errorf("mark change %s as undone: %w", *c.UndoOf, err)
	}
	o := h.moment.Object
	if o.isCut(*c.UndoOf) {
		o.allowRaises()
	}
	for _, was := range found {
		e := was.entry(Undone, "taken back by "+c.RequestedBy+": "+c.Reason, h.now)
		e.Initiator = c.RequestedBy
		if c.Kind != KindStatus { // from what it had come to, back to what it came from
			e.BeforeMinor, e.AfterMinor = was.StepMinor, c.StepMinor
		} else {
			e.BeforeStatus, e.AfterStatus = was.TargetStatus, c.TargetStatus
		}
		if err := s.note(ctx, c.TenantID, []Entry{e}); err != nil {
			return err
		}
		if err := notice.Put(ctx, s.tx, c.TenantID, was.notice(notice.ChangeUndone, "was set back: "+c.Reason, h.now)); err != nil {
			return err
		}
	}
	return nil
}

// stepEntry is a line about the present step.
func (c *Change) stepEntry(outcome Status, reason string, at time.Time) Entry {
	e := c.entry(outcome, reason, at)
	e.Action, e.BeforeMinor, e.AfterMinor, e.FloorMinor = string(c.Kind), c.StepBefore, c.StepMinor, c.FloorMinor
	return e
}

func (c *Change) appliedNotice(e Entry, at time.Time) notice.Notice {
	kind, what := notice.ChangeApplied, "was changed"
	if e.BeforeMinor != nil && *e.AfterMinor < *e.BeforeMinor {
		kind, what = notice.ChangeCut, "was cut"
	}
	return c.notice(kind, what+": "+c.Reason, at)
}

func amountOr(minor *int64, otherwise int64) int64 {
	if minor == nil {
		return otherwise
	}
	return *minor
}
