package dealsync

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/geminivideo/geminivideo/shared/hubspot"
)

// maxContacts bounds how many contacts of a deal are looked at for a click.
const maxContacts = 20

// readContacts reads the deals' contacts, those that deals have lost since they
// were recorded, and those that the event is about.
func (w *work) readContacts(ctx context.Context, client *hubspot.Client, r *reading, linked map[int64][]int64) error {
	ids := w.event.Contacts()
	for id := range r.deals {
		ids = append(append(ids, first(r.deals[id].Contacts, maxContacts)...), linked[id]...)
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	var err error
	r.contacts, err = client.Contacts(ctx, slices.Compact(ids)...)
	if err = w.withoutRefused(r, err); err != nil {
		return fmt.Errorf("read contacts of portal %d: %w", w.event.PortalID, err)
	}
	for id, deal := range r.deals {
		for _, contact := range linked[id] {
			if found, exists := r.contacts[contact]; exists && found.ID == contact && !slices.Contains(deal.Contacts, contact) {
				r.parted[id] = append(r.parted[id], contact)
			}
		}
	}
	var missing []int64
	for _, id := range w.event.Contacts() {
		if _, exists := r.contacts[id]; !exists {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	// An erasure may follow, and then nobody can say any more what the contact was known by.
	if r.bin, err = client.DeletedContacts(ctx, missing...); err != nil {
		return fmt.Errorf("read deleted contacts of portal %d: %w", w.event.PortalID, err)
	}
	return nil
}

// withoutRefused takes the deals out of a batch of which the CRM refuses a contact: who
// brought them is not known then.
func (w *work) withoutRefused(r *reading, err error) error {
	var part *hubspot.Partial
	if w.batch == nil || !errors.As(err, &part) {
		return err
	}
	for id, deal := range r.deals {
		for _, contact := range first(deal.Contacts, maxContacts) {
			if reason := part.Refused[contact]; reason != "" {
				w.found.Refused[id] = fmt.Sprintf("contact %d: %s", contact, reason)
				delete(r.deals, id)
			}
		}
	}
	r.ids = slices.DeleteFunc(r.ids, func(id int64) bool {
		into := r.gone[id]
		return w.found.Refused[id] != "" || into != nil && w.found.Refused[*into] != ""
	})
	return nil
}
