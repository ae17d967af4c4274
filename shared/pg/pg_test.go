package pg_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/pg"
)

const (
	tenantA = "00000000-0000-4000-8000-00000000000a"
	tenantB = "00000000-0000-4000-8000-00000000000b"
)

func TestADeadlockIsRunAgain(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	var (
		runs atomic.Int64
		met  sync.WaitGroup
		wg   sync.WaitGroup
	)
	met.Add(2)
	for _, order := range [][]string{{"lead", "show_up"}, {"show_up", "lead"}} {
		wg.Go(func() {
			first := true
			err := pg.InTenant(t.Context(), db, tenantA, func(tx pgx.Tx) error {
				runs.Add(1)
				for i, stage := range order {
					if _, err := tx.Exec(t.Context(), `UPDATE gv.stage_values SET value_minor = value_minor + 1 WHERE stage_name = $1`, stage); err != nil {
						return err
					}
					if i == 0 && first {
						first = false
						met.Done()
						met.Wait() // each holds what the other wants next
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if runs.Load() != 3 {
		t.Errorf("%d runs, want the victim's twice and the other's once", runs.Load())
	}
}

func TestAnErrorRollsBackAndIsReturnedAsItIs(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	boom := errors.New("boom")
	err := pg.InTenant(t.Context(), db, tenantA, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `UPDATE gv.tenants SET name = 'changed'`); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) || fault.Of(err) != fault.Internal {
		t.Errorf("returned %v", err)
	}
	if got := name(t, db); got != "A" {
		t.Errorf("the tenant is called %s", got)
	}
}

func TestAPanicRollsBackAndFreesTheConnection(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	for range 5 { // more than there are connections
		func() {
			defer func() { _ = recover() }()
			_ = pg.InTenant(t.Context(), db, tenantA, func(tx pgx.Tx) error {
				_, _ = tx.Exec(t.Context(), `UPDATE gv.tenants SET name = 'changed'`)
				panic("boom")
			})
		}()
	}
	if got := name(t, db); got != "A" {
		t.Errorf("the tenant is called %s", got)
	}
}

func TestTheTenantEndsWithTheTransaction(t *testing.T) {
	t.Parallel()
	made := pgtest.New(t)
	db := openURL(t, made.AppURL, 1) // one connection, so the next has the same
	seed(t, made)
	if err := pg.InTenant(t.Context(), db, tenantA, func(pgx.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	err := pg.WithoutTenant(t.Context(), db, func(ask pg.Asker) error {
		var n int
		if err := ask.QueryRow(t.Context(), `SELECT count(*) FROM gv.tenants`).Scan(&n); err != nil {
			return err
		}
		if n != 0 {
			t.Errorf("%d tenants are seen", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestADatabaseThatIsDownIsUnavailable(t *testing.T) {
	t.Parallel()
	made := pgtest.New(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0") // accepts and never answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	for name, url := range map[string]string{
		"refused":    "postgres://gv_app@127.0.0.1:1/none",
		"no host":    "postgres://gv_app@no-such-host.invalid/none",
		"silent":     "postgres://gv_app@" + listener.Addr().String() + "/none",
		"no such":    strings.Replace(made.AppURL, made.Name, "no_such_database", 1),
		"wrong word": strings.Replace(made.AppURL, "gv_app", "gv_nobody", 1),
	} {
		db := openURL(t, url, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		err := pg.InTenant(ctx, db, tenantA, func(pgx.Tx) error { t.Error("it ran"); return nil })
		if fault.Of(err) != fault.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
		var f *fault.Error
		if errors.As(err, &f) && f.Message != "the database does not answer" {
			t.Errorf("%s: the caller reads %q", name, f.Message)
		}
		if ping := db.Ping(ctx); fault.Of(ping) != fault.Unavailable {
			t.Errorf("%s: ping says %v", name, ping)
		}
		cancel()
	}
}

func TestAConnectionThatBreaksIsUnavailableAndTheNextWorks(t *testing.T) {
	t.Parallel()
	made := pgtest.New(t)
	seed(t, made)
	db := openURL(t, made.AppURL, 1)
	err := pg.InTenant(t.Context(), db, tenantA, func(tx pgx.Tx) error {
		var pid int
		if err := tx.QueryRow(t.Context(), `SELECT pg_backend_pid()`).Scan(&pid); err != nil {
			return err
		}
		if _, err := made.Admin(t).Exec(t.Context(), `SELECT pg_terminate_backend($1)`, pid); err != nil {
			return err
		}
		_, err := tx.Exec(t.Context(), `SELECT 1`)
		return err
	})
	if fault.Of(err) != fault.Unavailable {
		t.Errorf("broken: %v", err)
	}
	if got := name(t, db); got != "A" {
		t.Errorf("the tenant is called %s", got)
	}
}

func TestAStatementsOwnErrorIsNoOutage(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	for sql, code := range map[string]string{
		`SELECT 1/0`:                             "22012",
		`SELECT * FROM gv.no_such`:               "42P01",
		`UPDATE gv.tenants SET currency = 'usd'`: "23514",
		`DELETE FROM gv.tenants`:                 "42501",
	} {
		err := pg.InTenant(t.Context(), db, tenantA, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), sql)
			return err
		})
		var pgErr *pgconn.PgError
		if fault.Of(err) != fault.Internal || !errors.As(err, &pgErr) || pgErr.Code != code {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestATextThatCannotBeStoredIsTheCallersFault(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	for _, sql := range []string{`UPDATE gv.tenants SET name = $1`, `SELECT jsonb_build_object('a', $1::text)`} {
		err := pg.InTenant(t.Context(), db, tenantA, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), sql, "a\x00b")
			return err
		})
		if fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestAFaultOfTheCallersPassesThrough(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	err := pg.InTenant(t.Context(), db, tenantA, func(pgx.Tx) error { return fault.NotFoundf("no such ad") })
	if fault.Of(err) != fault.NotFound {
		t.Errorf("%v", err)
	}
}

func TestATenantThatIsNoUUIDIsNeverAsked(t *testing.T) {
	t.Parallel()
	db, _ := open(t)
	for _, tenant := range []string{"", "x", tenantA + "'; DROP SCHEMA gv; --"} {
		if err := pg.InTenant(t.Context(), db, tenant, func(pgx.Tx) error { t.Error("it ran"); return nil }); err == nil {
			t.Errorf("%q is a tenant", tenant)
		}
	}
}

func TestNoURLIsEverQuoted(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"postgres://u:hunter2@host:port/x", "hunter2", "postgres://u:hunter2@[::1/x"} {
		_, err := pg.Open(t.Context(), pg.Config{URL: url})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}

func TestNoPreparedStatementIsLeftBehind(t *testing.T) {
	t.Parallel()
	made := pgtest.New(t)
	seed(t, made)
	db := openURL(t, made.AppURL, 1)
	for range 3 {
		name(t, db)
	}
	err := pg.WithoutTenant(t.Context(), db, func(ask pg.Asker) error {
		var n int
		err := ask.QueryRow(t.Context(), `SELECT count(*) FROM pg_prepared_statements`).Scan(&n)
		if n != 0 {
			t.Errorf("%d statements: a transaction pooler has no place for them", n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNamedStatementsStayAndSurviveAChangeOfTheirTable(t *testing.T) {
	t.Parallel()
	made := pgtest.New(t)
	seed(t, made)
	db, err := pg.Open(t.Context(), pg.Config{URL: made.AppURL, MaxConns: 1, Named: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	read := func() (columns int, prepared int) {
		t.Helper()
		err := pg.InTenant(t.Context(), db, tenantA, func(tx pgx.Tx) error {
			rows, err := tx.Query(t.Context(), `SELECT * FROM gv.tenants`)
			if err != nil {
				return err
			}
			rows.Close()
			columns = len(rows.FieldDescriptions())
			if rows.Err() != nil {
				return rows.Err()
			}
			return tx.QueryRow(t.Context(), `SELECT count(*) FROM pg_prepared_statements`).Scan(&prepared)
		})
		if err != nil {
			t.Fatal(err)
		}
		return columns, prepared
	}
	before, _ := read()
	if _, prepared := read(); prepared < 2 {
		t.Errorf("%d statements are prepared, want those that were asked before", prepared)
	}
	if _, err := made.Admin(t).Exec(t.Context(), `ALTER TABLE gv.tenants ADD COLUMN new_here text`); err != nil {
		t.Fatal(err)
	}
	if after, _ := read(); after != before+1 {
		t.Errorf("%d columns after one was added to %d", after, before)
	}
}

// A plan of an empty table takes whatever index there is, or none.
func TestAPlanOfAnEmptyTableDoesNotOutliveItsGrowth(t *testing.T) {
	t.Parallel()
	made := pgtest.New(t)
	seed(t, made)
	admin := made.Admin(t)
	for _, sql := range []string{
		`CREATE TABLE gv.grown (id int PRIMARY KEY, text text) WITH (autovacuum_enabled = false)`, // nor analysed
		`GRANT SELECT ON gv.grown TO gv_app`,
		`VACUUM ANALYZE gv.grown`,
	} {
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	db, err := pg.Open(t.Context(), pg.Config{URL: made.AppURL, MaxConns: 1, Named: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	readWhole := func() (whole bool) {
		t.Helper()
		err := pg.InTenant(t.Context(), db, tenantA, func(tx pgx.Tx) error {
			// The counts of transactions before are among these until the server reports them.
			const scans = `SELECT coalesce(sum(seq_scan), 0) FROM pg_stat_xact_user_tables WHERE relname = 'grown'`
			var before, after int
			if err := tx.QueryRow(t.Context(), scans).Scan(&before); err != nil {
				return err
			}
			if _, err := tx.Exec(t.Context(), `SET LOCAL plan_cache_mode = force_generic_plan`); err != nil {
				return err
			}
			if _, err := tx.Exec(t.Context(), `SELECT text FROM gv.grown WHERE id = $1`, 77); err != nil {
				return err
			}
			err := tx.QueryRow(t.Context(), scans).Scan(&after)
			whole = after > before
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return whole
	}
	if !readWhole() {
		t.Fatal("the empty table has been read by its index: what follows shows nothing")
	}
	if _, err := admin.Exec(t.Context(), `INSERT INTO gv.grown SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i`); err != nil {
		t.Fatal(err)
	}
	if !readWhole() {
		t.Fatal("the plan has changed by itself: what follows shows nothing")
	}
	for range 16 {
		readWhole()
	}
	if readWhole() {
		t.Error("after 19 transactions the table is still read whole")
	}
}

func open(t *testing.T) (*pg.DB, *pgtest.DB) {
	t.Helper()
	made := pgtest.New(t)
	seed(t, made)
	return openURL(t, made.AppURL, 2), made
}

func openURL(t *testing.T, url string, conns int32) *pg.DB {
	t.Helper()
	db, err := pg.Open(t.Context(), pg.Config{URL: url, MaxConns: conns})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

func seed(t *testing.T, made *pgtest.DB) {
	t.Helper()
	if _, err := made.Admin(t).Exec(t.Context(), `INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'A'), ($2, 'B')`, tenantA, tenantB); err != nil {
		t.Fatal(err)
	}
}

func name(t *testing.T, db *pg.DB) (name string) {
	t.Helper()
	err := pg.InTenant(t.Context(), db, tenantA, func(tx pgx.Tx) error {
		return tx.QueryRow(t.Context(), `SELECT name FROM gv.tenants`).Scan(&name)
	})
	if err != nil {
		t.Fatal(err)
	}
	return name
}
