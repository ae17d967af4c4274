package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/geminivideo/geminivideo/infra/local/demo"
)

// start runs a system until ctx ends.
func start(ctx context.Context, o options, out, terminal io.Writer, began time.Time) (err error) {
	s := &system{options: o, terminal: terminal}
	defer s.finish(ctx, &err)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := s.bring(ctx); err != nil {
		return err
	}
	if s.demo {
		if err := s.seed(ctx); err != nil {
			return err
		}
	}
	s.inBackground(func() { s.tick(ctx) })
	if err := errors.Join(s.writeSettings(), s.writeEnv()); err != nil {
		return err
	}
	s.say("%s serves %s after %s; source %s for tokens and ids, the log is %s",
		s.where(), s.baseURL, time.Since(began).Round(100*time.Millisecond), s.envFile(), s.logFile())
	fmt.Fprintf(out, "ready %s\n", s.baseURL)
	slog.Info("ready", "url", s.baseURL)
	return s.wait(ctx)
}

// finish stops what was started. What broke off because a stop was asked for, by
// the end of ctx, is no error.
func (s *system) finish(ctx context.Context, err *error) {
	if ctx.Err() != nil && errors.Is(*err, context.Canceled) {
		s.say("stopped before it was ready")
		*err = nil
	}
	if *err != nil {
		slog.Error("stopping", "error", (*err).Error())
	}
	*err = errors.Join(*err, s.close())
}

func (s *system) where() string {
	if s.db != "" {
		return "the database of -db"
	}
	return s.dir
}

// wait returns when the system is to stop, and why.
func (s *system) wait(ctx context.Context) error {
	var ended <-chan struct{}
	if s.database.server != nil {
		ended = s.database.server.Done()
	}
	select {
	case <-ctx.Done():
		s.say("stopping")
		return nil
	case err := <-s.gateway.failed:
		return fmt.Errorf("the gateway ended: %w", err)
	case <-ended:
		return errors.Join(errors.New("PostgreSQL ended under the running system; start again, nothing that was acknowledged is lost"), s.database.server.Err())
	}
}

// seed fills an empty system, or finishes a seed that was cut short. Nothing runs by
// the clock meanwhile: the relay clears the devices of clicks that are older than
// eight days, and the deals of the thirty days are still to be matched by them.
func (s *system) seed(ctx context.Context) error {
	if s.database.empty {
		s.say("making the demo data: thirty days of two advertisers")
	}
	if err := demo.Seed(ctx, s.demoSystem()); err != nil {
		return fmt.Errorf("make the demo data (-demo=false leaves it out): %w", err)
	}
	return errors.Join(s.hubspot.Save(), s.meta.Save())
}

// demoSystem is the system as demo sees it.
func (s *system) demoSystem() demo.System {
	return demo.System{
		BaseURL: s.baseURL, AdminDatabaseURL: s.database.adminURL, HubSpot: s.hubspot, HubSpotURL: s.hubspotURL(),
		Meta: s.meta, MetaURL: s.metaURL(),
		SilentDeals: s.deals,
		Home:        s.tenants.home, Other: s.tenants.other,
		Token: s.token, Run: s.runNow, Idle: s.idle,
		PutSecret: func(_ context.Context, id, value string) (string, error) {
			name := "projects/" + project + "/secrets/" + id
			return name, s.vault.Set(name, value)
		},
	}
}
