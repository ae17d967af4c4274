package execute_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/geminivideo/geminivideo/functions/execute"
	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/changes/queue"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

const (
	tenant = "6f1c0a52-6c1b-4d6e-9a51-0d1f0c8f6a01"
	other  = "b9e60f6e-52f5-4c7e-8f0c-3a4f5f3b7c02"
)

// world is a database, a Meta, and one clock for both that stands where the test
// puts it.
type world struct {
	t     *testing.T
	db    *pg.Worker
	admin *pgxpool.Pool
	fake  *fakemeta.Fake
	job   serve.Job
	opts  execute.Options
	meta  meta.Options
	url   string

	workerURL string

	mu     sync.Mutex
	now    time.Time
	tokens map[string]string
}

// Get returns a token by its secret's name.
func (w *world) Get(_ context.Context, name string) (string, error) {
	if name == "unreadable" {
		return "", fault.Down("a credential cannot be read", nil)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tokens[name], nil
}

// Forget has nothing to forget: nothing is kept.
func (w *world) Forget(string) {}

func open(t *testing.T) *world {
	t.Helper()
	made := pgtest.New(t)
	db, err := pg.OpenWorker(context.Background(), pg.WorkerConfig{URL: made.WorkerURL, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	w := &world{
		t: t, workerURL: made.WorkerURL, db: db, admin: made.Admin(t), now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), tokens: map[string]string{},
		opts: execute.Options{Tick: 5 * time.Second, Poll: 20 * time.Millisecond, ChangeLease: 6 * time.Second},
		meta: meta.Options{Timeout: time.Minute, Budget: time.Minute, Attempts: 1},
	}
	if w.fake, err = fakemeta.New(fakemeta.Options{Now: w.clock}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w.fake)
	t.Cleanup(server.Close)
	w.url = server.URL
	w.opts.Clock = func(time.Time) time.Time { return w.clock() }
	w.build()
	w.exec(`INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'Northside'), ($2, 'Southside')`, tenant, other)
	w.account(tenant, "act_1", "USD")
	return w
}

// build makes the function from what the test has set.
func (w *world) build() {
	w.meta.Now = w.clock
	w.job = execute.New(w.db, meta.New(meta.Config{BaseURL: w.url, Version: "v26.0"}, w.meta), w, w.opts)
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
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

// account makes a live account of tenant that is connected to the fake Meta.
func (w *world) account(tenant, id, currency string) *fakemeta.Account {
	w.t.Helper()
	token := "EAA" + tenant[:8] + id
	w.mu.Lock()
	w.tokens["projects/p/secrets/"+id] = token
	w.mu.Unlock()
	a := w.fake.Connect(fakemeta.AccountConfig{ID: id, Currency: currency, Tokens: []string{token}})
	a.PutCampaign(fakemeta.Campaign{ID: "9" + id[4:]})
	w.exec(`INSERT INTO gv.accounts (tenant_id, account_id, mode, currency) VALUES ($1, $2, 'live', $3)`, tenant, id, currency)
	w.exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, $2, $3)`, tenant, "9"+id[4:], id)
	w.exec(`INSERT INTO gv.meta_connections (tenant_id, account_id, access_token, connected_by) VALUES ($1, $2, 'projects/p/secrets/' || $2, 'test')`, tenant, id)
	return a
}

// ad makes an ad that is alone in its ad set, here and at Meta; minor is in both's
// minor units.
func (w *world) ad(tenant, account, id string, minor int64) {
	w.t.Helper()
	a := w.fake.Account(account)
	a.PutAdSet(fakemeta.AdSet{ID: "5" + id, CampaignID: "9" + account[4:], DailyBudget: minor})
	a.PutAd(fakemeta.Ad{ID: id, AdSetID: "5" + id})
	w.exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, adset_id, daily_budget_minor) VALUES ($1, $2, $3, $4, $5, nullif($6::bigint, 0))`,
		tenant, id, account, "9"+account[4:], "5"+id, minor)
}

// queue queues intents and returns the first one's change.
func (w *world) queue(tenant string, intents ...changes.Intent) string {
	w.t.Helper()
	var done []changes.Enqueued
	w.across(func(s queue.Store) (err error) {
		done, err = s.Enqueue(context.Background(), tenant, intents)
		return err
	})
	for _, d := range done {
		if d.ChangeID == "" {
			w.t.Fatalf("%+v", d)
		}
	}
	return done[0].ChangeID
}

func (w *world) across(fn func(s queue.Store) error) {
	w.t.Helper()
	err := pg.Across(context.Background(), w.db, func(tx pgx.Tx) error { return fn(queue.NewStore(tx).WithClock(w.opts.Clock)) })
	if err != nil {
		w.t.Fatal(err)
	}
}

// run lets 20 s pass, so that every jitter is over, and runs once.
func (w *world) run() {
	w.t.Helper()
	w.pass(20 * time.Second)
	if _, err := w.job.Run(context.Background()); err != nil {
		w.t.Fatal(err)
	}
}

// is checks a change's status, and that its reason says why.
func (w *world) is(change, status, why string) {
	w.t.Helper()
	row := w.text(`SELECT concat_ws(': ', status, held_reason) FROM gv.pending_ad_changes WHERE change_id = $1`, change)
	if !matches(row, status, why) {
		w.t.Errorf("the change is %s, want %s: %s", row, status, why)
	}
}

// history is the outcomes of a change, in order.
func (w *world) history(change string) string {
	w.t.Helper()
	return w.text(`SELECT coalesce(string_agg(concat_ws(' ', outcome, action, before_minor, after_minor), ', ' ORDER BY at, history_id), '')
	               FROM gv.ad_change_history WHERE change_id = $1`, change)
}

func to(ad string, minor int64) changes.Intent {
	return changes.Intent{Key: fmt.Sprintf("%s/%d/%d", ad, minor, time.Now().UnixNano()), AdID: ad, Target: &minor, Reason: "because", Source: changes.Allocate, By: "a@example.com"}
}

func cut(ad string) changes.Intent {
	return changes.Intent{Key: fmt.Sprintf("cut/%s/%d", ad, time.Now().UnixNano()), AdID: ad, Cut: 0.2, Reason: "tired", Source: changes.Fatigue, By: "sweep"}
}
