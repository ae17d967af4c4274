package queue

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	gv "github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/serve"
)

const project = "test"

// inbox records what is delivered and answers as the test says.
type inbox struct {
	answer func(m gv.Message) int // 204 if nil

	mu   sync.Mutex
	got  []gv.Message
	when []time.Time
}

func (b *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m, err := serve.DecodeMessage(r.Body, r.Header)
	if err != nil {
		panic(err)
	}
	b.mu.Lock()
	b.got, b.when = append(b.got, m), append(b.when, time.Now())
	b.mu.Unlock()
	if b.answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if code := b.answer(m); code >= 400 {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"status": %d, "detail": "the deal %s is not there yet"}`, code, m.Data)
	} else {
		w.WriteHeader(code)
	}
}

func (b *inbox) all() []gv.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.got)
}

// texts returns the data of what was delivered, sorted.
func (b *inbox) texts() []string {
	var all []string
	for _, m := range b.all() {
		all = append(all, string(m.Data))
	}
	slices.Sort(all)
	return all
}

// running opens a queue and delivers until stop is called or the test ends.
func running(t *testing.T, url string, subscriptions ...Subscription) (q *Queue, stop func()) {
	t.Helper()
	q = opened(t, url, subscriptions...)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { q.Run(ctx); close(done) }()
	stop = sync.OnceFunc(func() { cancel(); <-done; q.Close() })
	t.Cleanup(stop)
	return q, stop
}

func opened(t *testing.T, url string, subscriptions ...Subscription) *Queue {
	t.Helper()
	q, err := Open(t.Context(), url, Options{
		Project: project, Subscriptions: subscriptions, DeadLetterTopic: "dead-letter",
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func client(t *testing.T, q *Queue) *pubsub.Client {
	t.Helper()
	c, err := pubsub.NewClient(t.Context(), project, option.WithEndpoint(q.Addr()), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func publish(t *testing.T, q *Queue, topic string, texts ...string) {
	t.Helper()
	p := client(t, q).Publisher(topic)
	defer p.Stop()
	var results []*pubsub.PublishResult
	for _, text := range texts {
		results = append(results, p.Publish(t.Context(), &pubsub.Message{Data: []byte(text), Attributes: map[string]string{"gv-key": "key of " + text}}))
	}
	for _, r := range results {
		if _, err := r.Get(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// empty waits until nothing is due, handled or backing off.
func empty(t *testing.T, q *Queue) {
	t.Helper()
	eventually(t, "the queue is empty", func() bool {
		states, err := q.States(t.Context())
		return err == nil && !slices.ContainsFunc(states, func(s State) bool { return s.Due+s.Handling+s.BackingOff > 0 })
	})
}
