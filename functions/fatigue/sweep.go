package fatigue

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/remedy"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/sweep"
)

type sweepOutput struct{ Body sweep.Report }

// reserve is the part of the request's time that is kept for the answer.
const reserve = 3 * time.Second

// sweep judges the tenant's active ads now. It works in many transactions, each of
// which can be repeated, so the idempotency key is looked up before them and saved
// after them.
func (f *function) sweep(ctx context.Context, _ *struct{}) (*sweepOutput, error) {
	who := auth.From(ctx)
	var (
		report sweep.Report
		repeat bool
	)
	err := pg.InTenant(ctx, f.db, who.Tenant, func(tx pgx.Tx) (err error) {
		report, repeat, err = idempotency.Stored[sweep.Report](ctx, tx)
		return err
	})
	if err != nil || repeat {
		return &sweepOutput{report}, err
	}
	limited := ctx
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		limited, cancel = context.WithDeadline(ctx, end.Add(-reserve))
		defer cancel()
	}
	defer f.view.Flush(ctx)
	report, err = sweep.Of(f.db, who.Tenant, who.Who(), remedy.Fatigue()).ShowIn(f.view).Run(limited)
	if errors.Is(err, sweep.ErrHeld) {
		return nil, &fault.Error{
			Kind: fault.Conflict, Message: "a sweep of your ads is running: ask again in 5 s",
			RetryAfter: 5 * time.Second,
		}
	}
	if err != nil {
		return nil, err
	}
	serve.Note(ctx, "looked_at", report.LookedAt, "remediated", report.Remediated, "unfinished", report.Unfinished)
	if !report.Unfinished { // an unfinished one resumes, with the same key too
		report, err = idempotency.Run(ctx, f.db, who.Tenant, func(pgx.Tx) (sweep.Report, error) { return report, nil })
	}
	outbox.Flush(ctx, f.db, who.Tenant, f.queue)
	return &sweepOutput{report}, err
}
