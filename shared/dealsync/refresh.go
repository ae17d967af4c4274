package dealsync

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/hubspot"
	"github.com/geminivideo/geminivideo/shared/inbox"
	"github.com/geminivideo/geminivideo/shared/ledger"
	"github.com/geminivideo/geminivideo/shared/money"
)

// reading is what the CRM said of the deals that an event is about.
type reading struct {
	before   ledger.Versions
	ids      []int64                // every deal concerned, ascending
	deals    map[int64]hubspot.Deal // the live ones, by their own id
	gone     map[int64]*int64       // the others: nil, or the deal they were merged into
	deleted  map[int64]bool         // those of gone that are in the CRM's recycle bin
	contacts map[int64]hubspot.Contact
	// bin holds the event's contacts that are in the recycle bin.
	bin map[int64]hubspot.Contact
	// parted holds, by deal, its recorded contacts that somebody took from it and
	// that live on; one that was deleted, erased or merged away is not among them.
	parted map[int64][]int64
}

func (w *work) refreshOnce(ctx context.Context) error {
	ids, err := w.concerned(ctx)
	if err != nil {
		return err
	}
	w.found = Differences{Refused: map[int64]string{}}
	r, err := w.read(ctx, ids)
	if err != nil || len(r.ids) == 0 && w.batch != nil {
		return err
	}
	return w.in(ctx, func(tx pgx.Tx) error { return w.record(ctx, tx, r) })
}

