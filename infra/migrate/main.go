// Migrate brings a database to the schema that the code needs, and makes a
// first tenant with its admin:
//
//	go run ./infra/migrate [-db URL]
//	go run ./infra/migrate -check                           says what of a database is wrong, and changes nothing
//	go run ./infra/migrate -baseline 12                     marks what psql has applied
//	go run ./infra/migrate -tenant NAME -admin EMAIL [-currency USD]
//
// It is safe to repeat and safe to run twice at once. The URL is the owner's, to
// a session: Supabase's port 5432. Without -db it is MIGRATE_DATABASE_URL, or
// DATABASE_URL.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/migrations"
	"github.com/geminivideo/geminivideo/shared/pg"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "migrate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, env func(string) string, out io.Writer) error {
	f := flag.NewFlagSet("migrate", flag.ContinueOnError)
	db := f.String("db", "", "the owner's `URL`; MIGRATE_DATABASE_URL, or else DATABASE_URL, if not given")
	baseline := f.Int("baseline", 0, "record the migrations up to this `number` as applied, without running them")
	check := f.Bool("check", false, "say what is missing or wrong, in the order in which to mend it, and change nothing")
	var first tenant
	f.StringVar(&first.name, "tenant", "", "make the tenant of this `name`, where there is none")
	f.StringVar(&first.admin, "admin", "", "the `e-mail` address of the tenant's admin")
	f.StringVar(&first.currency, "currency", "", "the tenant's `currency`, that of its CRM; USD if not given")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("unexpected %q", f.Arg(0))
	}
	if err := first.check(); err != nil {
		return err
	}
	conn, err := connect(ctx, cmp.Or(*db, env("MIGRATE_DATABASE_URL"), env("DATABASE_URL")))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if *check {
		return report(ctx, conn, out)
	}
	if *baseline != 0 {
		return mark(ctx, conn, *baseline, out)
	}
	if err := apply(ctx, conn, out); err != nil {
		return err
	}
	if first.name == "" {
		return nil
	}
	return first.make(ctx, conn, out)
}

func connect(ctx context.Context, url string) (*pgx.Conn, error) {
	if url == "" {
		return nil, errors.New("no database: give -db, or set MIGRATE_DATABASE_URL or DATABASE_URL to the owner's URL, such as postgres://owner:password@host:5432/postgres")
	}
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("the database's URL is not a Postgres URL such as postgres://owner:password@host:5432/postgres") // pgx's text may hold the password
	}
	if cfg.Port == 6543 {
		return nil, errors.New("port 6543 is the transaction pooler's, which keeps no session and so no lock: migrate through port 5432 of the same host")
	}
	if err := pg.DemandTLS(&cfg.Config); err != nil {
		return nil, err
	}
	cfg.ConnectTimeout = 20 * time.Second
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the database at %s:%d: %w", cfg.Host, cfg.Port, errors.Unwrap(err)) // pgx's own text names the user
	}
	return conn, nil
}

func apply(ctx context.Context, conn *pgx.Conn, out io.Writer) error {
	applied, err := migrations.Apply(ctx, conn)
	for _, m := range applied {
		fmt.Fprintf(out, "applied %s_%s\n", m.Version, m.Name)
	}
	if err != nil {
		return err
	}
	if len(applied) == 0 {
		fmt.Fprintln(out, "nothing to apply: the schema is current")
		return nil
	}
	if applied[0].Version == "001" {
		fmt.Fprint(out, `
The functions log in as gv_app and gv_worker, which have no password yet. Give them one each:
  ALTER ROLE gv_app PASSWORD '...';
  ALTER ROLE gv_worker PASSWORD '...';
`)
	}
	return nil
}

// report prints what Check finds, and fails if that is anything.
func report(ctx context.Context, conn *pgx.Conn, out io.Writer) error {
	problems, err := migrations.Check(ctx, conn)
	if err != nil {
		return err
	}
	for i, p := range problems {
		fmt.Fprintf(out, "%d. %s\n   %s\n", i+1, p.What, p.Mend)
	}
	if len(problems) > 0 {
		return fmt.Errorf("%d things are missing or wrong", len(problems))
	}
	fmt.Fprintln(out, "the database is as this code needs it")
	return nil
}

// mark records what psql has applied, if it has.
func mark(ctx context.Context, conn *pgx.Conn, number int, out io.Writer) error {
	all, err := migrations.All()
	if err != nil {
		return err
	}
	version := ""
	for _, m := range all {
		if n, err := strconv.Atoi(m.Version); err == nil && n == number {
			version = m.Version
		}
	}
	if version == "" {
		return fmt.Errorf("-baseline: there is no migration %d; the last one is %s_%s", number, all[len(all)-1].Version, all[len(all)-1].Name)
	}
	var there bool
	if err := conn.QueryRow(ctx, `SELECT to_regclass('gv.tenants') IS NOT NULL`).Scan(&there); err != nil {
		return fmt.Errorf("look for the schema: %w", err)
	}
	if !there {
		return errors.New("-baseline: this database has no table gv.tenants, so nothing was applied to it by psql; run without -baseline")
	}
	// A migration that is marked and was never applied is left out for good.
	absent, what, err := migrations.Missing(ctx, conn, version)
	if err != nil {
		return err
	}
	if absent != "" {
		return fmt.Errorf("-baseline %d: this database has no %s, which migration %s makes; give the number of the last migration that psql applied",
			number, what, absent)
	}
	marked, err := migrations.Baseline(ctx, conn, version)
	for _, m := range marked {
		fmt.Fprintf(out, "marked %s_%s as applied\n", m.Version, m.Name)
	}
	if err == nil && len(marked) == 0 {
		fmt.Fprintf(out, "nothing to mark: the history has every migration up to %s\n", version)
	}
	return err
}
