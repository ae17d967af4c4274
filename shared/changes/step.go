package changes

import (
	"bytes"
	"fmt"
	"slices"
)

// step is a transition under way.
type step struct {
	State
	Effects
	o Outcome
}

func (t *step) record(e Entry) {
	e.Trace, e.Took = t.o.Trace, t.o.Took
	t.Entries = append(t.Entries, e)
}

func (t *step) notify(kind NoticeKind, text string) {
	t.Notices = append(t.Notices, t.Change.notice(kind, text, t.Now))
}

// learn updates what is known of the object by what the platform shows.
func (t *step) learn() {
	if t.Live == nil || t.Live.Offline || t.Object == nil {
		return
	}
	o, c, now := t.Object, &t.Change, t.Now
	if t.o.Foreign {
		o.ForeignAt, o.ForeignWasMinor, o.ForeignMinor = &now, nil, nil
		if c.Kind == KindStatus {
			o.PausedBy = nil
		} else {
			o.ForeignWasMinor, o.ForeignMinor = o.KnownMinor, t.Live.Amount
		}
	}
	if t.o.Kind == Confirmed { // made has noted it
		return
	}
	o.KnownAt = &now
	if c.Kind == KindStatus {
		o.KnownStatus = t.Live.Status
	} else if t.Live.Amount != nil || t.o.Foreign {
		o.KnownMinor = t.Live.Amount
	}
}

// send notes the step before it is sent, so that the next run knows what may have
// been sent if this one ends here.
func (t *step) send() {
	c, now := &t.Change, t.Now
	c.SentAt = &now
	c.Sends++
	c.StepMinor, c.StepBefore, c.FloorMinor = nil, nil, t.o.Floor
	if c.Kind == KindStatus {
		c.BeforeStatus = t.Live.Status
	} else {
		amount := t.o.Step
		c.StepMinor, c.StepBefore = &amount, t.Live.Amount
	}
	t.KeepClaim = true
}

// made notes in the change and its object that the step was made.
func (t *step) made() {
	c, o, now := &t.Change, t.Object, t.Now
	if c.BeforeMinor == nil && c.PlanDigest == nil { // an approved plan stays as it was approved
		c.BeforeMinor = c.StepBefore
	}
	c.Steps++
	c.Sends, c.ProgressAt = 0, now
	o.KnownAt = &now
	if c.Kind == KindStatus {
		o.KnownStatus, o.PausedBy = c.TargetStatus, nil
		if id := c.ChangeID; c.TargetStatus == paused && c.Source != Undo && c.Source != Member {
			o.PausedBy = &id
		}
		return
	}
	o.KnownMinor = c.StepMinor
	if c.Kind == KindLimits && *c.StepMinor == NoLimits {
		o.KnownMinor = nil
	}
	if c.Source == Fatigue && o.banIsOf(c.ChangeID) {
		until := now.Add(RaiseBan)
		o.NoRaiseUntil = &until
	}
}

// applied records a step that was made, and when the next one is due.
func (t *step) applied(to Status, more bool) {
	c := &t.Change
	reason := c.Reason
	if t.o.Kind == Confirmed || t.o.Reason != "" {
		reason += " (" + t.o.Reason + ")"
	}
	if c.Forced && c.Kind != KindStatus && c.BeforeMinor != nil && !same(c.StepBefore, c.BeforeMinor) {
		reason += fmt.Sprintf(" (forced over somebody else's %s, outside the limit of a fifth in 6 hours)", c.Amount(c.StepBefore))
	}
	e := c.stepEntry(StatusApplied, reason, t.Now)
	t.record(e)
	kind, what := NoticeApplied, "was changed"
	if e.BeforeMinor != nil && e.AfterMinor != nil && *e.AfterMinor < *e.BeforeMinor {
		kind, what = NoticeCut, "was cut"
	}
	t.notify(kind, what+": "+c.Reason)
	switch {
	case c.Kind == KindStatus:
		t.AdStatus = c.TargetStatus
	case len(t.Ads) <= 1:
		t.Budgets = map[string]int64{c.AdID: *c.StepMinor}
	case !more: // the parts are set once their sum is
		t.Budgets = c.Splits
	}
	if c.UndoOf != nil && !more {
		t.takeBack()
	}
	if to != StatusPending {
		return
	}
	from := *c.StepMinor
	if c.StepBefore != nil {
		from = *c.StepBefore
	} else if c.BeforeMinor != nil {
		from = *c.BeforeMinor
	}
	moves := append(slices.Clone(t.Moves), Move{At: t.Now, Before: from, After: *c.StepMinor})
	_, until := Pace(t.Now, *c.StepMinor, *c.TargetMinor, moves, t.Grain)
	if until.Before(t.Now) {
		until = t.Now
	}
	c.DueAt = until.Add(Jitter(c.ChangeID, c.Steps))
	c.HeldReason = fmt.Sprintf("step %d was made; at most a fifth in 6 hours, so the next step follows after %s", c.Steps, clock(until))
}

