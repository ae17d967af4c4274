package queue_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/changes/queue"
	"github.com/geminivideo/geminivideo/shared/pg"
)

const (
	tenant = "6f1c0a52-6c1b-4d6e-9a51-0d1f0c8f6a01"
	other  = "b9e60f6e-52f5-4c7e-8f0c-3a4f5f3b7c02"
)

// world is a database with an account of two tenants, and a clock that stands
// where the test puts it.
type world struct {
	t      *testing.T
	app    *pg.DB
	worker *pg.Worker
	admin  *pgxpool.Pool
	now    time.Time
}

func open(t *testing.T) *world {
	t.Helper()
	db := pgtest.New(t)
	app, err := pg.Open(context.Background(), pg.Config{URL: db.AppURL, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)
	worker, err := pg.OpenWorker(context.Background(), pg.WorkerConfig{URL: db.WorkerURL, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(worker.Close)
	w := &world{t: t, app: app, worker: worker, admin: db.Admin(t), now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
	w.exec(`INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'Northside'), ($2, 'Southside')`, tenant, other)
	w.exec(`INSERT INTO gv.accounts (tenant_id, account_id, mode) VALUES ($1, 'act_1', 'live'), ($2, 'act_1', 'live')`, tenant, other)
	w.exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, 'c1', 'act_1'), ($2, 'c1', 'act_1')`, tenant, other)
	return w
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.admin.Exec(context.Background(), sql, args...); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
}

func (w *world) text(sql string, args ...any) string {
	w.t.Helper()
	var v any
	if err := w.admin.QueryRow(context.Background(), sql, args...).Scan(&v); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
	return fmt.Sprint(v)
}

// ad makes an ad of tenant in an ad set; budget 0 is an unknown one.
func (w *world) ad(tenant, id, adset string, budget int64) {
	w.t.Helper()
	w.exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, adset_id, daily_budget_minor)
	        VALUES ($1, $2, 'act_1', 'c1', $3, nullif($4::bigint, 0))`, tenant, id, adset, budget)
}

func (w *world) warp(time.Time) time.Time { return w.now }

// in runs fn on the queue of tenant.
func (w *world) in(tenant string, fn func(s queue.Store) error) {
	w.t.Helper()
	err := pg.InTenant(w.t.Context(), w.app, tenant, func(tx pgx.Tx) error { return fn(queue.NewStore(tx).WithClock(w.warp)) })
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) enqueue(tenant string, intents ...changes.Intent) []changes.Enqueued {
	w.t.Helper()
	var done []changes.Enqueued
	w.in(tenant, func(s queue.Store) (err error) { done, err = s.Enqueue(w.t.Context(), tenant, intents); return err })
	if len(done) != len(intents) {
		w.t.Fatalf("%d outcomes of %d intents", len(done), len(intents))
	}
	return done
}

var keys atomic.Int64

// to is an intent of a member for an amount; nothing of it has been asked before.
func to(ad string, minor int64) changes.Intent {
	n := keys.Add(1)
	return changes.Intent{
		Key: fmt.Sprintf("%s/%d", ad, n), AdID: ad, Target: &minor, Reason: "because", Source: changes.Member, By: "a@example.com",
	}
}

// cut is what the sweep wants of a tired ad.
func cut(ad string) changes.Intent {
	n := keys.Add(1)
	return changes.Intent{Key: fmt.Sprintf("fatigue/%s/%d", ad, n), AdID: ad, Cut: 0.2, Reason: "tired", Source: changes.Fatigue, By: "sweep"}
}
