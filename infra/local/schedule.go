package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/robfig/cron/v3"

	"github.com/geminivideo/geminivideo/functions"
	"github.com/geminivideo/geminivideo/shared/schedules"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
)

// tick runs the scheduled functions at their times, in UTC, until ctx ends.
func (s *system) tick(ctx context.Context) {
	var all sync.WaitGroup
	for _, f := range s.manifest.Functions {
		if _, linked := serve.Registered()[f.Name]; linked && f.Trigger == functions.Schedule {
			all.Go(func() { s.follow(ctx, f) })
		}
	}
	all.Wait()
}

// follow runs one function; like Cloud Scheduler it does not start it again
// while it still runs.
func (s *system) follow(ctx context.Context, f functions.Function) {
	times, err := cron.ParseStandard(f.Schedule)
	if err != nil {
		slog.Error("cron: not scheduled", "function", f.Name, "error", err.Error())
		return // the manifest's check has parsed it already
	}
	for {
		timer := time.NewTimer(time.Until(times.Next(time.Now().UTC())))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		// A stop lets a run end; its own time limit bounds that.
		if _, err := s.runNow(context.WithoutCancel(ctx), f.Name); err != nil {
			slog.Error("cron: a run failed", "function", f.Name, "error", err.Error())
		}
	}
}

// makeJobs makes the jobs of the tenants' own schedules: the local Cloud Scheduler has
// them in memory alone.
func (s *system) makeJobs(ctx context.Context) error {
	cfg, err := settings.Load[schedules.Config](ctx)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, s.database.adminURL)
	if err != nil {
		return fmt.Errorf("connect to the database: %w", plain(err))
	}
	defer conn.Close(context.WithoutCancel(ctx))
	jobs := schedules.NewJobs(cfg)
	rows, _ := conn.Query(ctx, `SELECT tenant_id::text, name, cron, time_zone, paused FROM gv.schedules`)
	var tenant string
	var one schedules.Schedule
	_, err = pgx.ForEachRow(rows, []any{&tenant, &one.Name, &one.Cron, &one.TimeZone, &one.Paused}, func() error {
		_, err := jobs.Apply(ctx, tenant, one)
		return err
	})
	if err != nil {
		return fmt.Errorf("make the jobs of the tenants' own schedules: %w", err)
	}
	return nil
}
