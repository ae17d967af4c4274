package outbox_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// queue is somebody else's message queue: it may refuse, and things may happen
// after it has stored a message.
type queue struct {
	mu     sync.Mutex
	sent   []message.Message
	refuse func(message.Message) error
	after  func()
}

func (q *queue) Publish(_ context.Context, messages ...message.Message) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	var unsent message.Unsent
	for i, m := range messages {
		if q.refuse != nil {
			if err := q.refuse(m); err != nil {
				unsent.Indexes, unsent.Cause = append(unsent.Indexes, i), err
				continue
			}
		}
		q.sent = append(q.sent, m)
	}
	if q.after != nil {
		q.after()
	}
	switch {
	case len(unsent.Indexes) == len(messages):
		return unsent.Cause // a queue that is down does not say which
	case unsent.Cause != nil:
		return &unsent
	}
	time.Sleep(time.Millisecond)
	return nil
}

func (q *queue) all() []message.Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.sent
}

func keys(sent []message.Message) int {
	different := map[string]bool{}
	for _, m := range sent {
		different[m.Key()] = true
	}
	return len(different)
}

type fixture struct {
	db     *pg.DB
	worker *pg.Worker
	admin  *pgxpool.Pool
	queue  *queue
}

func open(t *testing.T) *fixture {
	t.Helper()
	made := pgtest.New(t)
	db, err := pg.Open(t.Context(), pg.Config{URL: made.AppURL, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	worker, err := pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: made.WorkerURL, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(worker.Close)
	f := &fixture{db, worker, made.Admin(t), &queue{}}
	f.exec(t, `INSERT INTO gv.tenants (tenant_id, name) VALUES ('`+tenantA+`', 'A'), ('`+tenantB+`', 'B')`)
	return f
}

func (f *fixture) put(t *testing.T, tenant, data string) {
	t.Helper()
	err := pg.InTenant(t.Context(), f.db, tenant, func(tx pgx.Tx) error {
		return outbox.Put(t.Context(), tx, message.Message{
			Topic: "crm-events", Data: []byte(data), Attributes: map[string]string{"a": "b", message.SubjectAttribute: "contact/1/2"},
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) relay(t *testing.T) int {
	t.Helper()
	sent, err := outbox.Relay(t.Context(), f.worker, f.queue)
	if err != nil {
		t.Error(err)
	}
	return sent
}

func (f *fixture) exec(t *testing.T, sql string) {
	t.Helper()
	if _, err := f.admin.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) count(t *testing.T, from string) (n int) {
	t.Helper()
	if err := f.admin.QueryRow(t.Context(), `SELECT count(*) FROM `+from).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
