package index_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/functions/index"
	"github.com/geminivideo/geminivideo/functions/relay"
	"github.com/geminivideo/geminivideo/infra/testkit/fakegemini"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/gemini"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/winners"
	"github.com/jackc/pgx/v5"
)

// world is a fixture whose embedding model is Gemini's, with the relay that
// sends what the function is asked for.
type world struct {
	*fixture
	fake   *fakegemini.Fake
	url    string
	models embed.Models
	sent   queue
}

// queue keeps what the relay publishes.
type queue struct {
	mu  sync.Mutex
	all []message.Message
}

func (q *queue) Publish(_ context.Context, messages ...message.Message) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.all = append(q.all, messages...)
	return nil
}

func (q *queue) take() []message.Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.all
	q.all = nil
	return all
}

// around returns a world in which tenant A has n winners, indexed with the
// local model.
func around(t *testing.T, n int) *world {
	t.Helper()
	w := &world{fixture: open(t)}
	w.fake, w.url = fakegemini.Start(t)
	for i := range n {
		w.ad(t, fmt.Sprintf("ad-%03d", i), fmt.Sprintf(`{"hook_type":"question","take":"word%d"}`, i), 40000)
		w.handle(t, w.message(fmt.Sprintf("m%d", i), fmt.Sprintf("ad-%03d", i)))
	}
	w.exec(t, `DELETE FROM gv.outbox`) // what recomputing asked for is done
	w.use(t, "gemini-embedding-2")
	return w
}

// use deploys the function with another embedding model.
func (w *world) use(t *testing.T, model string) {
	t.Helper()
	w.useFor(t, model, time.Minute)
}

// useFor is use with the time that the model may take.
func (w *world) useFor(t *testing.T, model string, timeout time.Duration) {
	t.Helper()
	client, err := gemini.Open(t.Context(), gemini.Config{
		APIKey: fakegemini.Key, BaseURL: w.url, Model: "gemini-3.8-flash", EmbeddingModel: model,
		Timeout: timeout, DailyCap: 1, DailyTokens: 1e9,
	}, w.db)
	if err != nil {
		t.Fatal(err)
	}
	w.models = gemini.Models(client)
	w.consumer = index.New(w.db, w.worker, w.models)
}

// tick runs the relay once, as if what waits had waited long enough, and handles
// what it sends.
func (w *world) tick(t *testing.T) (handled int) {
	t.Helper()
	w.exec(t, `UPDATE gv.embedding_models SET due_at = now() WHERE due_at IS NOT NULL AND due_at < now() + interval '2 hours'`)
	if _, err := relay.New(w.worker, &w.sent, nil).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := w.sent.take()
	for _, m := range all {
		if err := w.consumer.Handle(t.Context(), m); err != nil {
			t.Errorf("%s: %v", m.Key(), err)
		}
	}
	return len(all)
}

// state returns the tenant's models, and why a change waits.
func (w *world) state(t *testing.T) (active, target, why string) {
	t.Helper()
	err := w.admin.QueryRow(t.Context(), `
		SELECT active, coalesce(target, ''), coalesce(last_error, '') FROM gv.embedding_models WHERE tenant_id = $1`, tenantA).Scan(&active, &target, &why)
	if err != nil {
		t.Fatal(err)
	}
	return active, target, why
}

// find searches as the function winners does, and returns with which model and
// the ads.
func (w *world) find(t *testing.T, text string, k int) (model string, found []string) {
	t.Helper()
	q, err := winners.Probe(t.Context(), w.db, w.models, tenantA, text)
	if err != nil {
		t.Fatal(err)
	}
	q.K = k
	err = pg.InTenant(t.Context(), w.db, tenantA, func(tx pgx.Tx) error {
		result, err := winners.NewStore(tx).Search(t.Context(), q)
		for _, m := range result.Matches {
			found = append(found, m.AdID)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return q.Model, found
}

// uneven returns how many memories of the local model differ from Gemini's.
func (w *world) uneven(t *testing.T) int {
	t.Helper()
	return w.count(t, `
		SELECT count(*) FROM (SELECT * FROM gv.winners WHERE model = 'local-hash-1') l
		FULL JOIN (SELECT * FROM gv.winners WHERE model = 'gemini-embedding-2') g USING (tenant_id, ad_id)
		WHERE (l.text, l.creative_dna, l.pipeline_roas, l.ctr, l.active) IS DISTINCT FROM (g.text, g.creative_dna, g.pipeline_roas, g.ctr, g.active)`)
}
