package hubspot

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/money"
)

// Deal is a deal as HubSpot holds it now.
type Deal struct {
	// ID differs from the id that was asked for where that deal was merged into
	// this one; Asked is the one that was asked for.
	ID, Asked       int64
	Stage, Pipeline string
	// Amount is in the deal's own currency, HomeAmount the same in the portal's.
	Amount, HomeAmount Amount
	CreatedAt          time.Time
	ClosedAt           time.Time
	ModifiedAt         time.Time
	ClosedWon          bool
	// Probability is that of the stage, 0 to 1; nil where HubSpot gives none.
	Probability *float64
	// History holds the changes of stage, oldest first. HubSpot keeps only the
	// latest ones (20 of a deal), so the first of them need not be the beginning.
	History []StageChange
	// Contacts are the associated contacts, without repetition: primary ones
	// first, then by id, so that the same deal always gives the same order.
	Contacts []int64
	// MergedIDs are the deals that were merged into this one.
	MergedIDs []int64
}

// StageChange is a deal's move to a stage.
type StageChange struct {
	Stage      string
	At         time.Time
	SourceType string
	SourceID   string
}

// Merged reports whether the deal that was asked for lives on in this one.
func (d Deal) Merged() bool { return d.ID != d.Asked }

// AmountIn returns the deal's amount in c: its own where it is in c, otherwise
// the home-currency one where that is. It reports false where HubSpot knows none.
func (d Deal) AmountIn(c money.Currency) (money.Amount, bool) {
	for _, a := range []Amount{d.Amount, d.HomeAmount} {
		if a.Known && a.Currency == c {
			return a.Value, true
		}
	}
	return 0, false
}

// Amount is an amount of money as HubSpot wrote it. Value and Currency are set
// where the currency is known and Raw is an amount, which Known says.
type Amount struct {
	Raw      string
	Currency money.Currency
	Value    money.Amount
	Known    bool
}

// In reads the amount as one of c.
func (a Amount) In(c money.Currency) (money.Amount, bool) {
	// ParseFloat alone would also read 0x1p4, NaN and Infinity.
	if a.Raw == "" || !c.Valid() || strings.Trim(a.Raw, "0123456789.-+eE") != "" {
		return 0, false
	}
	units, err := strconv.ParseFloat(a.Raw, 64)
	if err != nil {
		return 0, false
	}
	value, err := money.FromUnits(units, c)
	return value, err == nil
}

func amount(raw string, c money.Currency) Amount {
	a := Amount{Raw: strings.TrimSpace(raw), Currency: c}
	a.Value, a.Known = a.In(c)
	return a
}

// dealProperties are all that we read of a deal.
var dealProperties = []string{
	"amount", "amount_in_home_currency", "deal_currency_code", "dealstage", "pipeline", "createdate", "closedate",
	"hs_is_closed_won", "hs_deal_stage_probability", "hs_lastmodifieddate", "hs_merged_object_ids",
}

// Deal returns the deal with its stage history and all of its contacts. A deal
// that was deleted is a fault of kind NotFound; one that was merged comes back
// as the deal that it was merged into.
func (c *Client) Deal(ctx context.Context, id int64) (Deal, error) {
	r := request{
		method: http.MethodGet, path: "/crm/v3/objects/deals/" + strconv.FormatInt(id, 10),
		query: url.Values{
			"properties":            {strings.Join(dealProperties, ",")},
			"propertiesWithHistory": {"dealstage"},
			"associations":          {"contacts"},
		},
		what: fmt.Sprintf("deal %d", id),
	}
	var answer struct {
		object
		History      map[string][]stageVersion  `json:"propertiesWithHistory"`
		Associations map[string]associationPage `json:"associations"`
	}
	if err := c.call(ctx, r, &answer); err != nil {
		return Deal{}, err
	}
	if answer.ID <= 0 {
		return Deal{}, fmt.Errorf("read %s: HubSpot's answer has no id", r.what)
	}
	deal := c.deal(answer.object)
	deal.Asked = id
	deal.History = stageHistory(answer.History["dealstage"])
	var err error
	deal.Contacts, err = c.restOfContacts(ctx, deal.ID, answer.Associations["contacts"])
	return deal, err
}

