package dealsync

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/ledger"
)

// recorded is what the ledger has of deals before the CRM is asked.
type recorded struct {
	deals    []int64 // ascending
	versions ledger.Versions
	contacts map[int64][]int64 // by deal, as ledger.Store.RecordedContacts returns them
}

// queueRecorded reads what is recorded of deals when the batch is sent.
func queueRecorded(batch *pgx.Batch, store ledger.Store, deals []int64) *recorded {
	ids := slices.Compact(slices.Sorted(slices.Values(deals)))
	r := &recorded{ids, ledger.Versions{}, map[int64][]int64{}}
	store.QueueVersions(batch, ids, r.versions)
	store.QueueRecordedContacts(batch, ids, r.contacts)
	return r
}

// note returns what is recorded of the deals: it was read with the event's key, or is read now.
func (w *work) note(ctx context.Context, deals []int64) (noted *recorded, err error) {
	noted, w.recorded = w.recorded, nil
	if noted != nil && slices.Equal(noted.deals, deals) {
		return noted, nil
	}
	err = w.in(ctx, func(tx pgx.Tx) error {
		batch := &pgx.Batch{}
		noted = queueRecorded(batch, ledger.NewStore(tx, w.event.PortalID), deals)
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("read what is recorded of deals %v: %w", deals, err)
		}
		return nil
	})
	return noted, err
}
