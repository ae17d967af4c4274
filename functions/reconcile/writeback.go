package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/crmsync"
	"github.com/geminivideo/geminivideo/shared/dealsync"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/hubspot"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/writeback"
)

// writeBatch is how many deals' properties are sent in one call.
const writeBatch = 100

// writeBack sends the deals' attribution to the portals of tenants that have
// switched it on, and returns how many deals were written. What goes wrong with a
// portal is recorded with it.
func (f *function) writeBack(ctx context.Context, end time.Time) (int, error) {
	var portals map[int64]string
	err := pg.Across(ctx, f.worker, func(tx pgx.Tx) (err error) {
		portals, err = writeback.Portals(ctx, tx)
		return err
	})
	if err != nil {
		return 0, err
	}
	written := 0
	for _, id := range slices.Sorted(maps.Keys(portals)) {
		n, err := f.writePortal(ctx, portals[id], id, end)
		written += n
		reason := ""
		if err != nil {
			_, reason = failed(err)
		}
		cause, changed := err, false
		err = pg.InTenant(ctx, f.db, portals[id], func(tx pgx.Tx) (err error) {
			changed, err = crmsync.NewStore(tx).WroteBack(ctx, id, reason)
			return err
		})
		if err != nil {
			return written, err
		}
		if cause != nil && changed { // once for each reason, not in every run
			slog.WarnContext(ctx, "attribution could not be written back to a portal", "tenant", portals[id], "portal", id, "error", cause.Error())
		}
	}
	return written, nil
}

// writePortal sends batch after batch until the portal has what the ledger says. A
// batch is recorded after HubSpot has taken it: a run that dies between the two
// sends it again, which changes nothing.
func (f *function) writePortal(ctx context.Context, tenant string, id int64, end time.Time) (written int, err error) {
	portal, err := f.processor.Portal(ctx, tenant, id)
	if err != nil {
		return 0, err
	}
	if err := f.properties(ctx, tenant, id, portal); err != nil {
		return 0, err
	}
	for time.Now().Before(end) {
		var due []writeback.Update
		err := pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) (err error) {
			due, err = writeback.NewStore(tx).Due(ctx, id, writeBatch)
			return err
		})
		if err != nil {
			return written, err
		}
		if len(due) == 0 {
			break
		}
		now := f.now()
		values := make(map[int64]map[string]string, len(due))
		for _, u := range due {
			values[u.DealID] = u.Values(now)
		}
		refused := map[int64]string{}
		if err := portal.Client().UpdateDeals(ctx, values); err != nil {
			var part *hubspot.Partial
			if !errors.As(err, &part) {
				return written, err
			}
			refused = part.Refused
		}
		taken := slices.DeleteFunc(due, func(u writeback.Update) bool { return refused[u.DealID] != "" })
		err = pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) error {
			store := writeback.NewStore(tx)
			if err := store.Sent(ctx, id, taken, now); err != nil {
				return err
			}
			return store.Refused(ctx, id, refused)
		})
		if err != nil {
			return written, err
		}
		written += len(taken)
	}
	return written, f.refusedDeals(ctx, tenant, id)
}

// refusedDeals is an error that says which deals' properties the portal does not take,
// nil where it takes all.
func (f *function) refusedDeals(ctx context.Context, tenant string, id int64) error {
	return pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) error {
		n, first, reason, err := writeback.NewStore(tx).RefusedNow(ctx, id)
		if err != nil || n == 0 {
			return err
		}
		return fault.Conflictf("HubSpot refuses the properties of %d deals, the first of them is deal %d: %s", n, first, reason)
	})
}

// properties adds our properties to the portal, once.
func (f *function) properties(ctx context.Context, tenant string, id int64, portal *dealsync.Portal) error {
	var ready bool
	err := pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) (err error) {
		ready, err = writeback.NewStore(tx).Ready(ctx, id)
		return err
	})
	if err != nil || ready {
		return err
	}
	all := make([]hubspot.Property, len(writeback.Properties))
	for i, p := range writeback.Properties {
		all[i] = hubspot.Property{Name: p.Name, Label: p.Label, Type: p.Type, FieldType: p.FieldType}
	}
	return portal.Client().EnsureDealProperties(ctx, writeback.Group, all)
}
