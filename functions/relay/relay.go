// Package relay sends what the outbox still has, clears what has had its time,
// sees to it that changes of the embedding model go on and that no winner is left out
// of the memory, and puts the Cloud Scheduler jobs of tenants' own schedules right. Cloud
// Scheduler runs it every minute, under a lease; a run that is cut
// short, or made twice, leaves nothing that the next one does not do.
package relay

import (
	"context"
	"errors"
	"time"

	"github.com/geminivideo/geminivideo/shared/lease"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/schedules"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

func init() { serve.Schedule("relay", build) }

type config struct {
	Worker    pg.WorkerConfig
	Publish   publish.Config
	Scheduler schedules.Config
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
	return New(db, publish.New(cfg.Publish), schedules.NewJobs(cfg.Scheduler)), nil
}

type function struct {
	db    *pg.Worker
	queue outbox.Publisher
	jobs  *schedules.Jobs
}

// New returns the function's job. jobs are those of tenants' own schedules, nil for none.
func New(db *pg.Worker, queue outbox.Publisher, jobs *schedules.Jobs) serve.Job {
	return &function{db, queue, jobs}
}

// Health reports whether the database answers.
func (f *function) Health(ctx context.Context) error { return f.db.Ping(ctx) }

// report is what a run did.
type report struct {
	// Skipped is true where another run is still at it.
	Skipped bool `json:"skipped"`
	// Unfinished is true where time ran out; the next run goes on.
	Unfinished bool `json:"unfinished"`
	Sent       int  `json:"sent"`
	// Asked is how many messages were sent to have winners embedded.
	Asked int `json:"asked"`
	// Rescheduled is how many jobs of tenants' own schedules were put right.
	Rescheduled int              `json:"rescheduled"`
	Cleared     map[string]int64 `json:"cleared"`
}

const (
	// leaseTime is longer than a run may take, by its function's timeout.
	leaseTime = 2 * time.Minute
	// reserve is left of the run's time to answer in.
	reserve = 3 * time.Second
)

// Run sends, clears, asks, puts jobs right, then measures what still waits. A queue that is down is no reason not
// to clear.
func (f *function) Run(ctx context.Context) (any, error) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-reserve))
		defer cancel()
	}
	r := report{Cleared: map[string]int64{}}
	err := lease.Run(ctx, f.db, "relay", leaseTime, func(ctx context.Context) error {
		sent, err := outbox.Relay(ctx, f.db, f.queue)
		r.Sent = sent
		err = errors.Join(err, clearAll(ctx, f.db, r.Cleared), f.askAll(ctx, &r.Asked))
		var failed error
		r.Rescheduled, failed = f.jobs.Reconcile(ctx, f.db, time.Now())
		err = errors.Join(err, failed)
		if telemetry.Exported() {
			err = errors.Join(err, measure(ctx, f.db, time.Now()))
		}
		if ctx.Err() != nil {
			r.Unfinished = true
			return nil
		}
		return err
	})
	if errors.Is(err, lease.ErrHeld) {
		r.Skipped = true
		return r, nil
	}
	return r, err
}
