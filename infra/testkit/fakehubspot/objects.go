package fakehubspot

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// object is a record in the v3 form.
type object struct {
	ID                    string               `json:"id"`
	Properties            map[string]*string   `json:"properties"`
	PropertiesWithHistory map[string][]history `json:"propertiesWithHistory,omitempty"`
	CreatedAt             string               `json:"createdAt"`
	UpdatedAt             string               `json:"updatedAt"`
	Archived              bool                 `json:"archived"`
	Associations          map[string]page      `json:"associations,omitempty"`
}

type history struct {
	Value      string `json:"value"`
	Timestamp  string `json:"timestamp"`
	SourceType string `json:"sourceType"`
	SourceID   string `json:"sourceId"`
}

type page struct {
	Results []any   `json:"results"`
	Paging  *paging `json:"paging,omitempty"`
}

type paging struct {
	Next struct {
		After string `json:"after"`
		Link  string `json:"link,omitempty"`
	} `json:"next"`
}

func (f *Fake) getDeal(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := portalOf(r)
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	d := p.deal(id)
	if err != nil || d == nil || d.Archived != (r.URL.Query().Get("archived") == "true") {
		notFound(w, r.PathValue("id"))
		return
	}
	if p.refuses(w, "deals", d.ID) {
		return
	}
	o := p.dealObject(d, list(r, "properties"), list(r, "propertiesWithHistory"))
	if slices.Contains(list(r, "associations"), "contacts") && len(d.Contacts) > 0 {
		o.Associations = map[string]page{"contacts": f.dealContacts(d, 0, f.opts.AssociationPage)}
	}
	answer(w, http.StatusOK, o)
}

func (p *Portal) dealObject(d *deal, names, withHistory []string) object {
	s, _ := p.stage(d.Properties["pipeline"], d.Properties["dealstage"])
	known := map[string]string{
		"createdate": stamp(d.Created), "hs_lastmodifieddate": stamp(d.Updated), "hs_object_id": strconv.FormatInt(d.ID, 10),
		"amount_in_home_currency": p.home(d.Properties["amount"], d.Properties["deal_currency_code"]),
		"hs_is_closed_won":        strconv.FormatBool(s.Closed && s.Probability == 1), "hs_is_closed": strconv.FormatBool(s.Closed),
		"hs_deal_stage_probability": number(s.Probability), "hs_merged_object_ids": joined(d.Merged),
	}
	o := object{
		ID: strconv.FormatInt(d.ID, 10), CreatedAt: stamp(d.Created), UpdatedAt: stamp(d.Updated), Archived: d.Archived,
		Properties: choose(append(names, "createdate", "hs_lastmodifieddate", "hs_object_id"), known, d.Properties),
	}
	o.PropertiesWithHistory = past(withHistory, map[string][]version{"dealstage": d.Stages})
	return o
}

// past is the history of the properties asked for, the newest value first.
func past(names []string, kept map[string][]version) map[string][]history {
	if len(names) == 0 {
		return nil
	}
	all := make(map[string][]history, len(names))
	for _, name := range names {
		all[name] = []history{}
		for _, v := range slices.Backward(kept[name]) {
			all[name] = append(all[name], history{v.Value, stamp(v.At), "CRM_UI", "userId:76023669"})
		}
	}
	return all
}

func (f *Fake) getDealContacts(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	d := portalOf(r).deal(id)
	if d == nil || d.Archived {
		notFound(w, r.PathValue("id"))
		return
	}
	after, _ := strconv.Atoi(r.URL.Query().Get("after"))
	answer(w, http.StatusOK, f.dealContacts(d, after, f.opts.AssociationPage))
}

// dealContacts is one page of a deal's contacts in the v3 form. As with
// companies, once one is the primary, it is listed twice and all as unlabeled.
func (f *Fake) dealContacts(d *deal, after, size int) page {
	primary := slices.ContainsFunc(d.Contacts, func(a association) bool { return a.Primary })
	var all []any
	for _, a := range d.Contacts {
		id := strconv.FormatInt(a.Contact, 10)
		if a.Primary || !primary {
			all = append(all, map[string]string{"id": id, "type": "deal_to_contact"})
		}
		if primary {
			all = append(all, map[string]string{"id": id, "type": "deal_to_contact_unlabeled"})
		}
	}
	return cut(all, after, size)
}

