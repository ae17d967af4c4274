package dealsync

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/inbox"
	"github.com/geminivideo/geminivideo/shared/ledger"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// creditAgain handles a click that arrived after its deal.
func (p *Processor) creditAgain(ctx context.Context, m message.Message) error {
	var own struct {
		PortalID int64 `json:"portal_id"`
		DealID   int64 `json:"deal_id"`
	}
	tenant := m.Tenant()
	if err := json.Unmarshal(m.Data, &own); err != nil || tenant == "" || own.PortalID == 0 || own.DealID <= 0 {
		return fault.Invalidf("the message names no tenant, portal or deal")
	}
	var needsFlush bool
	err := pg.InTenant(ctx, p.db, tenant, func(tx pgx.Tx) error {
		firstTime, err := inbox.First(ctx, tx, consumer, m.Key(), "")
		if err == nil && firstTime {
			needsFlush, err = creditAll(ctx, tx, own.PortalID, []int64{own.DealID})
		}
		return err
	})
	if err == nil && needsFlush {
		outbox.Flush(ctx, p.db, tenant, p.queue)
	}
	return err
}

// creditAll credits recorded deals that are live again and recomputes the ads that
// lose or gain. It reports whether there is a message to be sent of it.
func creditAll(ctx context.Context, tx pgx.Tx, portal int64, deals []int64) (needsFlush bool, err error) {
	store := ledger.NewStore(tx, portal)
	locked, err := store.Lock(ctx, deals)
	if err != nil {
		return false, err
	}
	live := slices.DeleteFunc(slices.Sorted(maps.Keys(locked)), func(id int64) bool { return !locked[id].Live })
	if len(live) == 0 {
		return false, nil
	}
	contacts, err := store.Contacts(ctx, live)
	if err != nil {
		return false, err
	}
	all := make([]creditable, len(live))
	affected := map[string]bool{}
	for i, id := range live {
		all[i] = creditable{id, locked[id].CreatedAt, contacts[id]}
		for _, ad := range locked[id].AdIDs {
			affected[ad] = true
		}
	}
	credited, err := credit(ctx, tx, portal, all)
	if err != nil {
		return false, err
	}
	for _, c := range credited {
		for _, ad := range c.ads {
			affected[ad] = true
		}
	}
	totals, err := ads.RecomputeCredited(ctx, tx, slices.Sorted(maps.Keys(affected)))
	return slices.ContainsFunc(totals, ads.Totals.NewWinner), err
}

// creditable is a live, locked and recorded deal with what its credit follows from.
type creditable struct {
	id        int64
	createdAt time.Time // zero where it is not known; leads alone are compared with it
	contacts  []ledger.Contact
}

// credited is what a deal was credited to: the ads, and all of it that their totals are
// made of as ledger.Row.Counts says it, nil where its clicks are others than before.
type credited struct {
	ads    []string
	counts *string
}

// changes reports whether the totals of the deal's ads may be others than they were.
func (c credited) changes(before ledger.Row) bool {
	return c.counts == nil || before.Counts == nil || *c.counts != *before.Counts
}

// credit derives what deals are credited to and returns it by deal. It is a function
// of each deal's recorded contacts, the clicks, and the clicks that were found
// before and whose evidence is gone, as of each contact's first conversion: the
// deal keeps its credit however long it takes, and however often this is repeated.
func credit(ctx context.Context, tx pgx.Tx, portal int64, deals []creditable) (map[int64]credited, error) {
	all := make(map[int64]credited, len(deals))
	ids := make([]int64, len(deals))
	for i, d := range deals {
		ids[i] = d.id
	}
	found, err := find(ctx, tx, portal, deals)
	if err != nil {
		return nil, fmt.Errorf("credit deals %v: %w", ids, err)
	}
	if contested(found) {
		// The deal with the smaller id takes the lead, as when they come one after another.
		for _, d := range deals {
			one, err := credit(ctx, tx, portal, []creditable{d})
			if err != nil {
				return nil, err
			}
			maps.Copy(all, one)
		}
		return all, nil
	}
	store := ledger.NewStore(tx, portal)
	before, err := store.Touches(ctx, ids)
	if err != nil {
		return nil, err
	}
	touches := map[int64][]ledger.Touch{}
	for i, d := range deals {
		if err := recordLeads(ctx, tx, portal, found[i].touches); err != nil {
			return nil, fmt.Errorf("credit deal %d: %w", d.id, err)
		}
		standing := withStanding(found[i].touches, before[d.id], d.createdAt, d.contacts)
		if !ledger.SameTouches(standing, before[d.id]) { // as they nearly always are when a deal is read again
			touches[d.id] = standing
		}
	}
	recorded := before
	if len(touches) > 0 {
		saved, err := store.SaveTouches(ctx, touches)
		if err != nil {
			return nil, err
		}
		for deal := range touches {
			recorded[deal] = saved[deal]
		}
	}
	credits := make(map[int64]ledger.Credit, len(deals))
	for i, d := range deals {
		c := creditOf(d, found[i].why, recorded[d.id])
		telemetry.Attributions.Add(ctx, 1, "deal", c.Method)
		credits[d.id] = c
	}
	counts, err := store.SetCredit(ctx, credits)
	if err != nil {
		return nil, err
	}
	for id, c := range credits {
		var one credited
		if c.AdID != nil {
			one.ads = append(one.ads, *c.AdID)
		}
		for _, s := range c.Shares {
			one.ads = append(one.ads, s.AdID)
		}
		if touches[id] == nil {
			one.counts = counts[id]
		}
		all[id] = one
	}
	return all, nil
}

// creditOf returns what a deal's recorded clicks come to; why says that none of those
// found is to be credited, where that can be said.
func creditOf(d creditable, why string, recorded []ledger.Touch) ledger.Credit {
	touches := make([]attribution.Touch, len(recorded))
	for i, t := range recorded {
		touches[i] = attribution.Touch{
			ClickID: t.ClickID, AdID: t.AdID, CampaignID: t.CampaignID, ClickedAt: t.ClickedAt, Method: t.Method, Layer: t.Layer,
			Confidence: t.Confidence, Reason: t.Reason, Eligible: t.Eligible, Known: t.Known,
		}
	}
	best := attribution.Best(touches)
	if best == nil {
		c := ledger.Credit{Method: attribution.Unattributed, Reason: "the deal has no contact in the CRM"}
		if len(d.contacts) > 0 {
			c.ContactID, c.ConvertedAt = &d.contacts[0].ID, &d.contacts[0].ConvertedAt
			c.Reason = "none of the deal's contacts is known by a click id, a fingerprint or a lead form"
		}
		if why != "" {
			c.Reason = why
		}
		return c
	}
	of := func(click string) ledger.Touch {
		return recorded[slices.IndexFunc(recorded, func(t ledger.Touch) bool { return t.ClickID == click })]
	}
	credited, shares := attribution.Share(of(best.ClickID).Model, touches)
	from := of(credited.ClickID)
	c := ledger.Credit{
		ContactID: from.ContactID, ClickID: &credited.ClickID, AdID: &credited.AdID, CampaignID: &credited.CampaignID,
		Method: credited.Method, Confidence: credited.Confidence, Reason: credited.Reason,
	}
	for _, contact := range d.contacts {
		if from.ContactID != nil && contact.ID == *from.ContactID {
			c.ConvertedAt = &contact.ConvertedAt
		}
	}
	for _, s := range shares {
		c.Shares = append(c.Shares, ledger.Share{AdID: s.AdID, From: s.From, To: s.To})
	}
	return c
}
