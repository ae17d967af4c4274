package notify_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/functions/notify"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/infra/testkit/vault"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/notice"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/webhook"
)

// receiver is a tenant's server.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	answer int
	held   chan struct{} // where set, a delivery waits for its closing
	got    []received
}

type received struct {
	header http.Header
	body   string
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	r.mu.Lock()
	r.got = append(r.got, received{q.Header, string(body)})
	answer, held := r.answer, r.held
	r.mu.Unlock()
	if held != nil {
		<-held
	}
	w.WriteHeader(answer)
	_, _ = io.WriteString(w, "hunter2")
}

func (r *receiver) answers(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = status
}

func (r *receiver) received() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received{}, r.got...)
}

type world struct {
	*apitest.World
	t        *testing.T
	receiver *receiver
	worker   *pg.Worker
	consumer serve.Consumer
	vault    *vault.Server
}

func open(t *testing.T) *world {
	t.Helper()
	w := &world{World: apitest.New(t), t: t, receiver: &receiver{answer: http.StatusNoContent}}
	w.receiver.Server = httptest.NewServer(w.receiver)
	t.Cleanup(w.receiver.Close)
	server, store := vault.New(t)
	w.vault = server
	for name, value := range map[string]string{"new": "the new secret", "old": "the old secret"} {
		if err := server.Set("projects/p/secrets/"+name, value); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if w.worker, err = pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: w.WorkerURL()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.worker.Close)
	w.consumer = notify.New(w.App, w.worker, store, webhook.New(webhook.Config{AllowLocal: true, Deadline: time.Minute}))
	w.Exec(`INSERT INTO gv.webhooks (tenant_id, url, secret, updated_by) VALUES ($1, $2, 'projects/p/secrets/new', 'test')`, apitest.Tenant, w.receiver.URL+"/hook")
	return w
}

// published has a notice written and sent as the system does, and returns its message.
func (w *world) published(n notice.Notice) message.Message {
	w.t.Helper()
	err := pg.InTenant(w.t.Context(), w.App, apitest.Tenant, func(tx pgx.Tx) error { return notice.Put(w.t.Context(), tx, apitest.Tenant, n) })
	if err != nil {
		w.t.Fatal(err)
	}
	outbox.Flush(w.t.Context(), w.App, apitest.Tenant, w.Queue)
	sent := w.Queue.Messages(notice.Topic)
	if len(sent) == 0 {
		w.t.Fatal("nothing was sent")
	}
	return sent[len(sent)-1]
}

// push delivers as Pub/Sub does and returns the answer's status.
func (w *world) push(m message.Message) int {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, "/", strings.NewReader(string(m.Data)))
	r.Header.Set("X-Goog-Pubsub-Message-Id", "1")
	for key, value := range m.Attributes {
		r.Header.Set(key, value)
	}
	rec := httptest.NewRecorder()
	serve.Wrap("notify", serve.Consume("notify", w.consumer)).ServeHTTP(rec, r)
	return rec.Code
}

func (w *world) state() string {
	w.t.Helper()
	return w.Text(`SELECT concat_ws(' | ', last_error, disabled_reason, CASE WHEN last_delivered_at IS NOT NULL THEN 'delivered' END) FROM gv.webhooks`)
}
