// Package changes holds the rules by which budgets and ads are changed on the ad
// platform. All of it is pure: package queue loads what the rules need, and saves
// what they decide.
//
//	Plan        what becomes of requests: which object they change, what they replace, what is refused
//	Judge       what to do with a queued change now: send it, wait, hold it, ask for an approval
//	Transition  the next state after an outcome, and what follows from it (transition.go has the table)
//
// Invariants, and the tests that prove them:
//
//	In any 6 hours our writes to one object add up to at most a fifth of the smallest
//	budget that one of them started from; undos and what they undo do not count.
//	  TestNoSixHoursChangeABudgetByMoreThanAFifth, execute.TestTheLimitsHoldOnMetasOwnLog
//	A campaign takes at most 15 writes an hour.
//	  TestAnAdmittedActionNeverMakesSixteenInAnHour
//	One change of an object waits, and at most one is being written.
//	  queue.TestANewerDecisionReplacesWhatWaits
//	A change leaves its status only along the table of transitions.
//	  TestEveryStatusAndOutcomeFollowsTheTable
//	A write whose outcome is unknown is read, and never sent again before that.
//	  TestAnUnknownOutcomeIsResolvedByReadingAlone, execute.TestKilledAtRandom
package changes

import (
	"time"

	"github.com/google/uuid"

	"github.com/geminivideo/geminivideo/shared/money"
)

// Intent is a request to change an ad. Exactly one of Target, Cut and Status is set.
type Intent struct {
	// Key makes a repeated request the same change; it is unique per tenant.
	Key  string
	AdID string
	// Target is the new daily budget of the ad, in minor units of the account's
	// currency, at least 0; 0 pauses the ad.
	Target *int64
	// Cut is the share of the ad's budget to take away, such as 0.2; above 0, at most 1.
	Cut float64
	// Status is ACTIVE or PAUSED.
	Status string
	Reason string
	Source Source
	// By is who asked: a member's subject, or the function that decided.
	By string
	// Decision is the id of the allocation that recommended it, a UUIDv7; nil
	// where there was none.
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

// Enqueued is the answer to an intent.
type Enqueued struct {
	AdID string
	// ChangeID is the change that the intent became, or "" where it became none.
	ChangeID string
	// Status is the change's, or StatusUnchanged or StatusRefused where there is none.
	Status Status
	// Reason says why nothing was queued, or why the change is held.
	Reason string
}

// Status is the status of a change.
type Status string

// The statuses of a change. The first four are open; the others are final.
const (
	StatusPending    Status = "pending"           // waits until it is due
	StatusAwaiting   Status = "awaiting_approval" // waits for an admin
	StatusApplying   Status = "applying"          // is being written
	StatusUnknown    Status = "unknown"           // was sent; Meta is asked whether it arrived
	StatusApplied    Status = "applied"
	StatusDryRun     Status = "dry_run"
	StatusHeld       Status = "held"
	StatusFailed     Status = "failed"
	StatusRejected   Status = "rejected"
	StatusSuperseded Status = "superseded"
	StatusUndone     Status = "undone"
)

// Statuses lists every status of a change.
var Statuses = []Status{
	StatusPending, StatusAwaiting, StatusApplying, StatusUnknown, StatusApplied, StatusDryRun,
	StatusHeld, StatusFailed, StatusRejected, StatusSuperseded, StatusUndone,
}

// Open reports whether a change of this status may still be carried out.
func (s Status) Open() bool {
	switch s {
	case StatusPending, StatusAwaiting, StatusApplying, StatusUnknown:
		return true
	}
	return false
}

// The answers to an intent that became no change.
const (
	// StatusUnchanged answers an intent for what is set already.
	StatusUnchanged Status = "unchanged"
	// StatusRefused answers an intent that cannot be queued.
	StatusRefused Status = "refused"
)

// Mode is how an account's changes are carried out.
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

// Kind is which property of an object a change sets.
type Kind string

// The kinds.
const (
	KindBudget Kind = "budget"       // an ad set's daily budget
	KindLimits Kind = "spend_limits" // an ad set's minimum and maximum of its campaign's budget
	KindStatus Kind = "status"       // whether an ad runs
)

const (
	active = "ACTIVE"
	paused = "PAUSED"
)

// Change is a change in the queue. Amounts are minor units of Currency.
type Change struct {
	ChangeID     string
	TenantID     string
	AccountID    string
	CampaignID   string
	AdID         string
	BudgetObject string // adset/ID, or ad/ID for a status
	// ObjectName, AdName, CampaignName and AccountName are what people call them, ""
	// where nobody named them: reasons say these.
	ObjectName, AdName, CampaignName, AccountName string

	Kind     Kind
	Currency money.Currency
	// BeforeMinor is the amount that the object had when the change was queued or
	// approved; nil where it was not known, and for a status. For an undo it is the
	// amount that the undone change left.
	BeforeMinor  *int64
	TargetMinor  *int64
	BeforeStatus string
	TargetStatus string
	// Splits is each ad's part of the target.
	Splits map[string]int64
	// StepMinor is the amount of the present or last step, StepBefore the amount
	// that the step started from, and FloorMinor the minimum spend sent with it.
	StepMinor  *int64
	StepBefore *int64
	FloorMinor *int64
	// Steps counts the steps that were applied, Sends the tries of the present one.
	Steps       int
	Sends       int
	Reason      string
	Source      Source
	DecisionID  *uuid.UUID
	RequestedBy string
	Mode        Mode
	Status      Status
	PlanDigest  []byte
	ApprovedBy  string
	// HeldReason says why the change was not carried out, or not yet.
	HeldReason   string
	DueAt        time.Time
	SentAt       *time.Time
	Attempt      int
	DecidedAt    time.Time
	CreatedAt    time.Time
	ApprovedAt   *time.Time
	ProgressAt   time.Time // when it was queued, approved, or last took a step
	FinishedAt   *time.Time
	UndoOf       *string
	SupersededBy *string
	// Forced says that an admin wants this undo although somebody else edited the
	// object since.
	Forced bool
}

// raises reports whether the change gives its object more than from, or starts an ad.
func (c *Change) raises(from *int64) bool {
	if c.Kind == KindStatus {
		return c.TargetStatus == active
	}
	return from != nil && *c.TargetMinor > *from
}

// decided is when the decision counts as made: an approval makes it anew.
func (c *Change) decided() time.Time {
	if c.ApprovedAt != nil && c.ApprovedAt.After(c.DecidedAt) {
		return *c.ApprovedAt
	}
	return c.DecidedAt
}

// StartingFrom returns the change as it would start from the amount that its
// object is known to have now; after its first step a change keeps what it
// started from, and an undo what the undone change left.
func (c Change) StartingFrom(known *int64) Change {
	if c.Kind != KindStatus && c.Steps == 0 && known != nil && c.Source != Undo {
		c.BeforeMinor = known
	}
	return c
}
