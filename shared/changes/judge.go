package changes

import (
	"bytes"
	"fmt"
	"time"

	"github.com/geminivideo/geminivideo/shared/money"
)

// Live is what the platform says of an object, in minor units.
type Live struct {
	// Amount is the daily budget, or for KindLimits the spend cap; nil where it has
	// none. Floor is the minimum spend.
	Amount, Floor *int64
	// Status is ACTIVE, PAUSED, ARCHIVED or DELETED.
	Status string
	// CampaignBudget says that the campaign holds the money.
	CampaignBudget bool
	Trace          string
	// Offline says that the platform cannot be asked, because the account is not
	// connected; the rest is then what we know. A dry run goes on with it.
	Offline bool
}

// Moment is all that a verdict over one change rests on.
type Moment struct {
	Now    time.Time
	Change *Change
	// Object is the change's object, and Adset that of the ad where a status is
	// changed; nil where nothing is known of it.
	Object *Object
	Adset  *Object
	Live   Live
	// Mode is the account's own; Paused says who paused, "" where nobody did.
	Mode   Mode
	Paused string
	// Moves are the object's of the last VelocityWindow, oldest first; Writes are
	// the times of its writes, and Campaign those of all writes in the campaign,
	// what is under way included, in the last ActionWindow.
	Moves    []Move
	Writes   []time.Time
	Campaign []time.Time
}

// Action is what is to be done with a change now.
type Action int

// The actions.
const (
	Act   Action = iota // write Step
	Try                 // a dry run: let the platform check Step
	Wait                // until Until
	Hold                // end it, with the reason
	Fail                // end it, with the reason
	Ask                 // let somebody approve it first
	Done                // it is so already, and nothing was written for it
	Found               // the write whose outcome was not known has been made
	Again               // that write has not been made: it is due again
)

// Verdict is what is to be done, and why.
type Verdict struct {
	Action Action
	Step   int64 // minor units; 0 for a status
	Floor  *int64
	Until  time.Time
	Reason string
	// Foreign says that an edit was found which is not ours.
	Foreign bool
}

// Judge says what is to be done with a change at this moment. It is asked again
// right before every write, whatever was decided when the change was queued.
func Judge(m Moment) Verdict {
	c := m.Change
	if m.Live.Status == "ARCHIVED" || m.Live.Status == "DELETED" {
		return Verdict{Action: Fail, Reason: c.BudgetObject + " is " + m.Live.Status + " on Meta and can no longer be changed"}
	}
	if c.Status == Applying || c.Status == Unknown {
		return m.resolve()
	}
	if m.Paused != "" {
		return Verdict{Action: Wait, Until: m.Now.Add(time.Minute), Reason: m.Paused}
	}
	if m.Live.Offline && Careful(m.Mode, c.Mode) != ModeDryRun {
		return Verdict{Action: Hold, Reason: NotConnected(c.AccountID)}
	}
	for _, rule := range []func() (Verdict, bool){m.shape, m.edited, m.so, m.stale, m.banned, m.unapproved} {
		if v, decided := rule(); decided {
			return v
		}
	}
	return m.pace()
}

// NotConnected says that an account has no connection.
func NotConnected(account string) string {
	return "the account " + account + " is not connected to Meta: connect it and decide again"
}

// resolve reads what became of a write that nobody heard of again.
func (m Moment) resolve() Verdict {
	c := m.Change
	if c.Kind == KindStatus {
		if m.Live.Status == c.TargetStatus {
			return Verdict{Action: Found, Reason: "read again: " + c.BudgetObject + " is " + m.Live.Status}
		}
		return m.again("is " + m.Live.Status)
	}
	switch {
	case m.has(c.StepMinor):
		return Verdict{Action: Found, Step: *c.StepMinor, Floor: c.FloorMinor, Reason: "read again: " + c.BudgetObject + " has " + m.text(m.Live.Amount)}
	case same(m.Live.Amount, c.StepBefore), m.Live.Amount == nil:
		return m.again("has " + m.text(m.Live.Amount))
	}
	return Verdict{Action: Hold, Foreign: true, Reason: fmt.Sprintf("%s has %s: neither the %s it had nor the %s we were setting; somebody else changed it",
		c.BudgetObject, m.text(m.Live.Amount), m.text(c.StepBefore), m.text(c.StepMinor))}
}

func (m Moment) again(is string) Verdict {
	reason := "read again: " + m.Change.BudgetObject + " " + is + " still, so the write was not made"
	if m.Change.Sends >= MaxSends {
		return Verdict{Action: Fail, Reason: fmt.Sprintf("%s after %d tries; given up", reason, m.Change.Sends)}
	}
	until := m.Now.Add(Retry(m.Change.Sends) + Jitter(m.Change.ChangeID, m.Change.Steps+m.Change.Sends))
	return Verdict{Action: Again, Until: until, Reason: reason + "; it is tried again at " + until.UTC().Format("2006-01-02 15:04:05") + " UTC"}
}

