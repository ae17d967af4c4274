// Package campaigns lists campaigns, their ads and the deals behind them, imports
// ad reports and says how the data stands. It serves GET /api/campaigns, GET
// /api/ads, GET /api/deals/, GET /api/data-health and POST /api/ads/import;
// importing a report again replaces the same figures by themselves.
package campaigns

import (
	"context"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fair"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/live"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
	"github.com/geminivideo/geminivideo/shared/spool"
)

func init() { serve.HTTP("campaigns", build) }

type config struct {
	Postgres pg.Config
	Access   serve.AccessConfig
	Publish  publish.Config
	Live     live.Config
}

func build(ctx context.Context) (http.Handler, error) {
	cfg, err := settings.Load[config](ctx)
	if err != nil {
		return nil, err
	}
	db, err := pg.Open(ctx, cfg.Postgres)
	if err != nil {
		return nil, err
	}
	return New(db, serve.NewAccess(cfg.Access, db), publish.New(cfg.Publish), live.Open(ctx, cfg.Live)), nil
}

type function struct {
	db      *pg.DB
	queue   outbox.Publisher
	view    *live.View
	maxBody int64
	room    *spool.Room
	loads   *fair.Queue // reports that are loaded at once
}

// New returns the function's handler, which shows the progress of imports in view, nil
// for none.
func New(db *pg.DB, access serve.Access, queue outbox.Publisher, view *live.View) http.Handler {
	return newFunction(db, queue, view, maxBody).handler(access)
}

func newFunction(db *pg.DB, queue outbox.Publisher, view *live.View, most int64) *function {
	return &function{db, queue, view, most, spool.NewRoom(room), fair.New(db.Conns() - 1)}
}

func (f *function) handler(access serve.Access) http.Handler {
	api := serve.NewAPI(access)
	api.Check("postgres", f.db.Ping)
	serve.Get(api, "/api/campaigns", auth.Viewer, f.list, serve.Summary("Lists campaigns with what their ads did."))
	serve.Get(api, "/api/campaigns/{id}", auth.Viewer, f.show, serve.Summary("Shows a campaign and its ads."))
	serve.Get(api, "/api/campaigns/{id}/ads", auth.Viewer, f.ads, serve.Summary("Lists a campaign's ads."))
	serve.Get(api, "/api/campaigns/{id}/days", auth.Viewer, f.campaignDays, serve.Summary("Shows a campaign's days."))
	serve.Get(api, "/api/campaigns/{id}/deals", auth.Viewer, f.campaignDeals,
		serve.Summary("Lists the deals credited to a campaign's ads, and why."))
	serve.Get(api, "/api/ads", auth.Viewer, f.find, serve.Summary("Finds ads by their ids, or by a part of their name."))
	serve.Get(api, "/api/ads/detail/{id}", auth.Viewer, f.detail, serve.Summary("Shows an ad with its days and the deals credited to it."))
	serve.Get(api, "/api/deals/attribution", auth.Viewer, f.attribution,
		serve.Summary("Counts deals by week and by the layer that found their click."))
	serve.Get(api, "/api/deals/funnel", auth.Viewer, f.funnel, serve.Summary("Counts and values the deals of each stage."))
	serve.Get(api, "/api/data-health", auth.Viewer, f.health,
		serve.Summary("Says what of the tenant's data is assumed, unmatched or stale, and what to do about it."))
	serve.Raw(api, "POST "+importPath, auth.Editor, f.importReport, serve.Summary("Imports an ad report as CSV."),
		serve.Answers[importAnswer]("What became of every row."), describeImport, serve.Upload)
	return api
}

// Page is how a long list is read in parts.
type Page struct {
	After string `query:"after" maxLength:"640" doc:"The id behind which the list goes on: the next of the answer before."`
	Limit int    `query:"limit" minimum:"1" maximum:"10000" default:"10000"`
}

// more asks for one beyond the limit, to see whether the list goes on.
func (p Page) more() ads.Page { return ads.Page{After: p.After, Limit: p.Limit + 1} }

// cut takes the one beyond the limit off again and returns the id to go on behind.
func cut[T any](found []T, limit int, id func(T) string) ([]T, string) {
	if len(found) <= limit {
		return found, ""
	}
	return found[:limit], id(found[limit-1])
}

// Campaign is a campaign as the frontend shows it.
type Campaign struct {
	ID            string  `json:"id"`
	Name          string  `json:"name" doc:"The id where nobody named it."`
	Status        string  `json:"status" enum:"ACTIVE,PAUSED,ARCHIVED,DELETED"`
	TotalBudget   float64 `json:"total_budget" doc:"Per day: the campaign's own budget, or else its active and paused ads' together."`
	NumAds        int64   `json:"num_ads"`
	Impressions   int64   `json:"impressions"`
	Clicks        int64   `json:"clicks"`
	Spend         float64 `json:"spend"`
	PipelineValue float64 `json:"pipeline_value" doc:"Present value of the ads' deals, won ones included."`
	Revenue       float64 `json:"revenue" doc:"The won part of pipeline_value."`
	AccountID     string  `json:"account_id"`
	Currency      string  `json:"currency" doc:"Of all money here."`
}

