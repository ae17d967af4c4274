package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/geminivideo/geminivideo/functions"
	"github.com/geminivideo/geminivideo/infra/local/queue"
	"github.com/geminivideo/geminivideo/infra/testkit/cluster"
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/infra/testkit/fakescheduler"
	"github.com/geminivideo/geminivideo/infra/testkit/issuer"
	"github.com/geminivideo/geminivideo/infra/testkit/vault"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// system is one running local system. Its parts are set in the order in which
// bring starts them.
type system struct {
	options
	terminal io.Writer

	manifest    *functions.Manifest
	baseURL     string
	gateway     *gateway
	database    *database
	vault       *vault.Server
	issuer      *issuer.Issuer
	signIn      *issuer.SignIn
	password    string       // of every demo user
	metricsPage http.Handler // of -metrics, otherwise nil
	hubspot     *fakehubspot.Fake
	meta        *fakemeta.Fake
	queue       *queue.Queue // nil with Google's emulator
	tenants     tenants

	scheduler *fakescheduler.Server // of the tenants' own schedules

	stops []stop
	work  sync.WaitGroup // what runs in the background until the context ends
}

type stop struct {
	what string
	do   func() error
}

// project is the Google Cloud project that local names carry.
const project = "geminivideo-local"

// say tells the person at the terminal, and the log.
func (s *system) say(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	fmt.Fprintln(s.terminal, "local: "+line)
	slog.Info(line)
}

func (s *system) onStop(what string, do func() error) { s.stops = append(s.stops, stop{what, do}) }

func (s *system) inBackground(do func()) { s.work.Go(do) }

// bring starts everything, in an order in which each part finds what it needs.
// ctx ends the background work; close the rest.
func (s *system) bring(ctx context.Context) error {
	var err error
	if s.manifest, err = functions.Load(); err != nil {
		return err
	}
	if err := s.claim(); err != nil {
		return err
	}
	if s.metrics {
		if err := s.measure(); err != nil {
			return err
		}
	}
	keep, err := loadState(s.dir)
	if err != nil {
		return err
	}
	if s.database, err = s.openDatabase(ctx, keep); err != nil {
		return err
	}
	if s.vault, err = vault.Start(filepath.Join(s.dir, "secrets.json")); err != nil {
		return err
	}
	s.onStop("Secret Manager", func() error { s.vault.Close(); return nil })
	if s.issuer, err = issuer.Open(s.baseURL, filepath.Join(s.dir, "token.key")); err != nil {
		return err
	}
	s.password = keep.DemoPassword
	s.signIn = issuer.NewSignIn(s.issuer, keep.AnonKey, s.password, directory{s.database.adminURL})
	if s.hubspot, err = fakehubspot.New(fakehubspot.Options{File: filepath.Join(s.dir, "hubspot.json")}); err != nil {
		return err
	}
	s.onStop("HubSpot", s.hubspot.Save)
	if s.meta, err = fakemeta.New(fakemeta.Options{File: filepath.Join(s.dir, "meta.json")}); err != nil {
		return err
	}
	s.onStop("Meta", s.meta.Save)
	if err := s.openTenants(ctx, keep); err != nil {
		return err
	}
	if s.scheduler, err = fakescheduler.Start(); err != nil {
		return err
	}
	s.onStop("Cloud Scheduler", func() error { s.scheduler.Close(); return nil })
	if err := s.setEnvironment(keep); err != nil {
		return err
	}
	if err := s.openLiveView(ctx); err != nil {
		return err
	}
	if err := s.openQueue(ctx); err != nil {
		return err
	}
	if err := s.gateway.open(s); err != nil {
		return err
	}
	if err := s.deliver(ctx); err != nil {
		return err
	}
	if err := s.makeJobs(ctx); err != nil {
		return err
	}
	s.inBackground(func() { s.hubspot.Run(ctx) })
	s.inBackground(func() { s.scheduler.Run(ctx) })
	return nil
}

// claim takes the folder and the port, and begins the log: what another system
// has is known before anything starts.
func (s *system) claim() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	lock, err := cluster.Lock(filepath.Join(s.dir, "local.lock"), comingDown)
	if err != nil {
		return fmt.Errorf("another local system has the data in %s; stop it, or give this one another -data and -addr: %w", s.dir, err)
	}
	s.onStop("lock", lock.Close)
	listener, err := listen(s.addr)
	if err != nil {
		return err
	}
	s.baseURL = "http://" + dialable(listener.Addr().(*net.TCPAddr))
	s.gateway = serveGateway(listener)
	s.onStop("gateway", s.gateway.close)
	if s.fresh {
		if err := s.forget(); err != nil {
			return err
		}
	}
	// Whoever waits for the file must not find the last run's.
	if err := os.Remove(s.envFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	log, err := openLog(s.logFile())
	if err != nil {
		return err
	}
	s.onStop("log", log.Close)
	slog.SetDefault(telemetry.NewLogger(log, ""))
	return nil
}

func (s *system) envFile() string { return filepath.Join(s.dir, "env") }
func (s *system) logFile() string { return filepath.Join(s.dir, "local.log") }

// forget removes what an earlier run has left beside its cluster.
func (s *system) forget() error {
	for _, name := range []string{"state.json", "secrets.json", "hubspot.json", "meta.json", "token.key"} {
		if err := os.Remove(filepath.Join(s.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.RemoveAll(s.videos())
}

// comingDown is how long a system that is just stopping is waited for.
const comingDown = 3 * time.Second

func listen(addr string) (net.Listener, error) {
	deadline := time.Now().Add(comingDown)
	for {
		l, err := net.Listen("tcp", addr)
		switch {
		case err == nil:
			return l, nil
		case !errors.Is(err, syscall.EADDRINUSE):
			return nil, fmt.Errorf("-addr %s: %w", addr, err)
		case time.Now().After(deadline):
			return nil, fmt.Errorf("the address %s is in use by another program; stop it, or take another one with -addr", addr)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// dialable is the address as this machine reaches it.
func dialable(a *net.TCPAddr) string {
	host := a.IP.String()
	if a.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, fmt.Sprint(a.Port))
}

// openLog appends to the log, unless it has grown too long to keep.
func openLog(path string) (*os.File, error) {
	mode := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if info, err := os.Stat(path); err == nil && info.Size() > 64<<20 {
		mode |= os.O_TRUNC
	}
	return os.OpenFile(path, mode, 0o600)
}

// close stops everything in the reverse order. Background work has ended with
// its context, or ends within a moment.
func (s *system) close() error {
	var errs []error
	s.work.Wait() // the gateway still answers what they ask
	for _, one := range slices.Backward(s.stops) {
		if err := one.do(); err != nil && !errors.Is(err, http.ErrServerClosed) {
			errs = append(errs, fmt.Errorf("stop %s: %w", one.what, err))
		}
	}
	return errors.Join(errs...)
}
