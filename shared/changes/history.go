package changes

import "time"

// NoAction is the action of an entry for which nothing was sent.
const NoAction = "none"

// Entry is a line of the history: what was done to an object, or not done, and
// why. Amounts are minor units.
type Entry struct {
	ChangeID, AccountID, CampaignID, AdID, BudgetObject string
	// Action is the change's kind, or NoAction where nothing was sent. An entry that
	// is held and has an action is a write whose outcome stayed unknown.
	Action                    string
	Outcome                   Status
	BeforeMinor, AfterMinor   *int64
	FloorMinor                *int64
	BeforeStatus, AfterStatus string
	Reason, Initiator         string
	Trace                     string
	Took                      time.Duration
	Attempt                   int
	Mode                      Mode
	At                        time.Time
}

// entry is a line about the change as a whole.
func (c *Change) entry(outcome Status, reason string, at time.Time) Entry {
	return Entry{
		ChangeID: c.ChangeID, AccountID: c.AccountID, CampaignID: c.CampaignID, AdID: c.AdID, BudgetObject: c.BudgetObject,
		Action: NoAction, Outcome: outcome, BeforeMinor: c.BeforeMinor, AfterMinor: c.TargetMinor,
		BeforeStatus: c.BeforeStatus, AfterStatus: c.TargetStatus, Reason: reason, Initiator: c.RequestedBy,
		Attempt: c.Attempt, Mode: c.Mode, At: at,
	}
}

// stepEntry is a line about the present step.
func (c *Change) stepEntry(outcome Status, reason string, at time.Time) Entry {
	e := c.entry(outcome, reason, at)
	e.Action, e.BeforeMinor, e.AfterMinor, e.FloorMinor = string(c.Kind), c.StepBefore, c.StepMinor, c.FloorMinor
	return e
}

// NoticeKind says which event of a change the tenant's webhook is sent.
type NoticeKind string

// The kinds of notices.
const (
	NoticeQueued   NoticeKind = "change.queued"
	NoticeAwaiting NoticeKind = "change.awaiting_approval"
	NoticeCut      NoticeKind = "change.cut"
	NoticeApplied  NoticeKind = "change.applied"
	NoticeHeld     NoticeKind = "change.held"
	NoticeFailed   NoticeKind = "change.failed"
	NoticeUndone   NoticeKind = "change.undone"
)

// Notice is an event of a change for the tenant's webhook.
type Notice struct {
	Kind   NoticeKind
	Change Change
	Text   string
	At     time.Time
}

// notice returns the notice of an event of the change.
func (c *Change) notice(kind NoticeKind, text string, at time.Time) Notice {
	return Notice{Kind: kind, Change: *c, Text: c.Object() + " " + text, At: at}
}
