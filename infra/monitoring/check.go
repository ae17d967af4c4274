package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/cluster"
)

const (
	defaultTraffic = 10 * time.Minute
	// scrapeEvery is in place of the usual half a minute. The rules' windows of minutes
	// are divided by shorter, those of hours and days by muchShorter, so that a fault
	// shows, and is forgotten, within minutes.
	scrapeEvery          = 5 * time.Second
	shorter, muchShorter = 10, 60
	// patience bounds how long an alert may take to fire, or to clear.
	patience = 8 * time.Minute
)

type checkOptions struct {
	traffic    time.Duration
	program    string // empty: built here
	panelsOnly bool
	only       string // the alerts whose faults alone are injected, with commas; empty: all
}

// wants reports whether a fault is to be injected.
func (o checkOptions) wants(f fault) bool {
	return o.only == "" || slices.ContainsFunc(strings.Split(o.only, ","), func(name string) bool {
		return slices.Contains(slices.Concat(f.alerts, f.late), name)
	})
}

// check runs the local system under demo traffic beside a real Prometheus: every panel
// must have samples, and every fault must fire its alerts, which must clear after it.
func check(ctx context.Context, o checkOptions) error {
	prometheus, err := exec.LookPath("prometheus")
	if err != nil {
		fmt.Println("NOT RUN: there is no prometheus on this machine (Debian's package prometheus has it)")
		return nil
	}
	dir, err := os.MkdirTemp("", "geminivideo-monitoring-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	database, err := startDatabase(ctx, filepath.Join(dir, "database"))
	if err != nil {
		return err
	}
	defer database.remove()
	s, err := startSystem(ctx, dir, o.program, database.url)
	if err != nil {
		return err
	}
	defer s.stop()
	p, err := startPrometheus(ctx, prometheus, dir, s.env["BASE_URL"])
	if err != nil {
		return err
	}
	defer p.stop()

	if err := s.judgePredictions(ctx, database.url); err != nil {
		return err
	}
	traffic, end := context.WithCancel(ctx)
	defer end()
	go s.traffic(traffic)
	fmt.Printf("%s of demo traffic ...\n", o.traffic)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(o.traffic):
	}
	wrong := p.panels(ctx)
	if o.panelsOnly {
		return wrong
	}
	s.odd.Store(false)
	wrong = errors.Join(wrong, database.handleDeadLetters(ctx))
	for _, f := range faults(s, database) {
		if !o.wants(f) || ctx.Err() != nil {
			continue
		}
		if err := p.sees(ctx, f); err != nil {
			fmt.Println("NOT SEEN:", err)
			wrong = errors.Join(wrong, err)
		}
	}
	return wrong
}

// database is a cluster that can be taken away and brought back at the same address.
type database struct {
	dir string
	url string
	c   *cluster.Cluster
}

func startDatabase(ctx context.Context, dir string) (*database, error) {
	d := &database{dir: dir}
	if err := d.start(ctx); err != nil {
		return nil, err
	}
	url, err := d.c.EnsureDatabase(ctx, "monitored")
	if err != nil {
		d.remove()
		return nil, err
	}
	d.url = url
	return d, nil
}

func (d *database) start(ctx context.Context) (err error) {
	d.c, err = cluster.Start(ctx, cluster.Options{Dir: d.dir})
	return err
}

func (d *database) stop() error { return d.c.Close() }

func (d *database) remove() {
	_ = d.c.Close()
	_ = cluster.Remove(d.dir)
}
