package fakehubspot

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Definition is a property that a portal has beyond HubSpot's own.
type Definition struct {
	Name      string `json:"name"`
	Label     string `json:"label"`
	Type      string `json:"type"`
	FieldType string `json:"fieldType"`
	GroupName string `json:"groupName"`
}

func readFull(r io.Reader, into []byte) (int, error) { return io.ReadFull(r, into) }

// createGroup makes a group of properties, or answers 409 where it is there.
func (f *Fake) createGroup(w http.ResponseWriter, r *http.Request) {
	var in struct{ Name, Label string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Name == "" || in.Name != strings.ToLower(in.Name) {
		refuse(w, http.StatusBadRequest, problem{"message": "Invalid input JSON", "category": "VALIDATION_ERROR"})
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p := portalOf(r)
	if slices.Contains(p.has.Groups, in.Name) {
		refuse(w, http.StatusConflict, problem{"message": "A property group named '" + in.Name + "' already exists.", "category": "CONFLICT"})
		return
	}
	p.has.Groups = append(p.has.Groups, in.Name)
	answer(w, http.StatusCreated, map[string]any{"name": in.Name, "label": in.Label, "archived": false})
}

// createProperty makes a property of deals, or answers 409 where it is there.
func (f *Fake) createProperty(w http.ResponseWriter, r *http.Request) {
	var in Definition
	err := json.NewDecoder(r.Body).Decode(&in)
	f.mu.Lock()
	defer f.mu.Unlock()
	p := portalOf(r)
	types := map[string][]string{"string": {"text", "textarea"}, "number": {"number"}, "datetime": {"date"}}
	switch {
	case err != nil, in.Name == "", in.Name != strings.ToLower(in.Name), in.Label == "",
		!slices.Contains(types[in.Type], in.FieldType), !slices.Contains(p.has.Groups, in.GroupName):
		refuse(w, http.StatusBadRequest, problem{"message": "Property values were not valid", "category": "VALIDATION_ERROR"})
		return
	case p.has.Definitions[in.Name] != nil:
		refuse(w, http.StatusConflict, problem{
			"message":  "A property named '" + in.Name + "' already exists.",
			"category": "OBJECT_ALREADY_EXISTS",
		})
		return
	}
	if p.has.Definitions == nil {
		p.has.Definitions = map[string]*Definition{}
	}
	p.has.Definitions[in.Name] = &in
	answer(w, http.StatusCreated, in)
}

func (f *Fake) getProperty(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := portalOf(r).has.Definitions[r.PathValue("name")]
	if d == nil {
		notFound(w, r.PathValue("name"))
		return
	}
	answer(w, http.StatusOK, d)
}

// DefineProperty makes a property of deals as a person in HubSpot does.
func (p *Portal) DefineProperty(d Definition) {
	p.fake.mu.Lock()
	defer p.fake.mu.Unlock()
	if p.has.Definitions == nil {
		p.has.Definitions = map[string]*Definition{}
	}
	p.has.Definitions[d.Name] = &d
}

// Property returns the value of a deal's property, "" where it has none.
func (p *Portal) Property(deal int64, name string) string {
	p.fake.mu.Lock()
	defer p.fake.mu.Unlock()
	if d := p.deal(deal); d != nil {
		return d.Properties[name]
	}
	return ""
}

// batchUpdate changes up to 100 deals: all of them, or 207 where some do not
// exist. A property that the portal does not have makes the whole call invalid.
func (f *Fake) batchUpdate(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Inputs []struct {
			ID         string            `json:"id"`
			Properties map[string]string `json:"properties"`
		} `json:"inputs"`
	}
	invalid := func(message string) {
		refuse(w, http.StatusBadRequest, problem{"message": message, "category": "VALIDATION_ERROR"})
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.Inputs) == 0 || len(in.Inputs) > 100 {
		invalid("Invalid input JSON")
		return
	}
	f.mu.Lock()
	p := portalOf(r)
	for i, one := range in.Inputs {
		if slices.ContainsFunc(in.Inputs[:i], func(other struct {
			ID         string            `json:"id"`
			Properties map[string]string `json:"properties"`
		},
		) bool {
			return other.ID == one.ID
		}) {
			f.mu.Unlock()
			invalid("Duplicate IDs found in batch input")
			return
		}
		if id, _ := strconv.ParseInt(one.ID, 10, 64); p.refuses(w, "updates", id) {
			f.mu.Unlock()
			return
		}
		for name, value := range one.Properties {
			d := p.has.Definitions[name]
			if d == nil {
				f.mu.Unlock()
				invalid("Property \"" + name + "\" does not exist")
				return
			}
			if !d.takes(value) {
				f.mu.Unlock()
				invalid(name + " was not a valid " + d.Type)
				return
			}
		}
	}
	var events []Event
	results, absent, errs := []object{}, []string{}, []problem{}
	for _, one := range in.Inputs {
		id, _ := strconv.ParseInt(one.ID, 10, 64)
		if some := p.refusals("deals", []string{one.ID}); len(some) > 0 {
			errs = append(errs, some...)
			continue
		}
		d := p.deal(id)
		if d == nil || d.Archived {
			absent = append(absent, one.ID)
			continue
		}
		changed := maps.Clone(one.Properties)
		maps.DeleteFunc(changed, func(name, value string) bool { return d.Properties[name] == value })
		if len(changed) > 0 {
			events = append(events, p.set(d, changed, f.at(time.Time{}))...)
		}
		results = append(results, p.dealObject(d, slices.Sorted(maps.Keys(one.Properties)), nil))
	}
	f.mu.Unlock()
	p.Enqueue(events...)
	status, body := http.StatusOK, map[string]any{"status": "COMPLETE", "results": results}
	if len(absent) > 0 {
		errs = append(errs, problem{
			"status": "error", "category": "OBJECT_NOT_FOUND", "context": map[string]any{"ids": absent},
			"message": "Could not update some DEALS objects.",
		})
	}
	if len(errs) > 0 {
		status, body["numErrors"], body["errors"] = http.StatusMultiStatus, len(errs), errs
	}
	answer(w, status, body)
}

// takes reports whether the property's type takes value; "" empties it.
func (d *Definition) takes(value string) bool {
	if value == "" {
		return true
	}
	switch d.Type {
	case "number":
		_, err := strconv.ParseFloat(value, 64)
		return err == nil
	case "datetime":
		_, err := time.Parse(time.RFC3339, value)
		if err != nil {
			_, err = strconv.ParseInt(value, 10, 64)
		}
		return err == nil
	}
	return true
}

// listDeals lists live or deleted deals by id, as GET /crm/v3/objects/deals?archived=true.
func (f *Fake) listDeals(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := portalOf(r)
	archived := r.URL.Query().Get("archived") == "true"
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil || limit < 1 || limit > 100 {
		limit = 10
	}
	after, _ := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
	results, body := []object{}, map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(p.has.Deals)) {
		if p.has.Deals[id].Archived != archived || id < after {
			continue
		}
		if len(results) == limit {
			next := &paging{}
			next.Next.After = strconv.FormatInt(id, 10)
			body["paging"] = next
			break
		}
		results = append(results, p.dealObject(p.has.Deals[id], list(r, "properties"), nil))
	}
	body["results"] = results
	answer(w, http.StatusOK, body)
}
