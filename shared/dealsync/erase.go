package dealsync

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/deadletter"
	"github.com/geminivideo/geminivideo/shared/inbox"
	"github.com/geminivideo/geminivideo/shared/ledger"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/writeback"
)

// erase erases contacts' personal data, once: what they were known by, the clicks
// that carry it, and every message about them, handled, waiting or failed. Their
// deals, and other people's, keep the credit that was found.
func (w *work) erase(ctx context.Context, contacts ...int64) error {
	err := w.in(ctx, func(tx pgx.Tx) error {
		w.needsFlush = false
		deals, err := w.eraseContacts(ctx, tx, contacts...)
		if err != nil {
			return err
		}
		if firstTime, err := inbox.First(ctx, tx, consumer, w.key, ""); err != nil || !firstTime {
			return err
		}
		w.needsFlush, err = creditAll(ctx, tx, w.event.PortalID, deals)
		return err
	})
	if err != nil {
		return fmt.Errorf("erase contacts %v of portal %d: %w", contacts, w.event.PortalID, err)
	}
	return nil
}

// eraseContacts erases contacts, here and in what is written back to the CRM, and
// returns their deals.
func (w *work) eraseContacts(ctx context.Context, tx pgx.Tx, contacts ...int64) ([]int64, error) {
	var deals []int64
	for _, contact := range contacts {
		theirs, err := eraseContact(ctx, tx, w.event.PortalID, contact)
		if err != nil {
			return nil, err
		}
		deals = append(deals, theirs...)
	}
	slices.Sort(deals)
	deals = slices.Compact(deals)
	return deals, writeback.NewStore(tx).Erase(ctx, w.event.PortalID, deals)
}

// eraseContact erases one contact and returns its deals.
func eraseContact(ctx context.Context, tx pgx.Tx, portal, contact int64) ([]int64, error) {
	store := ledger.NewStore(tx, portal)
	known, deals, err := store.Erase(ctx, contact)
	if err != nil {
		return nil, err
	}
	hashes := make([]attribution.Hash, len(known))
	for i, h := range known {
		hashes[i] = attribution.Hash(h)
	}
	renamed, err := attribution.NewStore(tx).Erase(ctx, hashes)
	if err != nil {
		return nil, err
	}
	if err := store.RenameClicks(ctx, renamed); err != nil {
		return nil, err
	}
	subject := message.ContactSubject(portal, contact)
	for _, erase := range []func(context.Context, pgx.Tx, string) error{inbox.Erase, outbox.Erase, deadletter.Erase} {
		if err := erase(ctx, tx, subject); err != nil {
			return nil, err
		}
	}
	return deals, nil
}
