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
	affected := map[string]bool{}
	for _, id := range slices.Sorted(maps.Keys(locked)) {
		if !locked[id].Live {
			continue
		}
		contacts, err := store.Contacts(ctx, id)
		if err != nil {
			return false, err
		}
		ads, err := credit(ctx, tx, portal, id, contacts)
		if err != nil {
			return false, err
		}
		for _, ad := range append(ads, locked[id].AdIDs...) {
			affected[ad] = true
		}
	}
	totals, err := ads.Recompute(ctx, tx, slices.Sorted(maps.Keys(affected)))
	return slices.ContainsFunc(totals, ads.Totals.NewWinner), err
}

// credit derives what a deal is credited to and returns the ads. It is a function
// of the deal's recorded contacts, the clicks, and the clicks that were found
// before and whose evidence is gone, as of each contact's first conversion: the
// deal keeps its credit however long it takes, and however often this is repeated.
func credit(ctx context.Context, tx pgx.Tx, portal, deal int64, contacts []ledger.Contact) ([]string, error) {
	store := ledger.NewStore(tx, portal)
	c := ledger.Credit{Method: attribution.Unattributed, Reason: "the deal has no contact in the CRM"}
	if len(contacts) > 0 {
		c.ContactID, c.ConvertedAt = &contacts[0].ID, &contacts[0].ConvertedAt
		c.Reason = "none of the deal's contacts is known by a click id, a fingerprint or a lead form"
	}
	before, err := store.Touches(ctx, deal)
	if err != nil {
		return nil, err
	}
	var created time.Time // leads alone are compared with it
	if slices.ContainsFunc(contacts, byLead) || slices.ContainsFunc(before, func(t ledger.Touch) bool { return t.Method == attribution.LeadID }) {
		if created, err = store.CreatedAt(ctx, deal); err != nil {
			return nil, err
		}
	}
	found, why, err := find(ctx, tx, portal, created, contacts)
	if err != nil {
		return nil, fmt.Errorf("credit deal %d: %w", deal, err)
	}
	if why != "" {
		c.Reason = why
	}
	if err := recordLeads(ctx, tx, portal, found); err != nil {
		return nil, fmt.Errorf("credit deal %d: %w", deal, err)
	}
	recorded, err := store.SaveTouches(ctx, deal, withStanding(found, before, created, contacts))
	if err != nil {
		return nil, err
	}
	touches := make([]attribution.Touch, len(recorded))
	for i, t := range recorded {
		touches[i] = attribution.Touch{
			ClickID: t.ClickID, AdID: t.AdID, CampaignID: t.CampaignID, ClickedAt: t.ClickedAt, Method: t.Method, Layer: t.Layer,
			Confidence: t.Confidence, Reason: t.Reason, Eligible: t.Eligible, Known: t.Known,
		}
	}
	best := attribution.Best(touches)
	if best == nil {
		telemetry.Attributions.Add(ctx, 1, "deal", c.Method)
		return nil, store.SetCredit(ctx, deal, c)
	}
	of := func(click string) ledger.Touch {
		return recorded[slices.IndexFunc(recorded, func(t ledger.Touch) bool { return t.ClickID == click })]
	}
	credited, shares := attribution.Share(of(best.ClickID).Model, touches)
	from := of(credited.ClickID)
	c = ledger.Credit{
		ContactID: from.ContactID, ClickID: &credited.ClickID, AdID: &credited.AdID, CampaignID: &credited.CampaignID,
		Method: credited.Method, Confidence: credited.Confidence, Reason: credited.Reason,
	}
	telemetry.Attributions.Add(ctx, 1, "deal", c.Method)
	for _, contact := range contacts {
		if from.ContactID != nil && contact.ID == *from.ContactID {
			c.ConvertedAt = &contact.ConvertedAt
		}
	}
	all := []string{credited.AdID}
	for _, s := range shares {
		c.Shares, all = append(c.Shares, ledger.Share{AdID: s.AdID, From: s.From, To: s.To}), append(all, s.AdID)
	}
	return all, store.SetCredit(ctx, deal, c)
}

// find returns the clicks of the contacts of a deal that was made at created, and why
// none is to be credited, where that can be said.
func find(ctx context.Context, tx pgx.Tx, portal int64, created time.Time, contacts []ledger.Contact) (all []ledger.Touch, why string, err error) {
	for _, contact := range contacts {
		if len(contact.Keys) == 0 {
			continue
		}
		var keys []attribution.Keys
		for _, k := range contact.Keys {
			if one, ok := attribution.KeyOf(k.Kind, k.Value); ok {
				keys = append(keys, one)
			}
		}
		store := attribution.NewStore(tx)
		if err := store.Lock(ctx, keys...); err != nil {
			return nil, "", err
		}
		if byLead(contact) {
			theirs, err := store.LeadsOf(ctx, portal, contact.ID) // another deal of theirs may have found one just now
			if err != nil {
				return nil, "", err
			}
			for _, id := range theirs {
				keys = append(keys, attribution.Keys{LeadKeys: attribution.LeadKeys{LeadID: id}})
			}
		}
		at := attribution.At(contact.ConvertedAt)
		at.Lead = created
		touches, reason, err := store.Touches(ctx, keys, at)
		if err != nil {
			return nil, "", err
		}
		if why == "" {
			why = reason
		}
		for _, t := range touches {
			one := ledger.Touch{
				ClickID: t.ClickID, ContactID: &contact.ID, AdID: t.AdID, CampaignID: t.CampaignID, ClickedAt: t.ClickedAt, Method: t.Method,
				Layer: t.Layer, Confidence: t.Confidence, Reason: t.Reason, Eligible: t.Eligible,
			}
			// Two contacts may have one click: the surer match of the two counts, then the first contact's.
			i := slices.IndexFunc(all, func(o ledger.Touch) bool { return o.ClickID == t.ClickID })
			switch {
			case i < 0:
				all = append(all, one)
			case one.Eligible && !all[i].Eligible, one.Eligible == all[i].Eligible && one.Layer < all[i].Layer:
				all[i] = one
			}
		}
	}
	return all, why, nil
}

// withStanding adds to the clicks that were found those that were found before and
// stand: of contacts that the deal lost because they were deleted, erased or
// merged away, and those whose evidence retention or an erasure has cleared.
func withStanding(found, before []ledger.Touch, created time.Time, contacts []ledger.Contact) []ledger.Touch {
	for _, t := range before {
		if slices.ContainsFunc(found, func(o ledger.Touch) bool { return o.ClickID == t.ClickID }) {
			continue
		}
		i := slices.IndexFunc(contacts, func(c ledger.Contact) bool { return t.ContactID != nil && c.ID == *t.ContactID })
		stands := i < 0
		if i >= 0 {
			at := contacts[i].ConvertedAt
			if t.Method == attribution.LeadID && created.After(at) {
				at = created
			}
			stands = t.Cleared && !t.ClickedAt.After(at) && !t.ClickedAt.Before(at.Add(-attribution.Lookback))
			t.Eligible = t.Eligible && !t.ClickedAt.Before(at.Add(-attribution.WindowOf(t.Method)))
		}
		if stands {
			found = append(found, t)
		}
	}
	return found
}
