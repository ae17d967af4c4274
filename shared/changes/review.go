package changes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/notice"
)

// look finds a change and holds its object's row, so that nothing else is decided
// about it meanwhile.
func (s Store) look(ctx context.Context, tenant, id string) (*Change, *Object, error) {
	var object string
	err := s.tx.QueryRow(ctx, `SELECT budget_object FROM gv.pending_ad_changes WHERE tenant_id = @tenant AND change_id = @id`,
		pgx.StrictNamedArgs{"tenant": tenant, "id": id}).Scan(&object)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil, fault.NotFoundf("there is no change with this id")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("look up change %s: %w", id, err)
	}
	objects, err := s.holdObjects(ctx, tenant, []string{object})
	if err != nil {
		return nil, nil, err
	}
	found, err := s.changes(ctx, `
		SELECT `+changeColumns+`
		FROM   gv.pending_ad_changes p JOIN gv.accounts a USING (tenant_id, account_id)
		WHERE  p.tenant_id = @tenant AND p.change_id = @id
		FOR    UPDATE OF p`, pgx.StrictNamedArgs{"tenant": tenant, "id": id})
	if err != nil {
		return nil, nil, fmt.Errorf("look up change %s: %w", id, err)
	}
	if objects[object] == nil || len(found) != 1 {
		return nil, nil, fmt.Errorf("change %s: nothing is known of %s", id, object)
	}
	return found[0], objects[object], nil
}

