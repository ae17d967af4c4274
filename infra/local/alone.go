package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/functions"
	"github.com/geminivideo/geminivideo/infra/stage/source"
	"github.com/geminivideo/geminivideo/infra/testkit/cluster"
	"github.com/geminivideo/geminivideo/migrations"
)

// alone stages and builds each function by itself, with the program that the
// buildpack generates, and sees it answer and stop as it does on Cloud Run.
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
	return c.answers(ctx, f, program, database)
}

// answers starts the program with FUNCTION_TARGET, asks /health and stops it.
func (c *checker) answers(ctx context.Context, f functions.Function, program, database string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	var log bytes.Buffer
	cmd := c.command(ctx, program)
	values := map[string]string{
		"DATABASE_URL": database, "WORKER_DATABASE_URL": database, "GOOGLE_CLOUD_PROJECT": project,
		"SUPABASE_URL": "http://127.0.0.1:1", "PUBLIC_BASE_URL": "http://127.0.0.1:" + port,
		"VIDEO_BUCKET": (&url.URL{Scheme: "file", Path: filepath.ToSlash(c.work)}).String(),
	}
	cmd.Env = cloudRun(f, port, func(name string) string { return values[name] })
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	status, body, err := health(ctx, "http://127.0.0.1:"+port+"/health", ended)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("/health answered %d: %s", status, body)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case stopped := <-ended:
		if stopped != nil && err == nil {
			err = fmt.Errorf("after SIGTERM it ended with %w", stopped)
		}
	case <-time.After(15 * time.Second):
		err = errors.Join(err, errors.New("it does not stop after SIGTERM"), cmd.Process.Kill())
		<-ended
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, bytes.TrimSpace(log.Bytes()))
	}
	return nil
}

func health(ctx context.Context, url string, ended chan error) (int, string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return 0, "", err
		}
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			body, err := io.ReadAll(resp.Body)
			return resp.StatusCode, string(bytes.TrimSpace(body)), errors.Join(err, resp.Body.Close())
		}
		select {
		case how := <-ended:
			ended <- how
			return 0, "", errors.New("it ended before it answered")
		case <-ctx.Done():
			return 0, "", err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}
