// Package schedules holds a tenant's own schedules of sweeps, syncs and learning
// cycles. Each is a row in gv.schedules and a job of Cloud Scheduler; the run for
// all tenants passes over a tenant that has a row. The row is the truth: a job that
// somebody edited by hand is put right.
package schedules

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // where the machine has none

	"github.com/jackc/pgx/v5"
	"github.com/robfig/cron/v3"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// Target is a name that can be scheduled: the function that it runs, and when the
// run for all tenants is.
type Target struct {
	Name     string
	Function string
	Global   string // cron, in UTC
}

// Targets are all of them, by name. Their global crons are those of functions.yaml,
// which a test compares.
var Targets = []Target{
	{"fatigue", "sweep", "0 */2 * * *"},
	{"learning", "cycle", "*/5 * * * *"},
	{"sync", "sync", "7 * * * *"},
}

// Find returns the target of a name, or a NotFound fault.
func Find(name string) (Target, error) {
	for _, t := range Targets {
		if t.Name == name {
			return t, nil
		}
	}
	return Target{}, fault.NotFoundf("there is no schedule of this name: there are fatigue, learning and sync")
}

// Schedule is when something runs.
type Schedule struct {
	Name      string
	Cron      string
	TimeZone  string
	Paused    bool
	UpdatedBy string
	UpdatedAt time.Time
}

// Least is how far apart two runs must be.
const Least = 15 * time.Minute

// looked is how many runs are looked at to find two that are too close.
const looked = 400

// Check refuses a cron expression or a time zone that is none, and runs closer than
// Least to each other.
func (s Schedule) Check(now time.Time) error {
	times, err := s.times()
	if err != nil {
		return err
	}
	last := times.Next(now)
	if last.IsZero() {
		return fault.Field("body.cron", "must come at least once in five years")
	}
	for range looked {
		next := times.Next(last)
		if next.IsZero() {
			break
		}
		if next.Sub(last) < Least {
			return fault.Field("body.cron", "must not come more often than every 15 minutes")
		}
		last = next
	}
	return nil
}

func (s Schedule) times() (cron.Schedule, error) {
	zone, err := time.LoadLocation(s.TimeZone)
	if err != nil || s.TimeZone == "" || s.TimeZone == "Local" {
		return nil, fault.Field("body.time_zone", "must be an IANA time zone such as America/Chicago")
	}
	fields := strings.Fields(s.Cron)
	if len(fields) != 5 || strings.ContainsAny(s.Cron, "@=") {
		return nil, fault.Field("body.cron", "must have five fields: minute, hour, day of the month, month, day of the week, such as \"0 6 * * 1-5\"")
	}
	times, err := cron.ParseStandard(strings.Join(fields, " "))
	if err != nil {
		return nil, fault.Field("body.cron", "is no cron expression of five fields, such as \"0 6 * * 1-5\"")
	}
	if spec, ok := times.(*cron.SpecSchedule); ok {
		spec.Location = zone
	}
	return times, nil
}

// Next returns the next n runs after now, in UTC; none of one that is paused.
func (s Schedule) Next(now time.Time, n int) []time.Time {
	all := []time.Time{}
	times, err := s.times()
	if err != nil || s.Paused {
		return all
	}
	for at := times.Next(now.UTC()); len(all) < n && !at.IsZero(); at = times.Next(at) {
		all = append(all, at.UTC())
	}
	return all
}

// Store reads and writes a tenant's schedules in its transaction.
type Store struct{ tx pgx.Tx }

// NewStore returns the store of tx.
func NewStore(tx pgx.Tx) Store { return Store{tx} }

// List returns the tenant's own schedules by name.
func (s Store) List(ctx context.Context) ([]Schedule, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT name, cron, time_zone, paused, updated_by, updated_at FROM gv.schedules WHERE tenant_id = gv.tenant() ORDER BY name`)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Schedule])
	if err != nil {
		return nil, fmt.Errorf("list schedules: %w", err)
	}
	return all, nil
}

// Get returns the tenant's own schedule of a name; found is false where it has none.
func (s Store) Get(ctx context.Context, name string) (one Schedule, found bool, err error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT name, cron, time_zone, paused, updated_by, updated_at FROM gv.schedules WHERE tenant_id = gv.tenant() AND name = $1`, name)
	one, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Schedule])
	if errors.Is(err, pgx.ErrNoRows) {
		return one, false, nil
	}
	if err != nil {
		return one, false, fmt.Errorf("read schedule %s: %w", name, err)
	}
	return one, true, nil
}

// Put writes the tenant's own schedule.
func (s Store) Put(ctx context.Context, one Schedule) error {
	_, err := s.tx.Exec(ctx, `
		INSERT INTO gv.schedules (tenant_id, name, cron, time_zone, paused, updated_by)
		VALUES (gv.tenant(), @name, @cron, @zone, @paused, @by)
		ON CONFLICT (tenant_id, name) DO UPDATE
		SET cron = excluded.cron, time_zone = excluded.time_zone, paused = excluded.paused, updated_by = excluded.updated_by, updated_at = now()`,
		pgx.StrictNamedArgs{"name": one.Name, "cron": one.Cron, "zone": one.TimeZone, "paused": one.Paused, "by": one.UpdatedBy})
	if err != nil {
		return fmt.Errorf("write schedule %s: %w", one.Name, err)
	}
	return nil
}

// Delete removes the tenant's own schedule: the run for all tenants takes it in again.
func (s Store) Delete(ctx context.Context, name string) error {
	if _, err := s.tx.Exec(ctx, `DELETE FROM gv.schedules WHERE tenant_id = gv.tenant() AND name = $1`, name); err != nil {
		return fmt.Errorf("delete schedule %s: %w", name, err)
	}
	return nil
}
