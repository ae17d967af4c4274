package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/geminivideo/geminivideo/infra/local/demo"
)

// play starts a fresh system in a folder of its own, plays the main job on it
// and stops it. A system that runs from the same data is not disturbed.
func play(ctx context.Context, o options, out, terminal io.Writer) (err error) {
	o.dir = filepath.Join(o.dir, "demo")
	o.fresh, o.live = o.db == "", false
	if !o.addrSet {
		o.addr = "127.0.0.1:0"
	}
	s := &system{options: o, terminal: terminal}
	defer s.finish(ctx, &err)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := s.bring(ctx); err != nil {
		return err
	}
	if err := s.seed(ctx); err != nil {
		return err
	}
	s.inBackground(func() { s.tick(ctx) })
	if err := s.writeEnv(); err != nil {
		return err
	}
	if err := demo.Play(ctx, s.demoSystem(), out); err != nil {
		return fmt.Errorf("demo: %w (the log is %s)", err, s.logFile())
	}
	return nil
}
