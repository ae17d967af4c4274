// Package remedy does what a sweep finds that a tired ad needs: it queues the cut of
// its budget and asks for a new creative. It joins three domain packages for every
// function that sweeps.
package remedy

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/changes/queue"
	"github.com/geminivideo/geminivideo/shared/director"
	"github.com/geminivideo/geminivideo/shared/sweep"
)

// Fatigue is the remedy for tired ads.
func Fatigue() sweep.Remedy { return sweep.Remedy{Cut: cut, Refresh: refresh} }

// cut queues the cuts, by the rules that all changes go by.
func cut(ctx context.Context, tx pgx.Tx, tenant, by string, ads []sweep.Tired) ([]sweep.Outcome, error) {
	intents := make([]changes.Intent, len(ads))
	for i, a := range ads {
		intents[i] = changes.Intent{Key: a.Key, AdID: a.AdID, Cut: sweep.CutShare, Reason: a.Reason, Source: changes.Fatigue, By: by}
	}
	queued, err := queue.NewStore(tx).Enqueue(ctx, tenant, intents)
	outcomes := make([]sweep.Outcome, len(queued))
	for i, q := range queued {
		outcomes[i] = sweep.Outcome{ID: q.ChangeID, Status: string(q.Status), Reason: q.Reason}
	}
	return outcomes, err
}

// refresh asks for new creatives.
func refresh(ctx context.Context, tx pgx.Tx, tenant, by string, ads []sweep.Tired) ([]sweep.Outcome, error) {
	reasons := make([]director.AdReason, len(ads))
	for i, a := range ads {
		reasons[i] = director.AdReason{AdID: a.AdID, Reason: a.Reason}
	}
	asked, err := director.RequestRefreshes(ctx, tx, tenant, by, reasons)
	outcomes := make([]sweep.Outcome, len(asked))
	for i, a := range asked {
		outcomes[i] = sweep.Outcome{Status: a.Status, Reason: a.Reason}
		if a.New {
			outcomes[i].ID = a.RefreshID
		}
	}
	return outcomes, err
}
