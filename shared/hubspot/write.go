package hubspot

import (
	"context"
	"errors"
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
// longer has are passed over. Its error is a *Partial where HubSpot refuses some and has
// taken the others.
func (c *Client) UpdateDeals(ctx context.Context, values map[int64]map[string]string) error {
	refused := map[int64]string{}
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(values)), updateBatch) {
		before := len(refused)
		err := c.update(ctx, ids, values, refused)
		if err != nil {
			return err
		}
		if n := len(refused) - before; n == len(ids) && n > 1 { // it is the portal, then, not the deals
			return fmt.Errorf("write the properties of %d deals: %w", n, fault.Conflictf("the portal refuses the properties of every deal: %s", refused[ids[0]]))
		}
	}
	return partial(refused, fmt.Sprintf("the properties of %d deals", len(values)))
}

// update changes a batch of deals and adds those that HubSpot refuses to refused. Where
// it refuses the whole call, because of one of them, each half is sent by itself.
func (c *Client) update(ctx context.Context, ids []int64, values map[int64]map[string]string, refused map[int64]string) error {
	err := c.updateOnce(ctx, ids, values)
	if err = refusedBy(err, refused); !errors.Is(err, errInvalid) {
		return err
	}
	if len(ids) == 1 {
		refused[ids[0]] = "HubSpot refuses it: " + code(err)
		return nil
	}
	for _, half := range [][]int64{ids[:len(ids)/2], ids[len(ids)/2:]} {
		if err := c.update(ctx, half, values, refused); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) updateOnce(ctx context.Context, ids []int64, values map[int64]map[string]string) error {
	type one struct {
		ID         string            `json:"id"`
		Properties map[string]string `json:"properties"`
	}
	all := make([]one, len(ids))
	for i, id := range ids {
		all[i] = one{strconv.FormatInt(id, 10), values[id]}
	}
	r := request{
		method: http.MethodPost, path: "/crm/v3/objects/deals/batch/update",
		body: map[string]any{"inputs": all}, what: fmt.Sprintf("the properties of %d deals", len(ids)),
	}
	var answer struct {
		Results []object     `json:"results"`
		Errors  []batchError `json:"errors"`
	}
	if err := c.call(ctx, r, &answer); err != nil {
		return err
	}
	taken := make(map[int64]bool, len(ids))
	for _, o := range answer.Results {
		taken[int64(o.ID)] = true
	}
	refused, err := refusals(ids, func(id int64) bool { return taken[id] }, answer.Errors)
	if err != nil {
		return fmt.Errorf("write %s: %w", r.what, err)
	}
	return partial(refused, r.what)
}
