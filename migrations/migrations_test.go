package migrations_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/cluster"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/migrations"
)

func TestNamesAreThoseThatTheSupabaseCLITakes(t *testing.T) {
	t.Parallel()
	all := load(t)
	for i, m := range all {
		name := m.Version + "_" + m.Name + ".sql"
		if !regexp.MustCompile(`^([0-9]+)_(.*)\.sql$`).MatchString(name) || strings.Contains(name, ".down.") || len(m.Version) != 3 {
			t.Errorf("%s", name)
		}
		if i > 0 && all[i-1].Version >= m.Version {
			t.Errorf("%s comes after %s", m.Version, all[i-1].Version)
		}
		// The CLI runs a file in a transaction of its own.
		for _, word := range []string{`\bBEGIN;`, `\bCOMMIT\b`, `\bROLLBACK\b`, `INDEX CONCURRENTLY`, `(?m)^\\`} {
			if regexp.MustCompile(word).MatchString(m.SQL) {
				t.Errorf("%s: %s has no place in it", name, word)
			}
		}
	}
	first := []string{"ad_change_history", "synthetic_revenue_config", "attribution_tracking", "job_queue", "pending_ad_changes", "model_registry"}
	for i, want := range first {
		if all[i].Name != want {
			t.Errorf("%s is called %s: the seed calls it %s", all[i].Version, all[i].Name, want)
		}
	}
}

func TestApplyingTwiceAppliesOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	conn := connect(t, db)
	done, err := migrations.Apply(t.Context(), conn)
	if err != nil || len(done) != len(load(t)) {
		t.Fatalf("applied %d, %v", len(done), err)
	}
	if done, err = migrations.Apply(t.Context(), conn); err != nil || len(done) != 0 {
		t.Errorf("applied %d again, %v", len(done), err)
	}
	for i, m := range load(t) {
		if got := history(t, conn)[i]; got != m.Version+" "+m.Name {
			t.Errorf("the history says %s of %s", got, m.Name)
		}
	}
}

func TestRunnersAtOnceApplyOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	var applied atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		conn := connect(t, db)
		wg.Go(func() {
			done, err := migrations.Apply(t.Context(), conn)
			if err != nil {
				t.Error(err)
			}
			applied.Add(int64(len(done)))
		})
	}
	wg.Wait()
	if int(applied.Load()) != len(load(t)) {
		t.Errorf("applied %d of %d", applied.Load(), len(load(t)))
	}
}

func TestWhatPsqlAppliedIsTakenUpByABaseline(t *testing.T) {
	t.Parallel()
	db, stepwise := pgtest.Empty(t), pgtest.Empty(t)
	all := load(t)
	half := len(all) / 2
	psql(t, db, all[:half])
	conn := connect(t, db)
	marked, err := migrations.Baseline(t.Context(), conn, all[half-1].Version)
	if err != nil || len(marked) != half {
		t.Fatalf("marked %d, %v", len(marked), err)
	}
	done, err := migrations.Apply(t.Context(), conn)
	if err != nil || len(done) != len(all)-half {
		t.Fatalf("applied %d, %v", len(done), err)
	}
	if marked, err = migrations.Baseline(t.Context(), conn, all[half-1].Version); err != nil || len(marked) != 0 {
		t.Errorf("marked %d again, %v", len(marked), err)
	}
	if _, err := migrations.Baseline(t.Context(), conn, "999"); err == nil || !strings.Contains(err.Error(), all[len(all)-1].Version) {
		t.Errorf("a version that is not there: %v", err)
	}
	other := connect(t, stepwise)
	if _, err := migrations.Apply(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(shape(t, other), shape(t, conn)); diff != "" {
		t.Errorf("psql and Apply make two schemas: %s", diff)
	}
}

func TestPsqlRunsEachFileInOrder(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	psql(t, db, load(t))
	if got := shape(t, connect(t, db)); len(got) < 20 {
		t.Errorf("made %d tables", len(got))
	}
}

func TestAFileThatFailsLeavesNothingOfItself(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	conn := connect(t, db)
	// A table of the second file's stands in its way.
	if _, err := conn.Exec(t.Context(), `CREATE SCHEMA gv; CREATE TABLE gv.stage_value_history ()`); err != nil {
		t.Fatal(err)
	}
	done, err := migrations.Apply(t.Context(), conn)
	if err == nil || len(done) != 1 || !strings.Contains(err.Error(), "002_synthetic_revenue_config") {
		t.Fatalf("applied %d, %v", len(done), err)
	}
	if got := history(t, conn); len(got) != 1 {
		t.Errorf("the history says %v", got)
	}
	if slices.Contains(shape(t, conn), "gv.stage_values") {
		t.Error("half of the file is there")
	}
	if _, err := conn.Exec(t.Context(), `DROP TABLE gv.stage_value_history`); err != nil {
		t.Fatal(err)
	}
	if done, err = migrations.Apply(t.Context(), conn); err != nil || len(done) != len(load(t))-1 {
		t.Errorf("then applied %d, %v", len(done), err)
	}
}

func TestEveryTenantStartsWithTheContractsStagesInItsCurrency(t *testing.T) {
	t.Parallel()
	admin := pgtest.New(t).Admin(t)
	for currency, won := range map[string]int64{"USD": 1500000, "JPY": 15000, "KWD": 15000000} {
		var got, stages int64
		err := admin.QueryRow(t.Context(), `
			WITH made AS (INSERT INTO gv.tenants (name, currency) VALUES ('x', $1) RETURNING tenant_id) SELECT 0, 0 FROM made`, currency).Scan(&got, &stages)
		if err != nil {
			t.Fatal(err)
		}
		err = admin.QueryRow(t.Context(), `
			SELECT max(value_minor), count(*) FROM gv.stage_values JOIN gv.tenants USING (tenant_id) WHERE currency = $1`, currency).Scan(&got, &stages)
		if err != nil || got != won || stages != 5 {
			t.Errorf("%s: %d stages up to %d, %v", currency, stages, got, err)
		}
	}
}

func load(t *testing.T) []migrations.Migration {
	t.Helper()
	all, err := migrations.All()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func connect(t *testing.T, db *pgtest.DB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.AdminURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func psql(t *testing.T, db *pgtest.DB, files []migrations.Migration) {
	t.Helper()
	program, err := exec.LookPath("psql")
	if in, findErr := cluster.Find(); err != nil && findErr == nil {
		program, err = exec.LookPath(filepath.Join(in.Bin, "psql"))
	}
	if err != nil {
		t.Fatal("psql is not installed: it comes with PostgreSQL's client package")
	}
	for _, m := range files {
		file := m.Version + "_" + m.Name + ".sql"
		out, err := exec.CommandContext(t.Context(), program, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", db.AdminURL, "-f", file).CombinedOutput()
		if err != nil {
			t.Fatalf("psql -f %s: %v\n%s", file, err, out)
		}
	}
}

func history(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	rows, _ := conn.Query(t.Context(), `SELECT version || ' ' || name FROM supabase_migrations.schema_migrations WHERE cardinality(statements) > 0 ORDER BY version`)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// shape returns gv's tables and their columns.
func shape(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	rows, _ := conn.Query(t.Context(), `
		SELECT c.oid::regclass::text FROM pg_class c WHERE relnamespace = 'gv'::regnamespace AND relkind IN ('r', 'p')
		UNION ALL
		SELECT a.attrelid::regclass::text || '.' || attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull
		FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE relnamespace = 'gv'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0
		ORDER BY 1`)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return all
}
