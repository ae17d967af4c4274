package index_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/geminivideo/geminivideo/functions/index"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

type fixture struct {
	consumer serve.Consumer
	db       *pg.DB
	worker   *pg.Worker
	admin    *pgxpool.Pool
	embedder *model
}

// model is a remote embedding model: it can be down, and takes its time.
type model struct {
	embed.Local
	down      atomic.Bool
	calls     atomic.Int64
	meanwhile func()
	once      sync.Once
}

func (m *model) Documents(ctx context.Context, texts []string) ([]embed.Vector, error) {
	m.calls.Add(1)
	if m.down.Load() {
		return nil, fault.Down("the embedding model does not answer", errors.New("quota"))
	}
	if m.meanwhile != nil {
		m.once.Do(m.meanwhile)
	}
	return m.Local.Documents(ctx, texts)
}

func open(t *testing.T) *fixture {
	t.Helper()
	made := pgtest.New(t)
	db, err := pg.Open(t.Context(), pg.Config{URL: made.AppURL, MaxConns: 6})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	worker, err := pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: made.WorkerURL, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(worker.Close)
	f := &fixture{db: db, worker: worker, admin: made.Admin(t), embedder: &model{}}
	f.consumer = index.New(db, worker, embed.Only(f.embedder))
	for _, sql := range []string{
		`INSERT INTO gv.tenants (tenant_id, name) VALUES ('` + tenantA + `', 'A'), ('` + tenantB + `', 'B')`,
		`INSERT INTO gv.accounts (tenant_id, account_id) VALUES ('` + tenantA + `', 'acc')`,
		`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ('` + tenantA + `', 'c', 'acc')`,
	} {
		f.exec(t, sql)
	}
	return f
}

func (f *fixture) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := f.admin.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) count(t *testing.T, sql string) (n int) {
	t.Helper()
	if err := f.admin.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// ad stores an ad on which 100.00 were spent.
func (f *fixture) ad(t *testing.T, id, dna string, pipelineMinor int64) {
	t.Helper()
	f.exec(t, `INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, creative_dna) VALUES ($1, $2, 'acc', 'c', $3)`, tenantA, id, dna)
	f.exec(t, `INSERT INTO gv.ad_figures (tenant_id, ad_id, source, impressions, clicks, spend_minor) VALUES ($1, $2, 'import', 1000, 50, 10000)`, tenantA, id)
	f.value(t, id, pipelineMinor)
}

// value sets the ad's pipeline value and recomputes its totals, as feedback does.
func (f *fixture) value(t *testing.T, id string, minor int64) {
	err := pg.InTenant(t.Context(), f.db, tenantA, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `
			INSERT INTO gv.ad_figures (tenant_id, ad_id, source, pipeline_minor) VALUES (gv.tenant(), $1, 'feedback', $2)
			ON CONFLICT (tenant_id, ad_id, source) DO UPDATE SET pipeline_minor = excluded.pipeline_minor`, id, minor)
		if err != nil {
			return err
		}
		_, err = ads.Recompute(t.Context(), tx, []string{id})
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func (f *fixture) message(key, ad string) message.Message {
	return message.Message{
		ID: "1", Data: []byte(`{"ad_id":"` + ad + `"}`),
		Attributes: map[string]string{message.KeyAttribute: key, message.TenantAttribute: tenantA},
	}
}

func (f *fixture) handle(t *testing.T, m message.Message) {
	t.Helper()
	if err := f.consumer.Handle(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// push delivers m as an unwrapped push, and returns the answer's status.
func (f *fixture) push(t *testing.T, m message.Message) int {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(m.Data)))
	r.Header.Set("X-Goog-Pubsub-Message-Id", m.ID)
	for key, value := range m.Attributes {
		r.Header.Set(key, value)
	}
	w := httptest.NewRecorder()
	serve.Wrap("index", serve.Consume("index", f.consumer)).ServeHTTP(w, r)
	return w.Code
}

type kept struct {
	text      string
	roas, ctr float64
	active    bool
}

func (f *fixture) indexed(t *testing.T) []kept {
	t.Helper()
	rows, _ := f.admin.Query(t.Context(), `SELECT text, pipeline_roas, ctr, active FROM gv.winners ORDER BY ad_id`)
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (k kept, err error) {
		return k, row.Scan(&k.text, &k.roas, &k.ctr, &k.active)
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// deliver handles what recomputing has put into the outbox.
func (f *fixture) deliver(t *testing.T) {
	t.Helper()
	rows, _ := f.admin.Query(t.Context(), `SELECT message_id::text FROM gv.outbox`)
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		f.handle(t, f.message(key, "ad-1"))
	}
}
