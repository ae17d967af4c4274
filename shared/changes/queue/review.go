package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/fault"
)

// find locks the object of a change and then the change, so that nothing else is
// decided about them meanwhile.
func (s Store) find(ctx context.Context, tenant, id string) (state changes.State, err error) {
	var object string
	err = s.tx.QueryRow(ctx, `SELECT budget_object FROM gv.pending_ad_changes WHERE tenant_id = @tenant AND change_id = @id`,
		pgx.StrictNamedArgs{"tenant": tenant, "id": id}).Scan(&object)
	if errors.Is(err, pgx.ErrNoRows) {
		return state, fault.NotFoundf("there is no change with this id")
	}
	if err != nil {
		return state, fmt.Errorf("look up change %s: %w", id, err)
	}
	objects, err := s.lockObjects(ctx, tenant, []string{object})
	if err != nil {
		return state, err
	}
	c, err := s.one(ctx, tenant, id)
	if err != nil {
		return state, err
	}
	if state.Object = objects[object]; state.Object == nil || c == nil {
		return state, fmt.Errorf("change %s: there is no row of it or of %s", id, object)
	}
	state.Change = *c
	state.Now, err = s.Now(ctx)
	return state, err
}

// transit applies an outcome to a change and saves what follows.
func (s Store) transit(ctx context.Context, state changes.State, o changes.Outcome) (*changes.Change, error) {
	state, effects, err := changes.Transition(state, o)
	if err != nil {
		return nil, err
	}
	if err := s.Save(ctx, state, effects); err != nil {
		return nil, err
	}
	s.reported()
	return &state.Change, nil
}

func (s Store) reported() {
	if s.reviewed != nil {
		s.reviewed()
	}
}

// Approve lets a change that waits for an approval go on. digest is that of the
// plan which the approver was shown; a plan that is another one by now is a
// Conflict. Approving the same plan again changes nothing.
func (s Store) Approve(ctx context.Context, tenant, id, by string, digest []byte) (*changes.Change, error) {
	state, err := s.find(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	if c := &state.Change; c.Status != changes.StatusAwaiting && c.ApprovedBy != "" && bytes.Equal(digest, c.PlanDigest) {
		return c, nil
	}
	state.Change = state.Change.StartingFrom(state.Object.KnownMinor)
	if why := changes.Approvable(&state.Change, bytes.Equal(digest, state.Change.Digest())); why != "" {
		return nil, fault.Conflictf("%s", why)
	}
	return s.transit(ctx, state, changes.Outcome{Kind: changes.Approve, By: by, Digest: digest})
}

// Reject ends a change that waits, for an approval or until it is due. Rejecting it
// again changes nothing.
func (s Store) Reject(ctx context.Context, tenant, id, by, why string) (*changes.Change, error) {
	state, err := s.find(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	if state.Change.Status == changes.StatusRejected {
		return &state.Change, nil
	}
	if cannot := changes.Rejectable(&state.Change); cannot != "" {
		return nil, fault.Conflictf("%s", cannot)
	}
	if why == "" {
		why = "rejected"
	}
	return s.transit(ctx, state, changes.Outcome{Kind: changes.Reject, By: by, Reason: why})
}

// Undo queues the way back of a change that was written, and returns that new
// change. force undoes it although somebody else edited the object since. An undo
// that is open or applied already is returned as it is.
func (s Store) Undo(ctx context.Context, tenant, id, by, why string, force bool) (*changes.Change, error) {
	state, err := s.find(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	was := &state.Change
	back, err := s.undoOf(ctx, tenant, id)
	if err != nil || back != nil {
		return back, err
	}
	newer, err := s.writtenAfter(ctx, tenant, was)
	if err != nil {
		return nil, err
	}
	if cannot := changes.Undoable(was, newer); cannot != "" {
		return nil, fault.Conflictf("%s", cannot)
	}
	u := changes.Undoing{Was: was, By: by, Reason: why, Force: force}
	u.Tenant, u.Now, u.Objects = tenant, state.Now, map[string]*changes.Object{was.BudgetObject: state.Object}
	if u.Open, err = s.open(ctx, tenant, u.Objects); err != nil {
		return nil, err
	}
	if u.Before, u.Left, err = s.span(ctx, tenant, id); err != nil {
		return nil, err
	}
	err = s.tx.QueryRow(ctx, `SELECT mode FROM gv.accounts WHERE tenant_id = @tenant AND account_id = @account`,
		pgx.StrictNamedArgs{"tenant": tenant, "account": was.AccountID}).Scan(&u.Mode)
	if err != nil {
		return nil, fmt.Errorf("read account %s: %w", was.AccountID, err)
	}
	planned := changes.PlanUndo(u)
	if err := s.savePlanned(ctx, tenant, planned); err != nil {
		return nil, err
	}
	s.reported()
	return planned.Fresh[0], nil
}

// undoOf returns the undo of a change that is open or applied; nil where none is.
func (s Store) undoOf(ctx context.Context, tenant, id string) (*changes.Change, error) {
	found, err := s.read(ctx, `
		SELECT `+changeColumns+`
		FROM   gv.pending_ad_changes p JOIN gv.accounts a USING (tenant_id, account_id)
		WHERE  p.tenant_id = @tenant AND p.undo_of = @id AND p.status IN ('pending', 'awaiting_approval', 'applying', 'unknown', 'applied')
		ORDER  BY p.created_at DESC`, pgx.StrictNamedArgs{"tenant": tenant, "id": id})
	if err != nil {
		return nil, fmt.Errorf("look for an undo of %s: %w", id, err)
	}
	if len(found) == 0 {
		return nil, nil
	}
	return found[0], nil
}

// writtenAfter returns the latest change of the object that was written after was;
// "" where there is none. Undos, and what they undid, do not count.
func (s Store) writtenAfter(ctx context.Context, tenant string, was *changes.Change) (id string, err error) {
	err = s.tx.QueryRow(ctx, `
		SELECT p.change_id::text FROM gv.pending_ad_changes p
		WHERE  p.tenant_id = @tenant AND p.budget_object = @object AND p.kind = @kind AND p.change_id <> @id AND p.source <> 'undo'
		AND    p.status <> 'undone'
		AND    (p.steps > 0 OR p.status IN ('applying', 'unknown')) AND p.progress_at > @since
		ORDER  BY p.progress_at DESC LIMIT 1`,
		pgx.StrictNamedArgs{
			"tenant": tenant, "object": was.BudgetObject, "kind": was.Kind, "id": was.ChangeID,
			"since": was.ProgressAt,
		}).Scan(&id)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", fmt.Errorf("look for a change after %s: %w", was.ChangeID, err)
	}
	return id, nil
}

// span returns what the object had before the first step of a change, and what the
// last step left.
func (s Store) span(ctx context.Context, tenant, id string) (before, left *int64, err error) {
	err = s.tx.QueryRow(ctx, `
		SELECT (array_agg(before_minor ORDER BY at))[1], (array_agg(after_minor ORDER BY at DESC))[1]
		FROM   gv.ad_change_history
		WHERE  tenant_id = @tenant AND change_id = @id AND outcome = 'applied' AND action <> 'none'`,
		pgx.StrictNamedArgs{"tenant": tenant, "id": id}).Scan(&before, &left)
	if err != nil {
		return nil, nil, fmt.Errorf("read what change %s started from: %w", id, err)
	}
	return before, left, nil
}