// outcomeUnknown notes that the platform must be asked whether the step was made.
func (t *step) outcomeUnknown() {
	c := &t.Change
	c.DueAt = t.Now.Add(t.o.Wait)
	c.HeldReason = fmt.Sprintf("outcome unknown; Meta will be asked again at %s: %s", exactly(c.DueAt), t.o.Reason)
	t.record(c.stepEntry(StatusUnknown, c.HeldReason, t.Now))
}

func (t *step) approve() {
	c, now := &t.Change, t.Now
	c.PlanDigest, c.ApprovedBy, c.ApprovedAt, c.HeldReason = bytes.Clone(t.o.Digest), t.o.By, &now, ""
	c.ProgressAt, c.DueAt = now, now.Add(Jitter(c.ChangeID, 0))
	if t.Object.DecidedAt == nil || t.Object.DecidedAt.Before(now) {
		t.Object.DecidedAt = &now
	}
}

// takeBack marks the change that this undo took back.
func (t *step) takeBack() {
	c, was := &t.Change, t.Undoes
	if was == nil {
		return
	}
	if t.Object.banIsOf(was.ChangeID) {
		t.Object.allowRaises()
	}
	undone := *was
	if c.BeforeMinor != nil {
		undone.StepMinor = c.BeforeMinor // what it left
	}
	back := Outcome{Kind: Revert, Reason: c.Reason, By: c.RequestedBy}
	if c.TargetMinor != nil {
		back.Step = *c.TargetMinor
	}
	after, effects, err := Transition(State{Now: t.Now, Change: undone}, back)
	if err != nil { // it is undone already
		return
	}
	t.Undone = &after.Change
	t.Entries = append(t.Entries, effects.Entries...)
	t.Notices = append(t.Notices, effects.Notices...)
}

// revert records that the change was taken back by its undo.
func (t *step) revert() {
	c, now := &t.Change, t.Now
	if c.FinishedAt == nil {
		c.FinishedAt = &now
	}
	e := c.entry(StatusUndone, "undone by "+t.o.By+": "+t.o.Reason, now)
	e.Initiator = t.o.By
	if c.Kind == KindStatus {
		e.BeforeStatus, e.AfterStatus = c.TargetStatus, c.BeforeStatus
	} else { // from what it left, back to what it started from
		e.BeforeMinor, e.AfterMinor = c.StepMinor, &t.o.Step
	}
	t.record(e)
	t.notify(NoticeUndone, "was set back: "+t.o.Reason)
}

// finish ends a change, and records that in the history.
func (t *step) finish(from Status) {
	c, o, now := &t.Change, t.Object, t.Now
	c.FinishedAt = &now
	if o != nil && c.Steps == 0 && o.banIsOf(c.ChangeID) && c.Status != StatusApplied && c.Status != StatusDryRun &&
		c.Status != StatusSuperseded {
		o.allowRaises() // a cut that was not made forbids nothing
	}
	switch {
	case c.Status == StatusApplied && t.o.Kind != AlreadySet:
		c.HeldReason = ""
		return
	case c.Status == StatusSuperseded:
		c.HeldReason = "a newer decision replaced it"
		if t.Newer != nil {
			c.SupersededBy = t.Newer
		}
	default:
		c.HeldReason = t.o.Reason
	}
	if c.Status == StatusRejected && c.Steps > 0 {
		c.HeldReason = fmt.Sprintf("%s; the %d steps that were made stay", c.HeldReason, c.Steps)
	}
	e := c.entry(c.Status, c.HeldReason, now)
	if t.o.By != "" {
		e.Initiator = t.o.By
	}
	switch {
	case c.Kind == KindStatus:
	case t.o.Kind == Hold && slices.Contains(sent, from): // our write may have been made
		e = c.stepEntry(c.Status, c.HeldReason, now)
	case t.Live != nil && t.Live.Amount != nil:
		e.BeforeMinor = t.Live.Amount
	case slices.Contains(sent, from) && c.StepBefore != nil:
		e.BeforeMinor = c.StepBefore
	}
	t.record(e)
	switch c.Status {
	case StatusHeld:
		t.notify(NoticeHeld, "held: "+c.HeldReason)
	case StatusFailed:
		t.notify(NoticeFailed, "failed: "+c.HeldReason)
	case StatusApplied:
		if c.UndoOf != nil {
			t.takeBack()
		}
	}
}

// showForeign puts what somebody else has set into the ad's own row, as the next
// sync would, so that a newer decision starts from it. The money of a shared ad
// set is no single ad's.
func (t *step) showForeign() {
	switch c := &t.Change; {
	case c.Kind == KindStatus:
		t.AdStatus = t.Live.Status
	case len(t.Ads) <= 1 && t.Live.Amount != nil:
		t.Budgets = map[string]int64{c.AdID: *t.Live.Amount}
	}
}
