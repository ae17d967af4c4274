package changes

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"
)

// OutcomeKind is what happened to a change: what Judge or a member decided, or
// what the platform did with a write.
type OutcomeKind string

// The outcomes.
const (
	// What Judge decides.
	Send        OutcomeKind = "send"              // write the step
	Validate    OutcomeKind = "validate"          // a dry run: the platform only checks the step
	Wait        OutcomeKind = "waiting"           // until Until
	Hold        OutcomeKind = "held"              // end it, with the reason
	Fail        OutcomeKind = "failed"            // end it, with the reason
	AskApproval OutcomeKind = "awaiting_approval" // an admin must approve it first
	AlreadySet  OutcomeKind = "already_set"       // the object is as wanted, and nothing was written
	Confirmed   OutcomeKind = "confirmed"         // the write whose outcome was unknown was made
	Retry       OutcomeKind = "retry"             // that write was not made: it is sent again

	// What the platform does with a write, or with a read before it.
	Applied        OutcomeKind = "applied"
	OutcomeUnknown OutcomeKind = "unknown"     // sent, and no answer tells whether it was made
	RetryLater     OutcomeKind = "retry_later" // refused for now; the try does not count
	Forbidden      OutcomeKind = "forbidden"   // we may not write there
	Refused        OutcomeKind = "refused"     // refused for good
	Validated      OutcomeKind = "dry_run"     // a dry run ended
	Unreadable     OutcomeKind = "unreadable"  // the object could not be read; nothing was sent

	// What members and newer decisions do.
	Approve OutcomeKind = "approve"
	Reject  OutcomeKind = "reject"
	Replace OutcomeKind = "replace"   // a newer decision takes its place
	Revert  OutcomeKind = "take_back" // its undo was applied
)

// Outcome is what happened to a change, with what belongs to it.
type Outcome struct {
	Kind   OutcomeKind
	Reason string
	// Rule is which rule of Judge kept the change from going on, in a word.
	Rule string
	// Step is the amount that Send and Validate are about, and Floor its minimum spend.
	Step  int64
	Floor *int64
	// Until is when a change that waits, or is sent again, is due.
	Until time.Time
	// Wait is how long to wait before the next try; LeaveAlone says that the platform
	// wants no call for the whole account until then.
	Wait       time.Duration
	LeaveAlone bool
	// Foreign says that somebody else's edit was found.
	Foreign bool
	// Trace is the platform's id of the call, and Took how long the call took.
	Trace string
	Took  time.Duration
	// By is who approved, rejected or undid it, and Digest the approved plan.
	By     string
	Digest []byte
}

// WhyNot says in a word why the change was not carried out: the rule that held it, or
// the platform; "none" where it was.
func (o Outcome) WhyNot() string {
	switch o.Kind {
	case RetryLater, Forbidden, Refused, Unreadable, OutcomeUnknown, Retry:
		return "platform"
	}
	return cmp.Or(o.Rule, "none")
}

// transition is a row of the table: an outcome leads a change of one of the from
// statuses to the status to; to More where a step was made and more are to come,
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

// Tried is the outcome of a dry run: what would have been done, as described, and
// what the platform says to that.
func Tried(described string, verdict, result Outcome) Outcome {
	why := "dry run: would " + described
	switch result.Kind {
	case Applied:
		why += "; Meta would accept it"
	case RetryLater, OutcomeUnknown:
		why += "; Meta could not be asked: " + result.Reason
	default:
		why += "; Meta would refuse it: " + result.Reason
	}
	return Outcome{Kind: Validated, Reason: why, Step: verdict.Step, Trace: result.Trace, Took: result.Took}
}
