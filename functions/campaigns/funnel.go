package campaigns

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// Tally is a number of deals and what they are worth together.
type Tally struct {
	Count int64   `json:"count"`
	Value float64 `json:"value"`
}

type funnelStage struct {
	StageName  string  `json:"stage_name"`
	Outcome    string  `json:"outcome" enum:"open,won,lost"`
	StageValue float64 `json:"stage_value" doc:"What a deal in this stage is taken to be worth."`
	Tally
}

type unmappedStage struct {
	PortalID   int64  `json:"portal_id"`
	PipelineID string `json:"pipeline_id"`
	StageID    string `json:"stage_id"`
	Count      int64  `json:"count" doc:"Deals in it; each is valued 0 until the stage is mapped."`
}

type unusableAmount struct {
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
}

// clickedBefore counts deals that another ad may have begun.
type clickedBefore struct {
	Deals int64             `json:"deals" doc:"Deals that are credited to a click."`
	After int64             `json:"after_another_ad"`
	Share *float64          `json:"share" nullable:"true" doc:"after_another_ad over deals, 0 to 1; null without deals."`
	Ads   []adClickedBefore `json:"ads" nullable:"false" doc:"By ad, up to 200, those with most of after_another_ad first."`
}

type adClickedBefore struct {
	AdID  string  `json:"ad_id"`
	Deals int64   `json:"deals"`
	After int64   `json:"after_another_ad"`
	Share float64 `json:"share"`
}

type unattributedReason struct {
	Reason string `json:"reason" doc:"Empty where the deal has not been attributed yet."`
	Tally
}

type funnelOutput struct {
	Body struct {
		Currency string        `json:"currency" doc:"The tenant's: deals are valued in it."`
		Stages   []funnelStage `json:"stages" nullable:"false" doc:"Every stage, also those without deals, from first to last."`
		Open     Tally         `json:"open"`
		Won      Tally         `json:"won"`
		Lost     Tally         `json:"lost"`

		WonWithoutAmount Tally `json:"won_without_amount" doc:"Won deals that the CRM gives no amount: they count at their stage's value in pipeline_value, and never in revenue."`

		UnknownAds       Tally                `json:"unknown_ads" doc:"Deals credited to ads that are in none of your accounts yet: they count once a report or a sync names the ad."`
		ClickedAnotherAd clickedBefore        `json:"clicked_another_ad_before" doc:"Deals whose contact had clicked another ad before the click that they are credited to. An ad with a large share collects what others began."`
		UnmappedStages   []unmappedStage      `json:"unmapped_stages" nullable:"false" doc:"Stages of the CRM that stand for none of yours: up to 1000, those with most deals first."`
		UnusableAmounts  []unusableAmount     `json:"unusable_amounts" nullable:"false" doc:"Deals valued 0 because their amount cannot be used, such as one in a foreign currency."`
		Unattributed     Tally                `json:"unattributed" doc:"Deals that no click led to."`
		Why              []unattributedReason `json:"unattributed_reasons" nullable:"false" doc:"Why, those with most deals first, up to 20."`
	}
}

func (f *function) funnel(ctx context.Context, _ *struct{}) (*funnelOutput, error) {
	out := &funnelOutput{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
		deals := dealStore{tx}
		stages, err := deals.byStage(ctx)
		if err != nil {
			return err
		}
		unmapped, err := deals.unmapped(ctx)
		if err != nil {
			return err
		}
		unusable, err := deals.unusable(ctx)
		if err != nil {
			return err
		}
		reasons, err := deals.unattributed(ctx)
		if err != nil {
			return err
		}
		estimated, err := deals.wonWithoutAmount(ctx)
		if err != nil {
			return err
		}
		unknown, err := deals.unknownAds(ctx)
		if err != nil {
			return err
		}
		if out.Body.ClickedAnotherAd, err = deals.clickedAnotherAd(ctx); err != nil {
			return err
		}
		fill(out, stages, reasons)
		out.Body.UnknownAds = Tally{unknown.Count, unknown.Value.Units(money.Currency(out.Body.Currency))}
		out.Body.WonWithoutAmount = Tally{estimated.Count, estimated.Value.Units(money.Currency(out.Body.Currency))}
		out.Body.UnmappedStages, out.Body.UnusableAmounts = unmapped, unusable
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// maxReasons is how many reasons are listed; the rest only counts.
const maxReasons = 20

func fill(out *funnelOutput, stages []stageRow, reasons []reasonRow) {
	b := &out.Body
	b.Stages, b.Why = []funnelStage{}, []unattributedReason{}
	var home money.Currency
	sums := map[string]*struct {
		count int64
		value money.Amount
	}{"open": {}, "won": {}, "lost": {}}
	for _, s := range stages {
		home = s.Currency
		b.Stages = append(b.Stages, funnelStage{s.StageName, s.Outcome, s.StageValue.Units(home), Tally{s.Count, s.Value.Units(home)}})
		sums[s.Outcome].count += s.Count
		sums[s.Outcome].value += s.Value
	}
	total := func(outcome string) Tally { return Tally{sums[outcome].count, sums[outcome].value.Units(home)} }
	b.Currency, b.Open, b.Won, b.Lost = string(home), total("open"), total("won"), total("lost")
	var count int64
	var value money.Amount
	for i, r := range reasons {
		count, value = count+r.Count, value+r.Value
		if i < maxReasons {
			b.Why = append(b.Why, unattributedReason{r.Reason, Tally{r.Count, r.Value.Units(home)}})
		}
	}
	b.Unattributed = Tally{count, value.Units(home)}
}
