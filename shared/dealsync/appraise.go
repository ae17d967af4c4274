package dealsync

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/hubspot"
	"github.com/geminivideo/geminivideo/shared/ledger"
	"github.com/geminivideo/geminivideo/shared/revenue"
)

// appraiser says what deals of a portal are worth. It looks each stage up once in its
// transaction, which keeps what it has looked up from changing.
type appraiser struct {
	tx    pgx.Tx
	store ledger.Store
	found map[ledger.PortalStage]*revenue.Stage // nil where a stage is not mapped
}

func newAppraiser(tx pgx.Tx, store ledger.Store) appraiser {
	return appraiser{tx, store, map[ledger.PortalStage]*revenue.Stage{}}
}

// appraise sets which of the tenant's stages the deal stands in and what it is worth.
func (a appraiser) appraise(ctx context.Context, d *ledger.Deal) error {
	stage, err := a.stage(ctx, ledger.PortalStage{PipelineID: d.PipelineID, StageID: d.Stage.ID})
	if err != nil {
		return err
	}
	if stage != nil {
		d.StageName, d.Value, d.Confidence = &stage.Name, revenue.Worth(*stage, stage.Name == revenue.ClosedWon, d.Amount), stage.Confidence
	}
	if d.AmountIssue != nil {
		d.Value = 0
	}
	return nil
}

func (a appraiser) stage(ctx context.Context, at ledger.PortalStage) (*revenue.Stage, error) {
	if stage, known := a.found[at]; known {
		return stage, nil
	}
	name, err := a.store.StageName(ctx, at.PipelineID, at.StageID)
	if err != nil {
		return nil, err
	}
	var stage *revenue.Stage
	if name != nil {
		one, err := revenue.NewStore(a.tx).Stage(ctx, *name)
		if err != nil {
			return nil, err
		}
		stage = &one
	}
	a.found[at] = stage
	return stage, nil
}

// moves are the deal's changes of stage: those in the CRM's history, and what the
// event itself says, which the CRM's reading side may not show yet.
func (w *work) moves(deal hubspot.Deal) []ledger.StageAt {
	var moves []ledger.StageAt
	for _, h := range deal.History {
		moves = append(moves, ledger.StageAt{ID: h.Stage, At: h.At})
	}
	e := w.event
	if e.Type == hubspot.DealPropertyChange && e.PropertyName == "dealstage" && e.PropertyValue != "" && e.ObjectID == deal.ID {
		moves = append(moves, ledger.StageAt{ID: e.PropertyValue, At: e.OccurredAt})
	}
	if len(moves) == 0 {
		moves = append(moves, ledger.StageAt{ID: deal.Stage, At: deal.CreatedAt})
	}
	return slices.DeleteFunc(moves, func(m ledger.StageAt) bool { return m.ID == "" })
}
