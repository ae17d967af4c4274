package schedules

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"regexp"
	"strings"
	"time"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"github.com/jackc/pgx/v5"
	"google.golang.org/api/iterator"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// What one reconciliation does at most: the next one has the rest.
const (
	reconcileTime = 15 * time.Second
	mostListed    = 2000
	mostCorrected = 20
	// extraAge is how long a job without a row is left alone: a schedule that is being set
	// has its job before its row.
	extraAge = 10 * time.Minute
)

// ownJob is the name of a tenant's job.
var ownJob = regexp.MustCompile(`^gv-([a-z]+)-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$`)

type owner struct{ tenant, name string }

// Reconcile makes the jobs of all tenants as their rows say and removes jobs without a
// row, at most 20 of them and for at most 15 seconds, and returns how many it put
// right. It logs each with what differed. Running it again, or twice at once, changes
// nothing more. Where there is no Cloud Scheduler it does nothing.
func (j *Jobs) Reconcile(ctx context.Context, db *pg.Worker, now time.Time) (corrected int, err error) {
	if j == nil || !j.Configured() {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, reconcileTime)
	defer cancel()
	jobs, err := j.list(ctx)
	if err != nil {
		return 0, err
	}
	rows, err := all(ctx, db) // after the jobs: a row that is older than its job is never missed
	if err != nil {
		return 0, err
	}
	var errs []error
	put := func(o owner, row Schedule, found bool) {
		differed, err := j.Agree(ctx, o.tenant, o.name, row, found)
		if err != nil {
			errs = append(errs, fmt.Errorf("reconcile schedule %s of tenant %s: %w", o.name, o.tenant, err))
			return
		}
		if len(differed) > 0 {
			corrected++
			slog.WarnContext(ctx, "a schedule's job was not as its row says and has been put right", "tenant", o.tenant, "schedule", o.name,
				"corrected", strings.Join(differed, ","))
		}
	}
	for o, row := range rows {
		if corrected+len(errs) >= mostCorrected {
			break
		}
		if is, ok := jobs[o]; !ok || !j.as(is, o, row) {
			put(o, row, true)
		}
	}
	for o, is := range jobs {
		if corrected+len(errs) >= mostCorrected {
			break
		}
		if _, ok := rows[o]; !ok && now.Sub(is.GetUserUpdateTime().AsTime()) >= extraAge {
			put(o, Schedule{}, false)
		}
	}
	return corrected, errors.Join(errs...)
}

// as reports whether a job is as its row says.
func (j *Jobs) as(is *schedulerpb.Job, o owner, row Schedule) bool {
	target, err := Find(o.name)
	if err != nil {
		return true // a row of a name that is gone: nothing to compare with
	}
	want, err := j.want(o.tenant, row, target)
	return err == nil && len(differences(is, want)) == 0 && (is.State == schedulerpb.Job_PAUSED) == row.Paused
}

// list returns the jobs of tenants.
func (j *Jobs) list(ctx context.Context) (map[owner]*schedulerpb.Job, error) {
	client, err := j.open(ctx)
	if err != nil {
		return nil, err
	}
	jobs, it := map[owner]*schedulerpb.Job{}, client.ListJobs(ctx, &schedulerpb.ListJobsRequest{Parent: j.parent(), PageSize: 500})
	for range mostListed {
		is, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return jobs, nil
		}
		if err != nil {
			return nil, fault.Down("Cloud Scheduler does not list its jobs", err)
		}
		if m := ownJob.FindStringSubmatch(path.Base(is.GetName())); m != nil {
			jobs[owner{m[2], m[1]}] = is
		}
	}
	return jobs, nil
}

// all returns the rows of all tenants.
func all(ctx context.Context, db *pg.Worker) (map[owner]Schedule, error) {
	found := map[owner]Schedule{}
	err := pg.Across(ctx, db, func(tx pgx.Tx) error {
		clear(found)
		rows, _ := tx.Query(ctx, `SELECT tenant_id::text, name, cron, time_zone, paused FROM gv.schedules`)
		var o owner
		var s Schedule
		_, err := pgx.ForEachRow(rows, []any{&o.tenant, &s.Name, &s.Cron, &s.TimeZone, &s.Paused}, func() error {
			o.name = s.Name
			found[o] = s
			return nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the schedules of all tenants: %w", err)
	}
	return found, nil
}
