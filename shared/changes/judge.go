package changes

import (
	"bytes"
	"fmt"
	"time"
)

// Judge says what to do with a change now. It is asked right before every write,
// whatever was decided when the change was queued.
func Judge(s State) Outcome {
	c := &s.Change
	if s.Live.Status == "ARCHIVED" || s.Live.Status == "DELETED" {
		return Outcome{Kind: Fail, Reason: c.Object() + " is " + s.Live.Status + " on Meta and can no longer be changed", Rule: "gone"}
	}
	if c.Status == StatusApplying || c.Status == StatusUnknown {
		o := s.resolve()
		o.Rule = map[OutcomeKind]string{Hold: "edited", Fail: "tries_used_up"}[o.Kind]
		return o
	}
	if s.Paused != "" {
		return Outcome{Kind: Wait, Until: s.Now.Add(time.Minute), Reason: s.Paused, Rule: "paused"}
	}
	if s.Live.Offline && Careful(s.Mode, c.Mode) != ModeDryRun {
		return Outcome{Kind: Hold, Reason: NotConnected(c.Account()), Rule: "not_connected"}
	}
	for _, rule := range []struct {
		name  string
		holds func() (Outcome, bool)
	}{
		{"shape", s.shape}, {"edited", s.edited}, {"", s.alreadySet}, {"stale", s.stale}, {"cooling_down", s.banned}, {"approval", s.unapproved},
	} {
		if o, applies := rule.holds(); applies {
			o.Rule = rule.name
			return o
		}
	}
	o := s.next()
	if o.Kind == Wait || o.Kind == Hold {
		o.Rule = "limit"
	}
	return o
}

// resolve says what became of a write whose outcome is unknown, by what the
// platform shows now.
func (s State) resolve() Outcome {
	c := &s.Change
	if c.Kind == KindStatus {
		if s.Live.Status == c.TargetStatus {
			return Outcome{Kind: Confirmed, Reason: "confirmed by reading: " + c.Object() + " is " + s.Live.Status}
		}
		return s.retry("is " + s.Live.Status)
	}
	switch {
	case s.has(c.StepMinor):
		return Outcome{
			Kind: Confirmed, Step: *c.StepMinor,
			Reason: "confirmed by reading: " + c.Object() + " has " + c.Amount(c.StepMinor),
		}
	case same(s.Live.Amount, c.StepBefore), s.Live.Amount == nil:
		return s.retry("has " + c.Amount(s.Live.Amount))
	}
	return Outcome{Kind: Hold, Foreign: true, Reason: fmt.Sprintf(
		"somebody else changed %s: it has %s, neither the %s that it had nor the %s that we were setting; whether our write arrived first is unknown",
		c.Object(), c.Amount(s.Live.Amount), c.Amount(c.StepBefore), c.Amount(c.StepMinor))}
}

// retry sends a write again that reading has shown not to be made.
func (s State) retry(is string) Outcome {
	c := &s.Change
	reason := "not made: " + c.Object() + " still " + is
	if c.Sends >= MaxSends {
		return Outcome{Kind: Fail, Reason: fmt.Sprintf("%s after %d tries; no more are made", reason, c.Sends)}
	}
	until := s.Now.Add(Backoff(c.Sends) + Jitter(c.ChangeID, c.Steps+c.Sends))
	return Outcome{Kind: Retry, Until: until, Reason: reason + "; next try at " + exactly(until)}
}

// shape holds a change whose object is no longer of the kind that it was decided for.
func (s State) shape() (Outcome, bool) {
	c := &s.Change
	why := ""
	switch {
	case c.Kind != KindStatus && s.Live.LifetimeBudget:
		why = LifetimeReason(c.Object())
		return Outcome{Kind: Hold, Reason: why}, true
	case c.Kind == KindBudget && s.Live.CampaignBudget:
		why = "the campaign holds the budget now: " + c.Object() + " has none of its own"
	case c.Kind == KindLimits && !s.Live.CampaignBudget:
		why = "the campaign no longer holds the budget: " + c.Object() + " has its own"
	case c.Kind == KindBudget && s.Live.Amount == nil:
		why = c.Object() + " has no daily budget on Meta"
	}
	return Outcome{Kind: Hold, Reason: why + "; sync the account, then decide again"}, why != ""
}

// LifetimeReason is the reason of a change of money where there is a lifetime budget.
func LifetimeReason(object string) string {
	return object + " has a lifetime budget, or its campaign has: only daily budgets can be changed. Give it a daily budget on Meta, then decide again"
}

