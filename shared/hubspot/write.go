package hubspot

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// Property is a property of deals that an app adds to a portal.
type Property struct {
	Name      string `json:"name"`
	Label     string `json:"label"`
	Type      string `json:"type"`
	FieldType string `json:"fieldType"`
	Group     string `json:"groupName"`
}

// EnsureDealProperties adds properties of deals to the portal where they are not
// there. One that is there with another type is a Conflict that names it.
func (c *Client) EnsureDealProperties(ctx context.Context, group string, properties []Property) error {
	r := request{
		method: http.MethodPost, path: "/crm/v3/properties/deals/groups",
		body: map[string]string{"name": group, "label": group}, what: "the group of properties " + group,
	}
	var answer struct{}
	if err := c.call(ctx, r, &answer); err != nil && fault.Of(err) != fault.Conflict {
		return err
	}
	for _, p := range properties {
		p.Group = group
		r := request{method: http.MethodPost, path: "/crm/v3/properties/deals", body: p, what: "the property " + p.Name}
		err := c.call(ctx, r, &answer)
		if err == nil {
			continue
		}
		if fault.Of(err) != fault.Conflict {
			return err
		}
		var has Property
		if err := c.call(ctx, request{method: http.MethodGet, path: "/crm/v3/properties/deals/" + p.Name, what: r.what}, &has); err != nil {
			return err
		}
		if has.Type != p.Type {
			return fault.Conflictf("portal %d has a property %s of the type %s, not %s: rename or delete it there", c.opts.Portal, p.Name,
				has.Type, p.Type)
		}
	}
	return nil
}

// updateBatch is the most deals that HubSpot changes in one call.
const updateBatch = 100

// UpdateDeals sets properties of deals; "" empties one. Deals that the portal no
// longer has are passed over.
func (c *Client) UpdateDeals(ctx context.Context, values map[int64]map[string]string) error {
	type one struct {
		ID         string            `json:"id"`
		Properties map[string]string `json:"properties"`
	}
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(values)), updateBatch) {
		all := make([]one, len(ids))
		for i, id := range ids {
			all[i] = one{strconv.FormatInt(id, 10), values[id]}
		}
		r := request{
			method: http.MethodPost, path: "/crm/v3/objects/deals/batch/update",
			body: map[string]any{"inputs": all}, what: fmt.Sprintf("the properties of %d deals", len(ids)),
		}
		var answer struct {
			Errors []batchError `json:"errors"`
		}
		if err := c.call(ctx, r, &answer); err != nil {
			return err
		}
		if err := worst(answer.Errors); err != nil {
			return fmt.Errorf("write %s: %w", r.what, err)
		}
	}
	return nil
}
