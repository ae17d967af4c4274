package hubspot

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Deals reads many deals as Deal reads one: with their stage history and all of
// their contacts, by the id that was asked for. A deal that was deleted is missing;
// one that was merged comes back as the deal that it was merged into. Its error is a
// *Partial where HubSpot refuses some of them, or their contacts.
func (c *Client) Deals(ctx context.Context, ids ...int64) (map[int64]Deal, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	found, refused := make(map[int64]Deal, len(ids)), map[int64]string{}
	for chunk := range slices.Chunk(ids, batch) {
		if err := refusedBy(c.deals(ctx, chunk, found), refused); err != nil {
			return nil, err
		}
	}
	var live []int64
	for _, d := range found {
		live = append(live, d.ID)
	}
	without := map[int64]string{}
	contacts, err := c.contactsOfDeals(ctx, slices.Compact(slices.Sorted(slices.Values(live))))
	if err = refusedBy(err, without); err != nil {
		return nil, err
	}
	for asked, d := range found {
		if reason, is := without[d.ID]; is {
			refused[asked] = reason
			delete(found, asked)
			continue
		}
		d.Contacts = contacts[d.ID]
		found[asked] = d
	}
	return found, partial(refused, fmt.Sprintf("%d deals", len(ids)))
}

func (c *Client) deals(ctx context.Context, ids []int64, found map[int64]Deal) error {
	r := request{
		method: http.MethodPost, path: "/crm/v3/objects/deals/batch/read",
		body: map[string]any{"inputs": inputs(ids), "properties": dealProperties, "propertiesWithHistory": []string{"dealstage"}},
		what: fmt.Sprintf("%d deals", len(ids)),
	}
	var answer struct {
		Results []struct {
			object
			History map[string][]stageVersion `json:"propertiesWithHistory"`
		} `json:"results"`
		Errors []batchError `json:"errors"`
	}
	if err := c.call(ctx, r, &answer); err != nil {
		return err
	}
	for _, o := range answer.Results {
		one := c.deal(o.object)
		one.History = stageHistory(o.History["dealstage"])
		for _, id := range append([]int64{one.ID}, one.MergedIDs...) {
			if _, asked := slices.BinarySearch(ids, id); asked {
				one.Asked = id
				found[id] = one
			}
		}
	}
	refused, err := refusals(ids, func(id int64) bool { _, is := found[id]; return is }, answer.Errors)
	if err != nil {
		return fmt.Errorf("read %s: %w", r.what, err)
	}
	return partial(refused, r.what)
}

// stageVersion is a stage that a deal has or had.
type stageVersion struct {
	Value      text      `json:"value"`
	Timestamp  timestamp `json:"timestamp"`
	SourceType text      `json:"sourceType"`
	SourceID   text      `json:"sourceId"`
}

// stageHistory brings HubSpot's list, the newest first, into order; of two at one
// instant HubSpot's order decides.
func stageHistory(versions []stageVersion) []StageChange {
	var changes []StageChange
	for _, v := range slices.Backward(versions) {
		changes = append(changes, StageChange{
			Stage: string(v.Value), At: time.Time(v.Timestamp), SourceType: string(v.SourceType), SourceID: string(v.SourceID),
		})
	}
	slices.SortStableFunc(changes, func(a, b StageChange) int { return a.At.Compare(b.At) })
	return changes
}

// associationBatch is how many records' associations are asked for in one call.
const associationBatch = 100

// contactsOfDeals returns each deal's contacts in the order that Deal gives them:
// primary ones first, then by id.
func (c *Client) contactsOfDeals(ctx context.Context, deals []int64) (map[int64][]int64, error) {
	rank, refused := map[int64]map[int64]int{}, map[int64]string{}
	for chunk := range slices.Chunk(deals, associationBatch) {
		next := inputs(chunk)
		for page := 0; len(next) > 0; page++ {
			if page == maxPages {
				return nil, fmt.Errorf("read contacts of %d deals: more than %d pages", len(chunk), maxPages)
			}
			var err error
			next, err = c.contactPage(ctx, next, rank)
			if err = refusedBy(err, refused); err != nil {
				return nil, err
			}
		}
	}
	contacts := make(map[int64][]int64, len(rank))
	for deal, ranks := range rank {
		for id := range ranks {
			contacts[deal] = append(contacts[deal], id)
		}
		slices.SortFunc(contacts[deal], func(a, b int64) int { return cmp.Or(cmp.Compare(ranks[a], ranks[b]), cmp.Compare(a, b)) })
	}
	return contacts, partial(refused, fmt.Sprintf("contacts of %d deals", len(deals)))
}

// contactPage reads one page of associations and returns what to ask for next.
func (c *Client) contactPage(ctx context.Context, asked []input, rank map[int64]map[int64]int) (next []input, err error) {
	r := request{
		method: http.MethodPost, path: "/crm/v4/associations/deals/contacts/batch/read",
		body: map[string]any{"inputs": asked}, what: fmt.Sprintf("contacts of %d deals", len(asked)),
	}
	var answer struct {
		Results []struct {
			From struct {
				ID number `json:"id"`
			} `json:"from"`
			To []struct {
				ID    number `json:"toObjectId"`
				Types []struct {
					Label text `json:"label"`
				} `json:"associationTypes"`
			} `json:"to"`
			Paging paging `json:"paging"`
		} `json:"results"`
		Errors []batchError `json:"errors"`
	}
	if err := c.call(ctx, r, &answer); err != nil {
		return nil, err
	}
	for _, result := range answer.Results {
		deal := int64(result.From.ID)
		if rank[deal] == nil {
			rank[deal] = map[int64]int{}
		}
		for _, to := range result.To {
			r := 1
			for _, t := range to.Types {
				if strings.EqualFold(string(t.Label), "primary") {
					r = 0
				}
			}
			rank[deal][int64(to.ID)] = r
		}
		if after := string(result.Paging.Next.After); after != "" {
			next = append(next, input{ID: strconv.FormatInt(deal, 10), After: after})
		}
	}
	ids := make([]int64, len(asked))
	for i, one := range asked {
		ids[i], _ = strconv.ParseInt(one.ID, 10, 64)
	}
	refused, err := refusals(ids, func(id int64) bool { return rank[id] != nil }, answer.Errors)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", r.what, err)
	}
	return next, partial(refused, r.what)
}

// input names a record in the body of a batch call.
type input struct {
	ID    string `json:"id"`
	After string `json:"after,omitempty"`
}

func inputs(ids []int64) []input {
	all := make([]input, len(ids))
	for i, id := range ids {
		all[i].ID = strconv.FormatInt(id, 10)
	}
	return all
}
