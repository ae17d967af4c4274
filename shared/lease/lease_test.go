package lease_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/lease"
	"github.com/geminivideo/geminivideo/shared/pg"
)

func TestOfManyRunsOneHoldsTheLease(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	var working, most, worked, held atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			err := lease.Run(t.Context(), db, "job", time.Minute, func(context.Context) error {
				most.Store(max(most.Load(), working.Add(1)))
				time.Sleep(100 * time.Millisecond)
				working.Add(-1)
				worked.Add(1)
				return nil
			})
			if errors.Is(err, lease.ErrHeld) {
				held.Add(1)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most.Load() != 1 || worked.Load() < 1 || worked.Load()+held.Load() != 8 {
		t.Errorf("%d at once, %d worked, %d were held off", most.Load(), worked.Load(), held.Load())
	}
}

func TestALeaseIsGivenBackWhateverTheWorkEndsWith(t *testing.T) {
	t.Parallel()
	db, admin := open(t)
	boom := errors.New("boom")
	if err := lease.Run(t.Context(), db, "job", time.Minute, func(context.Context) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("returned %v", err)
	}
	if n := leases(t, admin); n != 0 {
		t.Error("it is held after an error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	_ = lease.Run(ctx, db, "job", time.Minute, func(context.Context) error { cancel(); return nil })
	if n := leases(t, admin); n != 0 {
		t.Error("it is held after its caller went away")
	}
	func() {
		defer func() { _ = recover() }()
		_ = lease.Run(t.Context(), db, "job", time.Minute, func(context.Context) error { panic("boom") })
	}()
	if n := leases(t, admin); n != 0 {
		t.Error("it is held after a panic")
	}
}

func TestLeasesOfDifferentNamesDoNotMeet(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	err := lease.Run(t.Context(), db, "a", time.Minute, func(ctx context.Context) error {
		return lease.Run(ctx, db, "b", time.Minute, func(context.Context) error { return nil })
	})
	if err != nil {
		t.Error(err)
	}
}

func TestACrashedHoldersLeaseRunsOut(t *testing.T) {
	t.Parallel()
	db, admin := open(t)
	if _, err := admin.Exec(t.Context(), `INSERT INTO gv.leases (name, token, expires_at) VALUES ('job', gen_random_uuid(), clock_timestamp() + interval '1 hour')`); err != nil {
		t.Fatal(err)
	}
	run := func() error {
		return lease.Run(t.Context(), db, "job", time.Minute, func(context.Context) error { return nil })
	}
	if err := run(); !errors.Is(err, lease.ErrHeld) {
		t.Errorf("while it lasts: %v", err)
	}
	if _, err := admin.Exec(t.Context(), `UPDATE gv.leases SET expires_at = clock_timestamp() - interval '1 ms'`); err != nil {
		t.Fatal(err)
	}
	if err := run(); err != nil {
		t.Errorf("after it: %v", err)
	}
}

func TestTheWorkEndsWithItsLease(t *testing.T) {
	t.Parallel()
	db, admin := open(t)
	err := lease.Run(t.Context(), db, "job", 200*time.Millisecond, func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ended with %v", err)
	}
	// One who is late does not take the lease from who has it now.
	err = lease.Run(t.Context(), db, "job", time.Minute, func(context.Context) error {
		_, err := admin.Exec(t.Context(), `UPDATE gv.leases SET token = gen_random_uuid(), expires_at = now() + interval '1 minute'`)
		return err
	})
	if err != nil || leases(t, admin) != 1 {
		t.Errorf("%v, %d leases", err, leases(t, admin))
	}
}

func TestADeadDatabaseIsNoHeldLease(t *testing.T) {
	t.Parallel()
	dead, err := pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: "postgres://gv_worker@127.0.0.1:1/none"})
	if err != nil {
		t.Fatal(err)
	}
	err = lease.Run(t.Context(), dead, "job", time.Minute, func(context.Context) error { t.Error("it ran"); return nil })
	if errors.Is(err, lease.ErrHeld) || fault.Of(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
}

func open(t *testing.T) (*pg.Worker, *pgxpool.Pool) {
	t.Helper()
	made := pgtest.New(t)
	db, err := pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: made.WorkerURL, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db, made.Admin(t)
}

func leases(t *testing.T, admin *pgxpool.Pool) (n int) {
	t.Helper()
	if err := admin.QueryRow(t.Context(), `SELECT count(*) FROM gv.leases`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
