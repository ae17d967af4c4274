package crmevent_test

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
	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/infra/testkit/vault"
	"github.com/geminivideo/geminivideo/shared/ads"
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

// crm is HubSpot with one portal, and the vault that holds its token.
type crm struct {
	*fakehubspot.Portal
	fake  *fakehubspot.Fake
	api   *httptest.Server
	vault *secrets.Store
	meta  *fakemeta.Fake
	graph *httptest.Server
	keys  *vault.Server
}

func newCRM(t testing.TB, o fakehubspot.Options) *crm {
	t.Helper()
	fake, err := fakehubspot.New(o)
	if err != nil {
		t.Fatal(err)
	}
	p := fake.Connect(fakehubspot.PortalConfig{ID: portalID, Tokens: []string{token}, Limit: 1_000_000, Rates: map[string]float64{"EUR": 1.1}})
	api := httptest.NewServer(fake)
	t.Cleanup(api.Close)
	server, store := vault.New(t)
	if err := server.Set(tokenName, token); err != nil {
		t.Fatal(err)
	}
	ads, err := fakemeta.New(fakemeta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	graph := httptest.NewServer(ads)
	t.Cleanup(graph.Close)
	return &crm{p, fake, api, store, ads, graph, server}
}

// world is a tenant's database and the function on it.
type world struct {
	t        testing.TB
	crm      *crm
	urls     *pgtest.DB
	admin    *pgxpool.Pool
	app      *pg.DB
	consumer serve.Consumer
	queue    *queue
}

// queue keeps what was published.
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
	w := &world{t: t, crm: c, urls: db, admin: db.Admin(t), queue: &queue{}}
	w.app, w.consumer = open(t, db.AppURL, db.WorkerURL, c, w.queue)
	w.exec(`INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'Northside')`, tenant)
	w.exec(`INSERT INTO gv.accounts (tenant_id, account_id) VALUES ($1, 'act_1')`, tenant)
	w.exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, 'c1', 'act_1')`, tenant)
	w.exec(`INSERT INTO gv.hubspot_connections (tenant_id, portal_id, access_token, connected_by) VALUES ($1, $2, $3, 'test')`, tenant, portalID, tokenName)
	for _, ad := range []string{"a1", "a2", "a3"} {
		w.exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id) VALUES ($1, $2, 'act_1', 'c1')`, tenant, ad)
		w.exec(`INSERT INTO gv.ad_metrics (tenant_id, ad_id, day, impressions, clicks, spend_minor) VALUES ($1, $2, '2026-10-01', 1000, 20, 100000)`, tenant, ad)
	}
	err := pg.InTenant(t.Context(), w.app, tenant, func(tx pgx.Tx) error {
		_, err := ads.Recompute(t.Context(), tx, []string{"a1", "a2", "a3"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func open(t testing.TB, appURL, workerURL string, c *crm, q *queue) (*pg.DB, serve.Consumer) {
	t.Helper()
	app, err := pg.Open(t.Context(), pg.Config{URL: appURL, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)
	worker, err := pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: workerURL, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(worker.Close)
	graph := meta.New(meta.Config{BaseURL: c.graph.URL}, meta.Options{Attempts: 1})
	return app, crmevent.New(app, worker, q, c.vault, dealsync.Config{URL: c.api.URL, PerTenSeconds: 1_000_000}, graph)
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.admin.Exec(context.Background(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

// click records a click on ad that left fbclid behind.
func (w *world) click(ad, fbclid string, at time.Time) {
	w.t.Helper()
	w.exec(`INSERT INTO gv.clicks (tenant_id, click_id, ad_id, campaign_id, clicked_at, fbclid) VALUES ($1, $2, $3, 'c1', $4, $5)`,
		tenant, "click-"+fbclid, ad, at, fbclid)
}

// messages turns HubSpot's events into what is queued for them.
func messages(t testing.TB, events ...fakehubspot.Event) []message.Message {
	t.Helper()
	var all []message.Message
	for _, e := range events {
		body, err := json.Marshal([]fakehubspot.Event{e})
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := hubspot.ParseBatch(body)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, message.Message{ID: fmt.Sprint(len(all)), Data: parsed[0].Message(), Attributes: map[string]string{
			message.KeyAttribute: parsed[0].Key(), message.TenantAttribute: tenant, message.SubjectAttribute: parsed[0].Subject(),
		}})
	}
	return all
}

// handle delivers messages as the queue does: again while they fail for now, and
// never again once they have failed for good.
func (w *world) handle(all ...message.Message) {
	w.t.Helper()
	for _, m := range all {
		deliver(w.t, w.consumer, m)
	}
}

func deliver(t testing.TB, c serve.Consumer, m message.Message) {
	t.Helper()
	for attempt := 1; ; attempt++ {
		m.Attempt = attempt
		err := c.Handle(context.Background(), m)
		if err == nil {
			return
		}
		if fault.Permanent(err) {
			if err = c.Reject(context.Background(), m, err); err == nil {
				return
			}
		}
		if attempt == 50 {
			t.Errorf("message %s fails for ever: %v", m.Key(), err)
			return
		}
		time.Sleep(time.Duration(attempt) * time.Millisecond)
	}
}

// dump is all that must not depend on how events were delivered.
func (w *world) dump() []string {
	w.t.Helper()
	var lines []string
	for _, sql := range []string{
		`SELECT (to_jsonb(x) - 'processed_at')::text FROM gv.deals x ORDER BY deal_id`,
		`SELECT to_jsonb(x)::text FROM gv.deal_stages x ORDER BY deal_id, occurred_at, stage_id`,
		`SELECT to_jsonb(x)::text FROM gv.contacts x ORDER BY contact_id`,
		`SELECT to_jsonb(x)::text FROM gv.contact_keys x ORDER BY contact_id, kind, value`,
		`SELECT to_jsonb(x)::text FROM gv.deal_contacts x ORDER BY deal_id, contact_id`,
		`SELECT contact_id::text FROM gv.erasures ORDER BY contact_id`,
		`SELECT to_jsonb(x)::text FROM gv.deal_touches x JOIN gv.deals d USING (portal_id, deal_id) WHERE d.state = 'live' ORDER BY deal_id, x.click_id`,
		`SELECT (to_jsonb(x) - 'updated_at' - 'created_at')::text FROM gv.ads x ORDER BY ad_id`,
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

// holding returns the tables of which a row says any of texts.
func (w *world) holding(texts ...string) []string {
	w.t.Helper()
	tables, err := w.admin.Query(context.Background(), `SELECT relname FROM pg_class WHERE relnamespace = 'gv'::regnamespace AND relkind = 'r' ORDER BY relname`)
	if err != nil {
		w.t.Fatal(err)
	}
	names, err := pgx.CollectRows(tables, pgx.RowTo[string])
	if err != nil {
		w.t.Fatal(err)
	}
	var found []string
	for _, name := range names {
		if n := one[int64](w, `SELECT count(*) FROM gv.`+name+` x WHERE EXISTS (SELECT FROM unnest($1::text[]) AS s WHERE position(s IN to_jsonb(x)::text) > 0)`, texts); n > 0 {
			found = append(found, fmt.Sprintf("%s (%d)", name, n))
		}
	}
	return found
}

// one reads a single value.
func one[T any](w *world, sql string, args ...any) T {
	w.t.Helper()
	rows, _ := w.admin.Query(context.Background(), sql, args...)
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	if err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func must[T any](t testing.TB) func(T, []fakehubspot.Event, error) (T, []fakehubspot.Event) {
	return func(v T, events []fakehubspot.Event, err error) (T, []fakehubspot.Event) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v, events
	}
}
