// Package sweep judges every active ad, and gives a tired one once what it needs: a
// cut of its budget, a new creative, a notice. An account whose ads fall together
// gets one alarm instead. It reads and writes a batch of ads at a time and records
// with it how far it has come, so that a sweep that is cut off goes on there.
package sweep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fatigue"
	"github.com/geminivideo/geminivideo/shared/lease"
	"github.com/geminivideo/geminivideo/shared/live"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// ScheduleName is the name of a tenant's own schedule of sweeps in gv.schedules; the
// sweep of all tenants skips such a tenant.
const ScheduleName = "fatigue"

// CutShare is how much of a tired ad's budget is cut.
const CutShare = 0.20

const (
	// rest is how long an ad gets no further remedy after its cut, and retry how long
	// after a cut that was not possible.
	rest  = 7 * 24 * time.Hour
	retry = 24 * time.Hour
	// afterBudgetChange is how long after a change of its budget an ad gets no cut.
	afterBudgetChange = 3 * 24 * time.Hour

	// window is how many days are judged: those whose figures are still restated.
	window = 28
	// stale is how many days old the newest may be: a week-old figure says nothing
	// of today.
	stale = 3
)

// Tired is an ad that gets a remedy.
type Tired struct {
	AdID   string
	Status fatigue.Status
	// Reason is the detector's, with its numbers.
	Reason string
	// Key makes a repeated request the same change.
	Key string
}

// Outcome is the answer to a request for a tired ad.
type Outcome struct {
	// ID is the change's or the refresh's; empty where none was made.
	ID string
	// Status is the change's.
	Status string
	// Reason says why none was made.
	Reason string
}

// Remedy is what a sweep does for tired ads. Each is called with one tenant's ads, in
// the transaction that writes their status, and answers in the order of the ads.
type Remedy struct {
	// Cut queues a cut of CutShare of each ad's budget.
	Cut func(ctx context.Context, tx pgx.Tx, tenant, by string, ads []Tired) ([]Outcome, error)
	// Refresh asks for a new creative for each ad.
	Refresh func(ctx context.Context, tx pgx.Tx, tenant, by string, ads []Tired) ([]Outcome, error)
}

type transact func(ctx context.Context, fn func(tx pgx.Tx) error) error

// Sweep is a way to sweep: all tenants, or one.
type Sweep struct {
	name   string // of its progress
	tenant string // "" for all
	only   string // the one tenant whose own schedule is due; "" for all
	by     string // who asked
	view   *live.View
	remedy Remedy
	in     transact
	hold   func(ctx context.Context, fn func(context.Context) error) error

	// batch is how many ads are read at once; bigger is no faster.
	batch int
	now   func() time.Time
	// between is called after each batch has been written; for tests.
	between func()
}

const batch = 8_000

// A lease lasts as long as the function that sweeps may run, so that it never outlives
// its holder.
const (
	allTime    = 5 * time.Minute
	tenantTime = 2 * time.Minute
)

// All sweeps every tenant except those with their own schedule.
func All(db *pg.Worker, remedy Remedy) *Sweep {
	return &Sweep{
		name: "sweep", by: "sweep", remedy: remedy, batch: batch, now: time.Now,
		in: func(ctx context.Context, fn func(tx pgx.Tx) error) error { return pg.Across(ctx, db, fn) },
		hold: func(ctx context.Context, fn func(context.Context) error) error {
			return lease.Run(ctx, db, "sweep", allTime, fn)
		},
	}
}

// Scheduled sweeps one tenant, because that tenant's own schedule is due. It has a
// lease and a progress of its own: it and a sweep of all do not wait for each other.
func Scheduled(db *pg.Worker, tenant string, remedy Remedy) *Sweep {
	s, name := All(db, remedy), "sweep/schedule/"+tenant
	s.name, s.only = name, tenant
	s.hold = func(ctx context.Context, fn func(context.Context) error) error {
		return lease.Run(ctx, db, name, allTime, fn)
	}
	return s
}

// Of sweeps one tenant, because by asked for it.
func Of(db *pg.DB, tenant, by string, remedy Remedy) *Sweep {
	return &Sweep{
		name: "sweep/" + tenant, tenant: tenant, by: by, remedy: remedy, batch: batch, now: time.Now,
		in: func(ctx context.Context, fn func(tx pgx.Tx) error) error { return pg.InTenant(ctx, db, tenant, fn) },
		hold: func(ctx context.Context, fn func(context.Context) error) error {
			return lease.RunInTenant(ctx, db, tenant, "sweep", tenantTime, fn)
		},
	}
}

// ErrHeld is returned where the same sweep is running already.
var ErrHeld = lease.ErrHeld

// resumeMax: after resuming a sweep that started longer ago than this, a full sweep
// follows.
const resumeMax = time.Hour

// Run sweeps. It resumes where the last run was cut off. Where its own time runs out,
// the report says so, and the next run resumes.
func (s *Sweep) Run(ctx context.Context) (Report, error) {
	total := newReport(s.now())
	err := s.hold(ctx, func(ctx context.Context) error {
		err := s.rounds(ctx, total)
		if err != nil && ctx.Err() != nil {
			total.Unfinished = true // the lease's time, or the caller's
			return nil
		}
		return err
	})
	total.end(s.now())
	if err != nil && !errors.Is(err, ErrHeld) {
		err = fmt.Errorf("sweep: %w", err)
	}
	return total.shown(), err
}

// rounds sweeps all ads once; after resuming a sweep that started long ago, it sweeps
// all of them again.
func (s *Sweep) rounds(ctx context.Context, total *Report) error {
	for {
		from, err := s.progress(ctx)
		if err != nil {
			return err
		}
		total.Resumed = total.Resumed || from.resumed
		if err := s.round(ctx, from, total); err != nil {
			return err
		}
		if !from.resumed || s.now().Sub(from.started) < resumeMax {
			return nil
		}
	}
}

// round sweeps from a place to the end: while one batch is written the next is judged,
// and the one after it is read.
func (s *Sweep) round(ctx context.Context, from place, total *Report) error {
	own, err := s.scheduled(ctx)
	if err != nil {
		return err
	}
	total.PassedOver = len(own)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		read, judged = make(chan *ads), make(chan *ads)
		failed       = make(chan error, 1)
	)
	go func() {
		defer close(read)
		failed <- s.read(ctx, from, own, read)
	}()
	go func() {
		defer close(judged)
		for b := range read {
			b.judge()
			select {
			case judged <- b:
			case <-ctx.Done():
				return
			}
		}
	}()
	w := writer{Sweep: s, total: total, from: from}
	for b := range judged {
		if err := w.write(ctx, b); err != nil {
			return err
		}
		if s.between != nil {
			s.between()
		}
	}
	if err := <-failed; err != nil {
		return err
	}
	return w.finish(ctx)
}
