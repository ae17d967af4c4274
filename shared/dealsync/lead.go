package dealsync

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/ledger"
)

// withLeads returns deals' contacts as they are to be recorded: with the leads that
// were found to be theirs, and with hashes of their addresses only while a lead may
// still be found by them.
func withLeads(ctx context.Context, tx pgx.Tx, portal int64, r reading, contacts map[int64][]ledger.Contact) (map[int64][]ledger.Contact, error) {
	var ids []int64 // under all of which the portal has known them
	for _, theirs := range contacts {
		for _, c := range theirs {
			ids = append(append(ids, c.ID), r.contacts[c.ID].MergedIDs...)
		}
	}
	if len(ids) == 0 {
		return contacts, nil
	}
	leads, err := attribution.NewStore(tx).LeadsOf(ctx, portal, ids)
	if err != nil {
		return nil, err
	}
	since := time.Now().Add(-attribution.PeopleRetention)
	all := make(map[int64][]ledger.Contact, len(contacts))
	for deal, theirs := range contacts {
		saved := slices.Clone(theirs)
		for i, c := range saved {
			found := slices.Clone(leads[c.ID])
			for _, merged := range r.contacts[c.ID].MergedIDs {
				found = append(found, leads[merged]...)
			}
			keys := slices.Clone(c.Keys)
			for _, id := range slices.Sorted(slices.Values(found)) {
				if key := (ledger.Key{Kind: ledger.KeyLead, Value: id}); !slices.Contains(keys, key) {
					keys = append(keys, key)
				}
			}
			if len(found) > 0 || c.ConvertedAt.Before(since) && r.deals[deal].CreatedAt.Before(since) {
				keys = slices.DeleteFunc(keys, ofPerson)
			}
			saved[i].Keys = keys
		}
		all[deal] = saved
	}
	return all, nil
}

// ofPerson reports whether a key is a hash of somebody's address.
func ofPerson(k ledger.Key) bool { return k.Kind == ledger.KeyEmail || k.Kind == ledger.KeyPhone }

// byLead reports whether a lead may be found by one of the contact's keys.
func byLead(c ledger.Contact) bool {
	return slices.ContainsFunc(c.Keys, func(k ledger.Key) bool { return k.Kind == ledger.KeyLead || ofPerson(k) })
}

// withPeople adds to recorded contacts the hashes that the CRM's answer held: a further
// lead of a contact is found by them although they are recorded no more.
func withPeople(recorded, read []ledger.Contact) []ledger.Contact {
	all := slices.Clone(recorded)
	for i, c := range all {
		j := slices.IndexFunc(read, func(o ledger.Contact) bool { return o.ID == c.ID })
		if j < 0 {
			continue
		}
		keys := slices.Clone(c.Keys)
		for _, k := range read[j].Keys {
			if ofPerson(k) && !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
		all[i].Keys = keys
	}
	return all
}

// recordLeads records which contacts the leads among a deal's clicks are.
func recordLeads(ctx context.Context, tx pgx.Tx, portal int64, found []ledger.Touch) error {
	for _, t := range found {
		if t.Method != attribution.LeadID || t.ContactID == nil || t.Cleared {
			continue
		}
		lead, err := attribution.NewStore(tx).MatchLead(ctx, t.ClickID, portal, *t.ContactID)
		if err != nil {
			return err
		}
		if lead == "" {
			continue
		}
		if err := ledger.NewStore(tx, portal).LeadFound(ctx, *t.ContactID, lead); err != nil {
			return err
		}
	}
	return nil
}
