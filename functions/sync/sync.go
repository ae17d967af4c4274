// Package sync brings what Meta knows of every connected ad account into the
// database: campaigns, ad sets, ads, and the days of the last four weeks, which
// Meta restates. Cloud Scheduler runs it every hour. Each account is read under
// a lease of its own and written by upsert, so a run that is cut short or made
// twice leaves nothing wrong, and the next one goes on where it stopped.
package sync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/geminivideo/geminivideo/shared/lease"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/metaconn"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/secrets"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
)

func init() { serve.Schedule("sync", build) }

type config struct {
	Postgres pg.Config
	Worker   pg.WorkerConfig
	Meta     meta.Config
	// Action types of Meta's that count as conversions. They contain each other, so of a day the first that is there counts.
	Conversions []string `env:"META_CONVERSION_ACTIONS, default=omni_purchase,purchase"`
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
	return New(db, worker, meta.New(cfg.Meta, meta.Options{}), secrets.Default(), Options{Conversions: cfg.Conversions}), nil
}

// Options tune the function. Only Conversions must be set.
type Options struct {
	// Conversions are the action types that count, as meta.Window has them.
	Conversions []string
	// PerAccount bounds what one account may take of a run, 10 min unless set: the
	// next run has the rest of it.
	PerAccount time.Duration
	// Batch is how many rows one transaction writes, 500 unless set.
	Batch int
	// Now is the clock by which days are chosen.
	Now func() time.Time
}

type function struct {
	db      *pg.DB
	worker  *pg.Worker
	meta    *meta.Client
	secrets *secrets.Store
	opts    Options
}

// New returns the function's job.
func New(db *pg.DB, worker *pg.Worker, client *meta.Client, store *secrets.Store, o Options) serve.Job {
	if o.PerAccount == 0 {
		o.PerAccount = 10 * time.Minute
	}
	if o.Batch == 0 {
		o.Batch = 500
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &function{db, worker, client, store, o}
}

// Health reports whether the database answers.
func (f *function) Health(ctx context.Context) error { return f.db.Ping(ctx) }

// report is what a run did.
type report struct {
	Accounts int `json:"accounts"` // that are connected
	Synced   int `json:"synced"`
	Fresh    int `json:"fresh"`   // passed over: another run has read it just now
	Waiting  int `json:"waiting"` // passed over: Meta is not to be asked yet
	Busy     int `json:"busy"`    // another run is at it
	Failed   int `json:"failed"`
	// Unfinished accounts are gone on with by the next run, CutShort too: time ran out before all were begun.
	Unfinished int  `json:"unfinished"`
	CutShort   bool `json:"cut_short"`

	Ads     int       `json:"ads"`
	Changed int       `json:"changed_ads"`
	Days    int       `json:"changed_days"`
	Errors  []failure `json:"errors"` // the first of them
}

type failure struct {
	Tenant  string `json:"tenant"`
	Account string `json:"account"`
	Reason  string `json:"reason"`
}

const (
	// atOnce accounts are read side by side: they mostly wait for Meta.
	atOnce = 4
	// reserve is left of the run's time to put down what became of it, and to answer.
	reserve = 10 * time.Second
	// leaseTime is longer than an account may take.
	leaseTime = 12 * time.Minute
	maxErrors = 20
)

// Run syncs what is due, the account that has waited longest first. A tenant's own
// schedule asks for that tenant's accounts alone.
func (f *function) Run(ctx context.Context) (any, error) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-min(reserve, time.Until(end)/2)))
		defer cancel()
	}
	r := &report{Errors: []failure{}}
	due, err := metaconn.Due(ctx, f.worker, serve.OnlyTenant(ctx))
	if err != nil {
		return nil, err
	}
	all := make([]connection, len(due))
	for i, c := range due {
		all[i] = connection{c}
	}
	r.Accounts = len(all)
	var mu sync.Mutex
	group := errgroup.Group{}
	group.SetLimit(atOnce)
	now := f.opts.Now()
	behind := slices.ContainsFunc(all, func(c connection) bool { return c.behind(now) })
	for _, c := range all {
		switch {
		case behind && c.fresh(now):
			r.Fresh++
			continue
		case c.waits(now):
			r.Waiting++
			continue
		}
		group.Go(func() error {
			if ctx.Err() != nil || serve.IsStopping(ctx) { // while it waited for its turn
				mu.Lock()
				r.CutShort = true
				mu.Unlock()
				return nil
			}
			done, err := f.account(ctx, c)
			mu.Lock()
			defer mu.Unlock()
			r.add(c, done, err)
			return nil
		})
	}
	_ = group.Wait()
	slices.SortFunc(r.Errors, func(a, b failure) int { return strings.Compare(a.Tenant+a.Account, b.Tenant+b.Account) })
	r.Errors = r.Errors[:min(len(r.Errors), maxErrors)]
	return *r, nil
}

// connection is an account that is due, or may be.
type connection struct{ metaconn.Connection }

// behind reports an account that the last run should have read and did not: it
// was cut short.
func (c connection) behind(now time.Time) bool {
	return !c.waits(now) && (c.ResumeDay != nil || c.AttemptedAt == nil || now.Sub(*c.AttemptedAt) > 70*time.Minute)
}

// fresh reports an account that the last run did read: one that goes on where it
// was cut short passes it over.
func (c connection) fresh(now time.Time) bool {
	return c.SyncedAt != nil && now.Sub(*c.SyncedAt) < time.Hour && c.ResumeDay == nil
}

func (c connection) waits(now time.Time) bool { return c.RetryAt != nil && c.RetryAt.After(now) }

// result is what the sync of one account did.
type result struct{ ads, changed, days int }

func (r *report) add(c connection, done result, err error) {
	r.Ads += done.ads
	r.Changed += done.changed
	r.Days += done.days
	switch {
	case err == nil:
		r.Synced++
	case errors.Is(err, lease.ErrHeld):
		r.Busy++
	case errors.Is(err, errRead):
		r.Fresh++
	case errors.Is(err, errUnfinished):
		r.Unfinished++
	default:
		r.Failed++
		r.Errors = append(r.Errors, failure{c.TenantID, c.AccountID, explain(err).text})
	}
}

var (
	errUnfinished = errors.New("the time of the run is up")
	errRead       = errors.New("another run has read it meanwhile")
)

// account syncs one account, and puts down what came of it.
func (f *function) account(ctx context.Context, c connection) (done result, err error) {
	err = lease.Run(ctx, f.worker, "sync/"+c.TenantID+"/"+c.AccountID, leaseTime, func(ctx context.Context) error {
		within, cancel := context.WithTimeout(ctx, f.opts.PerAccount)
		defer cancel()
		// What the run knew when it began may be old by now.
		now, err := metaconn.Reread(within, f.worker, c.Connection)
		if err != nil {
			return err
		}
		if now == nil {
			return errRead
		}
		again := connection{*now}
		if err := pg.InTenant(within, f.db, c.TenantID, func(tx pgx.Tx) error { return metaconn.Begin(within, tx, c.AccountID) }); err != nil {
			return err
		}
		done, err = f.sync(within, again)
		if within.Err() != nil && err != nil {
			err = fmt.Errorf("%w: %w", errUnfinished, err)
		}
		return errors.Join(err, f.conclude(ctx, again, err))
	})
	if err != nil && !errors.Is(err, lease.ErrHeld) && !errors.Is(err, errRead) {
		slog.WarnContext(ctx, "sync: an account was not read to the end", "tenant", c.TenantID, "account", c.AccountID,
			"error", err.Error())
	}
	return done, err
}
