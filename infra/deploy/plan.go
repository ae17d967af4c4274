package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	cloudrun "google.golang.org/api/run/v2"

	"github.com/geminivideo/geminivideo/functions"
	"github.com/geminivideo/geminivideo/migrations"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// annotation of a service holds the hash of the archive that it runs.
const annotation = "geminivideo-archive"

// step is what a deployment does to one function.
type step struct {
	archive archive
	service *cloudrun.GoogleCloudRunV2Service
	was     string // the hash of what runs; empty where that is not known
}

// due reports whether the function's code has changed.
func (s step) due() bool { return s.service != nil && s.was != s.archive.hash }

// steps compares the archives with what runs.
func (d *deployment) steps(ctx context.Context) ([]step, error) {
	all, err := d.archives(ctx)
	if err != nil {
		return nil, err
	}
	services := map[string]*cloudrun.GoogleCloudRunV2Service{}
	if d.cloud != nil {
		if services, err = d.cloud.services(ctx); err != nil {
			return nil, err
		}
	}
	steps := make([]step, len(all))
	for i, a := range all {
		steps[i] = step{archive: a, service: services[a.function.Name]}
		if steps[i].service != nil {
			steps[i].was = steps[i].service.Annotations[annotation]
		}
	}
	return steps, nil
}

// showPlan prints what a deployment would do.
func (d *deployment) showPlan(ctx context.Context) error {
	steps, err := d.steps(ctx)
	if err != nil {
		return err
	}
	counts := map[string]int{}
	for _, s := range steps {
		what := s.said(d.cloud != nil)
		counts[strings.TrimSuffix(strings.Fields(what)[0], ":")]++
		fmt.Fprintf(d.out, "%-12s %s  %5d kB  %s\n", s.archive.function.Name, s.archive.hash, len(s.archive.zip)/1000, what)
	}
	fmt.Fprintln(d.out)
	if d.cloud != nil {
		fmt.Fprintf(d.out, "%s: %d to deploy, %d as they are, %d without a service\n", d.project, counts["deploy"], counts["same"], counts["no"])
	} else {
		fmt.Fprintf(d.out, "%d functions; with -project this compares them with what runs there\n", len(steps))
	}
	fmt.Fprintln(d.out, connections(d.manifest))
	return d.pending(ctx)
}

func (s step) said(compared bool) string {
	switch {
	case !compared:
		return "built"
	case s.service == nil:
		return "no service: terraform apply makes it"
	case s.was == "":
		return "deploy: what runs was not deployed by this command"
	case s.due():
		return "deploy: " + s.was + " runs"
	}
	return "same"
}

// connections says how many database connections the functions may open, and which
// compute size of Supabase that needs.
func connections(m *functions.Manifest) string {
	size := m.SmallestPooler()
	needs := "no compute size is enough: lower max_instances"
	if size != "" {
		needs = "compute size " + size + " is needed"
	}
	return fmt.Sprintf("connections: %d at most, %d during a roll-out; the pooler of compute size %s admits %d; %s, with a tenth left free",
		m.Connections(), m.ConnectionsRollingOut(), m.Pooler.Compute, m.Pooler.Clients(), needs)
}

// pending prints the migrations that the build would apply first.
func (d *deployment) pending(ctx context.Context) error {
	if d.db == "" {
		fmt.Fprintln(d.out, "migrations: with -db this says which are pending")
		return nil
	}
	conn, err := database(ctx, d.db)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	all, err := migrations.Pending(ctx, conn)
	if err != nil {
		return err
	}
	for _, m := range all {
		fmt.Fprintf(d.out, "migration %s_%s would be applied\n", m.Version, m.Name)
	}
	if len(all) == 0 {
		fmt.Fprintln(d.out, "migrations: none is pending")
	}
	return nil
}

// database connects as the owner.
func database(ctx context.Context, url string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		// pgx's own text may hold the password.
		return nil, errors.New("-db is not a Postgres URL such as postgres://owner:password@host:5432/postgres")
	}
	if err := pg.DemandTLS(&cfg.Config); err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the database at %s:%d: %w", cfg.Host, cfg.Port, errors.Unwrap(err))
	}
	return conn, nil
}

// last is the last part of a resource's name.
func last(name string) string { return name[strings.LastIndex(name, "/")+1:] }

// untagged is an image's name without its tag.
func untagged(image string) string {
	if i := strings.LastIndex(image, ":"); i > strings.LastIndex(image, "/") {
		return image[:i]
	}
	return image
}
