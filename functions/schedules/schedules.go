// Package schedules shows and sets when a tenant's sweeps, syncs and learning cycles
// run. It serves /api/schedules. The job of Cloud Scheduler is made first and the row
// is written then; where either fails, the job is made as the row says, so nothing is
// half-written. Asking for a schedule puts a job right that differs, so that a repeat,
// and a crash between the two, end the same.
package schedules

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/schedules"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
)

func init() { serve.HTTP("schedules", build) }

type config struct {
	Postgres  pg.Config
	Access    serve.AccessConfig
	Scheduler schedules.Config
}

func build(ctx context.Context) (http.Handler, error) {
	cfg, err := settings.Load[config](ctx)
	if err != nil {
		return nil, err
	}
	db, err := pg.Open(ctx, cfg.Postgres)
	if err != nil {
		return nil, err
	}
	return New(db, serve.NewAccess(cfg.Access, db), schedules.NewJobs(cfg.Scheduler), time.Now), nil
}

type function struct {
	db   *pg.DB
	jobs *schedules.Jobs
	now  func() time.Time
}

// New returns the function's handler.
func New(db *pg.DB, access serve.Access, jobs *schedules.Jobs, now func() time.Time) http.Handler {
	f := &function{db: db, jobs: jobs, now: now}
	api := serve.NewAPI(access)
	api.Check("postgres", db.Ping)
	serve.Get(api, "/api/schedules", auth.Admin, f.list, serve.Summary("Lists when sweeps, syncs and learning cycles run."))
	serve.Get(api, "/api/schedules/{name}", auth.Admin, f.get,
		serve.Summary("Shows when one of them runs, and puts its job right where somebody edited it."))
	serve.Put(api, "/api/schedules/{name}", auth.Admin, f.put, serve.Summary("Gives the tenant a schedule of its own."))
	serve.Delete(api, "/api/schedules/{name}", auth.Admin, f.remove,
		serve.Summary("Takes the tenant's own schedule away: the one for all tenants holds again."))
	return api
}

// Shown is a schedule as it is shown.
type Shown struct {
	Name      string      `json:"name" enum:"fatigue,learning,sync"`
	Cron      string      `json:"cron"`
	TimeZone  string      `json:"time_zone"`
	Paused    bool        `json:"paused"`
	NextRuns  []time.Time `json:"next_runs" nullable:"false" doc:"The next five; none while it is paused."`
	Source    string      `json:"source" enum:"tenant,global"`
	UpdatedBy string      `json:"updated_by,omitempty"`
	UpdatedAt *time.Time  `json:"updated_at,omitempty"`
	Corrected []string    `json:"corrected" nullable:"false" doc:"What of the job in Cloud Scheduler was otherwise and has been put right: missing, cron, time_zone, target, paused, or extra: a job without a schedule."`
}

// runs is how many runs are shown.
const runs = 5

func (f *function) shown(t schedules.Target, own schedules.Schedule, found bool) Shown {
	if !found {
		own = schedules.Schedule{Name: t.Name, Cron: t.Global, TimeZone: "Etc/UTC"}
	}
	s := Shown{
		Name: t.Name, Cron: own.Cron, TimeZone: own.TimeZone, Paused: own.Paused, NextRuns: own.Next(f.now(), runs),
		Source: "global", Corrected: []string{},
	}
	if found {
		at := own.UpdatedAt.UTC()
		s.Source, s.UpdatedBy, s.UpdatedAt = "tenant", own.UpdatedBy, &at
	}
	return s
}

type listOutput struct {
	Body struct {
		Schedules []Shown `json:"schedules" nullable:"false"`
	}
}

func (f *function) list(ctx context.Context, _ *struct{}) (*listOutput, error) {
	var own []schedules.Schedule
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) (err error) {
		own, err = schedules.NewStore(tx).List(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &listOutput{}
	for _, t := range schedules.Targets {
		var one schedules.Schedule
		found := false
		for _, s := range own {
			if s.Name == t.Name {
				one, found = s, true
			}
		}
		out.Body.Schedules = append(out.Body.Schedules, f.shown(t, one, found))
	}
	return out, nil
}

type nameInput struct {
	Name string `path:"name" maxLength:"64"`
}

type oneOutput struct{ Body Shown }

func (f *function) get(ctx context.Context, in *nameInput) (*oneOutput, error) {
	t, err := schedules.Find(in.Name)
	if err != nil {
		return nil, err
	}
	tenant := auth.From(ctx).Tenant
	own, found, err := f.own(ctx, tenant, t.Name)
	if err != nil {
		return nil, err
	}
	s := f.shown(t, own, found)
	if !found && !f.jobs.Configured() {
		return &oneOutput{s}, nil
	}
	differed, err := f.jobs.Agree(ctx, tenant, t.Name, own, found)
	if err != nil {
		return nil, err
	}
	s.Corrected = append(s.Corrected, differed...)
	return &oneOutput{s}, nil
}

// own returns the tenant's own schedule of a name.
func (f *function) own(ctx context.Context, tenant, name string) (own schedules.Schedule, found bool, err error) {
	err = pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) (err error) {
		own, found, err = schedules.NewStore(tx).Get(ctx, name)
		return err
	})
	return own, found, err
}

