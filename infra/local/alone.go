package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/geminivideo/geminivideo/functions"
	"github.com/geminivideo/geminivideo/infra/stage/source"
	"github.com/geminivideo/geminivideo/infra/testkit/cluster"
	"github.com/geminivideo/geminivideo/migrations"
)

// alone stages and builds each function by itself, with the program that the
// buildpack generates, and sees it start, answer and stop as it does on Cloud Run,
// with the settings that the manifest names for it and no others.
func (c *checker) alone(ctx context.Context) error {
	manifest, err := functions.Load()
	if err != nil {
		return err
	}
	database, err := c.migrated(ctx)
	if err != nil {
		return err
	}
	// As many at once as there are processors: linking uses one, and a start mostly waits.
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	errs := make([]error, len(manifest.Functions))
	for i, f := range manifest.Functions {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				errs[i] = err
			} else if err := c.one(ctx, f, database); err != nil {
				errs[i] = fmt.Errorf("%s: %w", f.Name, err)
			}
			return nil
		})
	}
	if err := errors.Join(group.Wait(), errors.Join(errs...)); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%d functions built and answered\n", len(manifest.Functions))
	return nil
}

// migrated returns the URL of a database for the functions to find.
func (c *checker) migrated(ctx context.Context) (string, error) {
	const name = "gv_alone"
	if err := cluster.EnsureDatabase(ctx, c.database, name); err != nil {
		return "", err
	}
	address, err := withDatabase(c.database, name)
	if err != nil {
		return "", err
	}
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return "", plain(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := migrations.Apply(ctx, conn); err != nil {
		return "", err
	}
	return address, nil
}

func (c *checker) one(ctx context.Context, f functions.Function, database string) (err error) {
	dir := filepath.Join(c.work, "alone", f.Name)
	program := dir + ".bin"
	defer func() { err = errors.Join(err, os.RemoveAll(dir), os.RemoveAll(program)) }()
	if _, err := source.Write(ctx, c.root, f.Name, dir); err != nil {
		return err
	}
	if err := source.WriteMain(dir); err != nil {
		return err
	}
	build := c.command(ctx, "go", "build", "-ldflags=-s -w", "-o", program, "./"+source.MainDir)
	build.Dir = dir
	// With -trimpath the compiler's cache does not know packages by their folder: what the
	// functions share is compiled once, and not at all where .ci/run has compiled it.
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return c.runsOnTheManifest(ctx, f, program, values(c.work, database))
}