// Ad is an ad as the frontend shows it.
type Ad struct {
	ID            string    `json:"id"`
	Name          string    `json:"name" doc:"The id where nobody named it."`
	Status        string    `json:"status" enum:"ACTIVE,PAUSED,ARCHIVED,DELETED"`
	DailyBudget   float64   `json:"daily_budget" doc:"0 where none is known."`
	Impressions   int64     `json:"impressions"`
	Clicks        int64     `json:"clicks"`
	Spend         float64   `json:"spend"`
	PipelineValue float64   `json:"pipeline_value"`
	Revenue       float64   `json:"revenue"`
	CreatedAt     time.Time `json:"created_at"`
	FatigueStatus string    `json:"fatigue_status" enum:"HEALTHY,FATIGUING,SATURATED,AUDIENCE_EXHAUSTED,INSUFFICIENT_DATA"`
}

type listInput struct {
	Page
	AccountID string `query:"account_id" maxLength:"128" doc:"Only this ad account's."`
}

type listOutput struct {
	Body struct {
		Campaigns []Campaign `json:"campaigns" nullable:"false"`
		Next      string     `json:"next,omitempty" doc:"Where the list goes on: the after of the next request."`
	}
}

func (f *function) list(ctx context.Context, in *listInput) (*listOutput, error) {
	var found []ads.Campaign
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) (err error) {
		found, err = ads.NewStore(tx).Campaigns(ctx, in.AccountID, "", in.more())
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &listOutput{}
	found, out.Body.Next = cut(found, in.Limit, func(c ads.Campaign) string { return c.CampaignID })
	out.Body.Campaigns = each(found, shownCampaign)
	return out, nil
}

type oneInput struct {
	Page
	ID string `path:"id" maxLength:"640"`
}

type showOutput struct {
	Body struct {
		Campaign
		Ads  []Ad   `json:"ads" nullable:"false"`
		Next string `json:"next,omitempty" doc:"Where the ads go on: the after of the next request."`
	}
}

func (f *function) show(ctx context.Context, in *oneInput) (*showOutput, error) {
	c, found, err := f.one(ctx, in)
	if err != nil {
		return nil, err
	}
	out := &showOutput{}
	out.Body.Campaign = shownCampaign(c)
	found, out.Body.Next = cut(found, in.Limit, func(a ads.Ad) string { return a.AdID })
	out.Body.Ads = each(found, shownAd)
	return out, nil
}

type adsOutput struct {
	Body struct {
		Ads  []Ad   `json:"ads" nullable:"false"`
		Next string `json:"next,omitempty" doc:"Where the list goes on: the after of the next request."`
	}
}

func (f *function) ads(ctx context.Context, in *oneInput) (*adsOutput, error) {
	_, found, err := f.one(ctx, in)
	if err != nil {
		return nil, err
	}
	out := &adsOutput{}
	found, out.Body.Next = cut(found, in.Limit, func(a ads.Ad) string { return a.AdID })
	out.Body.Ads = each(found, shownAd)
	return out, nil
}

// one reads a campaign and a page of its ads.
func (f *function) one(ctx context.Context, in *oneInput) (c ads.Campaign, found []ads.Ad, err error) {
	err = pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
		store := ads.NewStore(tx)
		campaigns, err := store.Campaigns(ctx, "", in.ID, ads.Page{Limit: 1})
		if err != nil {
			return err
		}
		if len(campaigns) == 0 {
			return fault.NotFoundf("there is no campaign with this id")
		}
		c = campaigns[0]
		found, err = store.Of(ctx, in.ID, in.more())
		return err
	})
	return c, found, err
}

func shownCampaign(c ads.Campaign) Campaign {
	units := func(a money.Amount) float64 { return a.Units(c.Currency) }
	return Campaign{
		ID: c.CampaignID, Name: orID(c.Name, c.CampaignID), Status: c.Status, TotalBudget: units(c.TotalBudget), NumAds: c.NumAds,
		Impressions: c.Impressions, Clicks: c.Clicks, Spend: units(c.Spend), PipelineValue: units(c.Pipeline), Revenue: units(c.Revenue),
		AccountID: c.AccountID, Currency: string(c.Currency),
	}
}

func shownAd(a ads.Ad) Ad {
	var budget money.Amount
	if a.DailyBudget != nil {
		budget = *a.DailyBudget
	}
	units := func(m money.Amount) float64 { return m.Units(a.Currency) }
	return Ad{
		ID: a.AdID, Name: orID(a.Name, a.AdID), Status: a.Status, DailyBudget: units(budget), Impressions: a.Impressions, Clicks: a.Clicks,
		Spend: units(a.Spend), PipelineValue: units(a.Pipeline), Revenue: units(a.Revenue), CreatedAt: a.CreatedAt.UTC(),
		FatigueStatus: a.FatigueStatus,
	}
}

func orID(name, id string) string {
	if name == "" {
		return id
	}
	return name
}

func each[A, B any](all []A, show func(A) B) []B {
	shown := make([]B, len(all))
	for i, a := range all {
		shown[i] = show(a)
	}
	return shown
}