// Deleted reports whether the deal is in the portal's recycle bin: one that is in
// neither place never was there, or was deleted for good.
func (c *Client) Deleted(ctx context.Context, id int64) (bool, error) {
	r := request{
		method: http.MethodGet, path: "/crm/v3/objects/deals/" + strconv.FormatInt(id, 10),
		query: url.Values{"archived": {"true"}}, what: fmt.Sprintf("deleted deal %d", id),
	}
	var answer object
	err := c.call(ctx, r, &answer)
	if fault.Of(err) == fault.NotFound {
		return false, nil
	}
	return err == nil, err
}

func (c *Client) deal(o object) Deal {
	p := o.Properties
	home := c.opts.HomeCurrency
	own := money.Currency(strings.ToUpper(strings.TrimSpace(p.get("deal_currency_code"))))
	if own == "" {
		own = home // a portal with one currency leaves the code out
	}
	return Deal{
		ID: int64(o.ID), Stage: p.get("dealstage"), Pipeline: p.get("pipeline"),
		Amount:     amount(p.get("amount"), own),
		HomeAmount: amount(p.get("amount_in_home_currency"), home),
		CreatedAt:  or(p.time("createdate"), time.Time(o.CreatedAt)),
		ClosedAt:   p.time("closedate"),
		ModifiedAt: or(p.time("hs_lastmodifieddate"), time.Time(o.UpdatedAt)),
		ClosedWon:  strings.EqualFold(p.get("hs_is_closed_won"), "true"), Probability: probability(p.get("hs_deal_stage_probability")),
		MergedIDs: p.mergedIDs(),
	}
}

// associationPage is a page of associations in the v3 form.
type associationPage struct {
	Results []struct {
		ID   number `json:"id"`
		Type text   `json:"type"`
	} `json:"results"`
	Paging paging `json:"paging"`
}

type paging struct {
	Next struct {
		After text `json:"after"`
	} `json:"next"`
}

// maxPages bounds a run through pages: HubSpot allows far fewer associations of
// a record than that, so a longer run is a loop.
const maxPages = 200

// restOfContacts collects the contacts of a deal's first page and of those after it.
func (c *Client) restOfContacts(ctx context.Context, deal int64, page associationPage) ([]int64, error) {
	rank := make(map[int64]int)
	unlabeled := false
	for n := 1; ; n++ {
		for _, a := range page.Results {
			kind := strings.ToLower(string(a.Type))
			r := 2
			switch {
			case strings.HasSuffix(kind, "_unlabeled"):
				unlabeled = true
			case strings.Contains(kind, "primary"):
				r = 0
			case kind == "deal_to_contact":
				r = 1
			}
			if was, seen := rank[int64(a.ID)]; !seen || r < was {
				rank[int64(a.ID)] = r
			}
		}
		after := string(page.Paging.Next.After)
		if after == "" {
			break
		}
		if n == maxPages {
			return nil, fmt.Errorf("read contacts of deal %d: more than %d pages", deal, maxPages)
		}
		r := request{
			method: http.MethodGet, path: fmt.Sprintf("/crm/v3/objects/deals/%d/associations/contacts", deal),
			query: url.Values{"limit": {"500"}, "after": {after}},
			what:  fmt.Sprintf("contacts of deal %d", deal),
		}
		page = associationPage{}
		if err := c.call(ctx, r, &page); err != nil {
			return nil, err
		}
	}
	delete(rank, 0)
	ids := make([]int64, 0, len(rank))
	for id, r := range rank {
		// deal_to_contact marks the primary one only where others are "_unlabeled";
		// otherwise it is the type of them all.
		if r == 1 && !unlabeled {
			rank[id] = 2
		}
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b int64) int { return cmp.Or(cmp.Compare(rank[a], rank[b]), cmp.Compare(a, b)) })
	return ids, nil
}
