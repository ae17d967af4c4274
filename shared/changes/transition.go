package changes

import (
	"fmt"
	"slices"
)

// and to Newer where one is to come and a newer decision waits instead.
type transition struct {
	outcome     OutcomeKind
	from        []Status
	to          Status
	more, newer Status
}

var (
	pending  = []Status{StatusPending}
	sent     = []Status{StatusApplying, StatusUnknown}
	claimed  = []Status{StatusPending, StatusApplying, StatusUnknown}
	waiting  = []Status{StatusPending, StatusAwaiting}
	finished = []Status{StatusApplied, StatusSuperseded, StatusHeld, StatusFailed, StatusRejected}
)

// transitions is all that can happen to a change. What is not here is an error.
var transitions = []transition{
	// outcome       from      to                more           newer
	{Send, pending, StatusApplying, "", ""},
	{Validate, pending, StatusPending, "", ""},
	{Wait, pending, StatusPending, "", ""},
	{Hold, claimed, StatusHeld, "", ""},
	{Fail, claimed, StatusFailed, "", ""},
	{AskApproval, pending, StatusAwaiting, "", ""},
	{AlreadySet, pending, StatusApplied, "", ""},
	{Confirmed, sent, StatusApplied, StatusPending, StatusSuperseded},
	{Retry, sent, StatusPending, "", StatusSuperseded},

	{Applied, sent, StatusApplied, StatusPending, StatusSuperseded},
	{OutcomeUnknown, sent, StatusUnknown, "", ""},
	{RetryLater, sent, StatusPending, "", StatusSuperseded},
	{Forbidden, sent, StatusHeld, "", ""},
	{Refused, sent, StatusFailed, "", ""},
	{Validated, pending, StatusDryRun, "", ""},
	{Unreadable, pending, StatusPending, "", ""},
	{Unreadable, []Status{StatusApplying}, StatusApplying, "", ""},
	{Unreadable, []Status{StatusUnknown}, StatusUnknown, "", ""},

	{Approve, []Status{StatusAwaiting}, StatusPending, "", ""},
	{Reject, waiting, StatusRejected, "", ""},
	{Replace, waiting, StatusSuperseded, "", ""},
	{Revert, finished, StatusUndone, "", ""},
}

// after is the status after an outcome; ok is false where it cannot happen.
func after(from Status, outcome OutcomeKind, more, newer bool) (to Status, ok bool) {
	for _, t := range transitions {
		if t.outcome != outcome || !slices.Contains(t.from, from) {
			continue
		}
		switch {
		case t.more != "" && !more: // the last step
			return t.to, true
		case newer && t.newer != "":
			return t.newer, true
		case t.more != "":
			return t.more, true
		}
		return t.to, true
	}
	return from, false
}

// Effects is what follows from an outcome beside the change's next state.
type Effects struct {
	Entries []Entry
	Notices []Notice
	// Budgets are daily budgets, in minor units, for the rows of ads; AdStatus is a
	// status for the row of the change's ad, "" where it stays.
	Budgets  map[string]int64
	AdStatus string
	// Undone is the change that this one took back, as it is now.
	Undone *Change
	// KeepClaim says that the change stays claimed: a write follows.
	KeepClaim bool
}

// Transition returns the state after an outcome, and what follows from it. It
// changes nothing that it was given.
func Transition(s State, o Outcome) (State, Effects, error) {
	t := step{State: s, o: o}
	if s.Object != nil {
		object := *s.Object
		t.Object = &object
	}
	c := &t.Change
	if o.Kind == Applied || o.Kind == Confirmed {
		t.made()
	}
	more := c.Kind != KindStatus && c.StepMinor != nil && *c.StepMinor != *c.TargetMinor
	to, ok := after(c.Status, o.Kind, more, s.Newer != nil)
	if !ok {
		return s, Effects{}, fmt.Errorf("change %s is %s: the outcome %s is not possible", c.ChangeID, c.Status, o.Kind)
	}
	t.learn()
	switch o.Kind {
	case Send:
		t.send()
	case Applied, Confirmed:
		t.applied(to, more)
	case OutcomeUnknown:
		t.outcomeUnknown()
	case Retry:
		if s.Change.Status == StatusApplying { // the run that sent it ended before it could record the outcome
			t.record(c.stepEntry(StatusUnknown, "the run was cut off while it wrote. "+o.Reason, s.Now))
		}
		c.DueAt, c.HeldReason = o.Until, o.Reason
	case RetryLater:
		c.Sends--
		c.DueAt, c.HeldReason = s.Now.Add(o.Wait), o.Reason
	case Wait:
		c.DueAt, c.HeldReason = o.Until, o.Reason
	case Unreadable:
		c.DueAt, c.HeldReason = s.Now.Add(o.Wait), o.Reason
	case Validate:
		t.KeepClaim = true
	case Validated:
		if c.Kind != KindStatus {
			c.StepMinor = &o.Step
		}
	case AskApproval:
		c.PlanDigest, c.ApprovedBy, c.ApprovedAt, c.HeldReason = nil, "", nil, o.Reason
		t.notify(NoticeAwaiting, "waits for an admin's approval: "+o.Reason)
	case Approve:
		t.approve()
	case Revert:
		t.revert()
	}
	from := c.Status
	c.Status = to
	if !to.Open() && o.Kind != Revert {
		t.finish(from)
	}
	if o.Foreign {
		t.showForeign()
	}
	return t.State, t.Effects, nil
}
