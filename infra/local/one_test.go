package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/functions"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
)

// single is one function, served alone in a process of its own.
type single struct {
	t   *testing.T
	url string
	cmd *exec.Cmd
	log *bytes.Buffer
	end chan error
}

// serveSingle starts f with values as its settings, those that the manifest names.
func serveSingle(t *testing.T, f functions.Function, values map[string]string) *single {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	s := &single{t: t, url: "http://127.0.0.1:" + port, log: &bytes.Buffer{}, end: make(chan error, 1)}
	s.cmd = exec.Command(os.Args[0], "-function", f.Name, "-addr", "127.0.0.1:"+port)
	s.cmd.Env = append(cloudRun(f, port, func(name string) string { return values[name] }), "GV_LOCAL_TEST=run")
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.end <- s.cmd.Wait() }()
	return s
}

// health waits for the start-up probe's answer.
func (s *single) health() int {
	s.t.Helper()
	status, _, err := health(s.t.Context(), s.url+"/health", s.end)
	if err != nil {
		s.stop()
		s.t.Fatalf("%v\n%s", err, s.log)
	}
	return status
}

func (s *single) ask(method, path, body string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// stop ends it as Cloud Run does, and returns its log.
func (s *single) stop() string {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-s.end:
		s.end <- err
	case <-time.After(time.Minute):
		_ = s.cmd.Process.Kill()
		s.t.Errorf("it does not stop after SIGTERM")
		<-s.end
	}
	return s.log.String()
}

// first is one real request or event of a function, and what it is answered: a path
// that asks for a token is asked without one, a message is one of no known form, which
// its function stores as a dead letter, and a scheduled run finds nothing to do.
func first(f functions.Function) (method, path, body string, want []int) {
	switch {
	case f.Trigger == functions.Schedule:
		return http.MethodPost, "/", "", []int{http.StatusOK}
	case f.Trigger == functions.PubSub:
		return http.MethodPost, "/",
			`{"message": {"data": "e30=", "messageId": "1", "attributes": {"topic": "` + f.Topic + `"}}, "subscription": "s"}`,
			[]int{http.StatusNoContent}
	}
	p := f.Paths[0]
	path = strings.NewReplacer("{$}", "", "{source}", "none", "{id}", "none").Replace(p.Pattern)
	if f.Name == "console" {
		return p.Method, path, "", []int{http.StatusOK, http.StatusTemporaryRedirect, http.StatusFound, http.StatusSeeOther}
	}
	if f.Name == "leadads" { // Meta's question, with a token that is not ours
		return p.Method, path, "", []int{http.StatusForbidden}
	}
	return p.Method, path, "{}", []int{http.StatusUnauthorized}
}

func TestEachFunctionRunsOnWhatTheManifestNamesForItAlone(t *testing.T) {
	t.Parallel()
	manifest, err := functions.Load()
	if err != nil {
		t.Fatal(err)
	}
	db := pgtest.New(t)
	values := map[string]string{
		"DATABASE_URL": db.AppURL, "WORKER_DATABASE_URL": db.WorkerURL, "GOOGLE_CLOUD_PROJECT": project,
		"SUPABASE_URL": "http://127.0.0.1:1", "PUBLIC_BASE_URL": "http://127.0.0.1:1", "VIDEO_BUCKET": "file://" + filepath.ToSlash(t.TempDir()),
	}
	atOnce := make(chan struct{}, 2)
	for _, f := range manifest.Functions {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			atOnce <- struct{}{}
			defer func() { <-atOnce }()
			runsOnTheManifest(t, f, values)
		})
	}
}

func runsOnTheManifest(t *testing.T, f functions.Function, values map[string]string) {
	s := serveSingle(t, f, values)
	if status := s.health(); status != http.StatusOK {
		t.Fatalf("/health answered %d\n%s", status, s.stop())
	}
	method, path, body, want := first(f)
	status, text := s.ask(method, path, body)
	if log := s.stop(); !slices.Contains(want, status) { // until it has stopped it writes to its log
		t.Errorf("%s %s answered %d %s, want %v\n%s", method, path, status, text, want, log)
	}

	none := serveSingle(t, f, nil)
	status, log := none.health(), none.stop()
	var missing []string
	for _, name := range slices.Concat(f.Secrets, f.OptionalSecrets, f.Settings) {
		if strings.Contains(log, name+" is missing") {
			missing = append(missing, name)
		}
	}
	for _, name := range f.Secrets {
		if !slices.Contains(missing, name) {
			t.Errorf("without a setting the log does not name the secret %s\n%s", name, log)
		}
	}
	if len(missing) > 0 && status != http.StatusServiceUnavailable {
		t.Errorf("without a setting /health answered %d", status)
	}
	for _, name := range missing {
		less := maps.Clone(values)
		delete(less, name)
		s := serveSingle(t, f, less)
		status, log := s.health(), s.stop()
		if status != http.StatusServiceUnavailable || !strings.Contains(log, name+" is missing") {
			t.Errorf("without %s /health answered %d, and the log says\n%s", name, status, log)
		}
	}
}

func TestOneFunctionServesTheDataOfARunningSystem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	system := launch(t, "-addr", anyPort, "-db", pgtest.Empty(t).AdminURL, "-data", dir, "-demo=false").ready(dir)
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	one := launch(t, "-function", "campaigns", "-addr", "127.0.0.1:"+port, "-data", dir)
	one.url, one.env = "http://127.0.0.1:"+port, system.env
	ended := make(chan error, 1)
	go func() { <-one.done; ended <- one.err }()
	if status, body, err := health(t.Context(), one.url+"/health", ended); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s %v\n%s", status, body, err, one.output())
	}
	one.want(http.StatusOK, "GET", "/api/campaigns", "TOKEN", "")
	one.want(http.StatusUnauthorized, "GET", "/api/campaigns", "", "")
	one.want(http.StatusNotFound, "GET", "/api/me", "TOKEN", "") // another function's
	if code := one.end(syscall.SIGTERM); code != 0 {
		t.Errorf("after SIGTERM it ended with %d\n%s", code, one.output())
	}
	if info, err := os.Stat(filepath.Join(dir, settingsFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file of settings: %v, %v", info, err)
	}
}

func TestAWrongNameOfAFunctionIsSaid(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		`functions.yaml has no function "allocator"`: {"-function", "allocator"},
		"only -addr and -data go with it":            {"-function", "allocate", "-fresh"},
	} {
		var log bytes.Buffer
		if code := run(context.Background(), args, io.Discard, &log); code == 0 || !strings.Contains(log.String(), want) {
			t.Errorf("%v: %d %s", args, code, fmt.Sprint(&log))
		}
	}
}
