package changes

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/notice"
)

// Entry is a line of the history: what was done to an object, or tried, or not
// done, and why. Amounts are minor units.
type Entry struct {
	ChangeID, AccountID, CampaignID, AdID, BudgetObject string
	// Action is the change's kind, or none where nothing was written for it.
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

// noAction is the action of an entry for which nothing was sent.
const noAction = "none"

// entry is a line about the change as a whole.
func (c *Change) entry(outcome Status, reason string, at time.Time) Entry {
	return Entry{
		ChangeID: c.ChangeID, AccountID: c.AccountID, CampaignID: c.CampaignID, AdID: c.AdID, BudgetObject: c.BudgetObject,
		Action: noAction, Outcome: outcome, BeforeMinor: c.BeforeMinor, AfterMinor: c.TargetMinor,
		BeforeStatus: c.BeforeStatus, AfterStatus: c.TargetStatus, Reason: reason, Initiator: c.RequestedBy,
		Attempt: c.Attempt, Mode: c.Mode, At: at,
	}
}

// note writes lines of the history.
func (s Store) note(ctx context.Context, tenant string, entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	_, err := s.tx.Exec(ctx, `
		INSERT INTO gv.ad_change_history (
			tenant_id, change_id, account_id, campaign_id, ad_id, budget_object, action, outcome, before_minor, after_minor, floor_minor,
			before_status, after_status, reason, initiator, platform_trace, duration_ms, attempt, mode, at)
		SELECT @tenant, n.* FROM jsonb_to_recordset(@rows::jsonb) AS n (
			change_id uuid, account_id text, campaign_id text, ad_id text, budget_object text, action text, outcome text, before_minor bigint,
			after_minor bigint, floor_minor bigint, before_status text, after_status text, reason text, initiator text, platform_trace text,
			duration_ms integer, attempt integer, mode text, at timestamptz)`,
		pgx.StrictNamedArgs{"tenant": tenant, "rows": rowsOf(entries, func(e Entry) map[string]any {
			return map[string]any{
				"change_id": e.ChangeID, "account_id": e.AccountID, "campaign_id": e.CampaignID, "ad_id": e.AdID, "budget_object": e.BudgetObject,
				"action": e.Action, "outcome": e.Outcome, "before_minor": e.BeforeMinor, "after_minor": e.AfterMinor, "floor_minor": e.FloorMinor,
				"before_status": e.BeforeStatus, "after_status": e.AfterStatus, "reason": e.Reason, "initiator": e.Initiator,
				"platform_trace": orNull(e.Trace), "duration_ms": e.Took.Milliseconds(), "attempt": e.Attempt, "mode": e.Mode, "at": e.At,
			}
		})})
	if err != nil {
		return fmt.Errorf("write the history: %w", err)
	}
	return nil
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// notice tells the tenant's webhook of the change.
func (c *Change) notice(kind, text string, at time.Time) notice.Notice {
	n := notice.Notice{
		Kind: kind, AdID: c.AdID, AccountID: c.AccountID, ChangeID: c.ChangeID, Text: c.BudgetObject + " " + text, At: at,
		Data: map[string]any{"budget_object": c.BudgetObject, "source": c.Source, "mode": c.Mode, "currency": c.Currency},
	}
	if c.BeforeMinor != nil {
		n.Data["before"] = money.Amount(*c.BeforeMinor).Units(c.Currency)
	}
	if c.TargetMinor != nil {
		n.Data["target"] = money.Amount(*c.TargetMinor).Units(c.Currency)
	}
	if c.TargetStatus != "" {
		n.Data["status"] = c.TargetStatus
	}
	return n
}
