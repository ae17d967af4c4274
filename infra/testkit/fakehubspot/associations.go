package fakehubspot

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// batchAssociations is the v4 form; its pages are asked for by "after".
func (f *Fake) batchAssociations(w http.ResponseWriter, r *http.Request) {
	var in struct{ Inputs []struct{ ID, After string } }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.Inputs) == 0 || len(in.Inputs) > 1000 {
		refuse(w, http.StatusBadRequest, problem{"message": "Invalid input JSON", "category": "VALIDATION_ERROR"})
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p := portalOf(r)
	direction := r.PathValue("from") + ">" + r.PathValue("to")
	typeID := map[string]int{"deals>contacts": 3, "contacts>deals": 4}[direction]
	results, errs := []any{}, []problem{}
	for _, input := range in.Inputs {
		id, _ := strconv.ParseInt(input.ID, 10, 64)
		if some := p.refusals("associations", []string{input.ID}); direction == "deals>contacts" && len(some) > 0 {
			errs = append(errs, some...)
			continue
		}
		var ids []int64
		primary := int64(0)
		if d := p.deal(id); direction == "deals>contacts" && d != nil && !d.Archived {
			for _, a := range d.Contacts {
				ids = append(ids, a.Contact)
				if a.Primary {
					primary = a.Contact
				}
			}
		} else if c := p.contact(id); direction == "contacts>deals" && c != nil && !c.Archived {
			ids = p.dealsOf(c.ID)
		}
		if len(ids) == 0 {
			errs = append(errs, problem{
				"status": "error", "category": "OBJECT_NOT_FOUND", "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
				"message": "No " + r.PathValue("to") + " is associated with " + input.ID + ".",
				"context": map[string]any{"fromObjectId": []string{input.ID}},
			})
			continue
		}
		all := make([]any, len(ids))
		for i, to := range ids {
			types := []any{map[string]any{"category": "HUBSPOT_DEFINED", "typeId": typeID, "label": nil}}
			if to == primary {
				types = append(types, map[string]any{"category": "HUBSPOT_DEFINED", "typeId": typeID, "label": "Primary"})
			}
			all[i] = map[string]any{"toObjectId": to, "associationTypes": types}
		}
		after, _ := strconv.Atoi(input.After)
		part := cut(all, after, f.opts.AssociationPage)
		one := map[string]any{"from": map[string]string{"id": input.ID}, "to": part.Results}
		if part.Paging != nil {
			one["paging"] = part.Paging
		}
		results = append(results, one)
	}
	status, body := http.StatusOK, map[string]any{"status": "COMPLETE", "results": results}
	if len(errs) > 0 {
		status, body["numErrors"], body["errors"] = http.StatusMultiStatus, len(errs), errs
	}
	answer(w, status, body)
}

func cut(all []any, after, size int) page {
	after = min(max(after, 0), len(all))
	end := min(after+size, len(all))
	part := page{Results: append([]any{}, all[after:end]...)}
	if end < len(all) {
		part.Paging = &paging{}
		part.Paging.Next.After = strconv.Itoa(end)
	}
	return part
}
