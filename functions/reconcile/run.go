package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/crmsync"
	"github.com/geminivideo/geminivideo/shared/dealsync"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/hubspot"
	"github.com/geminivideo/geminivideo/shared/ledger"
	"github.com/geminivideo/geminivideo/shared/live"
	"github.com/geminivideo/geminivideo/shared/notice"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
)

const (
	// margin is how far before its own beginning a run's results are taken as
	// complete: HubSpot's search sees changes late, and clocks differ.
	margin = 15 * time.Minute
	// comparePage is how many deals' existence is asked for in one call;
	// comparePages bounds the calls of one run, the next one goes on after them.
	comparePage, comparePages = 100, 250
	// maxLogged is how many repaired deals a log line and a notice name.
	maxLogged = 50
)

// run is the work of one run on one portal.
type run struct {
	*function
	sync   crmsync.Sync
	portal *dealsync.Portal
	end    time.Time

	backfills      bool // the run brings the portal's first deals
	seen, repaired int
	ids            []int64 // repaired deals, at most maxLogged
}

// do takes up the portal's position and works until everything is read.
func (r *run) do(ctx context.Context) error {
	var err error
	if r.portal, err = r.processor.Portal(ctx, r.sync.TenantID, r.sync.PortalID); err != nil {
		return err
	}
	r.begin()
	for _, phase := range []struct {
		name string
		read func(context.Context) error
	}{
		{crmsync.Deals, r.readDeals},
		{crmsync.Contacts, r.readContacts},
		{crmsync.Compare, r.compareIDs},
	} {
		if r.sync.Phase != phase.name {
			continue
		}
		if err := phase.read(ctx); err != nil {
			return err
		}
	}
	return r.finish(ctx)
}

// begin sets the positions of a run that does not go on with an earlier one.
func (r *run) begin() {
	now := r.now().UTC()
	s := &r.sync
	if s.RunStartedAt == nil {
		s.RunStartedAt, s.Phase, s.RunSeen, s.RunRepaired, s.RunGone = &now, crmsync.Deals, 0, 0, 0
	}
	if s.BackfillState == crmsync.Waiting {
		since := now.AddDate(0, 0, -s.BackfillDays)
		s.BackfillState, s.BackfillSince, s.BackfillStartedAt = crmsync.Running, &since, &now
		s.DealsAt, s.DealsAfter = &since, 0
	}
	r.backfills = s.Backfilling()
	if s.ContactsAt == nil {
		at := now.Add(-margin)
		s.ContactsAt = &at
	}
}

// readDeals reads the deals that changed, page by page, and records each.
func (r *run) readDeals(ctx context.Context) error {
	backfill := r.sync.Backfilling()
	var created time.Time
	if backfill && r.sync.BackfillSince != nil {
		created = *r.sync.BackfillSince
	}
	err := r.pages(ctx, r.sync.DealsFrom(),
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
			return r.save(ctx)
		}
		existing, err := r.portal.Client().Existing(ctx, ids...)
		if err != nil {
			return err
		}
		gone := slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return existing[id] == id })
		if err := r.refresh(ctx, gone, false); err != nil {
			return err
		}
		r.sync.CompareAfter = ids[len(ids)-1]
		if err := r.save(ctx); err != nil {
			return err
		}
	}
	return nil
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

// refresh records what HubSpot says of deals, and counts what was recorded
// otherwise. What a backfill brings was not lost, and is no repair.
func (r *run) refresh(ctx context.Context, ids []int64, backfill bool) error {
	if len(ids) == 0 {
		return nil
	}
	differences, err := r.portal.Refresh(ctx, ids)
	r.seen += len(ids)
	r.sync.RunSeen += len(ids)
	if !backfill {
		r.repaired += len(differences.Repaired)
		r.sync.RunRepaired += len(differences.Repaired)
		r.sync.RunGone += len(differences.Gone)
		r.ids = append(r.ids, differences.Repaired[:min(len(differences.Repaired), maxLogged-len(r.ids))]...)
	}
	return err
}

// finish records the run's results and says what had to be repaired.
func (r *run) finish(ctx context.Context) error {
	s := r.sync
	err := r.in(ctx, func(tx pgx.Tx) error {
		if err := crmsync.NewStore(tx).Finish(ctx, s); err != nil {
			return err
		}
		if s.RunRepaired == 0 {
			return nil
		}
		return notice.Put(ctx, tx, s.TenantID, notice.Notice{
			Kind: notice.CRMRepaired,
			Text: fmt.Sprintf("%d deals of HubSpot portal %d had changed without an event reaching us; they are recorded now. "+
				"Check the portal's webhook subscriptions if this repeats.", s.RunRepaired, s.PortalID),
			Data: map[string]any{"portal_id": s.PortalID, "repaired": s.RunRepaired, "gone": s.RunGone, "seen": s.RunSeen, "deal_ids": r.ids},
		})
	})
	if err != nil {
		return err
	}
	outbox.Flush(ctx, r.db, s.TenantID, r.queue)
	if s.RunRepaired > 0 {
		slog.WarnContext(ctx, "reconcile repaired deals that no event had reported",
			"tenant", s.TenantID, "portal", s.PortalID, "repaired", s.RunRepaired, "gone", s.RunGone, "seen", s.RunSeen, "deals", r.ids)
	}
	return nil
}

func (r *run) save(ctx context.Context) error {
	err := r.in(ctx, func(tx pgx.Tx) error { return crmsync.NewStore(tx).Save(ctx, r.sync, claimFor) })
	if err == nil && r.backfills {
		r.show()
	}
	return err
}

// show shows the portal's backfill in the live view.
func (r *run) show() {
	s := &r.sync
	data := map[string]any{"portal_id": s.PortalID, "days": s.BackfillDays, "read": s.BackfillRead}
	if s.BackfillTotal != nil {
		data["total"] = *s.BackfillTotal
	}
	if s.BackfillStartedAt != nil {
		data["started_at"] = *s.BackfillStartedAt
	}
	ended := s.BackfillState == crmsync.Completed
	r.view.Put(s.TenantID, live.Progress{Kind: live.Backfill, ID: strconv.FormatInt(s.PortalID, 10), Status: string(s.BackfillState), Ended: ended, Data: data})
	r.backfills = !ended
}

func (r *run) in(ctx context.Context, fn func(tx pgx.Tx) error) error {
	return pg.InTenant(ctx, r.db, r.sync.TenantID, fn)
}

func (r *run) timeLeft(ctx context.Context) error {
	if !time.Now().Before(r.end) {
		return errTimeUp
	}
	return ctx.Err()
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

// failed returns when a portal that could not be read is tried again, and why it
// could not, in words for its admin.
func failed(err error) (wait time.Duration, reason string) {
	var f *fault.Error
	if !errors.As(err, &f) {
		return 15 * time.Minute, "internal error"
	}
	if errors.Is(err, hubspot.ErrRefused) {
		return crmsync.Every, f.Message
	}
	return max(f.RetryAfter, time.Minute), f.Message
}
