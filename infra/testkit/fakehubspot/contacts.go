package fakehubspot

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// UpsertContact creates a contact (id 0) or changes one, at a time, zero for
// now. Properties are HubSpot's names, such as hs_facebook_click_id and
// first_conversion_date (RFC 3339).
func (p *Portal) UpsertContact(id int64, properties map[string]string, at time.Time) (int64, []Event, error) {
	p.fake.mu.Lock()
	defer p.fake.mu.Unlock()
	when := p.fake.at(at)
	var events []Event
	c := p.contact(id)
	switch {
	case id == 0:
		c = &contact{ID: p.fake.id(), Properties: make(map[string]string), Past: make(map[string][]version), Created: when}
		p.has.Contacts[c.ID] = c
		events = p.lifecycle("contact", "creation", c.ID, when)
	case c == nil || c.Archived:
		return 0, nil, fmt.Errorf("contact %d: %w", id, ErrNone)
	}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if was, ok := c.Properties[name]; ok && was == properties[name] {
			continue
		}
		c.Properties[name] = properties[name]
		c.Past[name] = append(c.Past[name], version{properties[name], when})
		events = append(events, p.changed("contact", c.ID, name, properties[name], when)...)
	}
	p.touch(&c.Updated, &c.Touched)
	return c.ID, events, nil
}

// DeleteContact puts a contact into the recycle bin.
func (p *Portal) DeleteContact(id int64) ([]Event, error) {
	return p.onContact(id, func(c *contact, at time.Time) ([]Event, error) {
		c.Archived = true
		p.touch(&c.Updated, &c.Touched)
		p.touchDealsOf(c.ID)
		return p.lifecycle("contact", "deletion", c.ID, at), nil
	})
}

// RestoreContact takes a contact out of the recycle bin.
func (p *Portal) RestoreContact(id int64) ([]Event, error) {
	p.fake.mu.Lock()
	defer p.fake.mu.Unlock()
	c := p.contact(id)
	if c == nil || !c.Archived {
		return nil, fmt.Errorf("deleted contact %d: %w", id, ErrNone)
	}
	at := p.fake.at(time.Time{})
	c.Archived = false
	p.touch(&c.Updated, &c.Touched)
	p.touchDealsOf(c.ID)
	return p.lifecycle("contact", "restore", c.ID, at), nil
}

// EraseContact deletes a contact for good, as a privacy request does. HubSpot
// sends a plain deletion beside it, in whatever order.
func (p *Portal) EraseContact(id int64) ([]Event, error) {
	return p.onContact(id, func(c *contact, at time.Time) ([]Event, error) {
		delete(p.has.Contacts, c.ID)
		p.touchDealsOf(c.ID)
		for _, d := range p.has.Deals {
			d.Contacts = slices.DeleteFunc(d.Contacts, func(a association) bool { return a.Contact == c.ID })
		}
		return append(p.lifecycle("contact", "privacyDeletion", c.ID, at), p.lifecycle("contact", "deletion", c.ID, at)...), nil
	})
}

// MergeContacts merges one contact into another, whose values win.
func (p *Portal) MergeContacts(primary, merged int64) ([]Event, error) {
	return p.onContact(primary, func(into *contact, at time.Time) ([]Event, error) {
		from := p.contact(merged)
		if from == nil || from.Archived || from == into {
			return nil, fmt.Errorf("contact %d: %w", merged, ErrNone)
		}
		moved := 0
		for name, value := range from.Properties {
			if into.Properties[name] == "" {
				into.Properties[name] = value
				into.Past[name] = append(into.Past[name], version{value, at})
				moved++
			}
		}
		p.touchDealsOf(from.ID)
		for _, d := range p.has.Deals {
			p.moveAssociation(d, from.ID, into.ID)
		}
		into.Merged = append(append(into.Merged, from.Merged...), from.ID)
		p.touch(&into.Updated, &into.Touched)
		delete(p.has.Contacts, from.ID)
		p.has.MovedContacts[from.ID] = into.ID
		return p.merged("contact", into.ID, from.ID, into.ID, moved, at), nil
	})
}

func (p *Portal) moveAssociation(d *deal, from, to int64) {
	i := slices.IndexFunc(d.Contacts, func(a association) bool { return a.Contact == from })
	if i < 0 {
		return
	}
	was := d.Contacts[i]
	d.Contacts = slices.Delete(d.Contacts, i, i+1)
	j := slices.IndexFunc(d.Contacts, func(a association) bool { return a.Contact == to })
	if j < 0 {
		d.Contacts = append(d.Contacts, association{to, was.Primary})
	} else if was.Primary {
		d.Contacts[j].Primary = true
	}
}

func (p *Portal) onContact(id int64, change func(*contact, time.Time) ([]Event, error)) ([]Event, error) {
	p.fake.mu.Lock()
	defer p.fake.mu.Unlock()
	c := p.contact(id)
	if c == nil || c.Archived {
		return nil, fmt.Errorf("contact %d: %w", id, ErrNone)
	}
	return change(c, p.fake.at(time.Time{}))
}

// dealsOf returns the live deals of a contact, in ascending order.
func (p *Portal) dealsOf(contact int64) []int64 {
	var ids []int64
	for id, d := range p.has.Deals {
		if !d.Archived && slices.ContainsFunc(d.Contacts, func(a association) bool { return a.Contact == contact }) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}
