package reconcile_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/geminivideo/geminivideo/functions/crmevent"
	"github.com/geminivideo/geminivideo/functions/reconcile"
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/infra/testkit/vault"
	"github.com/geminivideo/geminivideo/shared/dealsync"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/hubspot"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/secrets"
	"github.com/geminivideo/geminivideo/shared/serve"
)

const (
	tenant    = "6f1c0a52-6c1b-4d6e-9a51-0d1f0c8f6a01"
	portalID  = 4711
	token     = "pat-portal-4711"
	tokenName = "projects/test/secrets/hubspot-token-4711"
)

// clock is the time of HubSpot and of the runs; it moves when a test says so.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(time.Millisecond) // no two changes at one instant
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// crm is HubSpot with one portal, and the vault that holds its token.
type crm struct {
	*fakehubspot.Portal
	clock *clock
	fake  *fakehubspot.Fake
	api   *httptest.Server
	vault *secrets.Store
	keys  *vault.Server // the vault's content
}

func newCRM(t testing.TB, c fakehubspot.PortalConfig) *crm {
	t.Helper()
	at := newClock()
	fake, err := fakehubspot.New(fakehubspot.Options{Now: at.now, HistoryLimit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	c.ID, c.Tokens, c.Limit = portalID, []string{token}, 1_000_000
	if c.SearchesPerSecond == 0 {
		c.SearchesPerSecond = 1_000_000
	}
	p := fake.Connect(c)
	api := httptest.NewServer(fake)
	t.Cleanup(api.Close)
	server, store := vault.New(t)
	if err := server.Set(tokenName, token); err != nil {
		t.Fatal(err)
	}
	return &crm{p, at, fake, api, store, server}
}

// world is a tenant's database with the two functions that write its ledger.
type world struct {
	t      testing.TB
	crm    *crm
	urls   *pgtest.DB
	admin  *pgxpool.Pool
	app    *pg.DB
	worker *pg.Worker
	events serve.Consumer
	queue  *queue
}

type queue struct {
	mu   sync.Mutex
	sent []message.Message
}

func (q *queue) Publish(_ context.Context, messages ...message.Message) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sent = append(q.sent, messages...)
	return nil
}

func newWorld(t testing.TB, c *crm) *world {
	t.Helper()
	db := pgtest.New(t)
	app, err := pg.Open(t.Context(), pg.Config{URL: db.AppURL, MaxConns: 6})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)
	worker, err := pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: db.WorkerURL, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(worker.Close)
	w := &world{t: t, crm: c, urls: db, admin: db.Admin(t), app: app, worker: worker, queue: &queue{}}
	w.events = crmevent.New(app, worker, w.queue, c.vault, w.api(), meta.New(meta.Config{}, meta.Options{}))
	w.exec(`INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'Northside')`, tenant)
	w.exec(`INSERT INTO gv.accounts (tenant_id, account_id) VALUES ($1, 'act_1')`, tenant)
	w.exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, 'c1', 'act_1')`, tenant)
	w.exec(`INSERT INTO gv.hubspot_connections (tenant_id, portal_id, access_token, connected_by) VALUES ($1, $2, $3, 'test')`, tenant, portalID, tokenName)
	for n := range 3 {
		ad := fmt.Sprintf("a%d", n)
		w.exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id) VALUES ($1, $2, 'act_1', 'c1')`, tenant, ad)
		w.exec(`INSERT INTO gv.clicks (tenant_id, click_id, ad_id, campaign_id, clicked_at, fbclid) VALUES ($1, 'click-' || $2, $2, 'c1', '2026-11-19T12:00Z', 'fb-' || $2)`, tenant, ad)
	}
	return w
}

func (w *world) api() dealsync.Config {
	return dealsync.Config{URL: w.crm.api.URL, PerTenSeconds: 1_000_000}
}

// job is a fresh process of the function.
func (w *world) job() serve.Job {
	return reconcile.New(w.app, w.worker, w.queue, dealsync.New(w.app, w.queue, w.crm.vault, w.api()), reconcile.Options{Now: w.crm.clock.now})
}

// run makes the portal due and runs the function to its end.
func (w *world) run() reconcile.Report {
	w.t.Helper()
	w.due()
	report, err := w.job().Run(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	return report.(reconcile.Report)
}

// due makes every portal due, as an hour does.
func (w *world) due() {
	w.exec(`UPDATE gv.crm_syncs SET due_at = now() - interval '1 second', claimed_until = NULL`)
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.admin.Exec(context.Background(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

func one[T any](w *world, sql string, args ...any) T {
	w.t.Helper()
	rows, _ := w.admin.Query(context.Background(), sql, args...)
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	if err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// deliver hands an event to crmevent once and reports whether it was handled; what
// can never succeed, or has no tries left, becomes a dead letter.
func (w *world) deliver(e fakehubspot.Event, tries int) {
	w.t.Helper()
	body, err := json.Marshal([]fakehubspot.Event{e})
	if err != nil {
		w.t.Fatal(err)
	}
	parsed, err := hubspot.ParseBatch(body)
	if err != nil {
		w.t.Fatal(err)
	}
	data := parsed[0].Message()
	m := message.Message{ID: parsed[0].Key(), Data: data, Attributes: map[string]string{
		message.KeyAttribute: parsed[0].Key(), message.TenantAttribute: tenant, message.SubjectAttribute: parsed[0].Subject(),
	}}
	for attempt := 1; ; attempt++ {
		err := w.events.Handle(context.Background(), m)
		if err == nil {
			return
		}
		if fault.Permanent(err) || attempt == tries {
			if err := w.events.Reject(context.Background(), m, err); err != nil {
				w.t.Fatal(err)
			}
			return
		}
	}
}

// ledger is what the ledger says of live deals and of the ads they are credited to.
func (w *world) ledger() []string {
	w.t.Helper()
	var lines []string
	for _, sql := range []string{
		`SELECT (to_jsonb(x) - 'processed_at')::text FROM gv.deals x WHERE state = 'live' ORDER BY deal_id`,
		`SELECT to_jsonb(x)::text FROM gv.deal_stages x ORDER BY deal_id, occurred_at, stage_id`,
		`SELECT to_jsonb(x)::text FROM gv.contacts x ORDER BY contact_id`,
		`SELECT to_jsonb(x)::text FROM gv.contact_keys x ORDER BY contact_id, kind, value`,
		`SELECT to_jsonb(x)::text FROM gv.deal_contacts x ORDER BY deal_id, contact_id`,
		`SELECT concat_ws(' ', ad_id, pipeline_minor, revenue_minor, attribution_confidence) FROM gv.ads ORDER BY ad_id`,
	} {
		rows, _ := w.admin.Query(context.Background(), sql)
		part, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			w.t.Fatal(err)
		}
		lines = append(append(lines, "-- "+sql), part...)
	}
	return lines
}
