package dealsync

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/hubspot"
	"github.com/geminivideo/geminivideo/shared/ledger"
	"github.com/geminivideo/geminivideo/shared/revenue"
)

// appraise sets which of the tenant's stages the deal stands in and what it is worth.
func appraise(ctx context.Context, tx pgx.Tx, store ledger.Store, d *ledger.Deal) (err error) {
	if d.StageName, err = store.StageName(ctx, d.PipelineID, d.Stage.ID); err != nil {
		return err
	}
	if d.StageName != nil {
		stage, err := revenue.NewStore(tx).Stage(ctx, *d.StageName)
		if err != nil {
			return err
		}
		d.Value, d.Confidence = revenue.Worth(stage, stage.Name == revenue.ClosedWon, d.Amount), stage.Confidence
	}
	if d.AmountIssue != nil {
		d.Value = 0
	}
	return nil
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