// edited respects somebody else's edit.
func (s State) edited() (Outcome, bool) {
	c, o := &s.Change, s.Object
	if c.Source == Undo {
		return s.editedSinceUndone()
	}
	switch {
	case o == nil:
		return Outcome{}, false
	case c.Kind == KindStatus && o.KnownStatus != "" && s.Live.Status != o.KnownStatus && s.Live.Status != c.TargetStatus:
		return Outcome{Kind: Hold, Foreign: true, Reason: fmt.Sprintf("somebody else set %s from %s to %s; decide again with the new amount in view",
			c.Object(), o.KnownStatus, s.Live.Status)}, true
	case c.Kind != KindStatus && o.KnownMinor != nil && !same(s.Live.Amount, o.KnownMinor):
		return Outcome{
			Kind: Hold, Foreign: true,
			Reason: fmt.Sprintf("somebody else changed %s: it has %s, and %s was known; decide again with the new amount in view",
				c.Object(), c.Amount(s.Live.Amount), c.Amount(o.KnownMinor)),
		}, true
	case o.ForeignAt != nil && o.ForeignAt.After(c.decided()):
		return Outcome{Kind: Hold, Reason: foreignEdit(c.Object(), o, c.Currency) + ", after this was decided; decide again with the new amount in view"}, true
	}
	return Outcome{}, false
}

// editedSinceUndone holds an undo where the object no longer is as the undone
// change left it, whoever noticed that first, unless an admin forces it.
func (s State) editedSinceUndone() (Outcome, bool) {
	c := &s.Change
	foreign := s.Object != nil && s.Object.KnownMinor != nil && !same(s.Live.Amount, s.Object.KnownMinor)
	switch {
	case c.Forced:
		return Outcome{}, false
	case c.Kind == KindStatus && (c.BeforeStatus == "" || s.Live.Status == c.BeforeStatus || s.Live.Status == c.TargetStatus):
		return Outcome{}, false
	case c.Kind == KindStatus:
		return Outcome{
			Kind: Hold, Foreign: true,
			Reason: UndoHeldReason(c.Object(), s.Live.Status, c.BeforeStatus, c.TargetStatus),
		}, true
	case c.BeforeMinor == nil || s.has(c.BeforeMinor) || s.has(c.TargetMinor):
		return Outcome{}, false
	}
	return Outcome{Kind: Hold, Foreign: foreign, Reason: UndoHeldReason(c.Object(), c.Amount(s.Live.Amount), c.From(), c.To())}, true
}

// UndoHeldReason is the reason of an undo that somebody else's edit holds.
func UndoHeldReason(object, has, left, target string) string {
	return fmt.Sprintf("somebody else changed %s since: it has %s, and the change to undo left %s; undo with force to set %s all the same",
		object, has, left, target)
}

func (s State) alreadySet() (Outcome, bool) {
	c := &s.Change
	switch {
	case c.Kind == KindStatus && s.Live.Status == c.TargetStatus:
		return Outcome{Kind: AlreadySet, Reason: c.Object() + " is " + s.Live.Status + " already: nothing was written"}, true
	case c.Kind != KindStatus && s.has(c.TargetMinor):
		return Outcome{
			Kind: AlreadySet, Step: *c.TargetMinor,
			Reason: c.Object() + " has " + c.To() + " already: nothing was written",
		}, true
	}
	return Outcome{}, false
}

func (s State) stale() (Outcome, bool) {
	waited := !within(s.Change.ProgressAt, s.Now, Stale)
	return Outcome{Kind: Hold, Reason: fmt.Sprintf("waited since %s, and the figures that it was decided on are too old now; decide again",
		clock(s.Change.ProgressAt))}, waited
}

// banned holds a raise while a fatigue cut forbids it.
func (s State) banned() (Outcome, bool) {
	c, ban := &s.Change, s.Object
	if c.Kind == KindStatus {
		ban = s.Adset
	}
	most, forbidden := ban.ceiling(s.from(), s.Now, Careful(s.Mode, c.Mode))
	if c.Source == Undo || !forbidden || !c.raises(most) {
		return Outcome{}, false
	}
	return Outcome{Kind: Hold, Reason: fatigueBan(c.Object(), ban)}, true
}

// unapproved asks for an approval where the plan has none, or is not the one that
// was approved.
func (s State) unapproved() (Outcome, bool) {
	c := &s.Change
	if Careful(s.Mode, c.Mode) != ModeApproval || c.Source == Undo {
		return Outcome{}, false
	}
	if c.PlanDigest == nil {
		return Outcome{Kind: AskApproval, Reason: "changes of this account need an admin's approval"}, true
	}
	return Outcome{Kind: AskApproval, Reason: "the plan is no longer the approved one: approve it again"},
		!bytes.Equal(c.PlanDigest, c.Digest())
}

