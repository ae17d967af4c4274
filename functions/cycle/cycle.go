// Package cycle runs the self-learning cycle of every account. Cloud Scheduler runs
// it every five minutes: an account's cycle is due once an hour, and what an earlier
// run, or a request, left unfinished goes on at the step where it stopped. A cycle
// is worked under its own lease, so a run may be repeated or run twice at once.
package cycle

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/gemini"
	"github.com/geminivideo/geminivideo/shared/learning"
	"github.com/geminivideo/geminivideo/shared/live"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/selflearning"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
)

func init() { serve.Schedule("cycle", build) }

type config struct {
	Postgres pg.Config
	Worker   pg.WorkerConfig
	Gemini   gemini.Config
	Live     live.Config
}

func build(ctx context.Context) (serve.Job, error) {
	cfg, err := settings.Load[config](ctx)
	if err != nil {
		return nil, err
	}
	db, err := pg.Open(ctx, cfg.Postgres)
	if err != nil {
		return nil, err
	}
	worker, err := pg.OpenWorker(ctx, cfg.Worker)
	if err != nil {
		return nil, err
	}
	client, err := gemini.Open(ctx, cfg.Gemini, db)
	if err != nil {
		return nil, err
	}
	return New(db, worker, gemini.Models(client), live.Open(ctx, cfg.Live), time.Now), nil
}

type function struct {
	db     *pg.DB
	worker *pg.Worker
	runner *learning.Runner
	view   *live.View
	now    func() time.Time
}

// New returns the function's job, which shows cycles in view, nil for none.
func New(db *pg.DB, worker *pg.Worker, models embed.Models, view *live.View, now func() time.Time) serve.Job {
	f := &function{db: db, worker: worker, runner: selflearning.NewRunner(db, models), view: view, now: now}
	f.runner.Watch = selflearning.Show(view)
	return f
}

// Health reports whether the database answers.
func (f *function) Health(ctx context.Context) error {
	return errors.Join(f.db.Ping(ctx), f.worker.Ping(ctx))
}

const (
	// reserve is left of a run's time to answer in.
	reserve = 5 * time.Second
	// atOnce is how many accounts are worked on at once: as many as the pool of
	// connections and the function's two processors serve.
	atOnce = 2
	// most is how many accounts one run looks up; the next has the rest.
	most = 5000
)

// Report is what a run did.
type Report struct {
	Due       int  `json:"due"`
	Resumed   int  `json:"resumed"`
	Completed int  `json:"completed"`
	Failed    int  `json:"failed"`
	HandedOn  int  `json:"handed_on"`
	Errors    int  `json:"errors"`
	More      bool `json:"more"`
}

// Run works on the cycles that are due until none is left or its time is up; the
// next run has the rest. A tenant's own schedule asks for that tenant's alone.
func (f *function) Run(ctx context.Context) (any, error) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-reserve))
		defer cancel()
	}
	only, now := serve.OnlyTenant(ctx), f.now().UTC()
	since := now.Truncate(time.Hour)
	if only != "" { // whenever the tenant's own schedule says
		since = now
	}
	var due []learning.Due
	err := pg.Across(ctx, f.worker, func(tx pgx.Tx) (err error) {
		due, err = learning.Waiting(ctx, tx, since, only, most)
		return err
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return Report{More: true}, nil // no time was left to begin with
	case err != nil:
		return nil, err
	}
	report := Report{Due: len(due), More: len(due) == most}
	var resumed, completed, failed, handedOn, broken atomic.Int64
	var all errgroup.Group
	all.SetLimit(atOnce)
	for _, d := range due {
		if ctx.Err() != nil {
			handedOn.Add(1)
			continue
		}
		all.Go(func() error {
			if d.Cycle != "" {
				resumed.Add(1)
			}
			c, err := f.account(ctx, d, since, now)
			switch {
			case ctx.Err() != nil && !(err == nil && c.Status != learning.Running):
				handedOn.Add(1)
			case err != nil:
				broken.Add(1)
				slog.ErrorContext(ctx, "a learning cycle was not worked on", "tenant", d.Tenant, "account", d.Account, "cycle", c.ID, "error",
					err.Error())
			case c.Status == learning.Completed:
				completed.Add(1)
			case c.Status == learning.Failed:
				failed.Add(1)
			default:
				handedOn.Add(1)
			}
			return nil
		})
	}
	_ = all.Wait()
	f.view.Flush(ctx)
	report.Resumed, report.Completed, report.Failed = int(resumed.Load()), int(completed.Load()), int(failed.Load())
	report.HandedOn, report.Errors = int(handedOn.Load()), int(broken.Load())
	return report, nil
}

// account works on one account's cycle.
func (f *function) account(ctx context.Context, d learning.Due, since, now time.Time) (learning.Cycle, error) {
	id := d.Cycle
	if id == "" {
		c, _, err := f.runner.Start(ctx, d.Tenant, d.Account,
			learning.Options{Retrain: true, Threshold: 0.80, By: "cycle", Now: now, Since: since})
		if err != nil {
			return c, err
		}
		id = c.ID
	}
	return f.runner.Run(ctx, d.Tenant, id)
}
