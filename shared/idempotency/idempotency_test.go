package idempotency_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/pg"
)

const (
	tenantA = "00000000-0000-4000-8000-00000000000a"
	tenantB = "00000000-0000-4000-8000-00000000000b"
)

type answer struct {
	Body struct {
		N int `json:"n"`
	}
}

func TestTheSameKeyAndBodyIsOneEffectAndOneAnswer(t *testing.T) {
	t.Parallel()
	f := open(t)
	for range 3 {
		if got, err := f.write(f.ctx("k", "body"), tenantA); err != nil || got != 1 {
			t.Errorf("answered %d, %v", got, err)
		}
	}
	if got, _ := f.write(t.Context(), tenantA); got != 2 {
		t.Errorf("a write without a key is the %dth", got)
	}
}

func TestAnotherBodyIsAConflict(t *testing.T) {
	t.Parallel()
	f := open(t)
	if _, err := f.write(f.ctx("k", "body"), tenantA); err != nil {
		t.Fatal(err)
	}
	if _, err := f.write(f.ctx("k", "another"), tenantA); fault.Of(err) != fault.Conflict || !fault.Permanent(err) {
		t.Errorf("%v", err)
	}
}

func TestAKeyIsATenantsAndAnOperationsOwn(t *testing.T) {
	t.Parallel()
	f := open(t)
	other := idempotency.With(t.Context(), idempotency.Request{Operation: "POST /other", Key: "k", BodyHash: []byte("body")})
	for i, err := range []error{
		second(f.write(f.ctx("k", "body"), tenantA)), second(f.write(f.ctx("k", "body"), tenantB)), second(f.write(other, tenantA)), second(f.write(f.ctx("l", "body"), tenantA)),
	} {
		if err != nil {
			t.Errorf("write %d: %v", i, err)
		}
	}
	if f.writes.Load() != 4 {
		t.Errorf("%d writes", f.writes.Load())
	}
}

