package cycle_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/functions/cycle"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/learning"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/selflearning"
	"github.com/geminivideo/geminivideo/shared/serve"
)

var noon = time.Date(2026, 6, 15, 12, 10, 0, 0, time.UTC)

type world struct {
	*apitest.World
	worker *pg.Worker
	now    time.Time
	job    serve.Job
}

func open(t *testing.T) *world {
	t.Helper()
	w := &world{World: apitest.New(t), now: noon}
	worker, err := pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: w.WorkerURL(), MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(worker.Close)
	w.worker, w.job = worker, cycle.New(w.App, worker, embed.Only(embed.Local{}), nil, func() time.Time { return w.now })
	return w
}

// account stores an account with n ads that have run.
func (w *world) account(tenant, id string, n int) {
	w.T.Helper()
	w.Exec(`INSERT INTO gv.accounts (tenant_id, account_id) VALUES ($1, $2)`, tenant, id)
	w.Exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, $2, $2)`, tenant, id)
	w.Exec(`
		INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, creative_dna, impressions, clicks, spend_minor, daily_budget_minor, created_at)
		SELECT $1, $2 || '-' || i, $2, $2, jsonb_build_object('hook_type', CASE WHEN i % 2 = 0 THEN 'question' ELSE 'offer' END), 20000, 400 + 20 * (i % 5), 50000, 2000, $4
		FROM   generate_series(1, $3::int) i`, tenant, id, n, noon.AddDate(0, 0, -20))
}

func (w *world) run(ctx context.Context) cycle.Report {
	w.T.Helper()
	report, err := w.job.Run(ctx)
	if err != nil {
		w.T.Fatal(err)
	}
	return report.(cycle.Report)
}

func (w *world) cycles() string {
	return w.Text(`SELECT coalesce(string_agg(account_id || ' ' || status, ', ' ORDER BY account_id, started_at), '') FROM gv.learning_cycles`)
}

func TestEveryAccountIsCycledOnceAnHour(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.account(apitest.Tenant, "a", 8)
	w.account(apitest.Tenant, "b", 8)
	w.account(apitest.Other, "c", 8)
	w.account(apitest.Other, "empty", 0) // nothing to learn from
	if r := w.run(t.Context()); r.Due != 3 || r.Completed != 3 || r.Errors+r.Failed+r.HandedOn != 0 {
		t.Errorf("%+v", r)
	}
	if got := w.cycles(); got != "a completed, b completed, c completed" {
		t.Error(got)
	}
	w.now = noon.Add(49 * time.Minute) // still the same hour
	if r := w.run(t.Context()); r.Due != 0 {
		t.Errorf("within the hour: %+v", r)
	}
	w.now = noon.Add(50 * time.Minute) // the next begins
	if r := w.run(t.Context()); r.Completed != 3 {
		t.Errorf("in the next hour: %+v", r)
	}
}

func TestATenantsOwnScheduleRunsThatTenantAndOnlyIt(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.account(apitest.Tenant, "mine", 8)
	w.account(apitest.Other, "theirs", 8)
	w.Exec(`INSERT INTO gv.schedules (tenant_id, name, cron, updated_by) VALUES ($1, 'learning', '0 6 * * *', 'admin')`, apitest.Tenant)
	w.run(t.Context())
	if got := w.cycles(); got != "theirs completed" {
		t.Errorf("the run for all: %s", got)
	}
	w.run(serve.ForTenant(t.Context(), apitest.Tenant))
	if got := w.cycles(); got != "mine completed, theirs completed" {
		t.Errorf("its own run: %s", got)
	}
}

func TestWhatNoTimeWasLeftForIsHandedOnAndGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	w := open(t)
	for _, id := range []string{"a", "b", "c"} {
		w.account(apitest.Tenant, id, 8)
	}
	// A cycle that another process began, and died of in its fourth step.
	dies := selflearning.NewRunner(w.App, embed.Only(embed.Local{}))
	dies.Between = func(step int) {
		if step == 4 {
			panic("killed")
		}
	}
	c, _, err := dies.Start(t.Context(), apitest.Tenant, "b", learning.Options{Retrain: true, Threshold: 0.8, By: "somebody", Now: noon.Add(-2 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = dies.Run(t.Context(), apitest.Tenant, c.ID)
	}()
	before := w.Text(`SELECT completed_at::text FROM gv.learning_steps WHERE step = 3`)

	short, cancel := context.WithDeadline(t.Context(), time.Now().Add(time.Second)) // less than is left to answer in
	defer cancel()
	if r := w.run(short); !r.More && r.HandedOn != 3 || r.Completed != 0 {
		t.Errorf("without time: %+v", r)
	}
	if r := w.run(t.Context()); r.Due != 3 || r.Resumed != 1 || r.Completed != 3 {
		t.Errorf("with time: %+v", r)
	}
	if got := w.cycles(); got != "a completed, b completed, c completed" {
		t.Error(got)
	}
	if after := w.Text(`SELECT completed_at::text FROM gv.learning_steps WHERE step = 3 AND cycle_id = $1`, c.ID); after != before {
		t.Errorf("step 3 was done again: %s, before %s", after, before)
	}
}

func TestTwoRunsAtOnceCycleEachAccountOnce(t *testing.T) {
	t.Parallel()
	w := open(t)
	const accounts = 5
	for i := range accounts {
		w.account(apitest.Tenant, fmt.Sprint("acc-", i), 6)
	}
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			if _, err := w.job.Run(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	w.run(t.Context()) // what one left to the other
	if got := w.Text(`SELECT count(*) || ' ' || count(DISTINCT account_id) || ' ' || count(*) FILTER (WHERE status = 'completed') FROM gv.learning_cycles`); got != "5 5 5" {
		t.Errorf("cycles, accounts, completed: %s", got)
	}
	if got := w.Text(`SELECT count(*) || ' ' || max(attempts) FROM gv.learning_steps WHERE status = 'completed' OR status = 'skipped'`); got != "35 1" {
		t.Errorf("steps and attempts: %s", got)
	}
	if got := w.Text(`SELECT count(*) FROM (SELECT ad_id FROM gv.predictions GROUP BY ad_id HAVING count(*) > 1) AS twice`); got != "0" {
		t.Errorf("%s ads were predicted twice", got)
	}
}