// agreeTime bounds the call that makes a job as its row says.
const agreeTime = 8 * time.Second

// agree makes the job as the row says, after a write that failed half-way or that ran
// beside another one. The next GET does it where this fails.
func (f *function) agree(ctx context.Context, tenant, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), agreeTime)
	defer cancel()
	own, found, err := f.own(ctx, tenant, name)
	if err == nil {
		_, err = f.jobs.Agree(ctx, tenant, name, own, found)
	}
	if err != nil {
		slog.WarnContext(ctx, "the job of a schedule may differ from its row until it is asked for", "tenant", tenant, "schedule", name,
			"error", err.Error())
	}
}

type putInput struct {
	Name string `path:"name" maxLength:"64"`
	Body struct {
		Cron     string `json:"cron" minLength:"9" maxLength:"200" doc:"Five fields: minute, hour, day of the month, month, day of the week. At most every 15 minutes."`
		TimeZone string `json:"time_zone" minLength:"1" maxLength:"64" doc:"An IANA name such as America/Chicago."`
		Paused   bool   `json:"paused,omitempty" doc:"true: it does not run until it is set to false."`
	}
}

func (f *function) put(ctx context.Context, in *putInput) (*oneOutput, error) {
	t, err := schedules.Find(in.Name)
	if err != nil {
		return nil, err
	}
	who := auth.From(ctx)
	want := schedules.Schedule{
		Name: t.Name, Cron: strings.Join(strings.Fields(in.Body.Cron), " "), TimeZone: in.Body.TimeZone, Paused: in.Body.Paused,
		UpdatedBy: who.Who(),
	}
	if err := want.Check(f.now()); err != nil {
		return nil, err
	}
	serve.Note(ctx, "schedule", t.Name, "by", who.Subject)
	var answered schedules.Schedule
	var repeat bool
	err = pg.InTenant(ctx, f.db, who.Tenant, func(tx pgx.Tx) (err error) {
		answered, repeat, err = idempotency.Stored[schedules.Schedule](ctx, tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	if repeat {
		return &oneOutput{f.shown(t, answered, true)}, nil
	}
	if !f.jobs.Configured() {
		return nil, schedules.ErrNotConfigured
	}
	defer f.agree(ctx, who.Tenant, t.Name)
	if _, err := f.jobs.Apply(ctx, who.Tenant, want); err != nil {
		return nil, err
	}
	stored, err := idempotency.Run(ctx, f.db, who.Tenant, func(tx pgx.Tx) (schedules.Schedule, error) {
		store := schedules.NewStore(tx)
		if err := store.Put(ctx, want); err != nil {
			return want, err
		}
		one, _, err := store.Get(ctx, t.Name)
		return one, err
	})
	if err != nil {
		return nil, err
	}
	return &oneOutput{f.shown(t, stored, true)}, nil
}

func (f *function) remove(ctx context.Context, in *nameInput) (*oneOutput, error) {
	t, err := schedules.Find(in.Name)
	if err != nil {
		return nil, err
	}
	who := auth.From(ctx)
	if !f.jobs.Configured() {
		return nil, schedules.ErrNotConfigured
	}
	// The job goes first: without its row it would run beside the schedule for all.
	defer f.agree(ctx, who.Tenant, t.Name)
	if _, err := f.jobs.Remove(ctx, who.Tenant, t.Name); err != nil {
		return nil, err
	}
	shown, err := idempotency.Run(ctx, f.db, who.Tenant, func(tx pgx.Tx) (Shown, error) {
		return f.shown(t, schedules.Schedule{}, false), schedules.NewStore(tx).Delete(ctx, t.Name)
	})
	if err != nil {
		return nil, err
	}
	return &oneOutput{shown}, nil
}