func TestATwinThatStillRunsIsAConflictThatPasses(t *testing.T) {
	t.Parallel()
	f := open(t)
	inside, leave := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := idempotency.Run(f.ctx("k", "body"), f.db, tenantA, func(pgx.Tx) (answer, error) {
			close(inside)
			<-leave
			return answer{}, nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-inside
	_, err := f.write(f.ctx("k", "body"), tenantA)
	var refused *fault.Error
	if !errors.As(err, &refused) || refused.Kind != fault.Conflict || refused.RetryAfter != time.Second || fault.Permanent(err) {
		t.Errorf("%v", err)
	}
	close(leave)
	wg.Wait()
	if _, err := f.write(f.ctx("k", "body"), tenantA); err != nil || f.writes.Load() != 0 {
		t.Errorf("afterwards: %v, %d writes", err, f.writes.Load())
	}
}

func TestACrashBeforeTheCommitLeavesNothing(t *testing.T) {
	t.Parallel()
	f := open(t)
	_, err := idempotency.Run(f.ctx("k", "body"), f.db, tenantA, func(tx pgx.Tx) (answer, error) {
		if _, err := tx.Exec(t.Context(), `UPDATE gv.tenants SET name = 'changed'`); err != nil {
			return answer{}, err
		}
		_, err := tx.Exec(t.Context(), `SELECT pg_terminate_backend(pg_backend_pid())`)
		return answer{}, err
	})
	if fault.Of(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
	var name string
	var stored int
	if err := f.made.Admin(t).QueryRow(t.Context(), `SELECT name, (SELECT count(*) FROM gv.idempotency_keys) FROM gv.tenants WHERE tenant_id = $1`, tenantA).Scan(&name, &stored); err != nil || name != "A" || stored != 0 {
		t.Errorf("named %s, %d keys, %v", name, stored, err)
	}
	if got, err := f.write(f.ctx("k", "body"), tenantA); err != nil || got != 1 {
		t.Errorf("the next try: %d, %v", got, err)
	}
}

func TestAWriteThatFailedIsTriedAnew(t *testing.T) {
	t.Parallel()
	f := open(t)
	_, err := idempotency.Run(f.ctx("k", "body"), f.db, tenantA, func(pgx.Tx) (answer, error) { return answer{}, fault.NotFoundf("no such ad") })
	if fault.Of(err) != fault.NotFound {
		t.Errorf("%v", err)
	}
	if got, err := f.write(f.ctx("k", "another"), tenantA); err != nil || got != 1 {
		t.Errorf("%d, %v", got, err)
	}
}

func TestAKeyIsForgottenAfterADay(t *testing.T) {
	t.Parallel()
	f := open(t)
	for age, want := range map[string]int64{"23 hours 59 minutes": 1, "24 hours 1 second": 2} {
		f.writes.Store(0)
		key := strings.Fields(age)[0]
		_, _ = f.write(f.ctx(key, "body"), tenantA)
		if _, err := f.made.Admin(t).Exec(t.Context(), `UPDATE gv.idempotency_keys SET created_at = now() - $1::interval WHERE key = $2`, age, key); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			_, _ = f.write(f.ctx(key, "body"), tenantA)
		}
		if f.writes.Load() != want {
			t.Errorf("after %s: %d writes, want %d", age, f.writes.Load(), want)
		}
	}
}

func TestARunThatIsDoneAgainStartsAfresh(t *testing.T) {
	t.Parallel()
	f := open(t)
	runs := 0
	got, err := idempotency.Run(f.ctx("k", "body"), f.db, tenantA, func(pgx.Tx) (map[string]int, error) {
		runs++
		if runs == 1 {
			return map[string]int{"first": 1}, &pgconn.PgError{Code: "40P01"}
		}
		return map[string]int{"second": 2}, nil
	})
	if err != nil || len(got) != 1 || got["second"] != 2 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestWhatIsKeptIsKnownBeforeTheWork(t *testing.T) {
	t.Parallel()
	f := open(t)
	stored := func(ctx context.Context) (got answer, found bool, err error) {
		err = pg.InTenant(ctx, f.db, tenantA, func(tx pgx.Tx) error {
			got, found, err = idempotency.Stored[answer](ctx, tx)
			return err
		})
		return got, found, err
	}
	if _, found, err := stored(t.Context()); found || err != nil {
		t.Errorf("without a key: %v, %v", found, err)
	}
	if _, found, err := stored(f.ctx("k", "body")); found || err != nil {
		t.Errorf("before: %v, %v", found, err)
	}
	_, _ = f.write(f.ctx("k", "body"), tenantA)
	if got, found, err := stored(f.ctx("k", "body")); !found || err != nil || got.Body.N != 1 {
		t.Errorf("after: %v %v, %v", got, found, err)
	}
	if _, _, err := stored(f.ctx("k", "another")); fault.Of(err) != fault.Conflict {
		t.Errorf("another body: %v", err)
	}
}

type fixture struct {
	t      *testing.T
	db     *pg.DB
	made   *pgtest.DB
	writes atomic.Int64
}

func open(t *testing.T) *fixture {
	t.Helper()
	made := pgtest.New(t)
	db, err := pg.Open(t.Context(), pg.Config{URL: made.AppURL, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if _, err := made.Admin(t).Exec(t.Context(), `INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'A'), ($2, 'B')`, tenantA, tenantB); err != nil {
		t.Fatal(err)
	}
	return &fixture{t: t, db: db, made: made}
}

func (f *fixture) ctx(key, body string) context.Context {
	return idempotency.With(f.t.Context(), idempotency.Request{Operation: "POST /x", Key: key, BodyHash: []byte(body)})
}

// write answers how many writes there have been.
func (f *fixture) write(ctx context.Context, tenant string) (int, error) {
	got, err := idempotency.Run(ctx, f.db, tenant, func(pgx.Tx) (a answer, err error) {
		a.Body.N = int(f.writes.Add(1))
		return a, nil
	})
	return got.Body.N, err
}

func second(_ int, err error) error { return err }
