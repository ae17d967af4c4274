package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/crmsync"
	"github.com/geminivideo/geminivideo/shared/dealsync"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/hubspot"
	"github.com/geminivideo/geminivideo/shared/live"
	"github.com/geminivideo/geminivideo/shared/notice"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
)

const (
	// margin is how far before its own beginning a run's results are taken as
	// complete: HubSpot's search sees changes late, and clocks differ.
	margin = 15 * time.Minute
	// again is how far back is read where a position lies ahead of the clock: the run
	// that wrote it had a clock that was ahead, and nobody knows since when.
	again = 25 * time.Hour
	// maxLogged is how many repaired deals a log line and a notice name.
	maxLogged = 50
)

// run is the work of one run on one portal.
type run struct {
	*function
	sync   crmsync.Sync
	portal *dealsync.Portal
	end    time.Time

	backfills                bool // the run brings the portal's first deals
	seen, repaired, erasures int
	refused                  map[int64]bool
	ids, erased              []int64 // repaired deals and erased contacts, at most maxLogged of each
}

// do takes up the portal's position and works until everything is read.
func (r *run) do(ctx context.Context) error {
	var err error
	if r.portal, err = r.processor.Portal(ctx, r.sync.TenantID, r.sync.PortalID); err != nil {
		return err
	}
	if r.begin() { // that it runs is shown before its first page is there
		if err := r.save(ctx); err != nil {
			return err
		}
	}
	for _, phase := range []struct {
		name string
		read func(context.Context) error
	}{
		{crmsync.Deals, r.readDeals},
		{crmsync.Contacts, r.readContacts},
		{crmsync.Compare, r.compareIDs},
		{crmsync.Erasures, r.findErased},
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

// begin sets the positions of a run that does not go on with an earlier one, and
// reports whether a backfill begins with it.
func (r *run) begin() (backfill bool) {
	now := r.now().UTC()
	s := &r.sync
	if s.RunStartedAt == nil {
		s.RunStartedAt, s.Phase, s.RunSeen, s.RunRepaired, s.RunGone, s.RunErased = &now, crmsync.Deals, 0, 0, 0, 0
	}
	if backfill = s.BackfillState == crmsync.Waiting; backfill {
		since := now.AddDate(0, 0, -s.BackfillDays)
		s.BackfillState, s.BackfillSince, s.BackfillStartedAt = crmsync.Running, &since, &now
		s.DealsAt, s.DealsAfter = &since, 0
	}
	r.backfills = s.Backfilling()
	for position, after := range map[**time.Time]*int64{&s.DealsAt: &s.DealsAfter, &s.ContactsAt: &s.ContactsAfter} {
		if *position != nil && (*position).After(now) {
			at := now.Add(-again)
			*position, *after = &at, 0
		}
	}
	if s.ContactsAt == nil {
		at := now.Add(-margin)
		s.ContactsAt = &at
	}
	return backfill
}

// finish records the run's results and says what had to be repaired.
func (r *run) finish(ctx context.Context) error {
	s := r.sync
	err := r.in(ctx, func(tx pgx.Tx) error {
		if err := crmsync.NewStore(tx).Finish(ctx, s); err != nil {
			return err
		}
		if s.RunRepaired+s.RunErased == 0 {
			return nil
		}
		text := fmt.Sprintf("%d deals of HubSpot portal %d had changed without an event reaching us; they are recorded now. ", s.RunRepaired, s.PortalID)
		if s.RunErased > 0 {
			text += fmt.Sprintf("%d contacts were erased there without an event reaching us; their data is erased here now. ", s.RunErased)
		}
		return notice.Put(ctx, tx, s.TenantID, notice.Notice{
			Kind: notice.CRMRepaired,
			Text: text + "Check the portal's webhook subscriptions if this repeats.",
			Data: map[string]any{
				"portal_id": s.PortalID, "repaired": s.RunRepaired, "gone": s.RunGone, "seen": s.RunSeen, "erased": s.RunErased, "deal_ids": r.ids,
			},
		})
	})
	if err != nil {
		return err
	}
	outbox.Flush(ctx, r.db, s.TenantID, r.queue)
	if s.RunRepaired+s.RunErased > 0 {
		slog.WarnContext(ctx, "reconcile repaired deals that no event had reported",
			"tenant", s.TenantID, "portal", s.PortalID, "repaired", s.RunRepaired, "gone", s.RunGone, "seen", s.RunSeen, "deals", r.ids,
			"erased", s.RunErased, "contacts", r.erased)
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
	r.view.Put(s.TenantID, live.Progress{
		Kind: live.Backfill, ID: strconv.FormatInt(s.PortalID, 10), Status: string(s.BackfillState),
		Ended: ended, Data: data,
	})
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
