package schedules_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/geminivideo/geminivideo/infra/testkit/fakescheduler"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/schedules"
)

const tenant = "6f1c0a52-6c1b-4d6e-9a51-0d1f0c8f6a01"

var now = time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)

func TestACronAndAZoneThatAreNoneAreRefusedByField(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ cron, zone, field string }{
		{"0 6 * * *", "Europe/Berlin", ""},
		{"*/15 * * * *", "Etc/UTC", ""},
		{"0 6 * * 1-5", "America/Chicago", ""},
		{"*/14 * * * *", "Etc/UTC", "body.cron"},
		{"0,10 6 * * *", "Etc/UTC", "body.cron"},
		{"* * * * *", "Etc/UTC", "body.cron"},
		{"0 0 31 2 *", "Etc/UTC", "body.cron"},
		{"@hourly", "Etc/UTC", "body.cron"},
		{"0 6 * *", "Etc/UTC", "body.cron"},
		{"61 6 * * *", "Etc/UTC", "body.cron"},
		{"TZ=Asia/Tokyo 0 6 * * *", "Etc/UTC", "body.cron"},
		{"0 6 * * *", "Mars/Olympus", "body.time_zone"},
		{"0 6 * * *", "Local", "body.time_zone"},
		{"0 6 * * *", "", "body.time_zone"},
	} {
		err := schedules.Schedule{Cron: c.cron, TimeZone: c.zone}.Check(now)
		if (err == nil) != (c.field == "") || err != nil && !strings.Contains(err.Error(), c.field) && fault.Of(err) != fault.Invalid {
			t.Errorf("%q in %q: %v, want the field %q", c.cron, c.zone, err, c.field)
		}
	}
}

func TestTheNextRunsKeepTheWallClockOverAChangeOfClocks(t *testing.T) {
	t.Parallel()
	got := schedules.Schedule{Cron: "0 6 * * *", TimeZone: "Europe/Berlin"}.Next(now, 3)
	want := []time.Time{
		time.Date(2026, 3, 28, 5, 0, 0, 0, time.UTC), time.Date(2026, 3, 29, 4, 0, 0, 0, time.UTC), time.Date(2026, 3, 30, 4, 0, 0, 0, time.UTC),
	}
	if !slices.EqualFunc(got, want, time.Time.Equal) {
		t.Errorf("%v, want %v", got, want)
	}
	if runs := (schedules.Schedule{Cron: "0 6 * * *", TimeZone: "Etc/UTC", Paused: true}).Next(now, 5); len(runs) != 0 {
		t.Errorf("a paused schedule has runs: %v", runs)
	}
}

func open(t *testing.T) (*fakescheduler.Server, *schedules.Jobs) {
	t.Helper()
	s, err := fakescheduler.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, schedules.NewJobs(schedules.Config{
		Project: "p", Location: "us-central1", Target: "https://{function}.example", Account: "caller@p.example", Endpoint: s.Addr(),
	})
}

var daily = schedules.Schedule{Name: "fatigue", Cron: "0 6 * * *", TimeZone: "Europe/Berlin"}

func apply(t *testing.T, j *schedules.Jobs, s schedules.Schedule) string {
	t.Helper()
	differed, err := j.Apply(t.Context(), tenant, s)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(differed, " ")
}

func TestAJobIsMadeOnceAndNamesItsTenant(t *testing.T) {
	t.Parallel()
	s, j := open(t)
	if got := apply(t, j, daily); got != "missing" {
		t.Errorf("found %q", got)
	}
	if got := apply(t, j, daily); got != "" {
		t.Errorf("applied again it found %q", got)
	}
	jobs := s.Jobs()
	if len(jobs) != 1 {
		t.Fatalf("%d jobs", len(jobs))
	}
	target := jobs[0].GetHttpTarget()
	if target.GetUri() != "https://sweep.example" || string(target.GetBody()) != `{"tenant_id":"`+tenant+`"}` || target.GetOidcToken().GetServiceAccountEmail() != "caller@p.example" ||
		jobs[0].GetSchedule() != daily.Cron || jobs[0].GetTimeZone() != daily.TimeZone {
		t.Errorf("%v", jobs[0])
	}
}

func TestAJobThatSomebodyEditedByHandIsPutRight(t *testing.T) {
	t.Parallel()
	for want, edit := range map[string]func(*schedulerpb.Job){
		"cron":      func(j *schedulerpb.Job) { j.Schedule = "* * * * *" },
		"time_zone": func(j *schedulerpb.Job) { j.TimeZone = "Asia/Tokyo" },
		"target":    func(j *schedulerpb.Job) { j.GetHttpTarget().Body = []byte(`{"tenant_id":"somebody-else"}`) },
		"paused":    func(j *schedulerpb.Job) { j.State = schedulerpb.Job_PAUSED },
	} {
		s, j := open(t)
		apply(t, j, daily)
		before := s.Jobs()[0]
		s.Edit(before.Name, edit)
		if got := apply(t, j, daily); got != want {
			t.Errorf("found %q, want %q", got, want)
		}
		after := s.Jobs()[0]
		if after.Schedule != before.Schedule || after.TimeZone != before.TimeZone || string(after.GetHttpTarget().Body) != string(before.GetHttpTarget().Body) || after.State != before.State {
			t.Errorf("%s was not put right: %v", want, after)
		}
	}
}

