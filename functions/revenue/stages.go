package revenue

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/ledger"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	domain "github.com/geminivideo/geminivideo/shared/revenue"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// Stage is a stage as it is shown.
type Stage struct {
	StageName   string  `json:"stage_name"`
	Value       float64 `json:"value" doc:"In units of the tenant's currency."`
	Confidence  float64 `json:"confidence"`
	Description string  `json:"description"`
}

func toStage(s domain.Stage, c money.Currency) Stage {
	return Stage{StageName: s.Name, Value: s.Value.Units(c), Confidence: s.Confidence, Description: s.Description}
}

type stagesAnswer struct {
	TenantID  string  `json:"tenant_id"`
	Stages    []Stage `json:"stages" nullable:"false" doc:"Ascending by value."`
	NumStages int     `json:"num_stages"`
	Currency  string  `json:"currency"`
}

type stagesOutput struct{ Body stagesAnswer }

type listInput struct {
	Body struct {
		TenantID string `json:"tenant_id" minLength:"1" maxLength:"100"`
	}
}

type queryInput struct {
	TenantID string `query:"tenant_id" required:"true" minLength:"1" maxLength:"100"`
}

func (f *function) listStages(ctx context.Context, in *listInput) (*stagesOutput, error) {
	return f.stages(ctx, in.Body.TenantID)
}

func (f *function) queryStages(ctx context.Context, in *queryInput) (*stagesOutput, error) {
	return f.stages(ctx, in.TenantID)
}

func (f *function) stages(ctx context.Context, tenant string) (*stagesOutput, error) {
	if err := auth.Own(ctx, tenant); err != nil {
		return nil, err
	}
	out := &stagesOutput{stagesAnswer{TenantID: auth.From(ctx).Tenant, Stages: []Stage{}}}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
		store := domain.NewStore(tx)
		currency, err := store.Currency(ctx)
		if err != nil {
			return err
		}
		stages, err := store.Stages(ctx)
		if err != nil {
			return err
		}
		out.Body.Stages = out.Body.Stages[:0] // the transaction may run again
		for _, s := range stages {
			out.Body.Stages = append(out.Body.Stages, toStage(s, currency))
		}
		out.Body.NumStages, out.Body.Currency = len(stages), string(currency)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

type putInput struct {
	StageName string `path:"stage_name" maxLength:"100" pattern:"^[\\p{L}\\p{N}]([\\p{L}\\p{N} _.\\-]*[\\p{L}\\p{N}])?$" patternDescription:"letters, digits, spaces, dots, dashes and underscores" doc:"A stage that does not exist is created."`
	Body      struct {
		TenantID    string   `json:"tenant_id" minLength:"1" maxLength:"100"`
		Value       float64  `json:"value" minimum:"0" doc:"In units of the tenant's currency."`
		Confidence  *float64 `json:"confidence,omitempty" nullable:"true" minimum:"0" maximum:"1" doc:"Absent: stays as it is; 0.5 for a new stage."`
		Description *string  `json:"description,omitempty" nullable:"true" maxLength:"500" pattern:"^[^\\x00]*$" patternDescription:"text without NUL" doc:"Absent: stays as it is."`
	}
}

type putAnswer struct {
	TenantID string `json:"tenant_id"`
	Stage
	Currency      string   `json:"currency"`
	Created       bool     `json:"created" doc:"There was no stage of this name before."`
	PreviousValue *float64 `json:"previous_value,omitempty" doc:"What it was worth before; absent for a new stage."`
	RevaluedDeals int      `json:"revalued_deals" doc:"How many open deals are worth something else now."`
	SettledAds    int      `json:"settled_ads" doc:"How many ads had their figures brought up to that."`
}

type putOutput struct{ Body putAnswer }

func (f *function) putStage(ctx context.Context, in *putInput) (*putOutput, error) {
	if err := auth.Own(ctx, in.Body.TenantID); err != nil {
		return nil, err
	}
	id := auth.From(ctx)
	answer, err := idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (putAnswer, error) {
		return put(ctx, tx, in)
	})
	if err != nil {
		return nil, err
	}
	outbox.Flush(ctx, f.db, id.Tenant, f.queue) // of ads that became winners by it
	serve.Note(ctx, "stage", in.StageName, "revalued_deals", answer.RevaluedDeals, "settled_ads", answer.SettledAds)
	return &putOutput{answer}, nil
}

func put(ctx context.Context, tx pgx.Tx, in *putInput) (putAnswer, error) {
	store := domain.NewStore(tx)
	currency, err := store.Currency(ctx)
	if err != nil {
		return putAnswer{}, err
	}
	value, err := money.FromUnits(in.Body.Value, currency)
	if err != nil {
		return putAnswer{}, fault.Field("body.value", err.Error())
	}
	was, done, err := store.SetStage(ctx, in.StageName, domain.Setting{
		Value: value, Confidence: in.Body.Confidence, Description: in.Body.Description,
	}, auth.From(ctx).Who())
	if err != nil {
		return putAnswer{}, err
	}
	deals, adIDs, err := ledger.Revalue(ctx, tx, in.StageName, domain.ClosedWon)
	if err != nil {
		return putAnswer{}, err
	}
	slices.Sort(adIDs)
	recomputed, err := ads.Recompute(ctx, tx, slices.Compact(adIDs))
	if err != nil {
		return putAnswer{}, err
	}
	answer := putAnswer{
		TenantID: auth.From(ctx).Tenant, Stage: toStage(done, currency), Currency: string(currency),
		Created: was == nil, RevaluedDeals: deals, SettledAds: len(recomputed),
	}
	if was != nil {
		before := was.Value.Units(currency)
		answer.PreviousValue = &before
	}
	return answer, nil
}
