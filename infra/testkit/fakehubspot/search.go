package fakehubspot

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// HubSpot's limits of its search.
const (
	maxSearchPage    = 200
	maxSearchResults = 10_000
	maxSearchBody    = 3000
	maxFilters       = 6
)

// indexed is a record as the search sees it: its state of SearchLag ago.
type indexed struct {
	id       int64
	created  time.Time
	modified time.Time
	merged   []int64
}

// indexedAt is the last of the times that the index has taken in, the zero time
// where the record is newer than the index.
func indexedAt(created time.Time, touched []time.Time, until time.Time) time.Time {
	var last time.Time
	for _, t := range append([]time.Time{created}, touched...) {
		if !t.After(until) && t.After(last) {
			last = t
		}
	}
	return last
}

// touch notes a change of a record. HubSpot stamps a change with its own clock,
// whatever time the change itself is said to have happened at.
func (p *Portal) touch(updated *time.Time, touched *[]time.Time) {
	now := p.fake.at(time.Time{})
	if now.After(*updated) {
		*updated = now
	}
	*touched = append(*touched, *updated)
	if extra := len(*touched) - 20; extra > 0 {
		*touched = slices.Delete(*touched, 0, extra)
	}
}

// touchDealsOf notes a change of every deal of the contact: their number of
// associated contacts, a property, changes with it.
func (p *Portal) touchDealsOf(contact int64) {
	for _, d := range p.has.Deals {
		if slices.ContainsFunc(d.Contacts, func(a association) bool { return a.Contact == contact }) {
			p.touch(&d.Updated, &d.Touched)
		}
	}
}

// index lists what the search knows. A record that was deleted stays in it until
// the index has taken the deletion in.
func (p *Portal) index(kind string) []indexed {
	until := p.fake.at(time.Time{}).Add(-p.config.SearchLag)
	var all []indexed
	add := func(id int64, created, updated time.Time, touched []time.Time, archived bool, merged []int64) {
		at := indexedAt(created, touched, until)
		if at.IsZero() || archived && !updated.After(until) {
			return
		}
		all = append(all, indexed{id, created, at, merged})
	}
	if kind == "deals" {
		for _, d := range p.has.Deals {
			add(d.ID, d.Created, d.Updated, d.Touched, d.Archived, d.Merged)
		}
	} else {
		for _, c := range p.has.Contacts {
			add(c.ID, c.Created, c.Updated, c.Touched, c.Archived, c.Merged)
		}
	}
	return all
}

type searchBody struct {
	FilterGroups []struct {
		Filters []searchFilter `json:"filters"`
	} `json:"filterGroups"`
	Sorts []struct {
		PropertyName string `json:"propertyName"`
		Direction    string `json:"direction"`
	} `json:"sorts"`
	Limit      int             `json:"limit"`
	After      json.RawMessage `json:"after"`
	Properties []string        `json:"properties"`
}

type searchFilter struct {
	PropertyName string `json:"propertyName"`
	Operator     string `json:"operator"`
	Value        string `json:"value"`
}

