package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/cluster"
	"github.com/geminivideo/geminivideo/migrations"
)

// firstUpgraded is the oldest schema that is upgraded: those before were never a
// system's.
const firstUpgraded = "007"

// upgrades brings a database that is at an old migration to the newest one in three
// ways, and compares what pg_dump says of the schema.
func upgrades(args []string) error {
	flags := flag.NewFlagSet("upgrades", flag.ContinueOnError)
	from := flags.String("from", firstUpgraded, "`versions` to upgrade from, such as 007,050, or all")
	cli := flags.String("cli", "", "the Supabase CLI's `program`, such as node_modules/.bin/supabase; empty: that of the PATH")
	if err := flags.Parse(args); err != nil {
		return err
	}
	all, err := migrations.All()
	if err != nil {
		return err
	}
	var chosen []string
	for _, m := range all {
		if m.Version >= firstUpgraded && (*from == "all" || slices.Contains(strings.Split(*from, ","), m.Version)) {
			chosen = append(chosen, m.Version)
		}
	}
	if len(chosen) == 0 {
		return fmt.Errorf("-from %s: no migration from %s on has such a number", *from, firstUpgraded)
	}
	dir, err := os.MkdirTemp("", "geminivideo-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	c, err := cluster.Start(ctx, cluster.Options{Dir: filepath.Join(dir, "cluster"), Throwaway: true})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(); removeCluster(filepath.Join(dir, "cluster")) }()
	u := &upgrade{c: c, dir: dir, all: all}
	if u.admin, err = pgx.Connect(ctx, c.AdminURL()); err != nil {
		return err
	}
	defer func() { _ = u.admin.Close(ctx) }()
	if u.cli, err = exec.LookPath(*cli); *cli == "" {
		u.cli, err = exec.LookPath("supabase")
	}
	if err != nil {
		fmt.Println("NOT RUN: the Supabase CLI's db push: there is no such program (npm install supabase@3.1.0, then -cli node_modules/.bin/supabase)")
	} else if u.cli, err = filepath.Abs(u.cli); err != nil {
		return err
	}
	var wrong error
	for _, version := range chosen {
		wrong = errors.Join(wrong, u.compare(ctx, version))
	}
	return wrong
}

type upgrade struct {
	c     *cluster.Cluster
	dir   string
	cli   string // empty: not there
	all   []migrations.Migration
	admin *pgx.Conn
	// at is how many of all psql has run in the database base, of which each way gets
	// a copy.
	at int
}

// base is at the version that is upgraded next.
const base = "base"

// copied brings base to a version and returns the URL of a copy of it.
func (u *upgrade) copied(ctx context.Context, before []migrations.Migration, name string) (string, error) {
	url, err := u.c.EnsureDatabase(ctx, base)
	if err != nil {
		return "", err
	}
	if err := u.psql(ctx, url, before[u.at:]); err != nil {
		return "", fmt.Errorf("up to %s by psql: %w", before[len(before)-1].Version, err)
	}
	u.at = len(before)
	_, err = u.admin.Exec(ctx, `CREATE DATABASE `+pgx.Identifier{name}.Sanitize()+` TEMPLATE `+base)
	return u.c.URL(name), err
}

// compare upgrades databases from version, and says where the schemas differ.
func (u *upgrade) compare(ctx context.Context, version string) error {
	before := slices.DeleteFunc(slices.Clone(u.all), func(m migrations.Migration) bool { return m.Version > version })
	after := u.all[len(before):]
	type way struct {
		name string
		do   func(ctx context.Context, url string) error
	}
	ways := []way{
		{"psql", func(ctx context.Context, url string) error { return u.psql(ctx, url, after) }},
		{"migrate", func(ctx context.Context, url string) error {
			return withConn(ctx, url, func(conn *pgx.Conn) error { _, err := migrations.Apply(ctx, conn); return err })
		}},
	}
	if u.cli != "" {
		ways = append(ways, way{"supabase", u.push})
	}
	first := ""
	for i, w := range ways {
		name := "from_" + version + "_" + w.name
		url, err := u.copied(ctx, before, name)
		if err != nil {
			return err
		}
		// Both other ways read the history, which psql does not write.
		if err := withConn(ctx, url, func(conn *pgx.Conn) error { _, err := migrations.Baseline(ctx, conn, version); return err }); err != nil {
			return err
		}
		if err := w.do(ctx, url); err != nil {
			return fmt.Errorf("from %s by %s: %w", version, w.name, err)
		}
		dump, err := u.dump(ctx, url)
		if err != nil {
			return err
		}
		if _, err := u.admin.Exec(ctx, `DROP DATABASE `+pgx.Identifier{name}.Sanitize()); err != nil {
			return err
		}
		if i == 0 {
			first = dump
		} else if dump != first {
			return fmt.Errorf("from %s: %s and %s end in different schemas: %s", version, ways[0].name, w.name, difference(first, dump))
		}
	}
	names := make([]string, len(ways))
	for i, w := range ways {
		names[i] = w.name
	}
	fmt.Printf("from %s, %d migrations by %s: one schema, %d lines of pg_dump\n", version, len(after), strings.Join(names, ", "), strings.Count(first, "\n"))
	return nil
}

func withConn(ctx context.Context, url string, do func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	return errors.Join(do(conn), conn.Close(ctx))
}

// psql runs files in their order, each in a transaction, as the README says.
func (u *upgrade) psql(ctx context.Context, url string, files []migrations.Migration) error {
	for _, m := range files {
		path := filepath.Join("migrations", m.Version+"_"+m.Name+".sql")
		out, err := exec.CommandContext(ctx, u.program("psql"), "-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", path, url).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", path, err, out)
		}
	}
	return nil
}

func (u *upgrade) program(name string) string { return filepath.Join(u.c.Install().Bin, name) }

// push runs the Supabase CLI's `db push` in a folder with a copy of the migrations.
func (u *upgrade) push(ctx context.Context, url string) error {
	work := filepath.Join(u.dir, "work")
	folder := filepath.Join(work, "supabase", "migrations")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, m := range u.all {
		if err := os.WriteFile(filepath.Join(folder, m.Version+"_"+m.Name+".sql"), []byte(m.SQL), 0o644); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, u.cli, "db", "push", "--db-url", url, "--include-all", "--yes", "--workdir", work)
	cmd.Dir = work
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("supabase db push: %w: %s", err, out)
	}
	return nil
}

// changing are the lines of a dump that are another each time.
var changing = regexp.MustCompile(`(?m)^\\(un)?restrict .*$`)

// dump is the schema without the history, which each way fills in its own manner.
func (u *upgrade) dump(ctx context.Context, url string) (string, error) {
	out, err := exec.CommandContext(ctx, u.program("pg_dump"), "--schema-only", "--exclude-schema=supabase_migrations", url).Output()
	if err != nil {
		return "", fmt.Errorf("pg_dump: %w", err)
	}
	return changing.ReplaceAllString(string(out), ""), nil
}

// difference is the first line that two dumps do not share.
func difference(a, b string) string {
	one, two := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(one), len(two)) {
		if one[i] != two[i] {
			return fmt.Sprintf("line %d: %q and %q", i+1, one[i], two[i])
		}
	}
	return fmt.Sprintf("%d and %d lines", len(one), len(two))
}