// shape holds a change whose object is not what it was decided for.
func (m Moment) shape() (Verdict, bool) {
	c := m.Change
	why := ""
	switch {
	case c.Kind == KindBudget && m.Live.CampaignBudget:
		why = "the campaign holds the money now: " + c.BudgetObject + " has no budget of its own"
	case c.Kind == KindLimits && !m.Live.CampaignBudget:
		why = "the campaign no longer holds the money: " + c.BudgetObject + " has a budget of its own"
	case c.Kind == KindBudget && m.Live.Amount == nil:
		why = c.BudgetObject + " has no daily budget on Meta (it has a lifetime budget, or none)"
	}
	return Verdict{Action: Hold, Reason: why + "; sync the account and decide again"}, why != ""
}

// edited respects what somebody else set.
func (m Moment) edited() (Verdict, bool) {
	c, o := m.Change, m.Object
	if c.Kind == KindStatus {
		if o != nil && o.KnownStatus != "" && m.Live.Status != o.KnownStatus && m.Live.Status != c.TargetStatus {
			return Verdict{Action: Hold, Foreign: true, Reason: fmt.Sprintf("somebody else set %s from %s to %s; decide again, knowing this", c.BudgetObject, o.KnownStatus, m.Live.Status)}, true
		}
	} else if o != nil && o.KnownMinor != nil && !same(m.Live.Amount, o.KnownMinor) {
		return Verdict{Action: Hold, Foreign: true, Reason: fmt.Sprintf("somebody else set %s: it has %s, and we knew %s; decide again, knowing this",
			c.BudgetObject, m.text(m.Live.Amount), m.text(o.KnownMinor))}, true
	}
	if o != nil && o.ForeignAt != nil && o.ForeignAt.After(c.decided()) {
		return Verdict{Action: Hold, Reason: foreign(o, c.Currency, c.BudgetObject) + ", after this was decided; decide again, knowing this"}, true
	}
	return Verdict{}, false
}

func (m Moment) so() (Verdict, bool) {
	c := m.Change
	switch {
	case c.Kind == KindStatus && m.Live.Status == c.TargetStatus:
		return Verdict{Action: Done, Reason: c.BudgetObject + " is " + m.Live.Status + " already: nothing was written"}, true
	case c.Kind != KindStatus && m.has(c.TargetMinor):
		return Verdict{Action: Done, Step: *c.TargetMinor, Reason: c.BudgetObject + " has " + m.text(c.TargetMinor) + " already: nothing was written"}, true
	}
	return Verdict{}, false
}

func (m Moment) stale() (Verdict, bool) {
	waited := !within(m.Change.ProgressAt, m.Now, Stale)
	return Verdict{Action: Hold, Reason: fmt.Sprintf("nothing could be done since %s: the figures that it was decided on are too old; decide again", clock(m.Change.ProgressAt))}, waited
}

func (m Moment) banned() (Verdict, bool) {
	c, ban := m.Change, m.Object
	if c.Kind == KindStatus {
		ban = m.Adset
	}
	most, forbidden := ban.ceiling(m.from(), m.Now, Careful(m.Mode, c.Mode))
	if c.Source == Undo || !forbidden || !c.Raises(most) {
		return Verdict{}, false
	}
	return Verdict{Action: Hold, Reason: tooTired(c.BudgetObject, ban)}, true
}

// unapproved asks for an approval where the plan has none, or is another one than
// was approved.
func (m Moment) unapproved() (Verdict, bool) {
	c := m.Change
	if Careful(m.Mode, c.Mode) != ModeApproval || c.Source == Undo {
		return Verdict{}, false
	}
	if c.PlanDigest == nil {
		return Verdict{Action: Ask, Reason: "the account's changes need an admin's approval"}, true
	}
	return Verdict{Action: Ask, Reason: "the plan is not the one that was approved: approve it anew"}, !bytes.Equal(c.PlanDigest, c.Digest())
}

// from is what the object has; under a campaign's budget without a cap, what is
// known or guessed of it.
func (m Moment) from() *int64 {
	if m.Live.Amount == nil && m.Change.Kind == KindLimits {
		return m.Change.BeforeMinor
	}
	return m.Live.Amount
}

func (m Moment) text(minor *int64) string {
	if minor == nil {
		return "nothing set"
	}
	return money.Amount(*minor).Format(m.Change.Currency)
}

// has reports whether the object has the amount; no cap is NoLimits.
func (m Moment) has(minor *int64) bool {
	return same(m.Live.Amount, minor) || m.Change.Kind == KindLimits && m.Live.Amount == nil && *minor == NoLimits
}

func same(a, b *int64) bool { return a != nil && b != nil && *a == *b || a == nil && b == nil }
