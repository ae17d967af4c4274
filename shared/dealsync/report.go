package dealsync

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/dealsource"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/inbox"
	"github.com/geminivideo/geminivideo/shared/ledger"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/revenue"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// recordReport records what a source other than HubSpot has said of a deal: the
// report joins the others of the deal, and the deal's row follows from all of them.
func (p *Processor) recordReport(ctx context.Context, m message.Message) error {
	tenant := m.Tenant()
	r, err := dealsource.ParseReport(m.Data)
	if err != nil {
		return err
	}
	if tenant == "" {
		return fault.Invalidf("the message names no tenant")
	}
	var needsFlush bool
	err = pg.InTenant(ctx, p.db, tenant, func(tx pgx.Tx) (err error) {
		needsFlush, err = reported(ctx, tx, m.Key(), r)
		return err
	})
	if err != nil {
		return fmt.Errorf("record deal %s of source %d: %w", r.DealID, r.PortalID, err)
	}
	telemetry.LedgerLag(ctx, "deal_source", m.PublishedAt)
	if needsFlush {
		outbox.Flush(ctx, p.db, tenant, p.queue)
	}
	return nil
}

// reported adds a report and records the deal, and every other deal of the contact
// that the report names: what is said of a contact counts for all of its deals.
func reported(ctx context.Context, tx pgx.Tx, key string, r dealsource.Report) (needsFlush bool, err error) {
	sources, store := dealsource.NewStore(tx), ledger.NewStore(tx, r.PortalID)
	id, err := sources.Number(ctx, r.PortalID, "deal", r.DealID)
	if err != nil {
		return false, err
	}
	ids := []int64{id}
	var contact *int64
	if r.Contact != "" {
		number, err := sources.Number(ctx, r.PortalID, "contact", r.Contact)
		if err != nil {
			return false, err
		}
		contact = &number
		// Reports that name one contact go one after the other, each before it locks deals.
		if _, err := store.Lock(ctx, []int64{number}); err != nil {
			return false, err
		}
		others, err := store.DealsOfContact(ctx, number)
		if err != nil {
			return false, err
		}
		ids = slices.Compact(slices.Sorted(slices.Values(append(others, id))))
	}
	locked, err := store.Lock(ctx, ids)
	if err != nil {
		return false, err
	}
	firstTime, err := inbox.First(ctx, tx, consumer, key, "")
	if err != nil || !firstTime {
		return false, err
	}
	if err := sources.Add(ctx, r, id, contact); err != nil {
		return false, err
	}
	affected := map[string]bool{}
	for _, one := range ids {
		for _, was := range locked[one].AdIDs {
			affected[was] = true
		}
		deal, err := sources.Deal(ctx, r.PortalID, one)
		if err != nil {
			return false, err
		}
		var now map[int64]credited
		if deal.Deleted {
			err = store.MarkGone(ctx, one, nil)
		} else {
			now, err = recordReported(ctx, tx, r.PortalID, one, deal)
		}
		if err != nil {
			return false, err
		}
		for _, ad := range now[one].ads {
			affected[ad] = true
		}
	}
	totals, err := ads.RecomputeCredited(ctx, tx, slices.Sorted(maps.Keys(affected)))
	return slices.ContainsFunc(totals, ads.Totals.NewWinner), err
}

// recordReported records a deal that its source has not deleted and returns what it is
// credited to.
func recordReported(ctx context.Context, tx pgx.Tx, portal, id int64, deal dealsource.Deal) (map[int64]credited, error) {
	store := ledger.NewStore(tx, portal)
	moves := make([]ledger.StageAt, len(deal.Moves))
	for i, m := range deal.Moves {
		moves[i] = ledger.StageAt{ID: m.Stage, At: m.At}
	}
	latest, err := store.AddStages(ctx, []ledger.Moves{{Deal: id, Stages: moves, Current: deal.Stage}}, time.Now())
	if err != nil {
		return nil, err
	}
	home, err := revenue.NewStore(tx).Currency(ctx)
	if err != nil {
		return nil, err
	}
	d := ledger.Deal{ID: id, PipelineID: dealsource.Pipeline, Stage: latest[id], CreatedAt: deal.CreatedAt}
	d.Amount, d.AmountIssue = reportedAmount(deal, home)
	if err := newAppraiser(tx, store).appraise(ctx, &d); err != nil {
		return nil, err
	}
	if err := store.Save(ctx, d); err != nil {
		return nil, err
	}
	var contacts []ledger.Contact
	if deal.ContactID != nil {
		first, keys, err := dealsource.NewStore(tx).Contact(ctx, portal, *deal.ContactID)
		if err != nil {
			return nil, err
		}
		one := ledger.Contact{ID: *deal.ContactID, ConvertedAt: first}
		for _, k := range keys {
			one.Keys = append(one.Keys, ledger.Key{Kind: k.Kind, Value: k.Value})
		}
		contacts = append(contacts, one)
		if err := dropOthers(ctx, store, id, one.ID); err != nil {
			return nil, err
		}
	}
	recorded, err := store.SaveContacts(ctx, map[int64][]ledger.Contact{id: contacts})
	if err != nil {
		return nil, err
	}
	return credit(ctx, tx, portal, []creditable{{id, deal.CreatedAt.Truncate(time.Microsecond), recorded[id]}})
}

// dropOthers takes the clicks of other contacts from a deal whose source names
// contact now.
func dropOthers(ctx context.Context, store ledger.Store, deal, contact int64) error {
	recorded, err := store.RecordedContacts(ctx, []int64{deal})
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(recorded[deal], func(id int64) bool { return id == contact })
	if len(others) == 0 {
		return nil
	}
	return store.DropTouches(ctx, deal, others)
}

// reportedAmount returns the deal's amount in the tenant's currency, or why it
// cannot be used.
func reportedAmount(deal dealsource.Deal, home money.Currency) (*money.Amount, *string) {
	if deal.Amount == nil {
		return nil, nil
	}
	var issue string
	if deal.Currency != "" && deal.Currency != string(home) {
		issue = fmt.Sprintf("the amount is in %s and the tenant counts in %s", deal.Currency, home)
		return nil, &issue
	}
	units, err := strconv.ParseFloat(*deal.Amount, 64)
	if err == nil {
		var value money.Amount
		if value, err = money.FromUnits(units, home); err == nil {
			return &value, nil
		}
	}
	issue = "the amount is too large"
	return nil, &issue
}
