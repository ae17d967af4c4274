package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"github.com/jackc/pgx/v5"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	gv "github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/pgtest"
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

func TestRetriesWaitTwiceAsLongEachTimeAndHoldUpNobodyElse(t *testing.T) {
	t.Parallel()
	box := &inbox{answer: func(m gv.Message) int {
		if string(m.Data) == "bad" && m.Attempt < 5 {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	}}
	q, _ := running(t, pgtest.Empty(t).AdminURL, Subscription{
		Name: "crmevent", Topic: "crm-events", Handler: box, MaxAttempts: 10,
		MinBackoff: 100 * time.Millisecond, MaxBackoff: 300 * time.Millisecond,
	})
	publish(t, q, "crm-events", "bad")
	publish(t, q, "crm-events", "good")
	empty(t, q)
	var waits []time.Duration
	var last time.Time
	attempt := 0
	for i, m := range box.got {
		if string(m.Data) != "bad" {
			if attempt > 2 {
				t.Errorf("the good message waited for attempt %d of the bad one", attempt)
			}
			continue
		}
		attempt++
		if m.Attempt != attempt {
			t.Errorf("attempt %d came as %d", attempt, m.Attempt)
		}
		if attempt > 1 {
			waits = append(waits, box.when[i].Sub(last))
		}
		last = box.when[i]
	}
	want := []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 300 * time.Millisecond, 300 * time.Millisecond}
	if len(waits) != len(want) {
		t.Fatalf("waits %v", waits)
	}
	for i := range want {
		if waits[i] < want[i]-5*time.Millisecond {
			t.Errorf("wait %d was %s, want at least %s", i+1, waits[i], want[i])
		}
	}
}

func TestTheLastAttemptEndsInTheDeadLetters(t *testing.T) {
	t.Parallel()
	box, graves := &inbox{answer: func(gv.Message) int { return http.StatusInternalServerError }}, &inbox{}
	q, _ := running(t, pgtest.Empty(t).AdminURL,
		Subscription{Name: "crmevent", Topic: "crm-events", Handler: box, MaxAttempts: 3, MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond},
		Subscription{Name: "deadletter", Topic: "dead-letter", Handler: graves})
	publish(t, q, "crm-events", "d1")
	empty(t, q)
	if got := len(box.all()); got != 3 {
		t.Errorf("delivered %d times, want 3", got)
	}
	got := graves.all()
	if len(got) != 1 {
		t.Fatalf("%d dead letters", len(got))
	}
	m := got[0]
	if string(m.Data) != "d1" || m.Key() != "key of d1" || m.Attempt != 0 {
		t.Errorf("dead letter %+v", m)
	}
	for name, want := range map[string]string{
		"CloudPubSubDeadLetterSourceDeliveryCount":       "3",
		"CloudPubSubDeadLetterSourceSubscription":        "crmevent",
		"CloudPubSubDeadLetterSourceSubscriptionProject": "test",
		"gv-topic":  "crm-events",
		"gv-reason": "the deal d1 is not there yet",
	} {
		if m.Attributes[name] != want {
			t.Errorf("%s = %q, want %q", name, m.Attributes[name], want)
		}
	}
	if _, err := time.Parse(time.RFC3339Nano, m.Attributes["CloudPubSubDeadLetterSourceTopicPublishTime"]); err != nil {
		t.Error(err)
	}
}

func TestWithoutAGraveAMessageIsTriedForEver(t *testing.T) {
	t.Parallel()
	box := &inbox{answer: func(m gv.Message) int {
		if m.Attempt == 0 && len(m.Data) > 0 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	}}
	q, _ := running(t, pgtest.Empty(t).AdminURL, Subscription{Name: "deadletter", Topic: "dead-letter", Handler: box, MaxBackoff: time.Millisecond})
	publish(t, q, "dead-letter", "d1")
	eventually(t, "many attempts", func() bool { return len(box.all()) > 20 })
	states, err := q.States(t.Context())
	if err != nil || states[0].Due+states[0].Handling+states[0].BackingOff != 1 {
		t.Errorf("states %+v, %v", states, err)
	}
}

func TestReasonsAreInWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		answer answer
		want   string
	}{
		{answer{status: 502}, "the function answered 502"},
		{answer{status: 504}, "the function did not answer in time"},
		{answer{status: 500, panicked: "nil map"}, "the function broke: nil map"},
		{answer{status: 500, panicked: strings.Repeat("é", 700)}, "the function broke: " + strings.Repeat("é", 490)},
	} {
		if got := c.answer.reason(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestAnAnswerThatNeverComesIsAFailure(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	box := &inbox{answer: func(m gv.Message) int {
		if m.Attempt == 1 {
			<-release
		}
		return http.StatusOK
	}}
	q, _ := running(t, pgtest.Empty(t).AdminURL, Subscription{
		Name: "slow", Topic: "events", Handler: box, MaxAttempts: 5, AckDeadline: 100 * time.Millisecond, MaxBackoff: time.Millisecond,
	})
	publish(t, q, "events", "one")
	empty(t, q)
	close(release)
	if got := box.all(); len(got) != 2 || got[1].Attempt != 2 {
		t.Errorf("delivered %+v", got)
	}
}

func TestAFunctionThatPanicsIsTriedAgain(t *testing.T) {
	t.Parallel()
	box := &inbox{answer: func(m gv.Message) int {
		if m.Attempt == 1 {
			panic(http.ErrAbortHandler)
		}
		return http.StatusOK
	}}
	q, _ := running(t, pgtest.Empty(t).AdminURL, Subscription{Name: "index", Topic: "events", Handler: box, MaxAttempts: 5, MaxBackoff: time.Millisecond})
	publish(t, q, "events", "one")
	empty(t, q)
	if got := len(box.all()); got != 2 {
		t.Errorf("delivered %d times", got)
	}
}

func TestNoMoreMessagesAreHandledAtOnceThanAllowed(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now, most := 0, 0
	box := &inbox{answer: func(gv.Message) int {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		time.Sleep(10 * time.Millisecond)
		mu.Lock()
		now--
		mu.Unlock()
		return http.StatusOK
	}}
	q, _ := running(t, pgtest.Empty(t).AdminURL, Subscription{Name: "one", Topic: "events", Handler: box, Concurrency: 3})
	var texts []string
	for i := range 40 {
		texts = append(texts, fmt.Sprint(i))
	}
	publish(t, q, "events", texts...)
	empty(t, q)
	if most != 3 {
		t.Errorf("%d at once, want 3", most)
	}
}

func TestAStopWaitsForWhatIsBeingHandled(t *testing.T) {
	t.Parallel()
	url := pgtest.Empty(t).AdminURL
	began := make(chan struct{})
	box := &inbox{answer: func(gv.Message) int {
		close(began)
		time.Sleep(300 * time.Millisecond)
		return http.StatusOK
	}}
	s := Subscription{Name: "one", Topic: "events", Handler: box}
	q, stop := running(t, url, s)
	publish(t, q, "events", "one")
	<-began
	stop()
	again := opened(t, url, s)
	defer again.Close()
	if states, err := again.States(t.Context()); err != nil || states[0].Due+states[0].Handling+states[0].BackingOff != 0 {
		t.Errorf("left over: %+v, %v", states, err)
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
	saboteur.Go(func() {
		conn, err := pgx.Connect(context.Background(), url)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close(context.Background())
		for {
			select {
			case <-stop:
				return
			case <-time.After(30 * time.Millisecond):
				_, _ = conn.Exec(context.Background(), `
					SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
			}
		}
	})
	var want []string
	for i := range 36 {
		want = append(want, fmt.Sprintf("m%03d", i))
	}
	for part := range slices.Chunk(want, 6) {
		publish(t, q, "crm-events", part...)
	}
	close(stop)
	saboteur.Wait()
	empty(t, q)
	if got := slices.Compact(box.texts()); !slices.Equal(got, want) {
		t.Errorf("delivered %d different messages of %d", len(got), len(want))
	}
}
