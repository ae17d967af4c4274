package dealsync

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/inbox"
	"github.com/geminivideo/geminivideo/shared/ledger"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// creditAnew handles a click that arrived after its deal.
func (p *Processor) creditAnew(ctx context.Context, m message.Message) error {
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

// creditAll credits recorded deals anew and recomputes the ads that lose or gain.
// It reports whether there is a message to be sent of it.
func creditAll(ctx context.Context, tx pgx.Tx, portal int64, deals []int64) (needsFlush bool, err error) {
	store := ledger.NewStore(tx, portal)
	locked, err := store.Lock(ctx, deals)
	if err != nil {
		return false, err
	}
	affected := map[string]bool{}
	for _, id := range slices.Sorted(maps.Keys(locked)) {
		if was := locked[id].AdID; was != nil {
			affected[*was] = true
		}
		contacts, err := store.Contacts(ctx, id)
		if err != nil {
			return false, err
		}
		ad, err := credit(ctx, tx, portal, id, contacts)
		if err != nil {
			return false, err
		}
		if ad != "" {
			affected[ad] = true
		}
	}
	settled, err := ads.Recompute(ctx, tx, slices.Sorted(maps.Keys(affected)))
	return slices.ContainsFunc(settled, ads.Totals.NewWinner), err
}

// credit derives what a deal is credited to from its recorded contacts and the
// clicks, and returns the ad, empty where there is none. It is a function of
// those alone, as of each contact's first conversion, so the deal keeps its
// click however long it takes, and however often this is repeated.
func credit(ctx context.Context, tx pgx.Tx, portal, deal int64, contacts []ledger.Contact) (string, error) {
	c := ledger.Credit{Method: "unattributed", Reason: "the deal has no contact in the CRM"}
	if len(contacts) > 0 {
		c.ContactID, c.ConvertedAt = &contacts[0].ID, &contacts[0].ConvertedAt
		c.Reason = "none of the deal's contacts is known by a click id or fingerprint"
	}
	var best attribution.Result
	for _, contact := range contacts {
		if len(contact.Keys) == 0 {
			continue
		}
		found, err := match(ctx, tx, contact)
		if err != nil {
			return "", fmt.Errorf("credit deal %d: %w", deal, err)
		}
		if c.ClickID == nil {
			c.Reason = found.Reason
		}
		if found.ClickID != "" && better(found, best) {
			best = found
			c = ledger.Credit{
				ContactID: &contact.ID, ConvertedAt: &contact.ConvertedAt, ClickID: &found.ClickID, AdID: &found.AdID,
				CampaignID: &found.CampaignID, Method: found.Method, Confidence: found.Confidence, Reason: found.Reason,
			}
		}
	}
	return best.AdID, ledger.NewStore(tx, portal).SetCredit(ctx, deal, c)
}

// match finds the best click for all that a contact is known by. A contact may
// have clicked several times and carry an id of each.
func match(ctx context.Context, tx pgx.Tx, c ledger.Contact) (attribution.Result, error) {
	sets := make([]attribution.Keys, len(c.Keys))
	for i, k := range c.Keys {
		switch k.Kind {
		case ledger.KeyClick:
			sets[i].ClickID = k.Value
		case ledger.KeyFacebook:
			sets[i].FBCLID = k.Value
		case ledger.KeyGoogle:
			sets[i].GCLID = k.Value
		case ledger.KeyFingerprint:
			sets[i].FingerprintHash = k.Value
		}
	}
	store := attribution.NewStore(tx)
	if err := store.Lock(ctx, sets...); err != nil {
		return attribution.Result{}, err
	}
	return store.MatchAny(ctx, sets, attribution.At(c.ConvertedAt))
}

// better prefers the surer match, then the later click, then the smaller id.
func better(a, b attribution.Result) bool {
	switch {
	case (a.ClickID == "") != (b.ClickID == ""):
		return a.ClickID != ""
	case a.Confidence != b.Confidence:
		return a.Confidence > b.Confidence
	case a.WindowHours != b.WindowHours:
		return a.WindowHours < b.WindowHours
	}
	return a.ClickID < b.ClickID
}
