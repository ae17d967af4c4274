package main

import (
	"context"
	"crypto/rand"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/migrations"
	"github.com/geminivideo/geminivideo/shared/pg"
)

func migrate(t *testing.T, url string, args ...string) (string, error) {
	t.Helper()
	var out strings.Builder
	err := run(t.Context(), args, func(name string) string {
		if name == "MIGRATE_DATABASE_URL" {
			return url
		}
		return ""
	}, &out)
	return out.String(), err
}

func must(t *testing.T, url string, args ...string) string {
	t.Helper()
	out, err := migrate(t, url, args...)
	if err != nil {
		t.Fatalf("migrate %v: %v\n%s", args, err, out)
	}
	return out
}

func TestAnEmptyDatabaseGetsEveryMigrationOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t).AdminURL
	out := must(t, url)
	all, err := migrations.All()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out, "applied "); got != len(all) {
		t.Errorf("%d migrations applied, want %d\n%s", got, len(all), out)
	}
	if !strings.Contains(out, "ALTER ROLE gv_app PASSWORD") {
		t.Errorf("it does not say what to do next:\n%s", out)
	}
	if out := must(t, url); out != "nothing to apply: the schema is current\n" {
		t.Errorf("the second time it said %q", out)
	}
}

func TestABaselineMarksWhatPsqlApplied(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	if _, err := migrate(t, db.AdminURL, "-baseline", "3"); err == nil || !strings.Contains(err.Error(), "run without -baseline") {
		t.Errorf("on an empty database: %v", err)
	}
	all, err := migrations.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all[:3] {
		if _, err := db.Admin(t).Exec(t.Context(), m.SQL, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
	}
	for _, number := range []string{"4", "20"} {
		_, err := migrate(t, db.AdminURL, "-baseline", number)
		if err == nil || !strings.Contains(err.Error(), "this database has no table gv.") || !strings.Contains(err.Error(), "which migration 004_job_queue makes") {
			t.Errorf("a baseline of %s on a database at 3: %v", number, err)
		}
	}
	if out := must(t, db.AdminURL, "-baseline", "3"); strings.Count(out, "marked ") != 3 {
		t.Errorf("marked:\n%s", out)
	}
	if out := must(t, db.AdminURL, "-baseline", "3"); !strings.Contains(out, "nothing to mark") {
		t.Errorf("the second time:\n%s", out)
	}
	if out := must(t, db.AdminURL); strings.Count(out, "applied ") != len(all)-3 {
		t.Errorf("the rest:\n%s", out)
	}
	if _, err := migrate(t, db.AdminURL, "-baseline", "999"); err == nil || !strings.Contains(err.Error(), "there is no migration 999") {
		t.Errorf("an unknown number: %v", err)
	}
}

func TestABaselineIsBelievedAtEveryNumberThatTheDatabaseIsAt(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	all, err := migrations.All()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), db.AdminURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	last := all[len(all)-1].Version
	for _, m := range all {
		if _, err := conn.Exec(t.Context(), m.SQL, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
		if absent, what, err := migrations.Missing(t.Context(), conn, m.Version); err != nil || absent != "" {
			t.Errorf("at %s: %s of %s is missing, %v", m.Version, what, absent, err)
		}
	}
	if _, err := conn.Exec(t.Context(), `ALTER TABLE gv.ads DROP COLUMN fatigue_status`); err != nil {
		t.Fatal(err)
	}
	if absent, what, err := migrations.Missing(t.Context(), conn, last); err != nil || absent != "" {
		// A column of a CREATE TABLE goes with its table; only what was added is looked for.
		t.Errorf("%s of %s is missing, %v", what, absent, err)
	}
	if _, err := conn.Exec(t.Context(), `ALTER TABLE gv.ad_metrics DROP COLUMN revenue_minor`); err != nil {
		t.Fatal(err)
	}
	if absent, what, err := migrations.Missing(t.Context(), conn, last); err != nil || absent != "014_daily_revenue" || what != "column gv.ad_metrics.revenue_minor" {
		t.Errorf("without a column of 014: %q of %q is missing, %v", what, absent, err)
	}
}

func TestATenantIsMadeOnceByItsName(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	id := regexp.MustCompile(`tenant_id ([0-9a-f-]{36})`)
	first := must(t, db.AdminURL, "-tenant", "Bodega O'Neill", "-admin", " Ana@Example.com ", "-currency", "eur")
	second := must(t, db.AdminURL, "-tenant", "Bodega O'Neill", "-admin", "ana@example.com")
	a, b := id.FindStringSubmatch(first), id.FindStringSubmatch(second)
	if a == nil || b == nil || a[1] != b[1] {
		t.Fatalf("two different tenants:\n%s\n%s", first, second)
	}
	if !strings.Contains(first, "made tenant Bodega O'Neill (EUR)") || !strings.Contains(second, "found tenant") ||
		!strings.Contains(first, `{"tenant_id": "`+a[1]+`", "role": "admin"}`) || !strings.Contains(first, "WHERE email = 'ana@example.com'") {
		t.Errorf("it said\n%s\n%s", first, second)
	}
	must(t, db.AdminURL, "-tenant", "Bodega O'Neill", "-admin", "second@example.com")
	var tenants, admins int
	if err := db.Admin(t).QueryRow(t.Context(), `
		SELECT (SELECT count(*) FROM gv.tenants), (SELECT count(*) FROM gv.members WHERE role = 'admin')`).Scan(&tenants, &admins); err != nil {
		t.Fatal(err)
	}
	if tenants != 1 || admins != 2 {
		t.Errorf("%d tenants, %d admins", tenants, admins)
	}
	if _, err := migrate(t, db.AdminURL, "-tenant", "Bodega O'Neill", "-admin", "ana@example.com", "-currency", "USD"); err == nil ||
		!strings.Contains(err.Error(), "with the currency EUR") {
		t.Errorf("another currency: %v", err)
	}
}

func TestAWrongCallSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"-admin EMAIL":                   {"-tenant", "A"},
		"belong to a -tenant NAME":       {"-admin", "a@example.com"},
		"is not an e-mail address":       {"-tenant", "A", "-admin", "Ana <a@example.com>"},
		"is not an ISO 4217 code":        {"-tenant", "A", "-admin", "a@example.com", "-currency", "DOLLAR"},
		`unexpected "up"`:                {"up"},
		"not defined":                    {"-nonsense"},
		"port 6543 is the transaction":   {"-db", "postgres://u:p@127.0.0.1:6543/postgres"},
		"is not a Postgres URL":          {"-db", "postgres://u:secret@127.0.0.1:port/postgres"},
		"connect to the database at 127": {"-db", "postgres://u:secret@127.0.0.1:1/postgres"},
		"must be encrypted":              {"-db", "postgres://u:secret@db.example.com:5432/postgres?sslmode=disable"},
	} {
		_, err := migrate(t, "", args...)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v: got %v, want %q", args, err, want)
		}
	}
	if err := run(context.Background(), nil, func(string) string { return "" }, &strings.Builder{}); err == nil ||
		!strings.Contains(err.Error(), "MIGRATE_DATABASE_URL") {
		t.Errorf("without a URL: %v", err)
	}
}

