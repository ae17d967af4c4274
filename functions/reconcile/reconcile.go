// Package reconcile reads connected HubSpot portals without their webhooks: the
// deals of a newly connected portal (its backfill), and every hour what has changed
// since, for an event may be lost. It runs every five minutes, claims the portals
// that are due and works on them for up to four minutes. Its position is saved after
// every page, and recording a deal again changes nothing, so a run may end anywhere
// and be repeated at any time. Where a tenant has switched write back on, each run also
// writes the deals' attribution to properties of its portal.
package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/crmsync"
	"github.com/geminivideo/geminivideo/shared/dealsync"
	"github.com/geminivideo/geminivideo/shared/live"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/secrets"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
)

func init() { serve.Schedule("reconcile", build) }

type config struct {
	Postgres pg.Config
	Worker   pg.WorkerConfig
	Publish  publish.Config
	HubSpot  dealsync.Config
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
	queue := publish.New(cfg.Publish)
	return New(db, worker, queue, dealsync.New(db, queue, secrets.Default(), cfg.HubSpot), Options{Live: live.Open(ctx, cfg.Live)}), nil
}

const (
	// budget is how long a run claims and works; its function's timeout leaves a
	// minute for the page that it ends with.
	budget = 4 * time.Minute
	// claimFor is longer than a run, and is extended with every page.
	claimFor = 6 * time.Minute
	// parallel is how many portals are read at once.
	parallel = 4
)

// Options tune the function; the zero Options are right where there is no live view.
type Options struct {
	Live   *live.View       // where backfills are shown
	Now    func() time.Time // the clock that HubSpot's changes are compared with
	Budget time.Duration
}

type function struct {
	db        *pg.DB
	worker    *pg.Worker
	queue     outbox.Publisher
	processor *dealsync.Processor
	now       func() time.Time
	budget    time.Duration
	view      *live.View
}

// New returns the function's job.
func New(db *pg.DB, worker *pg.Worker, queue outbox.Publisher, processor *dealsync.Processor, o Options) serve.Job {
	f := &function{db: db, worker: worker, queue: queue, processor: processor, now: o.Now, budget: o.Budget, view: o.Live}
	if f.now == nil {
		f.now = time.Now
	}
	if f.budget <= 0 {
		f.budget = budget
	}
	return f
}

// Health reports whether the database answers.
func (f *function) Health(ctx context.Context) error { return f.worker.Ping(ctx) }

// Report says what a run did.
type Report struct {
	Portals   int `json:"portals"`
	Completed int `json:"completed"`
	Failed    int `json:"failed"`
	Seen      int `json:"seen"`
	Repaired  int `json:"repaired"`
	Erased    int `json:"erased"`
	Refused   int `json:"refused"`
	Written   int `json:"written_back"`
}

// Run works on the portals that are due, one after another in each of a few lanes.
func (f *function) Run(ctx context.Context) (any, error) {
	err := pg.Across(ctx, f.worker, func(tx pgx.Tx) error {
		if err := crmsync.Adopt(ctx, tx); err != nil {
			return err
		}
		return crmsync.Hasten(ctx, tx, dealsync.Topic)
	})
	if err != nil {
		return nil, err
	}
	end := time.Now().Add(f.budget)
	var (
		report Report
		errs   []error
		mu     sync.Mutex
		lanes  sync.WaitGroup
	)
	for range parallel {
		lanes.Go(func() {
			for time.Now().Before(end) && ctx.Err() == nil {
				one, found, err := f.next(ctx, end)
				mu.Lock()
				report.add(one)
				errs = append(errs, err)
				mu.Unlock()
				if err != nil || !found {
					return
				}
			}
		})
	}
	lanes.Wait()
	f.view.Flush(ctx)
	written, err := f.writeBack(ctx, end)
	report.Written = written
	return report, errors.Join(append(errs, err)...)
}

func (r *Report) add(o Report) {
	r.Portals += o.Portals
	r.Completed += o.Completed
	r.Failed += o.Failed
	r.Seen += o.Seen
	r.Repaired += o.Repaired
	r.Erased += o.Erased
	r.Refused += o.Refused
}

// next claims one portal and works on it. What goes wrong with a portal is recorded
// with it and does not end the run; an error says that the database does not answer.
func (f *function) next(ctx context.Context, end time.Time) (report Report, found bool, err error) {
	var s crmsync.Sync
	err = pg.Across(ctx, f.worker, func(tx pgx.Tx) (err error) {
		s, found, err = crmsync.Claim(ctx, tx, claimFor)
		return err
	})
	if err != nil || !found {
		return report, found, err
	}
	r := &run{function: f, sync: s, end: end, refused: map[int64]bool{}}
	err = r.do(ctx)
	report = Report{Portals: 1, Seen: r.seen, Repaired: r.repaired, Erased: r.erasures, Refused: len(r.refused)}
	switch {
	case err == nil:
		report.Completed = 1
	case errors.Is(err, errTimeUp), errors.Is(err, crmsync.ErrLost):
	default:
		report.Failed = 1
	}
	return report, true, r.close(ctx, err)
}

// errTimeUp ends a run at a page's end; the next one goes on from there.
var errTimeUp = errors.New("the run's time is up")

// closeWithin bounds how long it takes to record how a run ended, which is done
// even if the run's own time is up.
const closeWithin = 10 * time.Second

// close records how the run ended and says when the next one may begin.
func (r *run) close(ctx context.Context, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	if r.portal != nil && !errors.Is(err, errTimeUp) && !errors.Is(err, crmsync.ErrLost) {
		r.portal.NoteOutcome(ctx, err)
	}
	ids := []any{"tenant", r.sync.TenantID, "portal", r.sync.PortalID}
	var wait time.Duration
	var reason string
	switch {
	case err == nil:
		return nil // Finish has released it
	case errors.Is(err, crmsync.ErrLost):
		slog.InfoContext(ctx, "reconcile: another run has the portal, or its backfill was cancelled", ids...)
		return nil
	case errors.Is(err, errTimeUp):
	default:
		wait, reason = failed(err)
		slog.WarnContext(ctx, "reconcile: a portal could not be read", append(ids, "error", err.Error(), "again_in", wait.String())...)
	}
	err = pg.InTenant(ctx, r.db, r.sync.TenantID, func(tx pgx.Tx) error {
		return crmsync.NewStore(tx).Release(ctx, r.sync, wait, reason)
	})
	if err != nil && !errors.Is(err, crmsync.ErrLost) {
		return fmt.Errorf("release portal %d: %w", r.sync.PortalID, err)
	}
	return nil
}
