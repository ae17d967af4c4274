package queue

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/ads/budgets"
	"github.com/geminivideo/geminivideo/shared/changes"
)

// Save writes the state after a transition, and what follows from it.
func (s Store) Save(ctx context.Context, state changes.State, e changes.Effects) error {
	c := &state.Change
	if err := s.saveChange(ctx, c, e.KeepClaim); err != nil {
		return err
	}
	if err := s.saveUndone(ctx, e.Undone); err != nil {
		return err
	}
	if err := s.saveAds(ctx, c, e); err != nil {
		return err
	}
	if state.Object != nil {
		if err := s.saveObjects(ctx, c.TenantID, []*changes.Object{state.Object}); err != nil {
			return err
		}
	}
	if err := s.addHistory(ctx, c.TenantID, e.Entries); err != nil {
		return err
	}
	return s.notify(ctx, c.TenantID, e.Notices)
}

// saveChange writes the change, and gives its claim up unless that is kept.
func (s Store) saveChange(ctx context.Context, c *changes.Change, keep bool) error {
	_, err := s.tx.Exec(ctx, `
		UPDATE gv.pending_ad_changes
		SET    status = @status, before_minor = @before, before_status = @before_status, step_minor = @step, step_before = @step_before,
		       floor_minor = @floor, steps = @steps, sends = @sends, sent_at = @sent, plan_digest = @digest, approved_by = nullif(@approver, ''),
		       approved_at = @approved, held_reason = nullif(@why, ''), due_at = @due, progress_at = @progress, finished_at = @finished,
		       superseded_by = @newer, lease_token = CASE WHEN @keep THEN lease_token END, lease_until = CASE WHEN @keep THEN lease_until END
		WHERE  tenant_id = @tenant AND change_id = @change`,
		pgx.StrictNamedArgs{
			"tenant": c.TenantID, "change": c.ChangeID, "status": c.Status, "before": c.BeforeMinor, "before_status": c.BeforeStatus,
			"step": c.StepMinor, "step_before": c.StepBefore, "floor": c.FloorMinor, "steps": c.Steps, "sends": c.Sends, "sent": c.SentAt,
			"digest": c.PlanDigest, "approver": c.ApprovedBy, "approved": c.ApprovedAt, "why": c.HeldReason, "due": c.DueAt,
			"progress": c.ProgressAt, "finished": c.FinishedAt, "newer": c.SupersededBy, "keep": keep,
		})
	if err != nil {
		return fmt.Errorf("save change %s: %w", c.ChangeID, err)
	}
	return nil
}

// saveUndone writes that a change was undone.
func (s Store) saveUndone(ctx context.Context, c *changes.Change) error {
	if c == nil {
		return nil
	}
	_, err := s.tx.Exec(ctx, `UPDATE gv.pending_ad_changes SET status = @status, finished_at = @finished WHERE tenant_id = @tenant AND change_id = @change`,
		pgx.StrictNamedArgs{"tenant": c.TenantID, "change": c.ChangeID, "status": c.Status, "finished": c.FinishedAt})
	if err != nil {
		return fmt.Errorf("mark change %s as undone: %w", c.ChangeID, err)
	}
	return nil
}

// saveAds writes what ads have now into their own rows.
func (s Store) saveAds(ctx context.Context, c *changes.Change, e changes.Effects) error {
	if e.AdStatus == "" && len(e.Budgets) == 0 {
		return nil
	}
	err := budgets.Set(ctx, s.tx, c.TenantID, e.Budgets, c.AdID, e.AdStatus)
	if err != nil {
		return fmt.Errorf("save change %s: %w", c.ChangeID, err)
	}
	return nil
}
