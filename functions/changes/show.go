package changes

import (
	"cmp"
	"encoding/hex"
	"time"

	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/changes/queue"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/money"
)

// Change is a change as it is shown. Money is in units of currency.
type Change struct {
	ID           string             `json:"id"`
	AdID         string             `json:"ad_id"`
	AdName       string             `json:"ad_name" doc:"What the ad is called, or its id where nobody named it."`
	Ads          []string           `json:"ads" nullable:"false" doc:"All ads whose requests the change stands for: those of a shared ad set share one."`
	AccountID    string             `json:"account_id"`
	CampaignID   string             `json:"campaign_id"`
	BudgetObject string             `json:"budget_object" doc:"What holds the money on the platform: adset/ID; ad/ID for a status."`
	Kind         string             `json:"kind" enum:"budget,spend_limits,status"`
	Currency     string             `json:"currency"`
	Before       *float64           `json:"before_budget,omitempty" doc:"The budget before it; left out where that is not known, and for a status. Of an undo, what the undone change left."`
	Target       *float64           `json:"target_budget,omitempty" doc:"The budget after its last step. For spend_limits the maximum; 0 removes the limits."`
	Step         *float64           `json:"step_budget,omitempty" doc:"The present or last step."`
	BeforeStatus string             `json:"before_status,omitempty"`
	TargetStatus string             `json:"target_status,omitempty"`
	Splits       map[string]float64 `json:"splits,omitempty" doc:"Each ad's part of the target."`
	StepsDone    int                `json:"steps_done"`
	StepsLeft    int                `json:"steps_left" doc:"In any 6 hours an object moves by at most a fifth."`
	Reason       string             `json:"reason"`
	Source       string             `json:"source" enum:"allocate,fatigue,learning,member,undo"`
	DecisionID   string             `json:"decision_id,omitempty"`
	RequestedBy  string             `json:"requested_by"`
	Mode         string             `json:"mode" enum:"dry_run,approval,live" doc:"The more careful of the account's mode when it was queued and of today's."`
	Status       string             `json:"status" enum:"pending,awaiting_approval,applying,unknown,applied,dry_run,held,failed,rejected,superseded,undone"`
	WhyNot       string             `json:"why_not,omitempty" doc:"Why it was not, or not yet, carried out; of a dry run, what it would have done."`
	Digest       string             `json:"digest" doc:"SHA-256 of the plan as it is now. An approval names it."`
	ApprovedBy   string             `json:"approved_by,omitempty"`
	ApprovedAt   *time.Time         `json:"approved_at,omitempty"`
	DueAt        *time.Time         `json:"due_at,omitempty" doc:"The earliest time of its next step."`
	DecidedAt    time.Time          `json:"decided_at"`
	CreatedAt    time.Time          `json:"created_at"`
	FinishedAt   *time.Time         `json:"finished_at,omitempty"`
	Attempts     int                `json:"attempts"`
	UndoOf       string             `json:"undo_of,omitempty"`
	Forced       bool               `json:"forced,omitempty" doc:"An admin undoes it although somebody else edited the object since."`
	SupersededBy string             `json:"superseded_by,omitempty"`
}

func shown(l queue.Listed) Change {
	c := l.Present()
	out := Change{
		ID: c.ChangeID, AdID: c.AdID, AdName: cmp.Or(l.AdName, l.AdID), Ads: l.Ads, AccountID: c.AccountID, CampaignID: c.CampaignID,
		BudgetObject: c.BudgetObject,
		Kind:         string(c.Kind), Currency: string(c.Currency), Before: units(c.BeforeMinor, c.Currency),
		Target: units(c.TargetMinor, c.Currency),
		Step:   units(c.StepMinor, c.Currency), BeforeStatus: c.BeforeStatus, TargetStatus: c.TargetStatus, StepsDone: c.Steps,
		Reason: c.Reason, Source: string(c.Source), RequestedBy: c.RequestedBy, Mode: string(changes.Careful(c.Mode, l.AccountMode)),
		Status: string(c.Status), WhyNot: l.WhyNot(), Digest: hex.EncodeToString(c.Digest()), ApprovedBy: c.ApprovedBy,
		ApprovedAt: utc(c.ApprovedAt),
		DecidedAt:  c.DecidedAt.UTC(), CreatedAt: c.CreatedAt.UTC(), FinishedAt: utc(c.FinishedAt), Attempts: c.Attempt,
		UndoOf: text(c.UndoOf), Forced: c.Forced, SupersededBy: text(c.SupersededBy),
	}
	if len(out.Ads) == 0 {
		out.Ads = []string{c.AdID}
	}
	if c.DecisionID != nil {
		out.DecisionID = c.DecisionID.String()
	}
	if !c.Status.Open() {
		out.Mode = string(c.Mode) // today's mode no longer matters
	} else {
		out.StepsLeft = left(c, l.Known)
		if c.Status != changes.StatusAwaiting {
			out.DueAt = utc(&c.DueAt)
		}
	}
	if len(c.Splits) > 1 {
		out.Splits = make(map[string]float64, len(c.Splits))
		for ad, part := range c.Splits {
			out.Splits[ad] = money.Amount(part).Units(c.Currency)
		}
	}
	return out
}

