package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/cluster"
	"github.com/geminivideo/geminivideo/infra/testkit/provision"
)

// The linter is pinned here and installed by version, outside go.mod: as a tool line it
// would pull its own requirements into the module.
const golangciLint = "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0"

// checker runs the checks of one repository.
type checker struct {
	root     string // of the repository
	work     string // for what the checks leave behind
	database string // a superuser's URL to a server that the tests may fill
	out, log io.Writer
}

type check struct {
	name string
	run  func(context.Context) error
}

// test runs every check, whatever the ones before said, and fails if any did.
func test(ctx context.Context, o options, out, log io.Writer) (err error) {
	c := &checker{out: out, log: log, database: o.db}
	if c.root, err = repository(ctx); err != nil {
		return err
	}
	if c.work, err = os.MkdirTemp("", "geminivideo-check-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.work)) }()
	checks, err := c.checks(o.check)
	if err != nil {
		return err
	}
	began := time.Now()
	if c.database == "" {
		stop, err := c.startServer(ctx)
		if err != nil {
			return err
		}
		defer stop()
	}
	var rows []string
	failed, missing := 0, 0
	for _, one := range checks {
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		fmt.Fprintf(out, "== %s\n", one.name)
		at := time.Now()
		result := "ok"
		var left notRun
		if err := one.run(ctx); errors.As(err, &left) {
			missing++
			result = "not run"
			fmt.Fprintf(out, "%s: %v\n", one.name, err)
		} else if err != nil {
			failed++
			result = "FAILED"
			fmt.Fprintf(out, "%s: %v\n", one.name, err)
		}
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s", one.name, result, time.Since(at).Round(100*time.Millisecond)))
	}
	fmt.Fprintln(out, "== summary")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, strings.Join(rows, "\n"))
	if err := table.Flush(); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d checks FAILED after %s", failed, len(rows), time.Since(began).Round(time.Second))
	}
	fmt.Fprintf(out, "all %d checks passed in %s%s\n", len(rows)-missing, time.Since(began).Round(time.Second), without(missing))
	return nil
}

// checks are all of them, or the one that is named.
func (c *checker) checks(name string) ([]check, error) {
	all := []check{
		{"lint", c.lint},
		{"go test -race", c.goTest},
		{"each function alone", c.alone},
		{"console smoke", c.smoke},
	}
	if name == "" {
		return all, nil
	}
	var names []string
	for _, one := range all {
		if one.name == name {
			return []check{one}, nil
		}
		names = append(names, one.name)
	}
	return nil, fmt.Errorf("-check %q: the checks are %s", name, strings.Join(names, ", "))
}

func without(missing int) string {
	if missing == 0 {
		return ""
	}
	return fmt.Sprintf("; %d could not run here, see above", missing)
}

// repository finds the module that the command is run in.
func repository(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	mod := strings.TrimSpace(string(out))
	if err != nil || filepath.Base(mod) != "go.mod" {
		return "", errors.New("run it in the repository: there is no go.mod here")
	}
	return filepath.Dir(mod), nil
}

// startServer starts a throw-away cluster for the tests.
func (c *checker) startServer(ctx context.Context) (stop func(), err error) {
	source, err := provision.Ensure(ctx, c.log)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(c.work, "postgres")
	server, err := source.Start(ctx, cluster.Options{Dir: dir, Files: cluster.Memory(), Throwaway: true, Settings: map[string]string{
		"max_connections": "300", "shared_buffers": "128MB", "max_wal_size": "128MB", "jit": "off",
	}})
	if err != nil {
		return nil, err
	}
	c.database = server.AdminURL()
	return func() {
		if err := errors.Join(server.Close(), source.Remove(context.WithoutCancel(ctx), dir)); err != nil {
			fmt.Fprintln(c.log, "local: remove the tests' cluster:", err)
		}
	}, nil
}

// lint runs the linters of .golangci.yml, go vet's and staticcheck's among them, and
// looks at the format.
func (c *checker) lint(ctx context.Context) error {
	tool, err := c.tool(ctx, golangciLint)
	if err != nil {
		return err
	}
	if err := c.run(ctx, tool, "run", "./..."); err != nil {
		return fmt.Errorf("%w; %s fmt mends the format", err, tool)
	}
	return nil
}

// goTest leaves go vet out: golangci-lint runs it, once and without the race detector. A
// secret in a log line fails the suite like a test.
func (c *checker) goTest(ctx context.Context) error {
	for _, args := range [][]string{{"-race", "./..."}, simulated} {
		// -w: a test binary without debugger's tables links in two thirds of the time.
		cmd := c.command(ctx, "go", slices.Concat([]string{"test", "-json", "-vet=off", "-ldflags=-w", "-shuffle=on", "-timeout=40m"}, args)...)
		cmd.Env = append(os.Environ(), "TEST_DATABASE_URL="+c.database)
		if args[0] == "-race" {
			cmd.Env = append(cmd.Env, "CGO_ENABLED=1") // the race detector needs it
		}
		seen := newSuite(c.out)
		cmd.Stdout, cmd.Stderr = seen, c.out
		if err := errors.Join(cmd.Run(), seen.leaked()); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%d log lines, no secret in them\n", seen.read)
	}
	return nil
}

// simulated are the packages with tests that infra/testkit/simulation marks.
var simulated = []string{
	"./infra/local/demo/sim", "./infra/sim/world", "./shared/adreport", "./shared/fatigue", "./shared/oracle", "./shared/sampler",
}

// tool returns the program of a pinned version, which it installs once per user.
func (c *checker) tool(ctx context.Context, pinned string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	path, version, _ := strings.Cut(pinned, "@")
	dir := filepath.Join(cache, "geminivideo", "tools", filepath.Base(path)+"@"+version)
	program := filepath.Join(dir, filepath.Base(path))
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	fmt.Fprintf(c.log, "local: installing %s to %s\n", pinned, dir)
	cmd := c.command(ctx, "go", "install", pinned)
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("install %s: %w\n%s", pinned, err, bytes.TrimSpace(out))
	}
	return program, nil
}

// run runs a program that says nothing where all is well.
func (c *checker) run(ctx context.Context, name string, args ...string) error {
	cmd := c.command(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = c.out, c.out
	return cmd.Run()
}

// command is a program in the repository; an interrupt reaches it as one.
func (c *checker) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = c.root
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}
