package reconcile

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/crmsync"
	"github.com/geminivideo/geminivideo/shared/hubspot"
	"github.com/geminivideo/geminivideo/shared/ledger"
)

// comparePage is how many records' existence is asked for in one call;
// comparePages bounds the calls of one run, the next one goes on after them.
const comparePage, comparePages = 100, 250

// compareIDs asks which of the recorded deals HubSpot still has under their ids: a
// search does not show what was deleted or merged.
func (r *run) compareIDs(ctx context.Context) error {
	for range comparePages {
		if err := r.timeLeft(ctx); err != nil {
			return err
		}
		var ids []int64
		err := r.in(ctx, func(tx pgx.Tx) (err error) {
			ids, err = ledger.NewStore(tx, r.sync.PortalID).LiveAfter(ctx, r.sync.CompareAfter, comparePage)
			return err
		})
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			r.sync.CompareAfter = 0
			break
		}
		existing, err := r.portal.Client().Existing(ctx, ids...)
		var part *hubspot.Partial
		if err != nil && !errors.As(err, &part) {
			return err
		}
		// Of a refused deal nothing is known; it is read with those that are gone, and recorded as refused.
		gone := slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return existing[id] == id })
		if err := r.refresh(ctx, gone, false); err != nil {
			return err
		}
		r.sync.CompareAfter = ids[len(ids)-1]
		if err := r.save(ctx); err != nil {
			return err
		}
	}
	r.sync.Phase = crmsync.Erasures
	return r.save(ctx)
}

// findErased asks which of the recorded contacts HubSpot has erased, and erases them
// here as the event would have that was lost. A deleted contact is in HubSpot's recycle
// bin for 90 days; one that is in neither place was erased, or is past restoring.
func (r *run) findErased(ctx context.Context) error {
	for range comparePages {
		if err := r.timeLeft(ctx); err != nil {
			return err
		}
		var ids []int64
		err := r.in(ctx, func(tx pgx.Tx) (err error) {
			ids, err = ledger.NewStore(tx, r.sync.PortalID).ContactsAfter(ctx, r.sync.ErasuresAfter, comparePage)
			return err
		})
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			r.sync.ErasuresAfter = 0
			return r.save(ctx)
		}
		erased, err := r.portal.Client().ErasedContacts(ctx, ids...)
		if err != nil {
			return err
		}
		if err := r.portal.Erase(ctx, erased...); err != nil {
			return err
		}
		r.erasures += len(erased)
		r.sync.RunErased += len(erased)
		r.erased = append(r.erased, erased[:min(len(erased), maxLogged-len(r.erased))]...)
		r.sync.ErasuresAfter = ids[len(ids)-1]
		if err := r.save(ctx); err != nil {
			return err
		}
	}
	return nil
}
