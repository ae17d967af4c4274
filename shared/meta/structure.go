package meta

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/shared/money"
)

// Campaign is a campaign; budgets in minor units, nil where it has none.
type Campaign struct {
	ID, Name                    string
	Status, Effective           string // as of State
	DailyBudget, LifetimeBudget *int64
	CreatedAt                   time.Time
}

// AdSet is an ad set; budgets in minor units, nil where it has none.
type AdSet struct {
	ID, CampaignID, Name        string
	Status, Effective           string
	DailyBudget, LifetimeBudget *int64
	MinSpend, SpendCap          *int64
	Learning                    bool
}

// Ad is an ad with the texts of its creative.
type Ad struct {
	ID, AdSetID, CampaignID, Name string
	Status, Effective             string
	CreatedAt                     time.Time
	CreativeName                  string
	Title, Body, CallToAction     string // as people read them; "" where the creative has none
}

// Archived is a filter of lists: those that are neither archived nor deleted, or
// those that are archived. Meta lists no deleted ones.
type Archived bool

// Campaigns returns the account's campaigns.
func (a *Account) Campaigns(ctx context.Context, archived Archived) ([]Campaign, error) {
	var all []Campaign
	currency, err := a.currency(ctx)
	if err != nil {
		return nil, err
	}
	err = list(ctx, a, a.edge("campaigns", "id,name,status,effective_status,daily_budget,lifetime_budget,created_time", archived),
		func(page []listed) error {
			for _, l := range page {
				c := Campaign{ID: l.ID, Name: l.Name, Status: l.Status, Effective: l.Effective, CreatedAt: l.created()}
				if err := errorsIn("campaign/"+l.ID, l.budgetsInto(&c.DailyBudget, &c.LifetimeBudget, currency)); err != nil {
					return err
				}
				all = append(all, c)
			}
			return nil
		})
	return all, err
}

// AdSets returns the account's ad sets.
func (a *Account) AdSets(ctx context.Context) ([]AdSet, error) {
	var all []AdSet
	currency, err := a.currency(ctx)
	if err != nil {
		return nil, err
	}
	const fields = "id,campaign_id,name,status,effective_status,daily_budget,lifetime_budget,daily_min_spend_target,daily_spend_cap,learning_stage_info{status}"
	err = list(ctx, a, a.edge("adsets", fields, false), func(page []listed) error {
		for _, l := range page {
			s := AdSet{
				ID: l.ID, CampaignID: l.CampaignID, Name: l.Name, Status: l.Status, Effective: l.Effective,
				Learning: l.Learning.Status == "LEARNING",
			}
			err := errorsIn("adset/"+l.ID, l.budgetsInto(&s.DailyBudget, &s.LifetimeBudget, currency),
				set(&s.MinSpend, l.MinSpend, currency), set(&s.SpendCap, l.SpendCap, currency))
			if err != nil {
				return err
			}
			all = append(all, s)
		}
		return nil
	})
	return all, err
}

// Ads returns the account's ads.
func (a *Account) Ads(ctx context.Context, archived Archived) ([]Ad, error) {
	var all []Ad
	const fields = "id,adset_id,campaign_id,name,status,effective_status,created_time,creative{name,title,body,call_to_action_type}"
	err := list(ctx, a, a.edge("ads", fields, archived), func(page []listed) error {
		for _, l := range page {
			all = append(all, Ad{
				ID: l.ID, AdSetID: l.AdSetID, CampaignID: l.CampaignID, Name: l.Name, Status: l.Status, Effective: l.Effective,
				CreatedAt:    l.created(),
				CreativeName: l.Creative.Name, Title: l.Creative.Title, Body: l.Creative.Body, CallToAction: l.Creative.CallToAction,
			})
		}
		return nil
	})
	return all, err
}

// listed is an object of any list.
type listed struct {
	ID         string `json:"id"`
	CampaignID string `json:"campaign_id"`
	AdSetID    string `json:"adset_id"`
	Name       string `json:"name"`
	Status     string `json:"status"`
	Effective  string `json:"effective_status"`
	Created    string `json:"created_time"`
	budgets
	MinSpend number `json:"daily_min_spend_target"`
	SpendCap number `json:"daily_spend_cap"`
	Learning struct {
		Status string `json:"status"`
	} `json:"learning_stage_info"`
	Creative struct {
		Name         string `json:"name"`
		Title        string `json:"title"`
		Body         string `json:"body"`
		CallToAction string `json:"call_to_action_type"`
	} `json:"creative"`
}

// created is when it was made, the zero time where Meta does not say so.
func (l listed) created() time.Time {
	t, err := time.Parse("2006-01-02T15:04:05-0700", l.Created)
	if err != nil {
		t, _ = time.Parse(time.RFC3339, l.Created)
	}
	return t.UTC()
}

func (l listed) budgetsInto(daily, lifetime **int64, c money.Currency) error {
	return errors.Join(set(daily, l.Daily, c), set(lifetime, l.Lifetime, c))
}

func (a *Account) edge(name, fields string, archived Archived) call {
	q := url.Values{"fields": {fields}}
	if archived {
		q.Set("effective_status", `["ARCHIVED"]`)
	}
	return call{path: a.ID() + "/" + name, query: q, bulk: true, what: "list the " + name + " of " + a.ID()}
}

const (
	// maxPages bounds a list that does not end; at 500 a page it is far above any account.
	maxPages  = 20_000
	leastPage = 25
)

// list reads page after page and gives each to fn. Where Meta finds a page too
// much, the pages become smaller.
func list[T any](ctx context.Context, a *Account, c call, fn func([]T) error) error {
	size, seen := a.client.opts.PageSize, map[string]bool{}
	for range maxPages {
		c.query.Set("limit", strconv.Itoa(size))
		var page struct {
			Data   []T `json:"data"`
			Paging struct {
				Cursors struct {
					After string `json:"after"`
				} `json:"cursors"`
				Next string `json:"next"`
			} `json:"paging"`
		}
		_, err := a.read(ctx, c, &page)
		if is(err, tooMuch) && size > leastPage {
			size = max(size/4, leastPage)
			continue
		}
		if err != nil {
			return err
		}
		if err := fn(page.Data); err != nil {
			return err
		}
		if page.Paging.Next == "" {
			return nil
		}
		if err := a.advance(&c, page.Paging.Cursors.After, page.Paging.Next); err != nil {
			return fmt.Errorf("%s: %w", c.what, err)
		}
		place := c.query.Get("after") + " " + c.query.Get("offset")
		if seen[place] {
			return fmt.Errorf("%s: Meta's pages go round in a circle", c.what)
		}
		seen[place] = true
	}
	return fmt.Errorf("%s: more than %d pages", c.what, maxPages)
}

// advance turns c to the next page. Meta's own address of it holds the token, so
// only the place is taken from it, and only where it is the same edge of the same server.
func (a *Account) advance(c *call, after, next string) error {
	if after != "" {
		c.query.Set("after", after)
		return nil
	}
	u, err := url.Parse(next)
	if err != nil || u.Scheme != a.client.base.Scheme || u.Host != a.client.base.Host || !strings.HasSuffix(u.Path, "/"+c.path) {
		return errors.New("the next page is elsewhere") // the address itself may hold the token
	}
	for _, name := range []string{"after", "offset"} {
		c.query.Del(name)
		if v := u.Query().Get(name); v != "" {
			c.query.Set(name, v)
		}
	}
	return nil
}
