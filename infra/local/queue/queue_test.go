package queue

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	gv "github.com/geminivideo/geminivideo/shared/message"
)

func TestAMessageArrivesAsAPushDoes(t *testing.T) {
	t.Parallel()
	box := &inbox{}
	q, _ := running(t, pgtest.Empty(t).AdminURL, Subscription{Name: "crmevent", Topic: "crm-events", Handler: box, MaxAttempts: 5})
	publish(t, q, "crm-events", "one")
	empty(t, q)
	got := box.all()
	if len(got) != 1 {
		t.Fatalf("delivered %d times", len(got))
	}
	m := got[0]
	if string(m.Data) != "one" || m.Key() != "key of one" || m.ID == "" || m.Attempt != 1 ||
		m.Subscription != "projects/test/subscriptions/crmevent" || time.Since(m.PublishedAt).Abs() > time.Minute {
		t.Errorf("delivered %+v", m)
	}
}

func TestEveryFunctionOfATopicGetsEachMessage(t *testing.T) {
	t.Parallel()
	one, two := &inbox{}, &inbox{}
	q, _ := running(t, pgtest.Empty(t).AdminURL,
		Subscription{Name: "one", Topic: "events", Handler: one, Concurrency: 4}, Subscription{Name: "two", Topic: "events", Handler: two})
	var want []string
	for i := range 250 {
		want = append(want, fmt.Sprintf("m%03d", i))
	}
	publish(t, q, "events", want...)
	empty(t, q)
	for _, box := range []*inbox{one, two} {
		if got := box.texts(); !slices.Equal(got, want) {
			t.Errorf("delivered %d messages: %v", len(got), got)
		}
	}
}

func TestAPublishedMessageSurvivesAProcessThatNeverDelivered(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t).AdminURL
	box := &inbox{}
	s := Subscription{Name: "crmevent", Topic: "crm-events", Handler: box}
	first := opened(t, url, s)
	publish(t, first, "crm-events", "one", "two")
	first.Close()
	second, _ := running(t, url, s)
	empty(t, second)
	if got := box.texts(); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("delivered %v", got)
	}
}

func TestACrashBetweenDeliveryAndAckDeliversAgain(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t).AdminURL
	var first *Queue
	box := &inbox{}
	box.answer = func(m gv.Message) int {
		if m.Attempt == 1 {
			first.journal.pool.Close() // the work is done; the process dies before it can say so
		}
		return http.StatusNoContent
	}
	s := Subscription{Name: "crmevent", Topic: "crm-events", Handler: box, MaxAttempts: 5}
	first = opened(t, url, s)
	publish(t, first, "crm-events", "one")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { first.Run(ctx); close(done) }()
	eventually(t, "the first delivery", func() bool { return len(box.all()) == 1 })
	cancel()
	<-done
	first.Close()

	second, _ := running(t, url, s)
	empty(t, second)
	if got := box.all(); len(got) != 2 || got[1].Attempt != 2 || got[0].ID != got[1].ID {
		t.Errorf("delivered %+v", got)
	}
}

func TestATopicThatNobodySubscribesToIsRefused(t *testing.T) {
	t.Parallel()
	q := opened(t, pgtest.Empty(t).AdminURL, Subscription{Name: "one", Topic: "events", Handler: &inbox{}})
	defer q.Close()
	p := client(t, q).Publisher("nobody")
	defer p.Stop()
	_, err := p.Publish(t.Context(), &pubsub.Message{Data: []byte("x")}).Get(t.Context())
	if status.Code(err) != codes.NotFound {
		t.Errorf("got %v", err)
	}
}

func TestAMessageOfAnyBytesAndAttributesComesBackAsItWas(t *testing.T) {
	t.Parallel()
	box := &inbox{}
	q, _ := running(t, pgtest.Empty(t).AdminURL, Subscription{Name: "one", Topic: "events", Handler: box})
	p := client(t, q).Publisher("events")
	defer p.Stop()
	odd := map[string]string{"nul": "a\x00b", "quote": `"'\`, "letter": "ü漢"}
	if _, err := p.Publish(t.Context(), &pubsub.Message{Data: []byte{0, 255, '\n'}, Attributes: odd}).Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Publish(t.Context(), &pubsub.Message{Attributes: map[string]string{"only": "attributes"}}).Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Publish(t.Context(), &pubsub.Message{}).Get(t.Context()); status.Code(err) != codes.InvalidArgument {
		t.Errorf("an empty message: %v", err)
	}
	empty(t, q)
	got := box.all()
	if len(got) != 2 || string(got[0].Data) != "\x00\xff\n" || got[0].Attributes["nul"] != "a\x00b" ||
		got[0].Attributes["quote"] != `"'\` || got[0].Attributes["letter"] != "ü漢" {
		t.Errorf("delivered %+v", got)
	}
}

func TestTwoQueuesOnTwoDatabasesDoNotMeet(t *testing.T) {
	t.Parallel()
	one, two := &inbox{}, &inbox{}
	q1, _ := running(t, pgtest.Empty(t).AdminURL, Subscription{Name: "crmevent", Topic: "crm-events", Handler: one})
	q2, _ := running(t, pgtest.Empty(t).AdminURL, Subscription{Name: "crmevent", Topic: "crm-events", Handler: two})
	publish(t, q1, "crm-events", "for one")
	publish(t, q2, "crm-events", "for two")
	empty(t, q1)
	empty(t, q2)
	if a, b := one.texts(), two.texts(); !slices.Equal(a, []string{"for one"}) || !slices.Equal(b, []string{"for two"}) {
		t.Errorf("one got %v, two got %v", a, b)
	}
}

func TestASecondQueueOnOneDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t).AdminURL
	q := opened(t, url)
	defer q.Close()
	_, err := Open(t.Context(), url, Options{Project: project})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "another local system uses this database") {
		t.Errorf("got %v", err)
	}
}

func TestBrokenConnectionsLoseNothing(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t).AdminURL
	box := &inbox{}
	q, _ := running(t, url, Subscription{Name: "crmevent", Topic: "crm-events", Handler: box, Concurrency: 4})
	stop := make(chan struct{})
	var saboteur sync.WaitGroup
	var broken atomic.Int64
	saboteur.Go(func() {
		conn, err := pgx.Connect(context.Background(), url)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close(context.Background())
		// Each pause is a tenth longer than the one before: however slow the machine,
		// in the end a publish fits into one, before its client's minute is over.
		for pause := 30 * time.Millisecond; ; pause += pause / 10 {
			select {
			case <-stop:
				return
			case <-time.After(pause):
				ended, err := conn.Exec(context.Background(), `
					SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
				if err != nil {
					t.Error(err)
					return
				}
				broken.Add(ended.RowsAffected())
			}
		}
	})
	var want []string
	for !t.Failed() && (len(want) < 36 || broken.Load() < 20) {
		var part []string
		for i := range 6 {
			part = append(part, fmt.Sprintf("m%05d", len(want)+i))
		}
		publish(t, q, "crm-events", part...)
		want = append(want, part...)
	}
	close(stop)
	saboteur.Wait()
	empty(t, q)
	if got := slices.Compact(box.texts()); !slices.Equal(got, want) {
		t.Errorf("delivered %d different messages of %d", len(got), len(want))
	}
}