// concerned returns the deals that the event may have changed: those that it
// names, and those of a contact that it names.
func (w *work) concerned(ctx context.Context) ([]int64, error) {
	if w.batch != nil {
		return w.batch, nil
	}
	ids := w.event.Deals()
	for _, contact := range w.event.Contacts() {
		client, err := w.crm()
		if err != nil {
			return nil, err
		}
		theirs, err := client.DealsOfContact(ctx, contact)
		if err != nil && fault.Of(err) != fault.NotFound {
			return nil, err
		}
		ids = append(ids, theirs...)
		err = w.in(ctx, func(tx pgx.Tx) error {
			recorded, err := ledger.NewStore(tx, w.event.PortalID).DealsOfContact(ctx, contact)
			ids = append(ids, recorded...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// read notes what is recorded, then asks the CRM, in this order. A merge may
// bring in further deals: then it begins anew with those as well.
func (w *work) read(ctx context.Context, ids []int64) (reading, error) {
	client, err := w.crm()
	if err != nil {
		return reading{}, err
	}
	for {
		r := reading{ids: ids, deals: map[int64]hubspot.Deal{}, gone: map[int64]*int64{}, deleted: map[int64]bool{}, parted: map[int64][]int64{}}
		noted, err := w.note(ctx, ids)
		if err != nil {
			return r, err
		}
		r.before = noted.versions
		found, err := w.fetch(ctx, client, ids)
		if err != nil {
			return r, fmt.Errorf("read deals %v of portal %d: %w", ids, w.event.PortalID, err)
		}
		ids = slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return w.found.Refused[id] != "" })
		r.ids = ids
		all := slices.Clone(ids)
		for _, id := range ids {
			deal, exists := found[id]
			if !exists {
				r.gone[id] = nil
				if _, recorded := r.before[id]; !recorded {
					if r.deleted[id], err = client.Deleted(ctx, id); err != nil {
						return r, fmt.Errorf("look for deal %d in the recycle bin of portal %d: %w", id, w.event.PortalID, err)
					}
				}
				continue
			}
			r.deals[deal.ID] = deal
			for _, merged := range append(slices.Clone(deal.MergedIDs), id) {
				if merged != deal.ID {
					r.gone[merged] = &deal.ID
				}
			}
			all = append(append(all, deal.ID), deal.MergedIDs...)
		}
		slices.Sort(all)
		all = slices.DeleteFunc(slices.Compact(all), func(id int64) bool { return w.found.Refused[id] != "" })
		if len(all) > len(ids) {
			ids = all
			continue
		}
		return r, w.readContacts(ctx, client, &r, noted.contacts)
	}
}

// record writes what was read, if nobody has written since.
func (w *work) record(ctx context.Context, tx pgx.Tx, r reading) error {
	store := ledger.NewStore(tx, w.event.PortalID)
	firstTime := true
	locked, err := store.Lock(ctx, r.ids, func(batch *pgx.Batch) {
		if w.batch == nil {
			inbox.QueueFirst(ctx, batch, consumer, w.key, w.subject, &firstTime)
		}
	})
	if err != nil || !firstTime {
		return err
	}
	for _, id := range r.ids {
		if locked[id].Version != r.before[id] {
			return errStale
		}
	}
	var digests map[int64]string
	if w.batch != nil {
		if digests, err = store.Digests(ctx, r.ids); err != nil {
			return err
		}
	}
	credited, err := w.recordLive(ctx, tx, r)
	if err != nil {
		return err
	}
	affected := map[string]bool{}
	for _, id := range r.ids {
		// An event whose change another one brought before leaves the ads as they are.
		if _, live := r.deals[id]; live && !credited[id].changes(locked[id]) {
			continue
		}
		for _, ad := range slices.Concat(locked[id].AdIDs, credited[id].ads) {
			affected[ad] = true
		}
	}
	for _, id := range r.ids {
		if _, live := r.deals[id]; live {
			continue
		}
		_, recorded := locked[id]
		if into := r.gone[id]; recorded || into != nil || r.deleted[id] || w.event.Type == "deal.deletion" || w.event.Type == hubspot.DealMerge {
			if err := store.MarkGone(ctx, id, into); err != nil {
				return err
			}
			continue
		}
		if slices.Contains(w.event.Deals(), id) {
			return fault.NotFoundf("deal %d does not exist in portal %d", id, w.event.PortalID)
		}
	}
	if err := w.recordHashes(ctx, store, r); err != nil {
		return err
	}
	totals, err := ads.RecomputeCredited(ctx, tx, slices.Sorted(maps.Keys(affected)))
	w.needsFlush = slices.ContainsFunc(totals, ads.Totals.NewWinner)
	if err == nil && w.batch != nil {
		err = w.compare(ctx, tx, r, digests)
	}
	return err
}

// recordHashes records what the event's contacts, and those that others were
// merged into, are known by: for an erasure that finds nothing else of them.
func (w *work) recordHashes(ctx context.Context, store ledger.Store, r reading) error {
	concerned := map[int64]hubspot.Contact{}
	for _, id := range w.event.Contacts() {
		if c, exists := r.contacts[id]; exists {
			concerned[c.ID] = c
		} else if c, exists := r.bin[id]; exists {
			concerned[c.ID] = c
		}
	}
	for _, c := range r.contacts {
		if len(c.MergedIDs) > 0 {
			concerned[c.ID] = c
		}
	}
	for _, id := range slices.Sorted(maps.Keys(concerned)) {
		if err := store.SaveHashes(ctx, recognisable(concerned[id]), concerned[id].MergedIDs); err != nil {
			return err
		}
	}
	return nil
}

// recordLive records the deals that the CRM has and returns what they are credited to, by
// deal. Each step is taken for all of them at once.
func (w *work) recordLive(ctx context.Context, tx pgx.Tx, r reading) (map[int64]credited, error) {
	live := slices.DeleteFunc(slices.Clone(r.ids), func(id int64) bool { _, is := r.deals[id]; return !is })
	if len(live) == 0 {
		return nil, nil
	}
	store := ledger.NewStore(tx, w.event.PortalID)
	moves := make([]ledger.Moves, len(live))
	for i, id := range live {
		moves[i] = ledger.Moves{Deal: id, Stages: w.moves(r.deals[id]), Current: r.deals[id].Stage}
	}
	latest, err := store.AddStages(ctx, moves, time.Now())
	if err != nil {
		return nil, err
	}
	rows, appraiser := make([]ledger.Deal, len(live)), newAppraiser(tx, store)
	for i, id := range live {
		deal := r.deals[id]
		rows[i] = ledger.Deal{ID: id, PipelineID: deal.Pipeline, Stage: latest[id], CreatedAt: deal.CreatedAt}
		rows[i].Amount, rows[i].AmountIssue = amount(deal, money.Currency(w.connection.Currency))
		if err := appraiser.appraise(ctx, &rows[i]); err != nil {
			return nil, err
		}
	}
	if err := store.Save(ctx, rows...); err != nil {
		return nil, err
	}
	contacts := make(map[int64][]ledger.Contact, len(live))
	for _, id := range live {
		if parted := r.parted[id]; len(parted) > 0 {
			if err := store.DropTouches(ctx, id, parted); err != nil {
				return nil, err
			}
		}
		contacts[id] = known(r.deals[id], r.contacts)
	}
	saved := contacts
	if w.connection.LeadKey != nil {
		if saved, err = withLeads(ctx, tx, w.event.PortalID, r, contacts); err != nil {
			return nil, err
		}
	}
	recorded, err := store.SaveContacts(ctx, saved)
	if err != nil {
		return nil, err
	}
	deals := make([]creditable, len(live))
	for i, id := range live {
		deals[i] = creditable{id, r.deals[id].CreatedAt.Truncate(time.Microsecond), withPeople(recorded[id], contacts[id])}
	}
	return credit(ctx, tx, w.event.PortalID, deals)
}
