// Package sweep judges every active ad of every tenant, and queues what a tired one
// needs: a cut of its budget and a new creative. Cloud Scheduler runs it every two
// hours, under a lease. A run that is cut off is resumed by the next, and a repeated
// run finds everything done.
package sweep

import (
	"context"
	"errors"
	"time"

	"github.com/geminivideo/geminivideo/shared/live"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/remedy"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
	"github.com/geminivideo/geminivideo/shared/sweep"
)

func init() { serve.Schedule("sweep", build) }

type config struct {
	Worker pg.WorkerConfig
	Live   live.Config
}

func build(ctx context.Context) (serve.Job, error) {
	cfg, err := settings.Load[config](ctx)
	if err != nil {
		return nil, err
	}
	db, err := pg.OpenWorker(ctx, cfg.Worker)
	if err != nil {
		return nil, err
	}
	return New(db, live.Open(ctx, cfg.Live)), nil
}

type function struct {
	db   *pg.Worker
	view *live.View
}

// New returns the function's job, which shows its progress in view, nil for none.
func New(db *pg.Worker, view *live.View) serve.Job { return &function{db, view} }

// Health reports whether the database answers.
func (f *function) Health(ctx context.Context) error { return f.db.Ping(ctx) }

// reserve is the part of the run's time that is kept for the answer.
const reserve = 3 * time.Second

// Run sweeps all tenants but those with their own schedule, or the one whose own
// schedule is due. Where another run has the lease, it reports that and ends.
func (f *function) Run(ctx context.Context) (any, error) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-reserve))
		defer cancel()
	}
	s := sweep.All(f.db, remedy.Fatigue())
	if only := serve.OnlyTenant(ctx); only != "" {
		s = sweep.Scheduled(f.db, only, remedy.Fatigue())
	}
	defer f.view.Flush(ctx)
	report, err := s.ShowIn(f.view).Run(ctx)
	if errors.Is(err, sweep.ErrHeld) {
		report.Held = true
		return report, nil
	}
	return report, err
}
