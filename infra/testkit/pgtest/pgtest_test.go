package pgtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/cluster"
)

func scan[T any](t *testing.T, url, sql string, args ...any) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, _ := conn.Query(ctx, sql, args...)
	value, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestEachTestHasAMigratedDatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 8)
	t.Run("eight at once", func(t *testing.T) {
		for range cap(seen) {
			t.Run("one", func(t *testing.T) {
				t.Parallel()
				db := New(t)
				seen <- db.Name
				if _, err := db.Admin(t).Exec(t.Context(), `CREATE TABLE mine (id int)`); err != nil {
					t.Error(err)
				}
				if n := scan[int](t, db.AdminURL, `SELECT count(*)::int FROM pg_tables WHERE schemaname = 'gv'`); n == 0 {
					t.Error("the migrations are not in it")
				}
			})
		}
	})
	close(seen)
	srv, err := connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name := range seen {
		if scan[bool](t, srv.admin.String(), `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name) {
			t.Errorf("%s is still there", name)
		}
	}
}

func TestTheRolesLogInAndRowLevelSecurityBindsThem(t *testing.T) {
	t.Parallel()
	db := New(t)
	for url, want := range map[string]string{db.AppURL: "gv_app", db.WorkerURL: "gv_worker"} {
		if got := scan[string](t, url, `SELECT current_user::text`); got != want {
			t.Errorf("logged in as %s, want %s", got, want)
		}
		if scan[bool](t, url, `SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user`) {
			t.Errorf("%s is not bound by row-level security", want)
		}
	}
	if !scan[bool](t, db.AdminURL, `SELECT rolsuper FROM pg_roles WHERE rolname = current_user`) {
		t.Error("the administrator is no superuser")
	}
}

func TestAnEmptyDatabaseHasNoMigrations(t *testing.T) {
	t.Parallel()
	if n := scan[int](t, Empty(t).AdminURL, `SELECT count(*)::int FROM pg_namespace WHERE nspname = 'gv'`); n != 0 {
		t.Error("it has the schema gv")
	}
}

func TestAForgottenConnectionDoesNotKeepTheDatabase(t *testing.T) {
	t.Parallel()
	var name string
	t.Run("forgets", func(t *testing.T) {
		db := New(t)
		name = db.Name
		if _, err := pgx.Connect(context.Background(), db.AppURL); err != nil {
			t.Fatal(err)
		}
	})
	srv, err := connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if scan[bool](t, srv.admin.String(), `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name) {
		t.Error("it is still there")
	}
}

func TestOnlyOldLeftoversAreSwept(t *testing.T) {
	t.Parallel()
	now := time.Now()
	name := func(format string, age time.Duration) string { return fmt.Sprintf(format, now.Add(-age).Unix()) }
	for database, want := range map[string]bool{
		name("gvt_%d_abc", 25*time.Hour):            true,
		name("gvt_%d_abc", 23*time.Hour):            false,
		name("gvt_template_%d_abc", 25*time.Hour):   false,
		name("gvt_template_%d_abc", 8*24*time.Hour): true,
		name("gvt_%d", 25*time.Hour):                true,
		"gvt_building_0123456789abcdef":             false,
		"gvt_somebody":                              false,
		"geminivideo":                               false,
	} {
		if got := expired(database, now); got != want {
			t.Errorf("%s expired: %v", database, got)
		}
	}
	srv, err := connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	left := name("gvt_%d_left"+fmt.Sprint(now.UnixNano()), 48*time.Hour)
	if err := srv.create(t.Context(), left, false); err != nil {
		t.Fatal(err)
	}
	if err := srv.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if scan[bool](t, srv.admin.String(), `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, left) {
		t.Errorf("%s is still there", left)
	}
}

func TestWithoutPostgresTheErrorSaysWhatProvidesOne(t *testing.T) {
	defer func() { find = cluster.Find }()
	for _, found := range []func() (cluster.Install, error){
		func() (cluster.Install, error) { return cluster.Install{}, cluster.ErrNotInstalled },
		func() (cluster.Install, error) { return cluster.Install{Bin: "/x", Major: 16, Vector: "0.6.0"}, nil },
	} {
		find = found
		_, _, err := shared(t.Context())
		if !errors.Is(err, errNoPostgres) || !strings.Contains(err.Error(), "go run ./infra/local test") {
			t.Errorf("error is %v", err)
		}
	}
}
