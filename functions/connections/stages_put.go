package connections

import (
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/hubspot"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/ledger"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/revenue"
	"github.com/geminivideo/geminivideo/shared/serve"
)

type putStagesInput struct {
	Body struct {
		PortalID int64          `json:"portal_id,omitempty" minimum:"1" doc:"Needed where several portals are connected."`
		Stages   []stageMapping `json:"stages" minItems:"1" maxItems:"500"`
	}
}

type stageMapping struct {
	PipelineID string   `json:"pipeline_id" minLength:"1" maxLength:"200"`
	StageID    string   `json:"stage_id" minLength:"1" maxLength:"200"`
	StageName  *string  `json:"stage_name" nullable:"true" maxLength:"100" pattern:"^[\\p{L}\\p{N}]([\\p{L}\\p{N} _.\\-]*[\\p{L}\\p{N}])?$" patternDescription:"letters, digits, spaces, dots, dashes and underscores" doc:"The tenant's stage that it stands for; null: none, and its deals are worth 0."`
	Value      *float64 `json:"value,omitempty" minimum:"0" doc:"What stage_name is worth, in units of the tenant's currency. Required for a stage that the tenant does not have yet."`
	Confidence *float64 `json:"confidence,omitempty" minimum:"0" maximum:"1" doc:"That a deal in it is worth that; 0.5 for a new stage."`
}

type putStagesOutput struct{ Body putStagesAnswer }

type putStagesAnswer struct {
	Mapping
	RevaluedDeals int `json:"revalued_deals" doc:"How many deals stand in another stage or are worth something else now."`
	SettledAds    int `json:"settled_ads"`
}

func (f *function) putStages(ctx context.Context, in *putStagesInput) (*putStagesOutput, error) {
	id := auth.From(ctx)
	serve.Note(ctx, "by", id.Subject)
	if answer, found, err := kept[putStagesAnswer](ctx, f); err != nil || found {
		return &putStagesOutput{answer}, err
	}
	portal, pipelines, err := f.pipelines(ctx, in.Body.PortalID)
	if err != nil {
		return nil, err
	}
	labels, err := checkStages(in.Body.Stages, pipelines)
	if err != nil {
		return nil, err
	}
	answer, err := idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (answer putStagesAnswer, err error) {
		w := remapping{tx: tx, portal: portal, who: id.Who(), labels: labels, touched: map[string]bool{}}
		if err := w.do(ctx, in.Body.Stages); err != nil {
			return answer, err
		}
		answer.RevaluedDeals = w.deals
		if answer.SettledAds, err = recompute(ctx, tx, w.ads); err != nil {
			return answer, err
		}
		answer.Mapping, err = mapping(ctx, tx, portal, pipelines)
		return answer, err
	})
	if err != nil {
		return nil, err
	}
	outbox.Flush(ctx, f.db, id.Tenant, f.Queue) // of ads that became winners by it
	serve.Note(ctx, "portal", portal, "revalued_deals", answer.RevaluedDeals, "settled_ads", answer.SettledAds)
	return &putStagesOutput{answer}, nil
}

// checkStages refuses what the portal does not have, and returns labels.
func checkStages(wanted []stageMapping, pipelines []hubspot.Pipeline) (map[ledger.PortalStage]string, error) {
	labels := map[ledger.PortalStage]string{}
	for _, p := range pipelines {
		for _, s := range p.Stages {
			labels[ledger.PortalStage{PipelineID: p.ID, StageID: s.ID}] = s.Label
		}
	}
	seen := map[ledger.PortalStage]bool{}
	values := map[string]float64{}
	for i, m := range wanted {
		field := "body.stages[" + itoa(i) + "]"
		at := m.stage()
		if _, ok := labels[at]; !ok {
			return nil, fault.Field(field+".stage_id", "is no stage of that pipeline in the portal")
		}
		if seen[at] {
			return nil, fault.Field(field+".stage_id", "is named twice")
		}
		seen[at] = true
		if m.StageName == nil {
			if ledger.Prefilled(m.StageID) != "" {
				return nil, fault.Field(field+".stage_name", "must name a stage: this one maps itself where it stands for none")
			}
			if m.Value != nil || m.Confidence != nil {
				return nil, fault.Field(field+".value", "must not be given without a stage_name")
			}
			continue
		}
		if m.Value == nil {
			continue
		}
		if other, ok := values[*m.StageName]; ok && other != *m.Value {
			return nil, fault.Field(field+".value", "differs from what the same stage_name is given above")
		}
		values[*m.StageName] = *m.Value
	}
	return labels, nil
}

func (m stageMapping) stage() ledger.PortalStage {
	return ledger.PortalStage{PipelineID: m.PipelineID, StageID: m.StageID}
}

// remapping is one change of a portal's mapping.
type remapping struct {
	tx      pgx.Tx
	portal  int64
	who     string
	labels  map[ledger.PortalStage]string
	touched map[string]bool // the tenant's stages whose deals are to be valued
	deals   int
	ads     []string
}

func (w *remapping) do(ctx context.Context, wanted []stageMapping) error {
	// The order in which a deal that moves locks: deals, mapping, stages, ads.
	at := make([]ledger.PortalStage, len(wanted))
	for i := range wanted {
		at[i] = wanted[i].stage()
	}
	deals := ledger.NewStore(w.tx, w.portal)
	if err := deals.LockDeals(ctx, at); err != nil {
		return err
	}
	if err := deals.LockStages(ctx); err != nil {
		return err
	}
	if err := w.makeStages(ctx, wanted); err != nil {
		return err
	}
	for _, m := range wanted {
		if err := w.move(ctx, m); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.touched)) {
		_, adIDs, err := ledger.Revalue(ctx, w.tx, name, revenue.ClosedWon)
		if err != nil {
			return err
		}
		w.ads = append(w.ads, adIDs...)
	}
	return nil
}

// makeStages sets what stages are worth where the request says so; one that is
// there neither before nor by it breaks a rule.
func (w *remapping) makeStages(ctx context.Context, wanted []stageMapping) error {
	store := revenue.NewStore(w.tx)
	currency, err := store.Currency(ctx)
	if err != nil {
		return err
	}
	stages, err := store.Stages(ctx)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, s := range stages {
		there[s.Name] = true
	}
	for i, m := range wanted {
		if m.StageName == nil || m.Value == nil {
			continue
		}
		value, err := money.FromUnits(*m.Value, currency)
		if err != nil {
			return fault.Field("body.stages["+itoa(i)+"].value", err.Error())
		}
		if _, _, err := store.SetStage(ctx, *m.StageName, revenue.Setting{Value: value, Confidence: m.Confidence}, w.who); err != nil {
			return err
		}
		there[*m.StageName], w.touched[*m.StageName] = true, true
	}
	for i, m := range wanted {
		if m.StageName != nil && !there[*m.StageName] {
			return fault.Field("body.stages["+itoa(i)+"].stage_name", "is none of your stages: give its value too, and it is made")
		}
	}
	return nil
}

func (w *remapping) move(ctx context.Context, m stageMapping) error {
	at, store := m.stage(), ledger.NewStore(w.tx, w.portal)
	var err error
	if m.StageName == nil {
		err = store.UnmapStage(ctx, at)
	} else {
		err = store.MapStage(ctx, at, *m.StageName, w.labels[at], w.who)
		w.touched[*m.StageName] = true
	}
	if err != nil {
		return err
	}
	deals, adIDs, err := store.MoveDeals(ctx, at, m.StageName)
	w.deals += deals
	w.ads = append(w.ads, adIDs...)
	return err
}
