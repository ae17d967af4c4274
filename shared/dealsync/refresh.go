package dealsync

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/hubspot"
	"github.com/geminivideo/geminivideo/shared/inbox"
	"github.com/geminivideo/geminivideo/shared/ledger"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/revenue"
)

// reading is what the CRM said of the deals that an event is about.
type reading struct {
	before   ledger.Versions
	ids      []int64                // every deal concerned, ascending
	deals    map[int64]hubspot.Deal // the live ones, by their own id
	gone     map[int64]*int64       // the others: nil, or the deal they were merged into
	contacts map[int64]hubspot.Contact
}

func (w *work) refreshOnce(ctx context.Context) error {
	ids, err := w.concerned(ctx)
	if err != nil {
		return err
	}
	r, err := w.read(ctx, ids)
	if err != nil {
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
		r := reading{ids: ids, deals: map[int64]hubspot.Deal{}, gone: map[int64]*int64{}}
		err := w.in(ctx, func(tx pgx.Tx) error {
			r.before, err = ledger.NewStore(tx, w.event.PortalID).Versions(ctx, ids)
			return err
		})
		if err != nil {
			return r, err
		}
		found, err := w.fetch(ctx, client, ids)
		if err != nil {
			return r, fmt.Errorf("read deals %v of portal %d: %w", ids, w.event.PortalID, err)
		}
		all := slices.Clone(ids)
		for _, id := range ids {
			deal, exists := found[id]
			if !exists {
				r.gone[id] = nil
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
		if all = slices.Compact(all); len(all) > len(ids) {
			ids = all
			continue
		}
		r.contacts, err = w.readContacts(ctx, client, r.deals)
		return r, err
	}
}

// maxContacts bounds how many contacts of a deal are looked at for a click.
const maxContacts = 20

func (w *work) readContacts(ctx context.Context, client *hubspot.Client, deals map[int64]hubspot.Deal) (map[int64]hubspot.Contact, error) {
	var ids []int64
	for id := range deals {
		ids = append(ids, first(deals[id].Contacts, maxContacts)...)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	slices.Sort(ids)
	contacts, err := client.Contacts(ctx, slices.Compact(ids)...)
	if err != nil {
		return nil, fmt.Errorf("read contacts of portal %d: %w", w.event.PortalID, err)
	}
	return contacts, nil
}

// record writes what was read, if nobody has written since.
func (w *work) record(ctx context.Context, tx pgx.Tx, r reading) error {
	store := ledger.NewStore(tx, w.event.PortalID)
	locked, err := store.Lock(ctx, r.ids)
	if err != nil {
		return err
	}
	if w.batch == nil {
		firstTime, err := inbox.First(ctx, tx, consumer, w.key, w.subject)
		if err != nil || !firstTime {
			return err
		}
	}
	affected := map[string]bool{}
	for _, id := range r.ids {
		if locked[id].Version != r.before[id] {
			return errStale
		}
		if was := locked[id].AdID; was != nil {
			affected[*was] = true
		}
	}
	var digests map[int64]string
	if w.batch != nil {
		if digests, err = store.Digests(ctx, r.ids); err != nil {
			return err
		}
	}
	for _, id := range r.ids {
		if deal, live := r.deals[id]; live {
			ad, err := w.recordLive(ctx, tx, deal, r.contacts)
			if err != nil {
				return err
			}
			if ad != "" {
				affected[ad] = true
			}
			continue
		}
		_, recorded := locked[id]
		if into := r.gone[id]; recorded || into != nil || w.event.Type == "deal.deletion" || w.event.Type == hubspot.DealMerge {
			if err := store.MarkGone(ctx, id, into); err != nil {
				return err
			}
			continue
		}
		if slices.Contains(w.event.Deals(), id) {
			return fault.NotFoundf("deal %d does not exist in portal %d", id, w.event.PortalID)
		}
	}
	settled, err := ads.Recompute(ctx, tx, slices.Sorted(maps.Keys(affected)))
	w.needsFlush = slices.ContainsFunc(settled, ads.Totals.NewWinner)
	if err == nil && w.batch != nil {
		err = w.compare(ctx, tx, r, digests)
	}
	return err
}

// recordLive records a deal that the CRM has and returns the ad that it is
// credited to, empty where there is none.
func (w *work) recordLive(ctx context.Context, tx pgx.Tx, deal hubspot.Deal, contacts map[int64]hubspot.Contact) (string, error) {
	store := ledger.NewStore(tx, w.event.PortalID)
	latest, err := store.AddStages(ctx, deal.ID, w.moves(deal), deal.Stage)
	if err != nil {
		return "", err
	}
	d := ledger.Deal{ID: deal.ID, PipelineID: deal.Pipeline, Stage: latest, CreatedAt: deal.CreatedAt}
	d.Amount, d.AmountIssue = amount(deal, money.Currency(w.connection.Currency))
	if err := appraise(ctx, tx, store, &d); err != nil {
		return "", err
	}
	if err := store.Save(ctx, d); err != nil {
		return "", err
	}
	recorded, err := store.SaveContacts(ctx, deal.ID, known(deal, contacts))
	if err != nil {
		return "", err
	}
	return credit(ctx, tx, w.event.PortalID, deal.ID, recorded)
}

// appraise sets which of the tenant's stages the deal stands in and what it is worth.
func appraise(ctx context.Context, tx pgx.Tx, store ledger.Store, d *ledger.Deal) (err error) {
	if d.StageName, err = store.StageName(ctx, d.PipelineID, d.Stage.ID); err != nil {
		return err
	}
	if d.StageName != nil {
		stage, err := revenue.NewStore(tx).Stage(ctx, *d.StageName)
		if err != nil {
			return err
		}
		d.Value, d.Confidence = revenue.Worth(stage, stage.Name == revenue.ClosedWon, d.Amount), stage.Confidence
	}
	if d.AmountIssue != nil {
		d.Value = 0
	}
	return nil
}

// moves are the deal's changes of stage: what the CRM remembers, and what the
// event itself says, which the CRM's reading side may not show yet.
func (w *work) moves(deal hubspot.Deal) []ledger.StageAt {
	var moves []ledger.StageAt
	for _, h := range deal.History {
		moves = append(moves, ledger.StageAt{ID: h.Stage, At: h.At})
	}
	e := w.event
	if e.Type == hubspot.DealPropertyChange && e.PropertyName == "dealstage" && e.PropertyValue != "" && e.ObjectID == deal.ID {
		moves = append(moves, ledger.StageAt{ID: e.PropertyValue, At: e.OccurredAt})
	}
	if len(moves) == 0 {
		moves = append(moves, ledger.StageAt{ID: deal.Stage, At: deal.CreatedAt})
	}
	return slices.DeleteFunc(moves, func(m ledger.StageAt) bool { return m.ID == "" })
}

// erase removes a contact's personal data, once, and credits its deals anew.
func (w *work) erase(ctx context.Context) error {
	err := w.in(ctx, func(tx pgx.Tx) error {
		store := ledger.NewStore(tx, w.event.PortalID)
		deals, err := store.Erase(ctx, w.event.ObjectID, w.subject)
		if err != nil {
			return err
		}
		if firstTime, err := inbox.First(ctx, tx, consumer, w.key, ""); err != nil || !firstTime {
			return err
		}
		w.needsFlush, err = creditAll(ctx, tx, w.event.PortalID, deals)
		return err
	})
	if err != nil && !errors.Is(err, errStale) {
		return fmt.Errorf("erase contact %d of portal %d: %w", w.event.ObjectID, w.event.PortalID, err)
	}
	return err
}
