package queue

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	gv "github.com/geminivideo/geminivideo/shared/message"
)

func TestRetriesWaitTwiceAsLongEachTimeAndHoldUpNobodyElse(t *testing.T) {
	t.Parallel()
	// The bad message fails until the good one has been handled, and five times at least.
	good := make(chan struct{})
	handled := sync.OnceFunc(func() { close(good) })
	box := &inbox{answer: func(m gv.Message) int {
		if string(m.Data) == "good" {
			handled()
			return http.StatusOK
		}
		select {
		case <-good:
			if m.Attempt >= 5 {
				return http.StatusOK
			}
		default:
		}
		return http.StatusServiceUnavailable
	}}
	q, _ := running(t, pgtest.Empty(t).AdminURL, Subscription{
		Name: "crmevent", Topic: "crm-events", Handler: box, MaxAttempts: 10_000,
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
	if len(waits) < len(want) {
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
	box, deadLetters := &inbox{answer: func(gv.Message) int { return http.StatusInternalServerError }}, &inbox{}
	q, _ := running(t, pgtest.Empty(t).AdminURL,
		Subscription{Name: "crmevent", Topic: "crm-events", Handler: box, MaxAttempts: 3, MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond},
		Subscription{Name: "deadletter", Topic: "dead-letter", Handler: deadLetters})
	publish(t, q, "crm-events", "d1")
	empty(t, q)
	if got := len(box.all()); got != 3 {
		t.Errorf("delivered %d times, want 3", got)
	}
	got := deadLetters.all()
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
		Name: "slow", Topic: "events", Handler: box, MaxAttempts: 5, AckDeadline: 3 * time.Second, MaxBackoff: time.Millisecond,
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
	three := make(chan struct{}) // closed once three are handled at once
	box := &inbox{answer: func(gv.Message) int {
		mu.Lock()
		now++
		if now == 3 && most < 3 {
			close(three)
		}
		most = max(most, now)
		mu.Unlock()
		<-three
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
