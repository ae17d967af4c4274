package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
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

func TestAMessageForLaterIsNotSentBefore(t *testing.T) {
	t.Parallel()
	f := open(t)
	err := pg.InTenant(t.Context(), f.db, tenantA, func(tx pgx.Tx) error {
		return outbox.PutAt(t.Context(), tx, time.Now().Add(time.Hour), message.Message{Topic: "crm-events", Data: []byte("later")})
	})
	if err != nil {
		t.Fatal(err)
	}
	outbox.Flush(t.Context(), f.db, tenantA, f.queue)
	if n := f.relay(t); n != 0 || len(f.queue.all()) != 0 {
		t.Errorf("sent %d an hour early", n)
	}
	f.exec(t, `UPDATE gv.outbox SET due_at = due_at - interval '1 hour'`)
	if n := f.relay(t); n != 1 {
		t.Errorf("sent %d when it was due", n)
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
