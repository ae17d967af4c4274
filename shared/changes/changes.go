// Package changes is the queue of changes to budgets and ads on the ad platform,
// and the rules by which they are made: which object holds an ad's money, how
// fast it may move, what needs an approval, what is held and why. The rules are
// pure; store.go and its neighbours are their SQL.
package changes

import (
	"time"

	"github.com/google/uuid"

	"github.com/geminivideo/geminivideo/shared/money"
)

// Intent is what somebody wants of an ad. Exactly one of Target, Cut and Status
// is set.
type Intent struct {
	// Key makes a repeated request the same change; unique per tenant.
	Key  string
	AdID string
	// Target is the ad's daily budget to be, in minor units of the account's
	// currency, at least 0; an ad that is to have nothing is paused.
	Target *int64
	// Cut is the share to take away of what the ad has, such as 0.2; above 0, at most 1.
	Cut float64
	// Status is ACTIVE or PAUSED.
	Status string
	Reason string
	Source Source
	// By is who asked: a member's subject, or the function that decided.
	By string
	// Decision is the allocation that recommended it, a UUIDv7; nil where none did.
	Decision *uuid.UUID
}

// Source says what decided a change.
type Source string

// The sources.
const (
	Allocate Source = "allocate"
	Fatigue  Source = "fatigue"
	Learning Source = "learning"
	Member   Source = "member"
	Undo     Source = "undo"
)

// Enqueued says what became of an intent.
type Enqueued struct {
	AdID string
	// ChangeID is "" where no change stands for the intent.
	ChangeID string
	// Status is that of the change, or unchanged or refused where there is none.
	Status Status
	// Reason says why not, where nothing was queued or what was queued is held.
	Reason string
}

// Status is where a change stands.
type Status string

// The statuses of a change. Pending to Unknown are open; the others are final.
const (
	Pending    Status = "pending"           // waits for its time
	Awaiting   Status = "awaiting_approval" // waits for an admin
	Applying   Status = "applying"          // is being written
	Unknown    Status = "unknown"           // was sent, and whether it arrived is to be read
	Applied    Status = "applied"
	DryRun     Status = "dry_run"
	Held       Status = "held"
	Failed     Status = "failed"
	Rejected   Status = "rejected"
	Superseded Status = "superseded"
	Undone     Status = "undone"
)

// Open reports whether a change of this status may still do something.
func (s Status) Open() bool {
	switch s {
	case Pending, Awaiting, Applying, Unknown:
		return true
	}
	return false
}

// What an intent may come to beside a change.
const (
	// Unchanged is an intent for what is so already.
	Unchanged Status = "unchanged"
	// Refused is an intent that cannot be queued.
	Refused Status = "refused"
)

// Mode is how an account's changes are made.
type Mode string

// The modes, the most careful first.
const (
	ModeDryRun   Mode = "dry_run"
	ModeApproval Mode = "approval"
	ModeLive     Mode = "live"
)

// Careful returns the more careful of two modes.
func Careful(a, b Mode) Mode {
	for _, m := range []Mode{ModeDryRun, ModeApproval} {
		if a == m || b == m {
			return m
		}
	}
	return ModeLive
}

// Kind is what of an object a change sets.
type Kind string

// The kinds.
const (
	KindBudget Kind = "budget"       // an ad set's daily budget
	KindLimits Kind = "spend_limits" // an ad set's minimum and maximum of its campaign's budget
	KindStatus Kind = "status"       // whether an ad runs
)

// Change is a change in the queue. Amounts are minor units of Currency.
type Change struct {
	ChangeID     string
	TenantID     string
	AccountID    string
	CampaignID   string
	AdID         string
	BudgetObject string // adset/ID, or ad/ID for a status
	Kind         Kind
	Currency     money.Currency
	// BeforeMinor is what the object had when the change was queued or approved;
	// nil where that was not known, and for a status.
	BeforeMinor  *int64
	TargetMinor  *int64
	BeforeStatus string
	TargetStatus string
	// Splits is each ad's part of the target.
	Splits map[string]int64
	// StepMinor is the amount of the present or last step, StepBefore what it
	// found, and FloorMinor the minimum spend that goes with it.
	StepMinor    *int64
	StepBefore   *int64
	FloorMinor   *int64
	Steps        int
	Sends        int
	Reason       string
	Source       Source
	DecisionID   *uuid.UUID
	RequestedBy  string
	Mode         Mode
	Status       Status
	PlanDigest   []byte
	ApprovedBy   string
	HeldReason   string
	DueAt        time.Time
	SentAt       *time.Time
	Attempt      int
	DecidedAt    time.Time
	CreatedAt    time.Time
	ApprovedAt   *time.Time
	ProgressAt   time.Time
	FinishedAt   *time.Time
	UndoOf       *string
	SupersededBy *string
}

// Raises reports whether the change gives an object more than the given amount,
// or starts an ad.
func (c *Change) Raises(from *int64) bool {
	if c.Kind == KindStatus {
		return c.TargetStatus == active
	}
	return from != nil && *c.TargetMinor > *from
}

const (
	active = "ACTIVE"
	paused = "PAUSED"
)

// decided is when the decision counts as made: an approval makes it anew.
func (c *Change) decided() time.Time {
	if c.ApprovedAt != nil && c.ApprovedAt.After(c.DecidedAt) {
		return *c.ApprovedAt
	}
	return c.DecidedAt
}

// Object is what is known of an ad set or an ad.
type Object struct {
	BudgetObject string
	AccountID    string
	CampaignID   string
	// KnownMinor is its daily budget or spend cap; nil where it is not known.
	KnownMinor  *int64
	KnownStatus string
	// KnownAt is when that was read, set or told.
	KnownAt *time.Time
	// ForeignAt is when an edit was found that is not ours, from
	// ForeignWasMinor to ForeignMinor where it was one of money.
	ForeignAt       *time.Time
	ForeignWasMinor *int64
	ForeignMinor    *int64
	// NoRaiseUntil ends the time after the fatigue cut NoRaiseBy, which leads to
	// NoRaiseAbove, in minor units; nil where that is not known.
	NoRaiseUntil *time.Time
	NoRaiseBy    *string
	NoRaiseAbove *int64
	// NoRaiseTried says that the cut was a dry run: it forbids nothing but what
	// would be one too.
	NoRaiseTried bool
	// PausedBy is the change of ours that paused it.
	PausedBy *string
	// DecidedAt is when the newest decision for it was made.
	DecidedAt *time.Time
	DecidedBy *string
}

// ceiling is what an object that has current may not be raised above at now, in
// an account of this mode; ok is false where nothing forbids a raise.
func (o *Object) ceiling(current *int64, now time.Time, mode Mode) (most *int64, ok bool) {
	if o == nil || o.NoRaiseUntil == nil || !o.NoRaiseUntil.After(now) || o.NoRaiseTried && mode != ModeDryRun {
		return nil, false
	}
	if above := o.NoRaiseAbove; above != nil && (current == nil || *above < *current) {
		return above, true
	}
	return current, true
}

// allowRaises ends what a fatigue cut forbade.
func (o *Object) allowRaises() { o.NoRaiseUntil, o.NoRaiseBy, o.NoRaiseAbove = nil, nil, nil }

// isCut reports whether the change stands for the object's fatigue cut.
func (o *Object) isCut(changeID string) bool { return o.NoRaiseBy != nil && *o.NoRaiseBy == changeID }
