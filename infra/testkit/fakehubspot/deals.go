package fakehubspot

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// NewDeal is a deal to be created. An empty Pipeline is the first one, an empty
// Stage the pipeline's first; a zero At is now.
type NewDeal struct {
	Name, Stage, Pipeline, Amount, Currency string
	// Contacts are associated at once, the first of them as the primary one
	// where Primary is set.
	Contacts []int64
	Primary  bool
	At       time.Time
}

// CreateDeal creates a deal and returns its id.
func (p *Portal) CreateDeal(d NewDeal) (int64, []Event, error) {
	p.fake.mu.Lock()
	defer p.fake.mu.Unlock()
	for _, id := range d.Contacts {
		if c := p.contact(id); c == nil || c.Archived {
			return 0, nil, fmt.Errorf("contact %d: %w", id, ErrNone)
		}
	}
	at := p.fake.at(d.At)
	if d.Pipeline == "" {
		d.Pipeline = p.config.Pipelines[0].ID
	}
	for _, l := range p.config.Pipelines {
		if d.Stage == "" && l.ID == d.Pipeline && len(l.Stages) > 0 {
			d.Stage = l.Stages[0].ID
		}
	}
	n := &deal{ID: p.fake.id(), Properties: make(map[string]string), Created: at, Updated: at}
	p.has.Deals[n.ID] = n
	events := p.lifecycle("deal", "creation", n.ID, at)
	given := map[string]string{
		"dealname": d.Name, "dealstage": d.Stage, "pipeline": d.Pipeline, "amount": d.Amount, "deal_currency_code": d.Currency,
	}
	maps.DeleteFunc(given, func(_, value string) bool { return value == "" })
	events = append(events, p.set(n, given, at)...)
	for i, id := range d.Contacts {
		events = append(events, p.associate(n, p.contact(id).ID, d.Primary && i == 0, at)...)
	}
	return n.ID, events, nil
}

// SetDeal changes properties of a deal at a time, zero for now. A stage older
// than the newest goes where it belongs in the history.
func (p *Portal) SetDeal(id int64, properties map[string]string, at time.Time) ([]Event, error) {
	return p.onDeal(id, at, func(d *deal, at time.Time) ([]Event, error) { return p.set(d, properties, at), nil })
}

// MoveStage moves a deal to a stage at a time, zero for now. The stage need not
// be one of a pipeline: portals have had stages that are deleted by now.
func (p *Portal) MoveStage(id int64, stage string, at time.Time) ([]Event, error) {
	if stage == "" {
		return nil, errors.New("stage: must not be empty")
	}
	return p.SetDeal(id, map[string]string{"dealstage": stage}, at)
}

// SetAmount changes a deal's amount, such as "1500.00", in its own currency.
func (p *Portal) SetAmount(id int64, amount string) ([]Event, error) {
	return p.SetDeal(id, map[string]string{"amount": amount}, time.Time{})
}

// Associate joins a contact to a deal. Only one contact can be the primary one.
func (p *Portal) Associate(dealID, contactID int64, primary bool) ([]Event, error) {
	return p.onDeal(dealID, time.Time{}, func(d *deal, at time.Time) ([]Event, error) {
		c := p.contact(contactID)
		if c == nil || c.Archived {
			return nil, fmt.Errorf("contact %d: %w", contactID, ErrNone)
		}
		return p.associate(d, c.ID, primary, at), nil
	})
}

// Dissociate parts a contact from a deal.
func (p *Portal) Dissociate(dealID, contactID int64) ([]Event, error) {
	return p.onDeal(dealID, time.Time{}, func(d *deal, at time.Time) ([]Event, error) {
		i := slices.IndexFunc(d.Contacts, func(a association) bool { return a.Contact == contactID })
		if i < 0 {
			return nil, fmt.Errorf("contact %d of deal %d: %w", contactID, d.ID, ErrNone)
		}
		was := d.Contacts[i]
		d.Contacts = slices.Delete(d.Contacts, i, i+1)
		p.touch(&d.Updated, &d.Touched)
		return p.associated(d.ID, contactID, was.Primary, true, at), nil
	})
}

