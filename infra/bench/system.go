package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// system is the whole local system as a process of its own, with a database that is
// empty but for its two tenants; it goes with the run.
type system struct {
	env map[string]string
	dir string
	cmd *exec.Cmd
}

// startSystem builds infra/local and starts it, with more flags.
func startSystem(ctx context.Context, flags ...string) (*system, error) {
	dir, err := os.MkdirTemp("", "geminivideo-bench-")
	if err != nil {
		return nil, err
	}
	s := &system{dir: dir}
	if err := s.start(ctx, flags); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *system) start(ctx context.Context, flags []string) error {
	program := filepath.Join(s.dir, "local")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./infra/local")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build infra/local, from the project's folder: %w: %s", err, out)
	}
	data := filepath.Join(s.dir, "data")
	s.cmd = exec.Command(program, append([]string{"-addr", "127.0.0.1:0", "-data", data, "-demo=false"}, flags...)...)
	var said bytes.Buffer
	s.cmd.Stderr = &said
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "ready ") {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return s.readEnv(filepath.Join(data, "env"))
		}
	}
	return fmt.Errorf("the local system did not start: %s", said.String())
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

// stop ends the system and removes what it has made.
func (s *system) stop() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Signal(os.Interrupt)
		ended := make(chan struct{})
		go func() { _ = s.cmd.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			_ = s.cmd.Process.Kill()
		}
	}
	removeCluster(filepath.Join(s.dir, "data"))
	_ = os.RemoveAll(s.dir)
}
