package migrations_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/migrations"
)

// problems returns what a check says, a line each.
func problems(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	found, err := migrations.Check(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, p := range found {
		if p.What == "" || p.Mend == "" {
			t.Errorf("%+v", p)
		}
		lines = append(lines, p.What)
	}
	return strings.Join(lines, "\n")
}

func execute(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestACheckNamesWhatIsWrongInOrder(t *testing.T) {
	t.Parallel()
	conn := connect(t, pgtest.Empty(t))
	makeAuthServersRole(t, conn) // before another test does between the migrations and the check
	all := load(t)
	if got := problems(t, conn); !strings.HasPrefix(got, strconv.Itoa(len(all))+" migrations are not applied: 001_ad_change_history, ") || strings.Contains(got, "\n") {
		t.Errorf("of an empty database: %s", got)
	}
	if _, err := migrations.Apply(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	const nobody = "no tenant has an admin: nobody can sign in"
	if got := problems(t, conn); got != nobody {
		t.Errorf("of a migrated database: %s", got)
	}
	last := all[len(all)-1]
	// Roles are the server's, which other tests use: what would change one is not tried.
	execute(t, conn, `DELETE FROM supabase_migrations.schema_migrations WHERE version = '`+last.Version+`';
		INSERT INTO supabase_migrations.schema_migrations (version) VALUES ('999');
		REVOKE USAGE ON SCHEMA extensions FROM gv_worker;
		REVOKE USAGE ON SCHEMA gv FROM gv_app;
		CREATE TABLE gv.extra (tenant_id uuid);
		DROP FUNCTION gv.access_token_hook`)
	want := fmt.Sprintf(`the database has migrations that this code does not know: 999
1 migrations are not applied: %s_%s
gv_worker may not use the schema extensions, where the extension vector is
gv_app may not use the schema gv
gv.extra has no row-level security
the function gv.access_token_hook is not there
%s`, last.Version, last.Name, nobody)
	if got := problems(t, conn); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	execute(t, conn, `INSERT INTO gv.tenants (tenant_id, name) VALUES ('00000000-0000-4000-8000-00000000000a', 'A');
		INSERT INTO gv.members (tenant_id, email, role, added_by) VALUES ('00000000-0000-4000-8000-00000000000a', 'a@example.com', 'admin', 'test')`)
	if got := problems(t, conn); strings.Contains(got, nobody) {
		t.Errorf("with an admin: %s", got)
	}
}

func TestAGrantThatGaveNothingFailsTheMigration(t *testing.T) {
	t.Parallel()
	conn := connect(t, pgtest.New(t))
	execute(t, conn, `REVOKE USAGE ON SCHEMA extensions FROM gv_app, gv_worker`)
	_, err := migrations.Apply(t.Context(), conn)
	if err == nil || !strings.Contains(err.Error(), "gv_app and gv_worker may not use the schema extensions") || !strings.Contains(err.Error(), "GRANT USAGE ON SCHEMA extensions TO gv_app, gv_worker") {
		t.Errorf("%v", err)
	}
}

// A table of the last migration is locked by somebody. The migration gives its place in
// the queue up, so that a reader who came later is not kept waiting, and is applied in
// the end.
func TestAMigrationDoesNotMakeReadersWaitBehindIt(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	runner, writer, reader := connect(t, db), connect(t, db), connect(t, db)
	execute(t, runner, `DELETE FROM supabase_migrations.schema_migrations WHERE version = '091'`) // a comment on a column of gv.ads
	tx, err := writer.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `LOCK TABLE gv.ads IN SHARE ROW EXCLUSIVE MODE`); err != nil { // what reads may go beside
		t.Fatal(err)
	}
	applied := make(chan error, 1)
	go func() {
		_, err := migrations.Apply(context.WithoutCancel(t.Context()), runner)
		applied <- err
	}()
	waiting := func() bool {
		var n int
		err := reader.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks WHERE relation = 'gv.ads'::regclass AND NOT granted`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n > 0
	}
	for !waiting() { // it comes to the lock
		select {
		case err := <-applied:
			t.Fatalf("it did not wait for the lock: %v", err)
		default:
		}
	}
	for waiting() { // and gives up
		select {
		case err := <-applied:
			t.Fatalf("it ended while the table was locked: %v", err)
		default:
		}
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-applied; err != nil {
		t.Errorf("it is not applied once the lock is free: %v", err)
	}
}

// psql and the Supabase CLI run a file without this package: from here on a file
// brings its own time-outs.
func TestAMigrationBringsItsTimeouts(t *testing.T) {
	t.Parallel()
	const since = 120
	for _, m := range load(t) {
		n, err := strconv.Atoi(m.Version)
		if err != nil {
			t.Fatal(err)
		}
		if want := "SET LOCAL lock_timeout = '2s';\nSET LOCAL statement_timeout = '110s';\n"; n > since && !strings.HasPrefix(m.SQL, want) {
			t.Errorf("%s_%s.sql must begin with\n%s", m.Version, m.Name, want)
		}
	}
}
