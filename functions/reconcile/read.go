package reconcile

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/crmsync"
	"github.com/geminivideo/geminivideo/shared/hubspot"
	"github.com/geminivideo/geminivideo/shared/ledger"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// readDeals reads the deals that changed, page by page, and records each.
func (r *run) readDeals(ctx context.Context) error {
	if err := r.retryRefused(ctx); err != nil {
		return err
	}
	backfill := r.sync.Backfilling()
	var created time.Time
	if backfill && r.sync.BackfillSince != nil {
		created = *r.sync.BackfillSince
	}
	start := r.sync.DealsFrom()
	resumed := backfill && r.sync.BackfillRead > 0 && start.AfterID == 0
	err := r.pages(ctx, start,
		func(ctx context.Context, from hubspot.Cursor) (hubspot.Page, error) {
			page, err := r.portal.Client().ChangedDeals(ctx, from, created)
			if err == nil && backfill && r.sync.BackfillTotal == nil {
				r.sync.BackfillTotal = &page.Total
			}
			return page, err
		},
		func(ctx context.Context, found []hubspot.Found, next hubspot.Cursor) error {
			if err := r.refresh(ctx, idsOf(found), backfill); err != nil {
				return err
			}
			if backfill {
				r.sync.BackfillRead += len(found)
				// The last deal that the run before has read is read once more.
				if resumed && slices.ContainsFunc(found, func(o hubspot.Found) bool { return o.ModifiedAt.Equal(start.At) }) {
					r.sync.BackfillRead--
				}
				resumed = false
				total := max(r.sync.BackfillRead, *r.sync.BackfillTotal)
				r.sync.BackfillTotal = &total
			}
			r.sync.DealsAt, r.sync.DealsAfter = &next.At, next.AfterID
			return r.save(ctx)
		})
	if err != nil {
		return err
	}
	if backfill {
		now := r.now().UTC()
		r.sync.BackfillState, r.sync.BackfillFinishedAt = crmsync.Completed, &now
		r.sync.BackfillTotal = &r.sync.BackfillRead
	}
	// What has changed since then may not be in the search yet: the next run begins there.
	at := r.complete()
	r.sync.DealsAt, r.sync.DealsAfter, r.sync.Phase = &at, 0, crmsync.Contacts
	return r.save(ctx)
}

// complete is the time until which this run has seen every change.
func (r *run) complete() time.Time { return r.sync.RunStartedAt.Add(-margin) }

// readContacts reads the contacts that changed, for a deal's credit follows from
// what its contacts are known by, and reads the deals of those that are recorded.
func (r *run) readContacts(ctx context.Context) error {
	err := r.pages(ctx, r.sync.ContactsFrom(), r.portal.Client().ChangedContacts,
		func(ctx context.Context, found []hubspot.Found, next hubspot.Cursor) error {
			var deals []int64
			err := r.in(ctx, func(tx pgx.Tx) (err error) {
				deals, err = ledger.NewStore(tx, r.sync.PortalID).DealsOfContacts(ctx, idsOf(found))
				return err
			})
			if err != nil {
				return err
			}
			if err := r.refresh(ctx, deals, false); err != nil {
				return err
			}
			r.sync.ContactsAt, r.sync.ContactsAfter = &next.At, next.AfterID
			return r.save(ctx)
		})
	if err != nil {
		return err
	}
	at := r.complete()
	r.sync.ContactsAt, r.sync.ContactsAfter, r.sync.Phase = &at, 0, crmsync.Compare
	return r.save(ctx)
}

// pages reads a list from a position to its end. A record that stands at the border
// of two pages is passed on once.
func (r *run) pages(
	ctx context.Context, from hubspot.Cursor,
	read func(context.Context, hubspot.Cursor) (hubspot.Page, error),
	handle func(context.Context, []hubspot.Found, hubspot.Cursor) error,
) error {
	border := map[int64]bool{}
	for {
		if err := r.timeLeft(ctx); err != nil {
			return err
		}
		page, err := read(ctx, from)
		if err != nil {
			return err
		}
		found := slices.DeleteFunc(slices.Clone(page.Found), func(o hubspot.Found) bool { return border[o.ID] && o.ModifiedAt.Equal(from.At) })
		if err := handle(ctx, found, page.Next); err != nil {
			return err
		}
		if page.Last {
			return nil
		}
		if !page.Next.At.Equal(from.At) {
			border = map[int64]bool{}
		}
		for _, o := range page.Found {
			if o.ModifiedAt.Equal(page.Next.At) {
				border[o.ID] = true
			}
		}
		from = page.Next
	}
}

// maxRetried is how many refused deals a run asks for again.
const maxRetried = 200

// retryRefused reads the deals again that HubSpot refused to earlier runs.
func (r *run) retryRefused(ctx context.Context) error {
	var ids []int64
	err := r.in(ctx, func(tx pgx.Tx) (err error) {
		ids, err = crmsync.NewStore(tx).RefusedBefore(ctx, r.sync.PortalID, time.Now().Add(-retryAfter), maxRetried)
		return err
	})
	if err != nil {
		return err
	}
	return r.refresh(ctx, ids, true)
}

// retryAfter is how long a refused deal is left alone: a run may be in several parts.
const retryAfter = 30 * time.Minute

// refresh records what HubSpot says of deals, and counts what was recorded
// otherwise. What a backfill brings, or HubSpot has refused before, was not lost, and is
// no repair. A deal that HubSpot refuses is recorded as refused; the others go on.
func (r *run) refresh(ctx context.Context, ids []int64, first bool) error {
	if len(ids) == 0 {
		return nil
	}
	differences, err := r.portal.Refresh(ctx, ids)
	r.seen += len(ids)
	r.sync.RunSeen += len(ids)
	if !first {
		telemetry.DealsCompared.Add(ctx, float64(len(ids)-len(differences.Repaired)), "same")
		telemetry.DealsCompared.Add(ctx, float64(len(differences.Repaired)), "repaired")
		r.repaired += len(differences.Repaired)
		r.sync.RunRepaired += len(differences.Repaired)
		r.sync.RunGone += len(differences.Gone)
		r.ids = append(r.ids, differences.Repaired[:min(len(differences.Repaired), maxLogged-len(r.ids))]...)
	}
	if err != nil {
		return err
	}
	return r.refuse(ctx, ids, differences.Refused)
}

// refuse records which of the deals that were asked for HubSpot refuses, and logs each once.
func (r *run) refuse(ctx context.Context, asked []int64, refused map[int64]string) error {
	var fresh []int64
	err := r.in(ctx, func(tx pgx.Tx) (err error) {
		fresh, err = crmsync.NewStore(tx).SaveRefusals(ctx, r.sync.PortalID, asked, refused)
		return err
	})
	if err != nil {
		return err
	}
	for id := range refused {
		r.refused[id] = true
	}
	for _, id := range fresh {
		slog.WarnContext(ctx, "reconcile: HubSpot refuses a deal; later runs ask for it again",
			"tenant", r.sync.TenantID, "portal", r.sync.PortalID, "deal", id, "reason", refused[id])
	}
	return nil
}

// idsOf returns the records' ids and those of the records merged into them.
func idsOf(found []hubspot.Found) []int64 {
	ids := map[int64]bool{}
	for _, o := range found {
		ids[o.ID] = true
		for _, id := range o.MergedIDs {
			ids[id] = true
		}
	}
	return slices.Sorted(maps.Keys(ids))
}