// Approve lets a change that waits for it go on. digest is that of the plan which
// the approver saw; a plan that is another one by now is a Conflict. Approving
// the same plan again changes nothing.
func (s Store) Approve(ctx context.Context, tenant, id, by string, digest []byte) (*Change, error) {
	c, o, err := s.look(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	if c.Status != Awaiting {
		if c.ApprovedBy != "" && bytes.Equal(digest, c.PlanDigest) {
			return c, nil
		}
		return nil, fault.Conflictf("this change is %s and waits for no approval%s", c.Status, because(c.HeldReason))
	}
	*c = c.startingFrom(o.KnownMinor)
	if !bytes.Equal(digest, c.Digest()) {
		return nil, fault.Conflictf("this is not the plan as it stands now (from %s to %s): look at the change again and approve its present digest",
			c.wants(c.BeforeMinor, c.BeforeStatus), c.wants(c.TargetMinor, c.TargetStatus))
	}
	now, err := s.Now(ctx)
	if err != nil {
		return nil, err
	}
	c.Status, c.PlanDigest, c.ApprovedBy, c.ApprovedAt, c.HeldReason = Pending, digest, by, &now, ""
	c.ProgressAt, c.DueAt = now, now.Add(Jitter(c.ChangeID, 0))
	if o.DecidedAt == nil || o.DecidedAt.Before(now) {
		o.DecidedAt = &now
	}
	if err := s.saveObjects(ctx, tenant, []*Object{o}); err != nil {
		return nil, err
	}
	return c, s.save(ctx, &Claim{Change: *c}, false)
}

// Reject ends a change that waits, for an approval or its time. A change that is
// being written cannot be called back: it can be undone. Rejecting it again
// changes nothing.
func (s Store) Reject(ctx context.Context, tenant, id, by, why string) (*Change, error) {
	c, o, err := s.look(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	switch c.Status {
	case Rejected:
		return c, nil
	case Pending, Awaiting:
	case Applying, Unknown:
		return nil, fault.Conflictf("this change is being written right now and cannot be called back: undo it once it is applied")
	default:
		return nil, fault.Conflictf("this change is %s already%s", c.Status, because(c.HeldReason))
	}
	now, err := s.Now(ctx)
	if err != nil {
		return nil, err
	}
	if why == "" {
		why = "rejected"
	}
	c.Status, c.HeldReason, c.FinishedAt = Rejected, why, &now
	if c.Steps > 0 {
		c.HeldReason = fmt.Sprintf("%s; %d steps had been made, and stay", why, c.Steps)
	}
	if c.Steps == 0 && o.isCut(c.ChangeID) {
		o.allowRaises()
	}
	e := c.entry(Rejected, c.HeldReason, now)
	e.Initiator = by
	if err := s.note(ctx, tenant, []Entry{e}); err != nil {
		return nil, err
	}
	if err := s.saveObjects(ctx, tenant, []*Object{o}); err != nil {
		return nil, err
	}
	return c, s.save(ctx, &Claim{Change: *c}, false)
}

// Undo queues the way back of the latest change that an object took, to what it
// had before, and returns that new change. It may go there at once, whatever the
// object has moved lately. What is left of the change to undo is given up.
func (s Store) Undo(ctx context.Context, tenant, id, by, why string) (*Change, error) {
	was, o, err := s.look(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	now, err := s.Now(ctx)
	if err != nil {
		return nil, err
	}
	if back, err := s.undoable(ctx, tenant, was); err != nil || back != nil {
		return back, err
	}
	back, err := s.wayBack(ctx, tenant, was, o, now)
	if err != nil {
		return nil, err
	}
	back.Reason, back.RequestedBy = "undo: "+was.Reason, by
	if why != "" {
		back.Reason = why
	}
	waits, err := s.openOf(ctx, tenant, map[string]*Object{o.BudgetObject: o})
	if err != nil {
		return nil, err
	}
	p := &planner{tenant: tenant, now: now, objects: map[string]*Object{o.BudgetObject: o}, open: waits, touched: map[string]bool{}}
	p.replace(o.BudgetObject, back.ChangeID)
	p.fresh = []*Change{back}
	p.decide(o, back, now)
	if err := s.supersede(ctx, tenant, p.replaced); err != nil {
		return nil, err
	}
	if err := s.insert(ctx, tenant, p.fresh, []request{{"undo/" + was.ChangeID + "/" + back.ChangeID, back.AdID, back.ChangeID, Undo, now}}); err != nil {
		return nil, err
	}
	if err := s.note(ctx, tenant, p.entries()); err != nil {
		return nil, err
	}
	if err := s.saveObjects(ctx, tenant, p.changed()); err != nil {
		return nil, err
	}
	return back, notice.Put(ctx, s.tx, tenant, p.notices()...)
}

// undoable returns the way back that is open already, or why there is none.
func (s Store) undoable(ctx context.Context, tenant string, was *Change) (*Change, error) {
	back, err := s.changes(ctx, `
		SELECT `+changeColumns+`
		FROM   gv.pending_ad_changes p JOIN gv.accounts a USING (tenant_id, account_id)
		WHERE  p.tenant_id = @tenant AND p.undo_of = @id AND p.status IN ('pending', 'awaiting_approval', 'applying', 'unknown', 'applied')
		ORDER  BY p.created_at DESC`, pgx.StrictNamedArgs{"tenant": tenant, "id": was.ChangeID})
	if err != nil {
		return nil, fmt.Errorf("look for an undo of %s: %w", was.ChangeID, err)
	}
	switch {
	case len(back) > 0:
		return back[0], nil
	case was.Status == Applying || was.Status == Unknown:
		return nil, fault.Conflictf("this change is being written right now: undo it in a minute")
	case was.Steps == 0:
		return nil, fault.Conflictf("this change is %s: nothing was written for it that could be undone", was.Status)
	}
	var newer string
	err = s.tx.QueryRow(ctx, `
		SELECT change_id::text FROM gv.pending_ad_changes
		WHERE  tenant_id = @tenant AND budget_object = @object AND change_id <> @id AND status <> 'undone'
		AND    (steps > 0 OR status IN ('applying', 'unknown')) AND progress_at > @since
		ORDER  BY progress_at DESC LIMIT 1`,
		pgx.StrictNamedArgs{"tenant": tenant, "object": was.BudgetObject, "id": was.ChangeID, "since": was.ProgressAt}).Scan(&newer)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for a change after %s: %w", was.ChangeID, err)
	}
	return nil, fault.Conflictf("%s was changed again since, by the change %s: only the latest can be undone", was.BudgetObject, newer)
}

// wayBack drafts the change that leads back.
func (s Store) wayBack(ctx context.Context, tenant string, was *Change, o *Object, now time.Time) (*Change, error) {
	back := *was
	back.ChangeID, back.Source, back.Status, back.UndoOf = uuid.NewString(), Undo, Pending, &was.ChangeID
	back.DecisionID, back.PlanDigest, back.ApprovedBy, back.ApprovedAt, back.HeldReason = nil, nil, "", nil, ""
	back.StepMinor, back.StepBefore, back.FloorMinor, back.SentAt, back.FinishedAt, back.SupersededBy = nil, nil, nil, nil, nil, nil
	back.Steps, back.Sends, back.Attempt = 0, 0, 0
	back.DecidedAt, back.CreatedAt, back.ProgressAt, back.DueAt = now, now, now, now.Add(Jitter(back.ChangeID, 0))
	if was.Kind == KindStatus {
		back.BeforeStatus, back.TargetStatus = was.TargetStatus, was.BeforeStatus
	} else {
		target := NoLimits // under a campaign's budget: there were none before
		var before *int64
		err := s.tx.QueryRow(ctx, `
			SELECT before_minor FROM gv.ad_change_history
			WHERE  tenant_id = @tenant AND change_id = @id AND outcome = 'applied' AND action <> 'none' ORDER BY at LIMIT 1`,
			pgx.StrictNamedArgs{"tenant": tenant, "id": was.ChangeID}).Scan(&before)
		if err != nil {
			return nil, fmt.Errorf("read what %s had before change %s: %w", was.BudgetObject, was.ChangeID, err)
		}
		if before != nil {
			target = *before
		}
		back.BeforeMinor, back.TargetMinor = o.KnownMinor, &target
		back.Splits = scaled(was.Splits, *was.TargetMinor, target)
	}
	err := s.tx.QueryRow(ctx, `SELECT mode FROM gv.accounts WHERE tenant_id = @tenant AND account_id = @account`,
		pgx.StrictNamedArgs{"tenant": tenant, "account": was.AccountID}).Scan(&back.Mode)
	if err != nil {
		return nil, fmt.Errorf("read account %s: %w", was.AccountID, err)
	}
	return &back, nil
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}
