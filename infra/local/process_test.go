package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestMain lets this program be the local system itself, in a process of its own
// that a test can kill: settings are a process's.
func TestMain(m *testing.M) {
	if os.Getenv("GV_LOCAL_TEST") == "run" {
		main()
	}
	os.Exit(m.Run())
}

// process is a local system in a process of its own.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	url  string // once ready
	env  map[string]string
	took time.Duration

	mu   sync.Mutex
	said strings.Builder
	done chan struct{}
	err  error
}

// launch starts a system; it ends with the test.
func launch(t *testing.T, args ...string) *process {
	t.Helper()
	return launchWith(t, []string{"PUBSUB_EMULATOR_HOST="}, args...)
}

func launchWith(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, done: make(chan struct{})}
	if !slices.Contains(args, "-live") { // Java for each of them would be too much
		args = append([]string{"-live=false"}, args...)
	}
	p.cmd = exec.Command(os.Args[0], args...)
	p.cmd.Dir = t.TempDir()
	p.cmd.Env = append(append(os.Environ(), "GV_LOCAL_TEST=run"), env...)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	go func() {
		for lines := bufio.NewScanner(r); lines.Scan(); {
			p.mu.Lock()
			p.said.WriteString(lines.Text() + "\n")
			p.mu.Unlock()
		}
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() { p.end(syscall.SIGTERM) })
	return p
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

// end sends the signal and waits; it returns the exit code.
func (p *process) end(s syscall.Signal) int {
	p.t.Helper()
	_ = p.cmd.Process.Signal(s)
	return p.wait()
}

func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		_ = p.cmd.Process.Kill()
		p.t.Fatalf("it does not end:\n%s", p.output())
	}
	var exit *exec.ExitError
	if errors.As(p.err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

var readyLine = regexp.MustCompile(`(?m)^ready (http://\S+)$`)

// ready waits for the ready line and reads the file that it promises.
func (p *process) ready(dir string) *process {
	p.t.Helper()
	began := time.Now()
	for time.Since(began) < 3*time.Minute {
		if m := readyLine.FindStringSubmatch(p.output()); m != nil {
			p.url, p.took = m[1], time.Since(began)
			p.env = sourced(p.t, filepath.Join(dir, "env"))
			return p
		}
		select {
		case <-p.done:
			p.t.Fatalf("it ended before it was ready:\n%s", p.output())
		case <-time.After(10 * time.Millisecond):
		}
	}
	p.t.Fatalf("not ready:\n%s", p.output())
	return nil
}

// sourced reads the file with a shell, as people do.
func sourced(t *testing.T, path string) map[string]string {
	t.Helper()
	out, err := exec.Command("sh", "-c", `set -a; . "$1"; env`, "sh", path).Output()
	if err != nil {
		t.Fatalf("source %s: %v", path, err)
	}
	env := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			env[name] = value
		}
	}
	return env
}

// ask sends a request with the token that the file calls so.
func (p *process) ask(method, path, token, body string) (int, string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+p.env[token])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func (p *process) want(status int, method, path, token, body string) string {
	p.t.Helper()
	got, text := p.ask(method, path, token, body)
	if got != status {
		p.t.Fatalf("%s %s as %s: %d %s, want %d", method, path, token, got, text, status)
	}
	return text
}

// query returns one value from the database of the named URL.
func query[T any](p *process, url, sql string, args ...any) T {
	p.t.Helper()
	conn, err := pgx.Connect(p.t.Context(), p.env[url])
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var value T
	if err := conn.QueryRow(p.t.Context(), sql, args...).Scan(&value); err != nil {
		p.t.Fatalf("%s: %v", sql, err)
	}
	return value
}

// eventually waits: HubSpot itself tries a delivery that failed again after a minute, and
// then after five more.
func (p *process) eventually(what string, ok func() bool) {
	p.t.Helper()
	const patience = 12 * time.Minute
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