func (f *Fake) getContact(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	c := portalOf(r).contact(id)
	if c == nil || c.Archived {
		notFound(w, r.PathValue("id"))
		return
	}
	answer(w, http.StatusOK, contactObject(c, list(r, "properties"), list(r, "propertiesWithHistory")))
}

func contactObject(c *contact, names, withHistory []string) object {
	known := map[string]string{
		"lastmodifieddate": stamp(c.Updated), "hs_object_id": strconv.FormatInt(c.ID, 10), "hs_merged_object_ids": joined(c.Merged),
	}
	if c.Properties["createdate"] == "" {
		known["createdate"] = stamp(c.Created)
	}
	return object{
		ID: strconv.FormatInt(c.ID, 10), CreatedAt: stamp(c.Created), UpdatedAt: stamp(c.Updated), Archived: c.Archived,
		Properties:            choose(append(names, "createdate", "lastmodifieddate", "hs_object_id"), known, c.Properties),
		PropertiesWithHistory: past(withHistory, c.Past),
	}
}

// batchRead answers up to 100 records; 207 where some do not exist.
func (f *Fake) batchRead(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Inputs                []struct{ ID string }
		Properties            []string
		PropertiesWithHistory []string
	}
	kind := r.PathValue("type")
	err := json.NewDecoder(r.Body).Decode(&in)
	if err != nil || len(in.Inputs) == 0 || len(in.Inputs) > 100 || len(in.PropertiesWithHistory) > 0 && len(in.Inputs) > 50 {
		refuse(w, http.StatusBadRequest, problem{"message": "Invalid input JSON", "category": "VALIDATION_ERROR"})
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p := portalOf(r)
	results, missing := []object{}, []string{}
	seen := make(map[string]bool)
	archived := r.URL.Query().Get("archived") == "true" // then the recycle bin, and nothing else
	asked := make([]string, len(in.Inputs))
	for i, input := range in.Inputs {
		asked[i] = input.ID
	}
	errs := p.refusals(kind, asked)
	for _, text := range p.allowed(kind, asked) {
		id, _ := strconv.ParseInt(text, 10, 64)
		var o object
		if c := p.contact(id); kind == "contacts" && c != nil && c.Archived == archived {
			o = contactObject(c, in.Properties, in.PropertiesWithHistory)
		} else if d := p.deal(id); kind == "deals" && d != nil && d.Archived == archived {
			o = p.dealObject(d, in.Properties, in.PropertiesWithHistory)
		} else {
			missing = append(missing, text)
			continue
		}
		if !seen[o.ID] {
			seen[o.ID] = true
			results = append(results, o)
		}
	}
	status, body := http.StatusOK, map[string]any{"status": "COMPLETE", "results": results}
	if len(missing) > 0 {
		errs = append(errs, problem{
			"status": "error", "category": "OBJECT_NOT_FOUND", "context": map[string]any{"ids": missing},
			"message": "Could not get some " + strings.ToUpper(kind) + " objects, they may be deleted or not exist. Check that ids are valid.",
		})
	}
	if len(errs) > 0 {
		status, body["numErrors"], body["errors"] = http.StatusMultiStatus, len(errs), errs
	}
	answer(w, status, body)
}

// choose returns the named properties, null where there is no value.
func choose(names []string, computed, kept map[string]string) map[string]*string {
	values := make(map[string]*string, len(names))
	for _, name := range names {
		value := computed[name]
		if value == "" {
			value = kept[name]
		}
		values[name] = nil
		if value != "" {
			values[name] = &value
		}
	}
	return values
}

func list(r *http.Request, name string) []string {
	var all []string
	for _, v := range r.URL.Query()[name] {
		all = append(all, strings.Split(v, ",")...)
	}
	return all
}

func joined(ids []int64) string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = strconv.FormatInt(id, 10)
	}
	return strings.Join(words, ";")
}
