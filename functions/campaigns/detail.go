package campaigns

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// foundAd is an ad with the campaign that it is found in.
type foundAd struct {
	ID           string `json:"id"`
	Name         string `json:"name" doc:"The id where nobody named it."`
	Status       string `json:"status" enum:"ACTIVE,PAUSED,ARCHIVED,DELETED"`
	CampaignID   string `json:"campaign_id"`
	CampaignName string `json:"campaign_name"`
	AccountID    string `json:"account_id"`
}

type findInput struct {
	IDs   string `query:"ids" maxLength:"20000" doc:"Only these ads: ids with commas between, up to 200."`
	Find  string `query:"find" maxLength:"200" doc:"Only ads whose name or id has this text."`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

type findOutput struct {
	Body struct {
		Ads []foundAd `json:"ads" nullable:"false" doc:"By id."`
	}
}

const maxFound = 200

func (f *function) find(ctx context.Context, in *findInput) (*findOutput, error) {
	ids := slices.DeleteFunc(strings.Split(in.IDs, ","), func(id string) bool { return id == "" })
	if len(ids) > maxFound {
		return nil, fault.Invalidf("ids names more than %d ads", maxFound)
	}
	out := &findOutput{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) (err error) {
		out.Body.Ads, err = detailStore{tx}.find(ctx, ids, in.Find, in.Limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// day is one day of an ad, or of a campaign's ads together.
type day struct {
	Day           string   `json:"day" format:"date" doc:"In the ad account's time zone."`
	Impressions   int64    `json:"impressions"`
	Clicks        int64    `json:"clicks"`
	Spend         float64  `json:"spend"`
	Frequency     *float64 `json:"frequency,omitempty" doc:"Impressions per person that day; left out where Meta did not say, and for a campaign."`
	PipelineValue float64  `json:"pipeline_value" doc:"Present value of the deals whose click was on this day, won ones included."`
	WonValue      float64  `json:"won_value" doc:"The won part of pipeline_value."`
}

func shownDays(rows []dayRow, c money.Currency) []day {
	return each(rows, func(r dayRow) day {
		return day{
			Day: r.Day.Format(time.DateOnly), Impressions: r.Impressions, Clicks: r.Clicks, Spend: r.Spend.Units(c), Frequency: r.Frequency,
			PipelineValue: r.Pipeline.Units(c), WonValue: r.Won.Units(c),
		}
	})
}

// creditedDeal is a deal that the ledger credits to an ad.
type creditedDeal struct {
	AdID       string     `json:"ad_id"`
	AdName     string     `json:"ad_name" doc:"What the ad is called, or its id where nobody named it."`
	Source     string     `json:"source" doc:"The CRM that it comes from."`
	DealID     string     `json:"deal_id" doc:"In that CRM."`
	Stage      string     `json:"stage" doc:"Empty where the CRM's stage stands for none of yours."`
	Outcome    string     `json:"outcome" enum:"open,won,lost"`
	Value      float64    `json:"value"`
	Method     string     `json:"method" doc:"The layer by which the deal's click was found."`
	Confidence float64    `json:"confidence"`
	Reason     string     `json:"reason"`
	ClickedAt  *time.Time `json:"clicked_at,omitempty"`
	CreatedAt  *time.Time `json:"created_at,omitempty" doc:"When the deal was created in the CRM."`
}

type detailInput struct {
	ID   string `path:"id" maxLength:"256"`
	Days int    `query:"days" minimum:"1" maximum:"400" default:"90" doc:"How many days back."`
}

type detailOutput struct {
	Body struct {
		Ad
		CampaignID   string         `json:"campaign_id"`
		CampaignName string         `json:"campaign_name"`
		AccountID    string         `json:"account_id"`
		Currency     string         `json:"currency" doc:"Of all money here."`
		FatigueSince *time.Time     `json:"fatigue_since,omitempty" doc:"Since when fatigue_status stands."`
		SyncedTo     string         `json:"synced_through,omitempty" format:"date" doc:"The last day with figures."`
		CreativeDNA  map[string]any `json:"creative_dna" doc:"What is known of its creative."`
		Days         []day          `json:"days" nullable:"false" doc:"Oldest first; days without figures and deals are left out."`
		Deals        []creditedDeal `json:"deals" nullable:"false" doc:"Those with most value first, up to 100."`
		DealsLeft    int64          `json:"deals_left" doc:"How many more there are."`
	}
}

func (f *function) detail(ctx context.Context, in *detailInput) (*detailOutput, error) {
	out := &detailOutput{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
		store := detailStore{tx}
		found, err := store.one(ctx, in.ID)
		if err != nil {
			return err
		}
		days, err := store.days(ctx, "", in.ID, in.Days)
		if err != nil {
			return err
		}
		deals, count, err := store.deals(ctx, "", in.ID)
		if err != nil {
			return err
		}
		b := &out.Body
		b.Ad = shownAd(found.Ad)
		b.CampaignID, b.CampaignName, b.AccountID = found.CampaignID, orID(found.CampaignName, found.CampaignID), found.AccountID
		b.Currency, b.FatigueSince = string(found.Currency), found.FatigueSince
		if found.LastDay != nil {
			b.SyncedTo = found.LastDay.Format(time.DateOnly)
		}
		b.Days, b.Deals, b.DealsLeft = shownDays(days, found.Currency), each(deals, dealRow.shown), count-int64(len(deals))
		return json.Unmarshal(found.CreativeDNA, &b.CreativeDNA)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

type campaignDaysInput struct {
	ID   string `path:"id" maxLength:"640"`
	Days int    `query:"days" minimum:"1" maximum:"400" default:"90" doc:"How many days back."`
}

type campaignDaysOutput struct {
	Body struct {
		CampaignID string `json:"campaign_id"`
		Currency   string `json:"currency"`
		Days       []day  `json:"days" nullable:"false" doc:"Oldest first; days without figures and deals are left out."`
	}
}

func (f *function) campaignDays(ctx context.Context, in *campaignDaysInput) (*campaignDaysOutput, error) {
	out := &campaignDaysOutput{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
		store := detailStore{tx}
		currency, err := store.campaignCurrency(ctx, in.ID)
		if err != nil {
			return err
		}
		days, err := store.days(ctx, in.ID, "", in.Days)
		out.Body.CampaignID, out.Body.Currency, out.Body.Days = in.ID, string(currency), shownDays(days, currency)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

type campaignDealsInput struct {
	ID string `path:"id" maxLength:"640"`
}

type campaignDealsOutput struct {
	Body struct {
		CampaignID string         `json:"campaign_id"`
		Currency   string         `json:"currency" doc:"Of the deals' values."`
		Deals      []creditedDeal `json:"deals" nullable:"false" doc:"Those with most value first, up to 100."`
		DealsLeft  int64          `json:"deals_left" doc:"How many more there are."`
	}
}

func (f *function) campaignDeals(ctx context.Context, in *campaignDealsInput) (*campaignDealsOutput, error) {
	out := &campaignDealsOutput{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
		store := detailStore{tx}
		if _, err := store.campaignCurrency(ctx, in.ID); err != nil {
			return err
		}
		deals, count, err := store.deals(ctx, in.ID, "")
		if err != nil {
			return err
		}
		b := &out.Body
		b.CampaignID, b.Deals, b.DealsLeft = in.ID, each(deals, dealRow.shown), count-int64(len(deals))
		b.Currency, err = store.tenantCurrency(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

type methodCount struct {
	Method string  `json:"method" doc:"The layer by which a deal's click was found; unattributed where none was."`
	Deals  int64   `json:"deals"`
	Value  float64 `json:"value"`
}

type attributionWeek struct {
	Week    string        `json:"week" format:"date" doc:"Its Monday, in UTC."`
	Methods []methodCount `json:"methods" nullable:"false"`
}

type attributionInput struct {
	Weeks int `query:"weeks" minimum:"1" maximum:"104" default:"26" doc:"How many weeks back."`
}

type attributionOutput struct {
	Body struct {
		Currency string            `json:"currency"`
		Weeks    []attributionWeek `json:"weeks" nullable:"false" doc:"Oldest first, by when the deal's contact first converted, or else the deal was created."`
	}
}

func (f *function) attribution(ctx context.Context, in *attributionInput) (*attributionOutput, error) {
	out := &attributionOutput{}
	out.Body.Weeks = []attributionWeek{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
		rows, err := detailStore{tx}.attribution(ctx, in.Weeks)
		if err != nil {
			return err
		}
		b := &out.Body
		for _, r := range rows {
			b.Currency = string(r.Currency)
			week := r.Week.Format(time.DateOnly)
			if len(b.Weeks) == 0 || b.Weeks[len(b.Weeks)-1].Week != week {
				b.Weeks = append(b.Weeks, attributionWeek{Week: week})
			}
			last := &b.Weeks[len(b.Weeks)-1]
			last.Methods = append(last.Methods, methodCount{r.Method, r.Deals, r.Value.Units(r.Currency)})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