// left is how many steps an open change has before it.
func left(c changes.Change, known *int64) int {
	if c.Kind == changes.KindStatus || c.Source == changes.Undo || known == nil {
		return 1
	}
	return changes.Steps(*known, *c.TargetMinor, meta.Step(c.Currency))
}

// Entry is a line of the history. Money is in units of currency.
type Entry struct {
	ID           string     `json:"id"`
	ChangeID     string     `json:"change_id,omitempty"`
	AdID         string     `json:"ad_id"`
	AdName       string     `json:"ad_name" doc:"What the ad is called, or its id where nobody named it."`
	AccountID    string     `json:"account_id"`
	CampaignID   string     `json:"campaign_id"`
	BudgetObject string     `json:"budget_object"`
	Action       string     `json:"action" doc:"budget, spend_limits or status; none where nothing was sent."`
	Outcome      string     `json:"outcome" enum:"applied,dry_run,held,failed,unknown,superseded,rejected,undone"`
	Currency     string     `json:"currency"`
	Before       *float64   `json:"before_budget,omitempty"`
	After        *float64   `json:"after_budget,omitempty"`
	Minimum      *float64   `json:"minimum_spend,omitempty"`
	BeforeStatus string     `json:"before_status,omitempty"`
	AfterStatus  string     `json:"after_status,omitempty"`
	Reason       string     `json:"reason"`
	Initiator    string     `json:"initiator" doc:"Who asked: a member, or the function that decided."`
	Mode         string     `json:"mode,omitempty"`
	Attempt      int        `json:"attempt"`
	Trace        string     `json:"platform_trace,omitempty" doc:"Meta's trace of the call, for its support."`
	DurationMS   int        `json:"duration_ms" doc:"How long the platform took."`
	At           time.Time  `json:"at"`
	Until        *time.Time `json:"until,omitempty" doc:"When the next change was applied; left out where this is the last, or was not applied."`
	HeldSeconds  *int64     `json:"held_seconds,omitempty" doc:"For how long it was in force, where it no longer is."`
}

func entryOf(l queue.Line) Entry {
	c := money.Currency(l.Currency)
	out := Entry{
		ID: l.HistoryID, ChangeID: text(l.ChangeID), AdID: l.AdID, AdName: l.AdName, AccountID: l.AccountID, CampaignID: l.CampaignID,
		BudgetObject: l.BudgetObject,
		Action:       l.Action, Outcome: string(l.Outcome), Currency: l.Currency, Before: units(l.BeforeMinor, c), After: units(l.AfterMinor, c),
		Minimum: units(l.FloorMinor, c), BeforeStatus: l.BeforeStatus, AfterStatus: l.AfterStatus, Reason: l.Reason, Initiator: l.Initiator,
		Mode: l.Mode, Attempt: l.Attempt, Trace: l.Trace, At: l.At.UTC(), Until: utc(l.Until),
	}
	if l.DurationMS != nil {
		out.DurationMS = *l.DurationMS
	}
	if l.Until != nil {
		held := int64(l.Until.Sub(l.At).Seconds())
		out.HeldSeconds = &held
	}
	return out
}

func units(minor *int64, c money.Currency) *float64 {
	if minor == nil {
		return nil
	}
	u := money.Amount(*minor).Units(c)
	return &u
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
