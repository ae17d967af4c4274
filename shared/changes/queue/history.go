package queue

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/notice"
)

// addHistory writes lines of the history.
func (s Store) addHistory(ctx context.Context, tenant string, entries []changes.Entry) error {
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
		pgx.StrictNamedArgs{"tenant": tenant, "rows": rowsOf(entries, func(e changes.Entry) map[string]any {
			return map[string]any{
				"change_id": e.ChangeID, "account_id": e.AccountID, "campaign_id": e.CampaignID, "ad_id": e.AdID,
				"budget_object": e.BudgetObject,
				"action":        e.Action, "outcome": e.Outcome, "before_minor": e.BeforeMinor, "after_minor": e.AfterMinor,
				"floor_minor":   e.FloorMinor,
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

// notify sends events of changes to the tenant's webhook.
func (s Store) notify(ctx context.Context, tenant string, events []changes.Notice) error {
	notices := make([]notice.Notice, len(events))
	for i, e := range events {
		c := e.Change
		notices[i] = notice.Notice{
			Kind: string(e.Kind), AdID: c.AdID, AccountID: c.AccountID, ChangeID: c.ChangeID, Text: e.Text, At: e.At,
			Data: map[string]any{"budget_object": c.BudgetObject, "source": c.Source, "mode": c.Mode, "currency": c.Currency},
		}
		if c.BeforeMinor != nil {
			notices[i].Data["before"] = money.Amount(*c.BeforeMinor).Units(c.Currency)
		}
		if c.TargetMinor != nil {
			notices[i].Data["target"] = money.Amount(*c.TargetMinor).Units(c.Currency)
		}
		if c.TargetStatus != "" {
			notices[i].Data["status"] = c.TargetStatus
		}
	}
	return notice.Put(ctx, s.tx, tenant, notices...)
}