// search answers POST /crm/v3/objects/{type}/search for filters on times, ids and
// e-mail addresses, which is what our client asks.
func (f *Fake) search(w http.ResponseWriter, r *http.Request) {
	invalid := func(message string) {
		refuse(w, http.StatusBadRequest, problem{"message": message, "category": "VALIDATION_ERROR"})
	}
	raw := make([]byte, maxSearchBody+1)
	n, _ := readFull(r.Body, raw)
	var in searchBody
	if n > maxSearchBody {
		invalid("The request body is longer than 3,000 characters")
		return
	}
	if err := json.Unmarshal(raw[:n], &in); err != nil {
		invalid("Invalid input JSON")
		return
	}
	after, _ := strconv.Atoi(string(trimQuotes(in.After)))
	in.Limit = cmp.Or(in.Limit, 10)
	f.mu.Lock()
	defer f.mu.Unlock()
	p, kind := portalOf(r), r.PathValue("type")
	switch {
	case kind != "deals" && kind != "contacts":
		notFound(w, kind)
		return
	case in.Limit > maxSearchPage:
		invalid("limit must not be greater than 200")
		return
	case after+in.Limit > maxSearchResults:
		invalid("Cannot page beyond 10,000 results")
		return
	case len(in.FilterGroups) > 5 || len(in.Sorts) > 1:
		invalid("too many filter groups or sorts")
		return
	case !f.allowSearch(p):
		tooMany(w, "SECONDLY")
		return
	}
	found := p.index(kind)
	for _, group := range in.FilterGroups {
		if len(group.Filters) > maxFilters {
			invalid("too many filters")
			return
		}
		for _, one := range group.Filters {
			found = slices.DeleteFunc(found, func(i indexed) bool { return !p.matches(kind, i, one) })
		}
	}
	slices.SortFunc(found, func(a, b indexed) int { return cmp.Compare(a.id, b.id) })
	if len(in.Sorts) == 1 && in.Sorts[0].PropertyName != "hs_object_id" {
		// Of records with the same time HubSpot promises no order.
		slices.SortFunc(found, func(a, b indexed) int { return cmp.Or(a.modified.Compare(b.modified), cmp.Compare(b.id, a.id)) })
	}
	total := len(found)
	end := min(after+in.Limit, total)
	results := []object{}
	for _, i := range found[min(after, total):end] {
		o := p.searched(kind, i, in.Properties)
		results = append(results, o)
	}
	body := map[string]any{"total": total, "results": results}
	if end < total {
		next := &paging{}
		next.Next.After = strconv.Itoa(end)
		body["paging"] = next
	}
	answer(w, http.StatusOK, body)
}

func (p *Portal) searched(kind string, i indexed, names []string) object {
	known := map[string]string{
		"createdate": stamp(i.created), "hs_lastmodifieddate": stamp(i.modified), "lastmodifieddate": stamp(i.modified),
		"hs_object_id": strconv.FormatInt(i.id, 10), "hs_merged_object_ids": joined(i.merged),
	}
	kept := map[string]string{}
	if kind == "deals" {
		kept = p.has.Deals[i.id].Properties
	} else if c := p.has.Contacts[i.id]; c != nil {
		kept = c.Properties
	}
	return object{
		ID: strconv.FormatInt(i.id, 10), CreatedAt: stamp(i.created), UpdatedAt: stamp(i.modified), Properties: choose(names, known, kept),
	}
}

func (p *Portal) matches(kind string, i indexed, f searchFilter) bool {
	var value int64
	switch f.PropertyName {
	case "hs_lastmodifieddate", "lastmodifieddate":
		value = i.modified.UnixMilli()
	case "createdate":
		value = i.created.UnixMilli()
	case "hs_object_id":
		value = i.id
	default:
		var text string
		if c := p.has.Contacts[i.id]; kind == "contacts" && c != nil {
			text = c.Properties[f.PropertyName]
		} else if d := p.has.Deals[i.id]; kind == "deals" && d != nil {
			text = d.Properties[f.PropertyName]
		}
		return f.Operator == "EQ" && text != "" && text == f.Value
	}
	wanted, err := strconv.ParseInt(f.Value, 10, 64)
	if err != nil {
		return false
	}
	switch f.Operator {
	case "EQ":
		return value == wanted
	case "GT":
		return value > wanted
	case "GTE":
		return value >= wanted
	case "LT":
		return value < wanted
	case "LTE":
		return value <= wanted
	}
	return false
}

// allowSearch counts the search against the account's second; f.mu is held.
func (f *Fake) allowSearch(p *Portal) bool {
	now := time.Now()
	recent := slices.DeleteFunc(f.searches[p.config.ID], func(t time.Time) bool { return now.Sub(t) >= time.Second })
	allowed := len(recent) < p.config.SearchesPerSecond
	if allowed {
		recent = append(recent, now)
	}
	f.searches[p.config.ID] = recent
	return allowed
}

func trimQuotes(raw json.RawMessage) []byte {
	if len(raw) >= 2 && raw[0] == '"' {
		return raw[1 : len(raw)-1]
	}
	return raw
}
