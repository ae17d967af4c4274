package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"

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
	var errs []error
	for _, f := range manifest.Functions {
		if err := c.one(ctx, f, database); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.Name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	if len(errs) == 0 {
		fmt.Fprintf(c.out, "%d functions built and answered\n", len(manifest.Functions))
	}
	return errors.Join(errs...)
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

func (c *checker) one(ctx context.Context, f functions.Function, database string) error {
	// One folder for all: what they share is compiled once, since the compiler's
	// cache knows packages by where they are.
	dir, program := filepath.Join(c.work, "alone"), filepath.Join(c.work, "alone.bin")
	if _, err := source.Write(ctx, c.root, f.Name, dir); err != nil {
		return err
	}
	if err := source.WriteMain(dir); err != nil {
		return err
	}
	build := c.command(ctx, "go", "build", "-ldflags=-s -w", "-o", program, "./"+source.MainDir)
	build.Dir = dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return c.runsOnTheManifest(ctx, f, program, values(c.work, database))
}
