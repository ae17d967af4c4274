package hubspot

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

// Existing returns which of the deals the portal still has, by the id that was
// asked for: the id that the deal has now, another one where it was merged. Its error
// is a *Partial where HubSpot refuses to say it of some.
func (c *Client) Existing(ctx context.Context, ids ...int64) (map[int64]int64, error) {
	return c.existing(ctx, "deals", false, ids)
}

// ErasedContacts returns those of the contacts that the portal has nowhere: neither
// among its contacts, also under another id, nor in its recycle bin. HubSpot has erased
// them, or has emptied the bin. Contacts that HubSpot refuses to read are not among them.
func (c *Client) ErasedContacts(ctx context.Context, ids ...int64) ([]int64, error) {
	missing := ids
	// One that leaves the bin between the first two questions is found by the third.
	for _, archived := range []bool{false, true, false} {
		if len(missing) == 0 {
			break
		}
		found, err := c.existing(ctx, "contacts", archived, missing)
		refused := map[int64]string{}
		if err := refusedBy(err, refused); err != nil {
			return nil, err
		}
		missing = slices.DeleteFunc(slices.Clone(missing), func(id int64) bool { return found[id] != 0 || refused[id] != "" })
	}
	return missing, nil
}

// existingBatch is the most records that HubSpot reads in one call without their history.
const existingBatch = 100

func (c *Client) existing(ctx context.Context, objects string, archived bool, ids []int64) (map[int64]int64, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	found, refused := make(map[int64]int64, len(ids)), map[int64]string{}
	for chunk := range slices.Chunk(ids, existingBatch) {
		r := request{
			method: http.MethodPost, path: "/crm/v3/objects/" + objects + "/batch/read",
			body: map[string]any{"inputs": inputs(chunk), "properties": []string{"hs_merged_object_ids"}},
			what: fmt.Sprintf("%d %s", len(chunk), objects),
		}
		if archived {
			r.query = url.Values{"archived": {"true"}}
		}
		var answer struct {
			Results []object     `json:"results"`
			Errors  []batchError `json:"errors"`
		}
		if err := c.call(ctx, r, &answer); err != nil {
			return nil, err
		}
		for _, o := range answer.Results {
			for _, id := range append([]int64{int64(o.ID)}, o.Properties.mergedIDs()...) {
				if _, asked := slices.BinarySearch(chunk, id); asked {
					found[id] = int64(o.ID)
				}
			}
		}
		some, err := refusals(chunk, func(id int64) bool { return found[id] != 0 }, answer.Errors)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", r.what, err)
		}
		for id, reason := range some {
			refused[id] = reason
		}
	}
	return found, partial(refused, fmt.Sprintf("%d %s", len(ids), objects))
}
