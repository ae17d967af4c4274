package refresh_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/geminivideo/geminivideo/functions/refresh"
	"github.com/geminivideo/geminivideo/infra/testkit/fakegemini"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/director"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/gemini"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/winners"
)

const (
	tenantA = "00000000-0000-4000-8000-00000000000a"
	tenantB = "00000000-0000-4000-8000-00000000000b"
	tired   = `{"hook_type":"testimonial","visual_pacing":"medium","cta_type":"book_now","duration_seconds":20}`
)

type world struct {
	t        *testing.T
	db       *pg.DB
	worker   *pg.Worker
	admin    *pgxpool.Pool
	consumer serve.Consumer
}

// open returns a world without a model: two tenants, and the ad "tired" of one.
func open(t *testing.T) *world {
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
	w := &world{t: t, db: db, worker: worker, admin: made.Admin(t)}
	w.consumer = refresh.New(db, worker, nil, director.Config{Fallback: director.FallbackTemplate, Timeout: 20 * time.Second}, nil)
	w.exec(`INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'A'), ($2, 'B')`, tenantA, tenantB)
	w.exec(`INSERT INTO gv.accounts (tenant_id, account_id) VALUES ($1, 'acc')`, tenantA)
	w.exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, 'c', 'acc')`, tenantA)
	w.ad("tired", tired)
	return w
}

// asks lets the fake write the plans.
func (w *world) asks(fallback director.Fallback, timeout time.Duration) *fakegemini.Fake {
	w.t.Helper()
	fake, url := fakegemini.Start(w.t)
	model, err := gemini.Open(w.t.Context(), gemini.Config{
		APIKey: fakegemini.Key, BaseURL: url, Model: "gemini-3.8-flash", EmbeddingModel: "gemini-embedding-2", Timeout: timeout, DailyCap: 10, DailyTokens: 1e7,
		Prices: gemini.Prices{"gemini-3.8-flash": {Input: 0.3, Output: 2.5}, "gemini-embedding-2": {Input: 0.2}},
	}, w.db)
	if err != nil {
		w.t.Fatal(err)
	}
	w.consumer = refresh.New(w.db, w.worker, model, director.Config{Fallback: fallback, Timeout: timeout}, nil)
	return fake
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.admin.Exec(w.t.Context(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) text(sql string) (text string) {
	w.t.Helper()
	if err := w.admin.QueryRow(w.t.Context(), sql).Scan(&text); err != nil {
		w.t.Fatal(err)
	}
	return text
}

// ad stores an ad on which 100.00 were spent.
func (w *world) ad(id, dna string) {
	w.t.Helper()
	w.exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, creative_dna, impressions, clicks, spend_minor, pipeline_minor)
		VALUES ($1, $2, 'acc', 'c', $3, 10000, 150, 10000, 20000)`, tenantA, id, dna)
}

// store puts a winner into the memory, as functions/index does.
func (w *world) store(id, dna string) {
	w.t.Helper()
	parsed, err := creative.Parse([]byte(dna))
	if err != nil {
		w.t.Fatal(err)
	}
	text := winners.TextOf(parsed, id)
	vectors, err := embed.Local{}.Documents(w.t.Context(), []string{text})
	if err != nil {
		w.t.Fatal(err)
	}
	err = pg.InTenant(w.t.Context(), w.db, tenantA, func(tx pgx.Tx) error {
		_, err := winners.NewStore(tx).Put(w.t.Context(), winners.Memory{
			AdID: id, Model: embed.LocalModel, Vector: vectors[0], Text: text, DNA: parsed, ROAS: 5, CTR: 0.02, Active: true,
		})
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// request asks for the replacement of an ad and returns the message that says so.
func (w *world) request(ad, reason string) message.Message {
	w.t.Helper()
	var asked []director.Requested
	err := pg.InTenant(w.t.Context(), w.db, tenantA, func(tx pgx.Tx) (err error) {
		asked, err = director.RequestRefreshes(w.t.Context(), tx, tenantA, "sweep", []director.AdReason{{AdID: ad, Reason: reason}})
		return err
	})
	if err != nil || len(asked) != 1 || !asked[0].New {
		w.t.Fatalf("%+v %v", asked, err)
	}
	data, _ := json.Marshal(director.Refresh{RefreshID: asked[0].RefreshID, AdID: ad, Reason: reason})
	return about("refresh-"+asked[0].RefreshID, tenantA, string(data))
}

func about(key, tenant, data string) message.Message {
	return message.Message{ID: "1", Data: []byte(data), Attributes: map[string]string{message.KeyAttribute: key, message.TenantAttribute: tenant}}
}

func (w *world) handle(m message.Message) {
	w.t.Helper()
	if err := w.consumer.Handle(w.t.Context(), m); err != nil {
		w.t.Fatal(err)
	}
}

// push delivers m as an unwrapped push, and returns the answer's status.
func (w *world) push(m message.Message) int {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(m.Data)))
	r.Header.Set("X-Goog-Pubsub-Message-Id", m.ID)
	for key, value := range m.Attributes {
		r.Header.Set(key, value)
	}
	rec := httptest.NewRecorder()
	serve.Wrap("refresh", serve.Consume("refresh", w.consumer)).ServeHTTP(rec, r)
	return rec.Code
}

// kept is the only refresh, and its plan where it has one.
func (w *world) kept() (r director.Request, p director.Plan) {
	w.t.Helper()
	err := pg.InTenant(w.t.Context(), w.db, tenantA, func(tx pgx.Tx) error {
		store := director.NewStore(tx)
		all, err := store.Requests(w.t.Context(), director.RequestFilter{Limit: 2})
		if err != nil || len(all) != 1 {
			w.t.Fatalf("%d refreshes, %v", len(all), err)
		}
		if r = all[0]; r.PlanID != "" {
			p, err = store.Get(w.t.Context(), r.PlanID)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return r, p
}
