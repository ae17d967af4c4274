package dealsync

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/hubspot"
	"github.com/geminivideo/geminivideo/shared/hubspotconn"
	"github.com/geminivideo/geminivideo/shared/ledger"
	"github.com/geminivideo/geminivideo/shared/outbox"
)

// Portal is a connected portal whose deals are read in batches, without events.
type Portal struct{ work *work }

// Portal opens a connected portal.
func (p *Processor) Portal(ctx context.Context, tenant string, id int64) (*Portal, error) {
	c, err := p.connection(ctx, id)
	if err != nil {
		return nil, err
	}
	if c.TenantID != tenant {
		return nil, fault.Conflictf("portal %d belongs to another tenant", id)
	}
	w := &work{Processor: p, connection: c, event: hubspot.Event{PortalID: id}}
	if _, err := w.crm(); err != nil {
		return nil, err
	}
	return &Portal{w}, nil
}

// Client returns the portal's client.
func (p *Portal) Client() *hubspot.Client { return p.work.client }

// Connection returns the portal's connection.
func (p *Portal) Connection() hubspotconn.Connection { return p.work.connection }

// NoteOutcome records with the connection whether HubSpot accepts it, by the error
// that reading the portal ended with.
func (p *Portal) NoteOutcome(ctx context.Context, err error) { p.work.watch(ctx, err) }

// Differences are the deals whose recorded state was not the CRM's.
type Differences struct {
	Repaired []int64          // all of them, ascending
	Gone     []int64          // those that the CRM no longer has
	Refused  map[int64]string // those that the CRM does not let us read, and why
}

// refreshGroup is how many deals are recorded in one transaction.
const refreshGroup = 25

// Refresh reads deals from the CRM, records what it says as an event would, and
// returns which of them were recorded otherwise before. A deal that the CRM refuses
// stays as it is recorded. It locks nothing while it reads; repeating it changes nothing.
func (p *Portal) Refresh(ctx context.Context, ids []int64) (Differences, error) {
	all := Differences{Refused: map[int64]string{}}
	for group := range slices.Chunk(slices.Compact(slices.Sorted(slices.Values(ids))), refreshGroup) {
		w := *p.work
		w.batch = group
		err := w.refresh(ctx)
		if w.needsFlush && err == nil {
			outbox.Flush(ctx, w.db, w.connection.TenantID, w.queue)
		}
		if err != nil {
			return all, err
		}
		all.Repaired = append(all.Repaired, w.found.Repaired...)
		all.Gone = append(all.Gone, w.found.Gone...)
		maps.Copy(all.Refused, w.found.Refused)
	}
	return all, nil
}

// Erase erases contacts that the CRM has erased, as its event does. Repeating it
// changes nothing.
func (p *Portal) Erase(ctx context.Context, contacts ...int64) error {
	for _, contact := range contacts {
		w := *p.work
		err := w.in(ctx, func(tx pgx.Tx) error {
			w.needsFlush = false
			deals, err := w.eraseContacts(ctx, tx, contact)
			if err != nil {
				return err
			}
			w.needsFlush, err = creditAll(ctx, tx, w.event.PortalID, deals)
			return err
		})
		if err != nil {
			return fmt.Errorf("erase contact %d of portal %d: %w", contact, w.event.PortalID, err)
		}
		if w.needsFlush {
			outbox.Flush(ctx, w.db, w.connection.TenantID, w.queue)
		}
	}
	return nil
}

// compare notes which of the deals are recorded otherwise than before.
func (w *work) compare(ctx context.Context, tx pgx.Tx, r reading, before map[int64]string) error {
	after, err := ledger.NewStore(tx, w.event.PortalID).Digests(ctx, r.ids)
	if err != nil {
		return err
	}
	for _, id := range r.ids {
		if before[id] == after[id] {
			continue
		}
		w.found.Repaired = append(w.found.Repaired, id)
		if _, live := r.deals[id]; !live {
			w.found.Gone = append(w.found.Gone, id)
		}
	}
	return nil
}

// fetch reads the deals one by one for an event, which is about one or two, and in
// batches otherwise. A deal that the CRM does not have is missing.
func (w *work) fetch(ctx context.Context, client *hubspot.Client, ids []int64) (map[int64]hubspot.Deal, error) {
	if w.batch != nil {
		found, err := client.Deals(ctx, ids...)
		return found, w.refused(err)
	}
	deals := make(map[int64]hubspot.Deal, len(ids))
	for _, id := range ids {
		deal, err := client.Deal(ctx, id)
		switch {
		case fault.Of(err) == fault.NotFound:
		case err != nil:
			return nil, err
		default:
			deals[id] = deal
		}
	}
	return deals, nil
}

// refused takes deals that the CRM refuses in a batch out of err.
func (w *work) refused(err error) error {
	var part *hubspot.Partial
	if !errors.As(err, &part) {
		return err
	}
	maps.Copy(w.found.Refused, part.Refused)
	return nil
}