// MergeDeals merges one deal into another, whose values win. With fresh the
// result has a new id, as newer portals give it, and both old ids lead there.
func (p *Portal) MergeDeals(primary, merged int64, fresh bool) (int64, []Event, error) {
	result := primary
	events, err := p.onDeal(primary, time.Time{}, func(into *deal, at time.Time) ([]Event, error) {
		from := p.deal(merged)
		if from == nil || from.Archived || from == into {
			return nil, fmt.Errorf("deal %d: %w", merged, ErrNone)
		}
		primary, moved := into.ID, 0
		for name, value := range from.Properties {
			if into.Properties[name] == "" {
				into.Properties[name] = value
				moved++
			}
		}
		for _, a := range from.Contacts {
			if !slices.ContainsFunc(into.Contacts, func(b association) bool { return a.Contact == b.Contact }) {
				into.Contacts = append(into.Contacts, association{Contact: a.Contact})
			}
		}
		into.Merged = append(append(into.Merged, from.Merged...), from.ID)
		delete(p.has.Deals, from.ID)
		if fresh {
			delete(p.has.Deals, into.ID)
			into.Merged = append(into.Merged, into.ID)
			into.ID = p.fake.id()
			p.has.Deals[into.ID] = into
			p.has.MovedDeals[primary] = into.ID
		}
		p.has.MovedDeals[from.ID] = into.ID
		result = into.ID
		p.touch(&into.Updated, &into.Touched)
		return p.merged("deal", primary, from.ID, into.ID, moved, at), nil
	})
	return result, events, err
}

// DeleteDeal puts a deal into the recycle bin.
func (p *Portal) DeleteDeal(id int64) ([]Event, error) {
	return p.onDeal(id, time.Time{}, func(d *deal, at time.Time) ([]Event, error) {
		d.Archived = true
		p.touch(&d.Updated, &d.Touched)
		return p.lifecycle("deal", "deletion", d.ID, at), nil
	})
}

// RestoreDeal takes a deal out of the recycle bin.
func (p *Portal) RestoreDeal(id int64) ([]Event, error) {
	p.fake.mu.Lock()
	defer p.fake.mu.Unlock()
	d := p.deal(id)
	if d == nil || !d.Archived {
		return nil, fmt.Errorf("deleted deal %d: %w", id, ErrNone)
	}
	at := p.fake.at(time.Time{})
	d.Archived = false
	p.touch(&d.Updated, &d.Touched)
	return p.lifecycle("deal", "restore", d.ID, at), nil
}

// onDeal runs change on a live deal under the lock.
func (p *Portal) onDeal(id int64, at time.Time, change func(*deal, time.Time) ([]Event, error)) ([]Event, error) {
	p.fake.mu.Lock()
	defer p.fake.mu.Unlock()
	d := p.deal(id)
	if d == nil || d.Archived {
		return nil, fmt.Errorf("deal %d: %w", id, ErrNone)
	}
	return change(d, p.fake.at(at))
}

func (p *Portal) set(d *deal, properties map[string]string, at time.Time) []Event {
	var events []Event
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		value := properties[name]
		if name == "dealstage" {
			i := len(d.Stages)
			for i > 0 && d.Stages[i-1].At.After(at) {
				i--
			}
			d.Stages = slices.Insert(d.Stages, i, version{value, at})
			if extra := len(d.Stages) - p.fake.opts.HistoryLimit; extra > 0 {
				d.Stages = slices.Delete(d.Stages, 0, extra)
			}
			d.Properties[name] = d.Stages[len(d.Stages)-1].Value
		} else {
			d.Properties[name] = value
		}
		events = append(events, p.changed("deal", d.ID, name, value, at)...)
	}
	p.touch(&d.Updated, &d.Touched)
	return events
}

func (p *Portal) associate(d *deal, contact int64, primary bool, at time.Time) []Event {
	if primary {
		for i := range d.Contacts {
			d.Contacts[i].Primary = false
		}
	}
	i := slices.IndexFunc(d.Contacts, func(a association) bool { return a.Contact == contact })
	if i < 0 {
		d.Contacts = append(d.Contacts, association{contact, primary})
	} else {
		d.Contacts[i].Primary = primary
	}
	p.touch(&d.Updated, &d.Touched)
	return p.associated(d.ID, contact, primary, false, at)
}
