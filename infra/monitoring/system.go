package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/fakegemini"
)

// The models that the system uses, each with a price, so that their cost is counted.
const (
	writes = "gemini-3.8-flash"
	embeds = "gemini-embedding-2"
)

// system is the local system in a process of its own, with its demo data, and with a
// Gemini that can be made to fail.
type system struct {
	env    map[string]string // of its file env
	cmd    *exec.Cmd
	gemini *fakegemini.Fake
	model  *httptest.Server
	odd    atomic.Bool // whether the traffic has messages that nobody understands
}

func startSystem(ctx context.Context, dir, program, database string) (*system, error) {
	if program == "" {
		program = filepath.Join(dir, "local")
		build := exec.CommandContext(ctx, "go", "build", "-o", program, "./infra/local")
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build infra/local, from the project's folder: %w: %s", err, out)
		}
	}
	s := &system{gemini: fakegemini.New()}
	s.odd.Store(true)
	s.model = httptest.NewServer(s.gemini)
	data := filepath.Join(dir, "data")
	s.cmd = exec.Command(program, "-addr", "127.0.0.1:0", "-data", data, "-db", database, "-live=false", "-metrics")
	s.cmd.Env = append(os.Environ(), "GEMINI_API_KEY="+fakegemini.Key, "GEMINI_BASE_URL="+s.model.URL,
		"GEMINI_MODEL="+writes, "GEMINI_EMBEDDING_MODEL="+embeds, "GEMINI_PRICES="+writes+":0.5/3,"+embeds+":0.15",
		// Nobody listens there, so that failed exports are counted, too.
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "PUBSUB_EMULATOR_HOST=")
	var said bytes.Buffer
	s.cmd.Stderr = &said
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "ready ") {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return s, s.readEnv(filepath.Join(data, "env"))
		}
	}
	s.stop()
	return nil, fmt.Errorf("the local system did not start: %s", said.String())
}

// readEnv reads the NAME='value' lines that the system has written.
func (s *system) readEnv(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	s.env = map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			s.env[name] = strings.Trim(value, "'")
		}
	}
	return nil
}

func (s *system) stop() {
	_ = s.cmd.Process.Signal(os.Interrupt)
	ended := make(chan struct{})
	go func() { _ = s.cmd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		_ = s.cmd.Process.Kill()
	}
	s.model.CloseClientConnections()
	s.model.Close()
}

// ask sends one request with the token of that name, and returns the answer's text.
func (s *system) ask(ctx context.Context, method, url, token, body string) (string, error) {
	return s.askWithin(ctx, 30*time.Second, method, url, token, body)
}

func (s *system) askWithin(ctx context.Context, within time.Duration, method, url, token, body string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if !strings.Contains(url, "://") {
		url = s.env["BASE_URL"] + url
	}
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	if token == "PUBLISHABLE_KEY" {
		r.Header.Set("X-Publishable-Key", s.env[token])
	} else if token != "" {
		r.Header.Set("Authorization", "Bearer "+s.env[token])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}