func TestACheckSaysWhatIsMissingAndChangesNothing(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t).AdminURL
	for range 2 { // the first one has applied nothing
		out, err := migrate(t, url, "-check")
		if err == nil || !strings.Contains(out, "migrations are not applied") || !strings.Contains(out, "go run ./infra/migrate") {
			t.Errorf("%v\n%s", err, out)
		}
	}
	must(t, url, "-tenant", "Northside", "-admin", "a@example.com")
	if out := must(t, url, "-check"); out != "the database is as this code needs it\n" {
		t.Errorf("%s", out)
	}
}

// The runbook changes the password of gv_app in this way: a second role has the rights
// of the first, and the policies bind it alike.
func TestASecondRoleCarriesTheFunctionsWhileAPasswordChanges(t *testing.T) {
	t.Parallel()
	made := pgtest.New(t)
	admin := made.Admin(t)
	role := "gvt_second_" + strings.ToLower(rand.Text())
	execute := func(sql string) {
		t.Helper()
		if _, err := admin.Exec(context.Background(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	execute(`CREATE ROLE ` + role + ` LOGIN NOBYPASSRLS PASSWORD 'second' IN ROLE gv_app`)
	t.Cleanup(func() { execute(`DROP ROLE ` + role) })
	execute(`ALTER ROLE ` + role + ` SET role = 'gv_app'`)
	execute(`INSERT INTO gv.tenants (tenant_id, name) VALUES
		('00000000-0000-4000-8000-00000000000a', 'A'), ('00000000-0000-4000-8000-00000000000b', 'B')`)
	address, err := url.Parse(made.AppURL)
	if err != nil {
		t.Fatal(err)
	}
	address.User = url.UserPassword(role, "second")
	db, err := pg.Open(t.Context(), pg.Config{URL: address.String(), MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	var user, seen string
	err = pg.InTenant(t.Context(), db, "00000000-0000-4000-8000-00000000000a", func(tx pgx.Tx) error {
		return tx.QueryRow(t.Context(), `SELECT current_user, string_agg(name, ' ') FROM gv.tenants`).Scan(&user, &seen)
	})
	if err != nil || user != "gv_app" || seen != "A" {
		t.Errorf("as %s it sees %q: %v", user, seen, err)
	}
}