// next says how far the change may go now, and whether the limits allow a write.
func (s State) next() Outcome {
	c := &s.Change
	o := Outcome{Kind: Send}
	dry := Careful(s.Mode, c.Mode) == ModeDryRun
	if c.Kind != KindStatus {
		var limited Outcome
		if o.Step, limited = s.step(); limited.Kind != "" && !(dry && limited.Kind == Wait) {
			return limited
		}
		if c.Kind == KindLimits && o.Step != NoLimits {
			o.Floor = Floor(s.from(), o.Step, s.Live.Floor, s.Grain)
		}
	}
	if dry {
		o.Kind = Validate
		if s.from() != nil && o.Step == *s.from() { // no room now; the platform can check the target all the same
			o.Step = *c.TargetMinor
		}
		return o
	}
	if at := Admit(s.Now, s.Campaign, CampaignActions, ActionWindow); !at.IsZero() {
		return s.wait(at, fmt.Sprintf("campaign %s had %d changes within the hour, our limit", c.Campaign(), CampaignActions))
	}
	if at := Admit(s.Now, s.Writes, ObjectActions, ActionWindow); !at.IsZero() && c.Kind != KindStatus {
		return s.wait(at, fmt.Sprintf("%s had %d changes within the hour, Meta's limit", c.Object(), ObjectActions))
	}
	return o
}

// step is the next amount; the outcome says why there is none now.
func (s State) step() (int64, Outcome) {
	c, from := &s.Change, s.from()
	if c.Source == Undo || from == nil {
		return *c.TargetMinor, Outcome{}
	}
	next, until := Pace(s.Now, *from, *c.TargetMinor, s.Moves, s.Grain)
	switch {
	case !until.IsZero():
		return next, s.wait(until, fmt.Sprintf("%s has moved by 20%% within 6 hours, which is our limit; it is at %s now, and the rest of the way to %s follows",
			c.Object(), c.Amount(from), c.To()))
	case next == *from:
		return next, Outcome{Kind: Hold, Reason: fmt.Sprintf("%s has %s: 20%% of that, the most in 6 hours, is less than the smallest step of its currency",
			c.Object(), c.Amount(from))}
	}
	return next, Outcome{}
}

func (s State) wait(until time.Time, why string) Outcome {
	until = until.Add(Jitter(s.Change.ChangeID, s.Change.Steps+1))
	return Outcome{Kind: Wait, Until: until, Reason: why + "; next step at " + exactly(until)}
}

// from is what the object has; under a campaign's budget without a cap, what is
// known or estimated of it.
func (s State) from() *int64 {
	if s.Live.Amount == nil && s.Change.Kind == KindLimits {
		return s.Change.BeforeMinor
	}
	return s.Live.Amount
}

// has reports whether the object has the amount; no cap is NoLimits.
func (s State) has(minor *int64) bool {
	return same(s.Live.Amount, minor) || minor != nil && s.Change.Kind == KindLimits && s.Live.Amount == nil && *minor == NoLimits
}

// Describe says what sending a step does, for people.
func (s State) Describe(o Outcome) string {
	c := &s.Change
	if c.Kind == KindStatus {
		return fmt.Sprintf("set %s from %s to %s", c.Object(), s.Live.Status, c.TargetStatus)
	}
	if c.Kind == KindLimits && *c.TargetMinor == NoLimits {
		return fmt.Sprintf("remove the spend limits of %s (now at most %s a day)", c.Object(), c.Amount(s.Live.Amount))
	}
	text := fmt.Sprintf("set %s from %s to %s", c.Object(), c.Amount(s.Live.Amount), c.Amount(&o.Step))
	if c.Kind == KindLimits {
		text = fmt.Sprintf("limit %s to at most %s a day (now %s)", c.Object(), c.Amount(&o.Step), c.Amount(s.Live.Amount))
		if o.Floor != nil {
			text += ", at least " + c.Amount(o.Floor)
		}
	}
	if o.Step != *c.TargetMinor {
		if n := Steps(o.Step, *c.TargetMinor, s.Grain); n > 0 {
			steps := "one more step"
			if n > 1 {
				steps = fmt.Sprintf("%d more steps", n)
			}
			text += fmt.Sprintf(", then on to %s in %s of at most a fifth each 6 hours", c.To(), steps)
		}
	}
	return text
}
