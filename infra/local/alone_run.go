package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/geminivideo/geminivideo/functions"
)

// values are the settings that a deployment has, whichever function needs them.
func values(work, database string) map[string]string {
	return map[string]string{
		"DATABASE_URL": database, "WORKER_DATABASE_URL": database, "GOOGLE_CLOUD_PROJECT": project,
		"SUPABASE_URL": "http://127.0.0.1:1", "PUBLIC_BASE_URL": "http://127.0.0.1:1",
		"VIDEO_BUCKET": (&url.URL{Scheme: "file", Path: filepath.ToSlash(work)}).String(),
	}
}

// runsOnTheManifest starts the program with all settings that the manifest names, and
// asks it one real question; then without any one of those that it calls missing,
// when its start-up probe must fail and its log must name the setting.
func (c *checker) runsOnTheManifest(ctx context.Context, f functions.Function, program string, values map[string]string) error {
	method, path, body, want := first(f)
	status, log, err := c.start(ctx, f, program, values, func(url string) error {
		got, text, err := ask(ctx, method, url+path, body)
		if err == nil && !slices.Contains(want, got) {
			err = fmt.Errorf("%s %s answered %d %s, want %v", method, path, got, text, want)
		}
		return err
	})
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("/health answered %d", status)
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, log)
	}

	status, log, err = c.start(ctx, f, program, nil, nil)
	if err != nil {
		return fmt.Errorf("without settings: %w\n%s", err, log)
	}
	var missing []string
	for _, name := range slices.Concat(f.Secrets, f.OptionalSecrets, f.Settings) {
		if strings.Contains(log, name+" is missing") {
			missing = append(missing, name)
		} else if slices.Contains(f.Secrets, name) {
			return fmt.Errorf("without settings the log does not name the secret %s\n%s", name, log)
		}
	}
	if len(missing) > 0 && status != http.StatusServiceUnavailable {
		return fmt.Errorf("without settings /health answered %d", status)
	}
	for _, name := range missing {
		less := maps.Clone(values)
		delete(less, name)
		status, log, err := c.start(ctx, f, program, less, nil)
		if err != nil {
			return fmt.Errorf("without %s: %w; the log says\n%s", name, err, log)
		}
		if status != http.StatusServiceUnavailable || !strings.Contains(log, name+" is missing") {
			return fmt.Errorf("without %s /health answered %d, and the log says\n%s", name, status, log)
		}
	}
	return nil
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

// start runs the program as Cloud Run does, waits for the start-up probe's answer,
// lets then do with it what it likes, stops it by SIGTERM and returns its log.
func (c *checker) start(
	ctx context.Context, f functions.Function, program string, values map[string]string, then func(url string) error,
) (status int, log string, err error) {
	port, err := freePort()
	if err != nil {
		return 0, "", err
	}
	var lines bytes.Buffer
	cmd := c.command(ctx, program)
	cmd.Env = cloudRun(f, port, func(name string) string { return values[name] })
	cmd.Stdout, cmd.Stderr = &lines, &lines
	if err := cmd.Start(); err != nil {
		return 0, "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	base := "http://127.0.0.1:" + port
	status, _, err = health(ctx, base+"/health", ended)
	if err == nil && then != nil {
		err = then(base)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case stopped := <-ended:
		if stopped != nil && err == nil {
			err = fmt.Errorf("after SIGTERM it ended with %w", stopped)
		}
	case <-time.After(time.Minute):
		err = errors.Join(err, errors.New("it does not stop after SIGTERM"), cmd.Process.Kill())
		<-ended
	}
	return status, string(bytes.TrimSpace(lines.Bytes())), err
}

func ask(ctx context.Context, method, url, body string) (status int, text string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultTransport.RoundTrip(r) // a redirect is an answer, too
	if err != nil {
		return 0, "", err
	}
	read, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(read), errors.Join(err, resp.Body.Close())
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
