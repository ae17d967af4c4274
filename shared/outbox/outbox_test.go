package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/pgtest"
)

const (
	tenantA = "00000000-0000-4000-8000-00000000000a"
	tenantB = "00000000-0000-4000-8000-00000000000b"
)

func TestAMessageIsSentWithItsKeyAndTenant(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.put(t, tenantA, "one")
	outbox.Flush(t.Context(), f.db, tenantA, f.queue)
	sent := f.queue.all()
	if len(sent) != 1 || sent[0].Topic != "crm-events" || string(sent[0].Data) != "one" || sent[0].Key() == "" ||
		sent[0].Tenant() != tenantA || sent[0].Attributes["a"] != "b" || sent[0].Subject() != "contact/1/2" {
		t.Errorf("sent %+v", sent)
	}
	if f.count(t, "gv.outbox") != 0 {
		t.Error("it still waits")
	}
}

func TestAMessageOfATransactionThatFailedIsNeverSent(t *testing.T) {
	t.Parallel()
	f := open(t)
	_ = pg.InTenant(t.Context(), f.db, tenantA, func(tx pgx.Tx) error {
		if err := outbox.Put(t.Context(), tx, message.Message{Topic: "crm-events", Data: []byte("x")}); err != nil {
			t.Error(err)
		}
		return errors.New("boom")
	})
	f.relay(t)
	if len(f.queue.all()) != 0 {
		t.Error("it was sent")
	}
}

func TestAKeyOfTheSendersOwnIsKept(t *testing.T) {
	t.Parallel()
	f := open(t)
	err := pg.InTenant(t.Context(), f.db, tenantA, func(tx pgx.Tx) error {
		return outbox.Put(t.Context(), tx, message.Message{Topic: "t", Data: []byte("x"), Attributes: map[string]string{message.KeyAttribute: "mine"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	f.relay(t)
	if sent := f.queue.all(); len(sent) != 1 || sent[0].Key() != "mine" {
		t.Errorf("sent %+v", sent)
	}
}

func TestManySendersSendEachMessageOnce(t *testing.T) {
	t.Parallel()
	f := open(t)
	const n = 350
	for i := range n {
		f.put(t, []string{tenantA, tenantB}[i%2], fmt.Sprint(i))
	}
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			if i%2 == 0 {
				outbox.Flush(t.Context(), f.db, tenantA, f.queue)
				return
			}
			if _, err := outbox.Relay(t.Context(), f.worker, f.queue); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	f.relay(t)
	if sent := f.queue.all(); len(sent) != n || keys(sent) != n {
		t.Errorf("sent %d, %d of them different", len(sent), keys(sent))
	}
}

func TestACrashBetweenSendingAndPuttingDownSendsTwiceUnderOneKey(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.put(t, tenantA, "one")
	// The database goes away once the queue has the message, as in a crash.
	f.queue.after = f.db.Close
	outbox.Flush(t.Context(), f.db, tenantA, f.queue)
	f.queue.after = nil
	if sent := f.relay(t); sent != 0 {
		t.Errorf("sent again while the claim holds")
	}
	f.exec(t, `UPDATE gv.outbox SET due_at = now()`) // the claim has run out
	f.relay(t)
	if sent := f.queue.all(); len(sent) != 2 || keys(sent) != 1 {
		t.Errorf("sent %d, %d of them different", len(sent), keys(sent))
	}
	if f.count(t, "gv.outbox") != 0 {
		t.Error("it still waits")
	}
}

func TestAQueueThatIsDownLeavesTheMessageForLater(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.put(t, tenantA, "one")
	f.queue.refuse = func(message.Message) error { return errors.New("unavailable") }
	waits := []float64{}
	for range 12 {
		if _, err := outbox.Relay(t.Context(), f.worker, f.queue); err == nil {
			t.Error("the relay says nothing of it")
		}
		var wait float64
		if err := f.admin.QueryRow(t.Context(), `SELECT extract(epoch FROM due_at - now())::float8 FROM gv.outbox WHERE last_error = 'unavailable'`).Scan(&wait); err != nil {
			t.Fatal(err)
		}
		waits = append(waits, wait)
		f.exec(t, `UPDATE gv.outbox SET due_at = now()`)
	}
	if waits[0] > 2.1 || waits[3] < 15 || waits[3] > 16.1 || waits[11] < 590 || waits[11] > 600 {
		t.Errorf("it waits %.0f seconds", waits)
	}
	f.queue.refuse = nil
	if f.relay(t) != 1 {
		t.Error("it was not sent when the queue was back")
	}
}

func TestAMessageThatCannotBeSentHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	f := open(t)
	for i := range 250 {
		f.put(t, tenantA, fmt.Sprint(i))
	}
	f.queue.refuse = func(m message.Message) error {
		if string(m.Data) == "7" {
			return errors.New("too large")
		}
		return nil
	}
	sent, err := outbox.Relay(t.Context(), f.worker, f.queue)
	if sent != 249 || err == nil || keys(f.queue.all()) != 249 || len(f.queue.all()) != 249 {
		t.Errorf("sent %d, %v", sent, err)
	}
	if n := f.count(t, `gv.outbox WHERE last_error IS NOT NULL`); n != 1 {
		t.Errorf("%d wait", n)
	}
}

func TestWhatWasSentIsPutDownThoughTheCallersTimeIsUp(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.put(t, tenantA, "one")
	ctx, cancel := context.WithCancel(t.Context())
	f.queue.after = cancel
	outbox.Flush(ctx, f.db, tenantA, f.queue)
	if f.count(t, "gv.outbox") != 0 {
		t.Error("it will be sent again")
	}
}

func TestATenantsFlushSendsNobodyElsesMessages(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.put(t, tenantA, "ours")
	f.put(t, tenantB, "theirs")
	outbox.Flush(t.Context(), f.db, tenantA, f.queue)
	if sent := f.queue.all(); len(sent) != 1 || string(sent[0].Data) != "ours" {
		t.Errorf("sent %+v", sent)
	}
}

func TestMessagesOfOneTransactionAreWrittenTogether(t *testing.T) {
	t.Parallel()
	f := open(t)
	err := pg.InTenant(t.Context(), f.db, tenantA, func(tx pgx.Tx) error {
		if err := outbox.Put(t.Context(), tx); err != nil {
			return err
		}
		return outbox.Put(t.Context(), tx, message.Message{Topic: "t", Data: []byte("a")}, message.Message{Topic: "t", Data: []byte("b")})
	})
	if err != nil || f.relay(t) != 2 {
		t.Errorf("%v", err)
	}
	err = pg.InTenant(t.Context(), f.db, tenantA, func(tx pgx.Tx) error {
		return outbox.Put(t.Context(), tx, message.Message{Topic: "", Data: []byte("nowhere")})
	})
	if err == nil {
		t.Error("a message without a topic was written")
	}
}

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
