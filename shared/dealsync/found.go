package dealsync

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/ledger"
)

// foundClicks are the clicks of a deal's contacts, and why none is to be credited, where
// that can be said.
type foundClicks struct {
	touches []ledger.Touch
	why     string
}

// find returns the clicks of each deal's contacts.
func find(ctx context.Context, tx pgx.Tx, portal int64, deals []creditable) ([]foundClicks, error) {
	var (
		subjects []attribution.Subject
		of       []int   // by subject: its deal
		people   []int64 // by subject: its contact
		keys     []attribution.Keys
		byLeads  = map[int]int64{} // contacts that a lead may be of, by subject
	)
	for i, d := range deals {
		for _, contact := range d.contacts {
			if len(contact.Keys) == 0 {
				continue
			}
			one := attribution.Subject{At: attribution.At(contact.ConvertedAt)}
			one.At.Lead = d.createdAt
			for _, k := range contact.Keys {
				if key, ok := attribution.KeyOf(k.Kind, k.Value); ok {
					one.Keys = append(one.Keys, key)
				}
			}
			if byLead(contact) {
				byLeads[len(subjects)] = contact.ID
			}
			subjects, of, people, keys = append(subjects, one), append(of, i), append(people, contact.ID), append(keys, one.Keys...)
		}
	}
	all := make([]foundClicks, len(deals))
	if len(subjects) == 0 {
		return all, nil
	}
	store := attribution.NewStore(tx)
	if err := store.Lock(ctx, keys...); err != nil {
		return nil, err
	}
	if len(byLeads) > 0 {
		leads, err := store.LeadsOf(ctx, portal, slices.Collect(maps.Values(byLeads))) // another deal of theirs may have found one just now
		if err != nil {
			return nil, err
		}
		for i, contact := range byLeads {
			for _, id := range leads[contact] {
				subjects[i].Keys = append(subjects[i].Keys, attribution.Keys{LeadKeys: attribution.LeadKeys{LeadID: id}})
			}
		}
	}
	found, err := store.Touches(ctx, subjects)
	if err != nil {
		return nil, err
	}
	for i, f := range found {
		all[of[i]].add(people[i], f)
	}
	return all, nil
}

// add adds what was found of a further contact of the deal.
func (all *foundClicks) add(contact int64, f attribution.Found) {
	if all.why == "" {
		all.why = f.Why
	}
	for _, t := range f.Touches {
		one := ledger.Touch{
			ClickID: t.ClickID, ContactID: &contact, AdID: t.AdID, CampaignID: t.CampaignID, ClickedAt: t.ClickedAt, Method: t.Method,
			Layer: t.Layer, Confidence: t.Confidence, Reason: t.Reason, Eligible: t.Eligible,
		}
		// Two contacts may have one click: the surer match of the two counts, then the first contact's.
		i := slices.IndexFunc(all.touches, func(o ledger.Touch) bool { return o.ClickID == t.ClickID })
		switch {
		case i < 0:
			all.touches = append(all.touches, one)
		case one.Eligible && !all.touches[i].Eligible, one.Eligible == all.touches[i].Eligible && one.Layer < all.touches[i].Layer:
			all.touches[i] = one
		}
	}
}

// contested reports whether two contacts of different deals were found by one lead, which
// is the first one's alone.
func contested(found []foundClicks) bool {
	if len(found) < 2 {
		return false
	}
	of := map[string]int64{}
	for _, f := range found {
		for _, t := range f.touches {
			if t.Method != attribution.LeadID || t.ContactID == nil {
				continue
			}
			if contact, known := of[t.ClickID]; known && contact != *t.ContactID {
				return true
			}
			of[t.ClickID] = *t.ContactID
		}
	}
	return false
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
