package fakehubspot

import (
	"net/http"
	"slices"
	"strconv"
)

// Refuse has HubSpot not answer for a record from now on, in batches by an entry of
// the 207 answer with this category, as for a record that an app may not see; "" ends
// that. The kinds are "deals", "contacts", "associations" (of a deal) and "updates" (of
// a deal, of which the whole call is then refused).
func (p *Portal) Refuse(kind string, id int64, category string) {
	p.fake.mu.Lock()
	defer p.fake.mu.Unlock()
	if p.refused == nil {
		p.refused = map[string]map[int64]string{}
	}
	if p.refused[kind] == nil {
		p.refused[kind] = map[int64]string{}
	}
	p.refused[kind][id] = category
	if category == "" {
		delete(p.refused[kind], id)
	}
}

// refusals are the entries of a 207 answer for the refused ones of ids, by category.
func (p *Portal) refusals(kind string, ids []string) (entries []problem) {
	byCategory := map[string][]string{}
	for _, text := range ids {
		id, _ := strconv.ParseInt(text, 10, 64)
		if category := p.refused[kind][id]; category != "" {
			byCategory[category] = append(byCategory[category], text)
		}
	}
	name := "ids"
	if kind == "associations" {
		name = "fromObjectId"
	}
	for category, some := range byCategory {
		entries = append(entries, problem{
			"status": "error", "category": category, "context": map[string]any{name: some}, "message": "This app cannot use some of the records.",
		})
	}
	return entries
}

// refuses reports whether the record is refused by itself, and answers so.
func (p *Portal) refuses(w http.ResponseWriter, kind string, id int64) bool {
	category := p.refused[kind][id]
	if category != "" {
		refuse(w, http.StatusBadRequest, problem{"message": "This app cannot use the record.", "category": category})
	}
	return category != ""
}

// allowed are those of ids that are not refused.
func (p *Portal) allowed(kind string, ids []string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(text string) bool {
		id, _ := strconv.ParseInt(text, 10, 64)
		return p.refused[kind][id] != ""
	})
}