func TestAPausedScheduleIsAPausedJobAndComesBack(t *testing.T) {
	t.Parallel()
	s, j := open(t)
	paused := daily
	paused.Paused = true
	if got := apply(t, j, paused); got != "missing paused" || s.Jobs()[0].State != schedulerpb.Job_PAUSED {
		t.Errorf("%q %v", got, s.Jobs())
	}
	if got := apply(t, j, daily); got != "paused" || s.Jobs()[0].State != schedulerpb.Job_ENABLED {
		t.Errorf("%q %v", got, s.Jobs())
	}
	for _, there := range []bool{true, false} {
		if removed, err := j.Remove(t.Context(), tenant, "fatigue"); err != nil || removed != there || len(s.Jobs()) != 0 {
			t.Errorf("%v %v, %d jobs", removed, err, len(s.Jobs()))
		}
	}
}

func TestASchedulerThatIsAwayIsUnavailableAndOneThatRefusesIsInvalid(t *testing.T) {
	t.Parallel()
	s, j := open(t)
	s.Before(func(context.Context, string) error { return status.Error(codes.Unavailable, "try later") })
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the client itself asks again where the answer has Retry-After
	if _, err := j.Apply(ctx, tenant, daily); fault.Of(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
	s.Before(func(_ context.Context, method string) error {
		if method == "CreateJob" {
			return status.Error(codes.InvalidArgument, "Schedule or time zone is invalid.")
		}
		return nil
	})
	if _, err := j.Apply(t.Context(), tenant, daily); fault.Of(err) != fault.Invalid {
		t.Errorf("%v", err)
	}
	if _, err := schedules.NewJobs(schedules.Config{}).Apply(t.Context(), tenant, daily); fault.Of(err) != fault.Unavailable {
		t.Errorf("without a target: %v", err)
	}
}

const stranger = "6f1c0a52-6c1b-4d6e-9a51-0d1f0c8f6a02"

func TestReconcilingPutsEditedMissingAndExtraJobsRightOnce(t *testing.T) {
	t.Parallel()
	s, jobs := open(t)
	made := pgtest.New(t)
	worker, err := pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: made.WorkerURL, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(worker.Close)
	for _, sql := range []string{
		`INSERT INTO gv.tenants (tenant_id, name) VALUES ('` + tenant + `', 'A'), ('` + stranger + `', 'B')`,
		`INSERT INTO gv.schedules (tenant_id, name, cron, time_zone, paused, updated_by) VALUES ('` + tenant + `', 'fatigue', '0 6 * * *', 'Europe/Berlin', false, 'x'),
		 ('` + tenant + `', 'sync', '30 * * * *', 'Etc/UTC', true, 'x'), ('` + stranger + `', 'learning', '0 5 * * *', 'Etc/UTC', false, 'x')`,
	} {
		if _, err := made.Admin(t).Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	reconcile := func(at time.Time) int {
		n, err := jobs.Reconcile(t.Context(), worker, at)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := reconcile(time.Now()); n != 3 || len(s.Jobs()) != 3 {
		t.Fatalf("%d made, %d jobs", n, len(s.Jobs()))
	}
	if n := reconcile(time.Now()); n != 0 || strings.Contains(strings.Join(s.Calls(), " "), "ListJobs UpdateJob") {
		t.Errorf("%d put right where nothing differs", n)
	}
	// Somebody edits one by hand, another one resumes, and one has no row.
	for _, j := range s.Jobs() {
		s.Edit(j.Name, func(j *schedulerpb.Job) {
			switch {
			case strings.Contains(j.Name, "gv-fatigue-"):
				j.Schedule = "* * * * *"
			case strings.Contains(j.Name, "gv-sync-"):
				j.State = schedulerpb.Job_ENABLED
			}
		})
	}
	if _, err := jobs.Apply(t.Context(), stranger, schedules.Schedule{Name: "sync", Cron: "0 * * * *", TimeZone: "Etc/UTC"}); err != nil {
		t.Fatal(err)
	}
	if n := reconcile(time.Now()); n != 2 || len(s.Jobs()) != 4 {
		t.Errorf("%d put right, %d jobs: a job whose row may be on its way is left alone", n, len(s.Jobs()))
	}
	if n := reconcile(time.Now().Add(time.Hour)); n != 1 || len(s.Jobs()) != 3 {
		t.Errorf("%d put right, %d jobs: one without a row is removed", n, len(s.Jobs()))
	}
	for _, j := range s.Jobs() {
		if paused := strings.Contains(j.Name, "gv-sync-"); (j.State == schedulerpb.Job_PAUSED) != paused || j.Schedule == "* * * * *" {
			t.Errorf("%s: %s %s", j.Name, j.Schedule, j.State)
		}
	}
	s.Before(func(_ context.Context, method string) error {
		if method == "UpdateJob" {
			return status.Error(codes.Unavailable, "no")
		}
		return nil
	})
	s.Edit(s.Jobs()[0].Name, func(j *schedulerpb.Job) { j.Schedule = "1 1 1 1 1" })
	if _, err := jobs.Reconcile(t.Context(), worker, time.Now()); fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), "tenant") {
		t.Errorf("%v", err)
	}
}

func TestWithoutCloudSchedulerNothingIsReconciled(t *testing.T) {
	t.Parallel()
	var none *schedules.Jobs
	for _, j := range []*schedules.Jobs{none, schedules.NewJobs(schedules.Config{})} {
		if n, err := j.Reconcile(t.Context(), nil, now); n != 0 || err != nil {
			t.Errorf("%d %v", n, err)
		}
	}
}
