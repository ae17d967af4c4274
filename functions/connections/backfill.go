package connections

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/crmsync"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/hubspotconn"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// Backfill is the reading of a portal's earlier deals.
type Backfill struct {
	Status     string     `json:"status" enum:"waiting,running,completed,cancelled"`
	Days       int        `json:"days" doc:"How many days back deals are read."`
	Read       int        `json:"read" doc:"Deals read so far."`
	Total      *int       `json:"total" nullable:"true" doc:"Deals to be read; null until HubSpot has said how many there are."`
	StartedAt  *time.Time `json:"started_at,omitempty"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
}

// Reconcile is the comparison of the ledger with a portal.
type Reconcile struct {
	Status         string     `json:"status" enum:"due,running,waiting"`
	LastStartedAt  *time.Time `json:"last_started_at,omitempty" doc:"Of the last completed run."`
	LastFinishedAt *time.Time `json:"last_finished_at,omitempty"`
	NextAt         time.Time  `json:"next_at"`
	Seen           int        `json:"seen" doc:"Deals that the last completed run read."`
	Repaired       int        `json:"repaired" doc:"Those of them that had changed without an event reaching us."`
	Gone           int        `json:"gone" doc:"Those of the repaired ones that HubSpot no longer has."`
	Erased         int        `json:"erased" doc:"Contacts that HubSpot had erased without an event reaching us; they are erased here too."`
	RepairedTotal  int64      `json:"repaired_total" doc:"Repaired deals of all runs."`
	Refused        int        `json:"refused" doc:"Deals that HubSpot does not let us read; each later run asks for them again."`
	RefusedDeals   []Refused  `json:"refused_deals,omitempty" doc:"The first 50 of them, the oldest refusal first."`
	LagSeconds     *int64     `json:"lag_seconds" nullable:"true" doc:"How old the last completed comparison is; null before the first."`
	LastError      string     `json:"last_error,omitempty" doc:"Why the portal could not be read last; absent while it can."`
	LastErrorAt    *time.Time `json:"last_error_at,omitempty"`
}

// Refused is a deal that HubSpot does not let us read.
type Refused struct {
	DealID   int64     `json:"deal_id"`
	Reason   string    `json:"reason"`
	Attempts int       `json:"attempts"`
	Since    time.Time `json:"since"`
}

// maxRefused is how many refused deals of a portal are shown.
const maxRefused = 50

// reading is what is known of the reading of the tenant's portals, by portal.
type reading struct {
	syncs  map[int64]crmsync.Sync
	counts map[int64]int
	deals  map[int64][]crmsync.Refusal
}

func readingOf(ctx context.Context, store crmsync.Store) (r reading, err error) {
	if r.syncs, err = store.List(ctx); err != nil {
		return r, err
	}
	r.counts, r.deals, err = store.Refusals(ctx, maxRefused)
	return r, err
}

// with adds what is known of the portal's reading.
func (c HubSpotConnection) with(known reading) HubSpotConnection {
	s, ok := known.syncs[c.PortalID]
	if !ok {
		return c
	}
	c.Backfill = &Backfill{
		Status: s.BackfillState, Days: s.BackfillDays, Read: s.BackfillRead, Total: s.BackfillTotal,
		StartedAt: inUTC(s.BackfillStartedAt), FinishedAt: inUTC(s.BackfillFinishedAt),
	}
	c.WriteBackError = deref(s.WriteBackError)
	c.Reconcile = &Reconcile{
		Status: "waiting", LastStartedAt: inUTC(s.LastStartedAt), LastFinishedAt: inUTC(s.LastFinishedAt), NextAt: s.DueAt.UTC(),
		Seen: s.LastSeen, Repaired: s.LastRepaired, Gone: s.LastGone, Erased: s.LastErased, RepairedTotal: s.RepairedTotal,
		Refused:   known.counts[c.PortalID],
		LastError: deref(s.LastError), LastErrorAt: inUTC(s.LastErrorAt),
	}
	for _, d := range known.deals[c.PortalID] {
		c.Reconcile.RefusedDeals = append(c.Reconcile.RefusedDeals, Refused{d.DealID, d.Reason, d.Attempts, d.Since.UTC()})
	}
	switch {
	case s.ClaimedUntil != nil && s.ClaimedUntil.After(s.Now):
		c.Reconcile.Status = "running"
	case !s.DueAt.After(s.Now):
		c.Reconcile.Status = "due"
	}
	if s.LastStartedAt != nil {
		lag := int64(s.Lag().Seconds())
		c.Reconcile.LagSeconds = &lag
	}
	return c
}

type reconcileInput struct {
	Body *struct {
		PortalID int64 `json:"portal_id,omitempty" minimum:"1" maximum:"9007199254740991" doc:"Needed where several portals are connected."`
	}
}

type reconcileOutput struct{ Body HubSpotConnection }

func (f *function) reconcile(ctx context.Context, in *reconcileInput) (*reconcileOutput, error) {
	var wanted int64
	if in.Body != nil {
		wanted = in.Body.PortalID
	}
	return f.onPortal(ctx, wanted, func(ctx context.Context, store crmsync.Store, portal int64) error {
		_, err := store.Request(ctx, portal, auth.From(ctx).Who())
		return err
	})
}

type backfillInput struct {
	Body struct {
		PortalID     int64 `json:"portal_id,omitempty" minimum:"1" maximum:"9007199254740991" doc:"Needed where several portals are connected."`
		BackfillDays int   `json:"backfill_days,omitempty" minimum:"1" maximum:"3650" doc:"How many days back; 540 where it is not given."`
		Cancel       bool  `json:"cancel,omitempty" doc:"Ends the backfill that is under way; what it has read stays."`
	}
}

func (f *function) backfill(ctx context.Context, in *backfillInput) (*reconcileOutput, error) {
	if in.Body.Cancel && in.Body.BackfillDays != 0 {
		return nil, fault.Field("body.cancel", "must not come with backfill_days")
	}
	return f.onPortal(ctx, in.Body.PortalID, func(ctx context.Context, store crmsync.Store, portal int64) error {
		if !in.Body.Cancel {
			days := in.Body.BackfillDays
			if days == 0 {
				days = crmsync.BackfillDays
			}
			return store.StartBackfill(ctx, portal, days, true)
		}
		cancelled, err := store.CancelBackfill(ctx, portal)
		if err == nil && !cancelled {
			return fault.Conflictf("no backfill of portal %d is waiting or running", portal)
		}
		return err
	})
}

// onPortal changes the state of the tenant's connected portal, the only one where
// wanted is 0, and returns its connection.
func (f *function) onPortal(ctx context.Context, wanted int64, change func(context.Context, crmsync.Store, int64) error) (*reconcileOutput, error) {
	id := auth.From(ctx)
	answer, err := idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (HubSpotConnection, error) {
		row, err := connectedPortal(ctx, tx, wanted, "body.portal_id")
		if err != nil {
			return HubSpotConnection{}, err
		}
		store := crmsync.NewStore(tx)
		if err := store.Connected(ctx, row.PortalID, 0); err != nil { // where it has no state yet
			return HubSpotConnection{}, err
		}
		if err := change(ctx, store, row.PortalID); err != nil {
			return HubSpotConnection{}, err
		}
		known, err := readingOf(ctx, store)
		return portalShown(row).with(known), err
	})
	if err != nil {
		return nil, err
	}
	serve.Note(ctx, "portal", answer.PortalID, "by", id.Subject)
	return &reconcileOutput{answer}, nil
}

// connectedPortal returns the tenant's connected portal, the only one where wanted is 0.
func connectedPortal(ctx context.Context, tx pgx.Tx, wanted int64, field string) (hubspotconn.Portal, error) {
	rows, err := hubspotconn.Portals(ctx, tx)
	if err != nil {
		return hubspotconn.Portal{}, err
	}
	rows = slices.DeleteFunc(rows, func(r hubspotconn.Portal) bool { return r.DisconnectedAt != nil || wanted != 0 && r.PortalID != wanted })
	switch len(rows) {
	case 0:
		return hubspotconn.Portal{}, fault.NotFoundf("no such HubSpot portal is connected: connect it with PUT /api/connections/hubspot")
	case 1:
		return rows[0], nil
	}
	return hubspotconn.Portal{}, fault.Field(field, "is required: several portals are connected")
}
