package hubspot

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Cursor is a position in the list of a portal's records, ordered by the time of
// their last change: records changed before At are read, and, where AfterID is not
// 0, those changed exactly at At up to that id.
type Cursor struct {
	At      time.Time
	AfterID int64
}

// Found is a record that a search found.
type Found struct {
	ID         int64
	ModifiedAt time.Time
	MergedIDs  []int64
}

// Page is one answer of a search. Last reports that nothing follows it now.
type Page struct {
	Found []Found
	Total int
	Next  Cursor
	Last  bool
}

// searchPage is the most records that HubSpot returns in one search.
const searchPage = 200

// ChangedDeals returns the deals that were changed at or after from and, where
// createdSince is set, created at or after it. Search results lag behind changes
// by up to minutes, so callers begin some minutes before what they have read.
func (c *Client) ChangedDeals(ctx context.Context, from Cursor, createdSince time.Time) (Page, error) {
	var more []filter
	if !createdSince.IsZero() {
		more = append(more, filter{"createdate", "GTE", millisText(createdSince)})
	}
	return c.changed(ctx, "deals", "hs_lastmodifieddate", from, more)
}

// ChangedContacts returns the contacts that were changed at or after from.
func (c *Client) ChangedContacts(ctx context.Context, from Cursor) (Page, error) {
	return c.changed(ctx, "contacts", "lastmodifieddate", from, nil)
}

type filter struct {
	Property string `json:"propertyName"`
	Operator string `json:"operator"`
	Value    string `json:"value"`
}

type order struct {
	Property  string `json:"propertyName"`
	Direction string `json:"direction"`
}

// changed reads one page by key, never by offset: records that change meanwhile
// move to the end of the list, and an offset would skip as many. It thereby also
// stays below the 10,000 results that HubSpot gives of one query. Where a whole
// page was changed at the same time, the page after it goes by id.
func (c *Client) changed(ctx context.Context, objects, property string, from Cursor, more []filter) (Page, error) {
	tied := from.AfterID > 0
	filters, sort := append(more, filter{property, "GTE", millisText(from.At)}), order{property, "ASCENDING"}
	if tied {
		filters = append(more, filter{property, "EQ", millisText(from.At)},
			filter{"hs_object_id", "GT", strconv.FormatInt(from.AfterID, 10)})
		sort = order{"hs_object_id", "ASCENDING"}
	}
	r := request{
		method: http.MethodPost, path: "/crm/v3/objects/" + objects + "/search",
		body: map[string]any{
			"filterGroups": []any{map[string]any{"filters": filters}},
			"sorts":        []order{sort}, "limit": searchPage, "properties": []string{property, "hs_merged_object_ids"},
		},
		what: fmt.Sprintf("the %s changed since %s", objects, from.At.UTC().Format(time.RFC3339)),
	}
	var answer struct {
		Total   number   `json:"total"`
		Results []object `json:"results"`
	}
	if err := c.searchTurn(ctx); err != nil {
		return Page{}, err
	}
	if err := c.call(ctx, r, &answer); err != nil {
		return Page{}, err
	}
	page := Page{Total: int(answer.Total), Next: from, Last: len(answer.Results) < searchPage}
	for _, o := range answer.Results {
		page.Found = append(page.Found, Found{
			ID: int64(o.ID), ModifiedAt: or(o.Properties.time(property), time.Time(o.UpdatedAt)),
			MergedIDs: o.Properties.mergedIDs(),
		})
	}
	page.step(from, tied)
	return page, nil
}

// step sets where the next page begins.
func (p *Page) step(from Cursor, tied bool) {
	if len(p.Found) > 0 {
		last := p.Found[len(p.Found)-1]
		switch {
		case tied, !p.Last && !last.ModifiedAt.After(from.At):
			p.Next = Cursor{from.At, last.ID}
			if !tied { // this page was not ordered by id
				p.Next.AfterID = 1
			}
		default:
			p.Next = Cursor{At: last.ModifiedAt}
		}
	}
	if tied && p.Last { // the tied ones are read, later ones may follow
		p.Next, p.Last = Cursor{At: from.At.Add(time.Millisecond)}, false
	}
}

func millisText(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// searchesPerSecond keeps below HubSpot's 5 searches a second and account, which
// other apps of the account use too.
const searchesPerSecond = 4

// searchTurn waits for the portal's turn to search.
func (c *Client) searchTurn(ctx context.Context) error {
	if err := c.limit.search.Wait(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return down("HubSpot's searches of this second are used up", err, time.Second)
	}
	return nil
}
