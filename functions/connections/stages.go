package connections

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/hubspot"
	"github.com/geminivideo/geminivideo/shared/hubspotconn"
	"github.com/geminivideo/geminivideo/shared/ledger"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/revenue"
)

// Pipeline is one of the portal's pipelines with what its stages stand for.
type Pipeline struct {
	PipelineID string  `json:"pipeline_id"`
	Label      string  `json:"label"`
	Stages     []Stage `json:"stages" nullable:"false" doc:"In the portal's order."`
}

// Stage is a stage of the portal.
type Stage struct {
	StageID     string   `json:"stage_id"`
	Label       string   `json:"label"`
	Probability *float64 `json:"probability,omitempty" doc:"HubSpot's own, 0 to 1; absent where it gives none."`
	Closed      bool     `json:"closed"`
	Status      string   `json:"status" enum:"mapped,prefilled,unmapped" doc:"prefilled: it stands for stage_name unless it is mapped to another."`
	StageName   string   `json:"stage_name,omitempty" doc:"The tenant's stage that it stands for."`
	MappedBy    string   `json:"mapped_by,omitempty"`
	Deals       int      `json:"deals" doc:"Live deals in it now."`
	OfferValue  *float64 `json:"offer_value,omitempty" doc:"Offered for an unmapped one: its probability times the average deal, in units of the tenant's currency."`
}

// Unmapped is a stage with deals that stands for none of the tenant's: they are
// valued at 0.
type Unmapped struct {
	PipelineID string `json:"pipeline_id"`
	StageID    string `json:"stage_id"`
	Label      string `json:"label,omitempty" doc:"Absent where the portal has no such stage any more."`
	Deals      int    `json:"deals"`
}

// Own is one of the tenant's stages to map to.
type Own struct {
	StageName string  `json:"stage_name"`
	Value     float64 `json:"value" doc:"In units of the tenant's currency."`
}

// Mapping is what a portal's stages stand for.
type Mapping struct {
	PortalID          int64      `json:"portal_id"`
	Currency          string     `json:"currency"`
	AverageDeal       float64    `json:"average_deal" doc:"In units of the tenant's currency."`
	AverageDealSource string     `json:"average_deal_source" enum:"won_deals,deals,closed_won" doc:"The mean amount of the won deals, else of all deals, else what closed_won is worth."`
	Pipelines         []Pipeline `json:"pipelines" nullable:"false"`
	Unmapped          []Unmapped `json:"unmapped" nullable:"false" doc:"Those with most deals first."`
	Stages            []Own      `json:"stages" nullable:"false" doc:"The tenant's stages, ascending by value."`
}

type stagesInput struct {
	PortalID int64 `query:"portal_id" minimum:"0" doc:"Needed where several portals are connected."`
}

type stagesOutput struct{ Body Mapping }

func (f *function) listStages(ctx context.Context, in *stagesInput) (*stagesOutput, error) {
	portal, pipelines, err := f.pipelines(ctx, in.PortalID)
	if err != nil {
		return nil, err
	}
	out := &stagesOutput{}
	err = pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) (err error) {
		out.Body, err = mapping(ctx, tx, portal, pipelines)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// pipelines reads the tenant's portal, the only one where wanted is 0.
func (f *function) pipelines(ctx context.Context, wanted int64) (portal int64, all []hubspot.Pipeline, err error) {
	var row hubspotconn.Portal
	err = pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) (err error) {
		row, err = connectedPortal(ctx, tx, wanted, "query.portal_id")
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	client, err := f.portalClient(row.PortalID,
		func(ctx context.Context) (string, error) { return f.Vault.Get(ctx, row.AccessToken) },
		func() { f.Vault.Forget(row.AccessToken) })
	if err != nil {
		return 0, nil, err
	}
	all, err = client.Pipelines(ctx)
	if errors.Is(err, hubspot.ErrRefused) {
		return 0, nil, &fault.Error{Kind: fault.Conflict, Message: fmt.Sprintf("HubSpot does not accept the connection of portal %d: connect it again", row.PortalID), Cause: err}
	}
	return row.PortalID, all, err
}

// mapping puts together what the portal has and what is known of it here.
func mapping(ctx context.Context, tx pgx.Tx, portal int64, pipelines []hubspot.Pipeline) (Mapping, error) {
	answer := Mapping{PortalID: portal, Pipelines: []Pipeline{}, Unmapped: []Unmapped{}, Stages: []Own{}}
	store := revenue.NewStore(tx)
	currency, err := store.Currency(ctx)
	if err != nil {
		return answer, err
	}
	stages, err := store.Stages(ctx)
	if err != nil {
		return answer, err
	}
	deals := ledger.NewStore(tx, portal)
	known, err := deals.Stages(ctx)
	if err != nil {
		return answer, err
	}
	average, source, err := deals.AverageDeal(ctx)
	if err != nil {
		return answer, err
	}
	answer.Currency, answer.AverageDeal, answer.AverageDealSource = string(currency), average.Units(currency), source
	for _, s := range stages {
		answer.Stages = append(answer.Stages, Own{s.Name, s.Value.Units(currency)})
	}
	for _, p := range pipelines {
		shown := Pipeline{PipelineID: p.ID, Label: p.Label, Stages: []Stage{}}
		for _, s := range p.Stages {
			at := ledger.PortalStage{PipelineID: p.ID, StageID: s.ID}
			one := stageOf(known[at], s, stages)
			if one.Status == "unmapped" && s.Probability != nil {
				offer := money.Amount(float64(average) * *s.Probability).Units(currency)
				one.OfferValue = &offer
			}
			if known[at].Waiting > 0 {
				answer.Unmapped = append(answer.Unmapped, Unmapped{p.ID, s.ID, s.Label, known[at].Waiting})
			}
			delete(known, at)
			shown.Stages = append(shown.Stages, one)
		}
		answer.Pipelines = append(answer.Pipelines, shown)
	}
	for at, k := range known { // deals in what the portal has archived
		if k.Waiting > 0 {
			answer.Unmapped = append(answer.Unmapped, Unmapped{at.PipelineID, at.StageID, "", k.Waiting})
		}
	}
	slices.SortFunc(answer.Unmapped, byDeals)
	return answer, nil
}

// stageOf says what a stage of the portal stands for.
func stageOf(k ledger.StageUse, s hubspot.Stage, own []revenue.Stage) Stage {
	one := Stage{StageID: s.ID, Label: s.Label, Probability: s.Probability, Closed: s.Closed, Status: "unmapped", Deals: k.Deals}
	if k.Name != "" {
		one.Status, one.StageName, one.MappedBy = "mapped", k.Name, k.By
		if k.By == "prefilled" {
			one.Status = "prefilled"
		}
		return one
	}
	if name := ledger.Prefilled(s.ID); name != "" && slices.ContainsFunc(own, func(o revenue.Stage) bool { return o.Name == name }) {
		one.Status, one.StageName, one.MappedBy = "prefilled", name, "prefilled"
	}
	return one
}

func byDeals(a, b Unmapped) int {
	return cmp.Or(cmp.Compare(b.Deals, a.Deals), cmp.Compare(a.PipelineID, b.PipelineID), cmp.Compare(a.StageID, b.StageID))
}

// recompute derives again the totals of ads whose deals are worth something else now.
func recompute(ctx context.Context, tx pgx.Tx, adIDs []string) (int, error) {
	slices.Sort(adIDs)
	recomputed, err := ads.Recompute(ctx, tx, slices.Compact(adIDs))
	return len(recomputed), err
}
