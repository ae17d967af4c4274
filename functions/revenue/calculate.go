package revenue

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/pg"
	domain "github.com/geminivideo/geminivideo/shared/revenue"
)

// Change is a deal's move from one stage to another. StageFrom is nil for a new deal.
type Change struct {
	StageFrom *string  `json:"stage_from,omitempty" nullable:"true" minLength:"1" maxLength:"100" doc:"Where the deal was; absent or null for a new deal."`
	StageTo   string   `json:"stage_to" minLength:"1" maxLength:"100" doc:"Where the deal is now."`
	DealValue *float64 `json:"deal_value,omitempty" nullable:"true" minimum:"0" doc:"The deal's real amount, in units of the tenant's currency; it counts in closed_won."`
}

// worth is what a change is worth.
type worth struct {
	to, gain   money.Amount
	confidence float64
	reason     string
}

// book is what a tenant's stages are worth.
type book struct {
	stages   map[string]domain.Stage
	currency money.Currency
}

func (f *function) book(ctx context.Context) (b book, err error) {
	err = pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
		store := domain.NewStore(tx)
		if b.currency, err = store.Currency(ctx); err != nil {
			return err
		}
		stages, err := store.Stages(ctx)
		b.stages = make(map[string]domain.Stage, len(stages))
		for _, s := range stages {
			b.stages[s.Name] = s
		}
		return err
	})
	return b, err
}

// value works a change out: the worth of its stage less that of the one before,
// the deal's real amount standing for closed_won on either side. path is where
// the change stands in the request.
func (b book) value(path string, c Change) (worth, error) {
	var amount *money.Amount
	if c.DealValue != nil {
		a, err := money.FromUnits(*c.DealValue, b.currency)
		if err != nil {
			return worth{}, fault.Field(path+".deal_value", err.Error())
		}
		amount = &a
	}
	to, err := b.stage(path+".stage_to", c.StageTo)
	if err != nil {
		return worth{}, err
	}
	var from domain.Stage // of a new deal: worth nothing
	if c.StageFrom != nil {
		if from, err = b.stage(path+".stage_from", *c.StageFrom); err != nil {
			return worth{}, err
		}
	}
	worthOf := func(s domain.Stage) money.Amount { return domain.Worth(s, s.Name == domain.ClosedWon, amount) }
	w := worth{to: worthOf(to), confidence: to.Confidence}
	before := worthOf(from)
	w.gain = w.to - before
	w.reason = b.reason(c, to, w, before)
	return w, nil
}

func (b book) stage(path, name string) (domain.Stage, error) {
	s, ok := b.stages[name]
	if !ok {
		return s, fault.Field(path, "is not one of your stages; GET /api/ml/synthetic-revenue/stages lists them")
	}
	return s, nil
}

func (b book) reason(c Change, to domain.Stage, w worth, before money.Amount) string {
	what := fmt.Sprintf("%s is worth %s", to.Name, w.to.Format(b.currency))
	if to.Name == domain.ClosedWon && c.DealValue != nil {
		what = fmt.Sprintf("%s is worth the deal's own amount, %s", to.Name, w.to.Format(b.currency))
	}
	if c.StageFrom == nil {
		return what + "; the deal was in no stage before"
	}
	direction := "less"
	if w.gain < 0 {
		direction = "which is below"
	}
	return fmt.Sprintf("%s, %s the %s of %s", what, direction, before.Format(b.currency), *c.StageFrom)
}

type calculateInput struct {
	Body struct {
		TenantID string `json:"tenant_id" minLength:"1" maxLength:"100"`
		Change
	}
}

type calculateAnswer struct {
	StageFrom       *string   `json:"stage_from" nullable:"true"`
	StageTo         string    `json:"stage_to"`
	SyntheticValue  float64   `json:"synthetic_value" doc:"What stage_to is worth."`
	CalculatedValue float64   `json:"calculated_value" doc:"That less what stage_from is worth; negative where the deal fell back."`
	Confidence      float64   `json:"confidence" doc:"Of stage_to; neither value is multiplied by it."`
	Reason          string    `json:"reason"`
	Timestamp       time.Time `json:"timestamp"`
	Currency        string    `json:"currency" doc:"Of the two values."`
}

type calculateOutput struct{ Body calculateAnswer }

func (f *function) calculate(ctx context.Context, in *calculateInput) (*calculateOutput, error) {
	if err := auth.Own(ctx, in.Body.TenantID); err != nil {
		return nil, err
	}
	b, err := f.book(ctx)
	if err != nil {
		return nil, err
	}
	w, err := b.value("body", in.Body.Change)
	if err != nil {
		return nil, err
	}
	return &calculateOutput{calculateAnswer{
		StageFrom: in.Body.StageFrom, StageTo: in.Body.StageTo,
		SyntheticValue: w.to.Units(b.currency), CalculatedValue: w.gain.Units(b.currency),
		Confidence: w.confidence, Reason: w.reason, Timestamp: time.Now().UTC(), Currency: string(b.currency),
	}}, nil
}

type adROASInput struct {
	Body struct {
		TenantID     string   `json:"tenant_id" minLength:"1" maxLength:"100"`
		AdSpend      float64  `json:"ad_spend" minimum:"0" doc:"In units of the tenant's currency."`
		StageChanges []Change `json:"stage_changes" nullable:"false" maxItems:"5000" doc:"The stage changes of one ad's deals; none is an ad without deals yet."`
	}
}

type adROASAnswer struct {
	PipelineValue   float64 `json:"pipeline_value" doc:"The sum of the changes' calculated values."`
	PipelineROAS    float64 `json:"pipeline_roas" doc:"pipeline_value over ad_spend, spend counted as at least 1."`
	AvgConfidence   float64 `json:"avg_confidence" doc:"Weighted by what each change moved, up or down; 0 where nothing moved."`
	NumStageChanges int     `json:"num_stage_changes"`
	AdSpend         float64 `json:"ad_spend"`
	Currency        string  `json:"currency"`
}

type adROASOutput struct{ Body adROASAnswer }

func (f *function) adROAS(ctx context.Context, in *adROASInput) (*adROASOutput, error) {
	if err := auth.Own(ctx, in.Body.TenantID); err != nil {
		return nil, err
	}
	b, err := f.book(ctx)
	if err != nil {
		return nil, err
	}
	spend, err := money.FromUnits(in.Body.AdSpend, b.currency)
	if err != nil {
		return nil, fault.Field("body.ad_spend", err.Error())
	}
	var (
		total         money.Amount
		moved, surely float64
	)
	for i, c := range in.Body.StageChanges {
		w, err := b.value(fmt.Sprintf("body.stage_changes[%d]", i), c)
		if err != nil {
			return nil, err
		}
		total += w.gain
		moved += math.Abs(float64(w.gain))
		surely += math.Abs(float64(w.gain)) * w.confidence
	}
	answer := adROASAnswer{
		PipelineValue: total.Units(b.currency), PipelineROAS: total.Units(b.currency) / max(spend.Units(b.currency), 1),
		NumStageChanges: len(in.Body.StageChanges), AdSpend: spend.Units(b.currency), Currency: string(b.currency),
	}
	if moved > 0 {
		answer.AvgConfidence = surely / moved
	}
	return &adROASOutput{answer}, nil
}
