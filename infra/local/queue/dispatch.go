package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// dispatcher delivers the messages of one subscription.
type dispatcher struct {
	queue *Queue
	Subscription
	slots chan struct{} // one taken for each message that is being handled

	mu     sync.Mutex
	inHand map[int64]bool // the messages that are being handled
}

const (
	// rest is the longest sleep, for a bell that was not heard.
	rest = 5 * time.Second
	// afterTrouble is the wait after the database did not answer.
	afterTrouble = 500 * time.Millisecond
)

// run claims until ctx ends; what it has claimed is handled under handling.
func (d *dispatcher) run(ctx, handling context.Context) {
	var flights sync.WaitGroup
	defer flights.Wait()
	trouble := false
	for {
		select {
		case <-ctx.Done():
			return
		case d.slots <- struct{}{}:
		}
		free := 1 + d.takeMore()
		claimed, err := d.claim(ctx, free, trouble)
		d.giveBack(free - len(claimed))
		for _, one := range claimed {
			flights.Go(func() {
				defer d.giveBack(1)
				d.deliver(handling, one)
				d.mark(false, one)
			})
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if !trouble { // once an outage, not twice a second
				d.queue.Log.Error("queue: the database does not answer", "subscription", d.Name, "error", err.Error())
			}
			d.sleep(ctx, afterTrouble)
		case len(claimed) < free:
			d.sleep(ctx, d.untilNext(ctx))
		}
		trouble = err != nil
	}
}

// claim leases up to n messages. After trouble the journal may hold leases that
// we never heard of: they are freed first.
func (d *dispatcher) claim(ctx context.Context, n int, trouble bool) ([]delivery, error) {
	if trouble {
		if err := d.queue.journal.free(ctx, d.Name, d.held()); err != nil {
			return nil, err
		}
	}
	claimed, err := d.queue.journal.claim(ctx, d.Subscription, n)
	d.mark(true, claimed...)
	return claimed, err
}

func (d *dispatcher) mark(held bool, all ...delivery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range all {
		if held {
			d.inHand[one.MessageID] = true
		} else {
			delete(d.inHand, one.MessageID)
		}
	}
}

func (d *dispatcher) held() []int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.AppendSeq([]int64{}, maps.Keys(d.inHand)) // not nil, which SQL would not compare with
}

func (d *dispatcher) takeMore() int {
	n := 0
	for {
		select {
		case d.slots <- struct{}{}:
			n++
		default:
			return n
		}
	}
}

func (d *dispatcher) giveBack(n int) {
	for range n {
		<-d.slots
	}
}

func (d *dispatcher) untilNext(ctx context.Context) time.Duration {
	wait, err := d.queue.journal.next(ctx, d.Name, rest)
	if err != nil {
		return afterTrouble
	}
	return wait
}

func (d *dispatcher) sleep(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-d.queue.wake[d.Name]:
	}
}

// deliver pushes one message and puts down how that went, however often it takes.
func (d *dispatcher) deliver(ctx context.Context, one delivery) {
	a := d.push(ctx, one)
	lost := time.Now().Add(leaseSlack)
	for ctx.Err() == nil { // a stop leaves it to the next start, which offers it again
		err := d.finish(context.WithoutCancel(ctx), one, a)
		if err == nil {
			return
		}
		d.queue.Log.Error("queue: an outcome is not put down", "subscription", d.Name, "message", one.MessageID, "error", err.Error())
		if time.Now().After(lost) {
			return // its lease runs out, and it comes again
		}
		time.Sleep(afterTrouble)
	}
}

func (d *dispatcher) finish(ctx context.Context, one delivery, a *answer) error {
	log := d.queue.Log.With("subscription", d.Name, "message", one.MessageID, "attempt", one.Attempt)
	if a.ok() {
		return d.queue.journal.ack(ctx, d.Name, one)
	}
	deadLetters := d.queue.subscribers(d.queue.DeadLetterTopic)
	if d.MaxAttempts > 0 && one.Attempt >= d.MaxAttempts && len(deadLetters) > 0 {
		log.Warn("queue: the last attempt failed: to the dead letters", "reason", a.reason())
		err := d.queue.journal.deadLetter(ctx, d.Name, one, d.queue.DeadLetterTopic, deadLetters, d.letter(one, a))
		d.queue.ring(d.queue.DeadLetterTopic)
		return err
	}
	wait := d.backoff(one.Attempt)
	log.Warn("queue: an attempt failed: again later", "reason", a.reason(), "after", wait.String())
	return d.queue.journal.nack(ctx, d.Name, one, wait, a.reason())
}

// backoff doubles from MinBackoff with each attempt, up to MaxBackoff.
func (d *dispatcher) backoff(attempt int) time.Duration {
	wait := d.MinBackoff
	for range attempt - 1 {
		if wait >= d.MaxBackoff {
			break
		}
		wait *= 2
	}
	return min(wait, d.MaxBackoff)
}

// push calls the handler as a push subscription calls its endpoint.
func (d *dispatcher) push(ctx context.Context, one delivery) *answer {
	ctx, cancel := context.WithTimeout(ctx, d.AckDeadline)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(d.envelope(one)))
	if err != nil {
		return &answer{status: http.StatusInternalServerError, panicked: err.Error()}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "CloudPubSub-Google (local)")
	r.RemoteAddr = "127.0.0.1:0"
	done := make(chan *answer, 1)
	go func() {
		a := &answer{header: http.Header{}}
		defer func() {
			if v := recover(); v != nil {
				a.status, a.panicked = http.StatusInternalServerError, fmt.Sprint(v)
			}
			done <- a
		}()
		d.Handler.ServeHTTP(a, r)
	}()
	select {
	case a := <-done:
		return a
	case <-ctx.Done():
		return &answer{status: http.StatusGatewayTimeout}
	}
}

// envelope is the body of a push. Pub/Sub counts attempts only for subscriptions
// with a dead-letter topic.
func (d *dispatcher) envelope(one delivery) []byte {
	type wrapped struct {
		Data        []byte            `json:"data"`
		Attributes  map[string]string `json:"attributes"`
		MessageID   string            `json:"messageId"`
		PublishTime time.Time         `json:"publishTime"`
		OrderingKey string            `json:"orderingKey,omitempty"`
	}
	e := struct {
		Message         wrapped `json:"message"`
		Subscription    string  `json:"subscription"`
		DeliveryAttempt int     `json:"deliveryAttempt,omitempty"`
	}{
		Message:      wrapped{one.Data, one.Attributes, strconv.FormatInt(one.MessageID, 10), one.PublishedAt.UTC(), one.OrderingKey},
		Subscription: "projects/" + d.queue.Project + "/subscriptions/" + d.Name,
	}
	if d.MaxAttempts > 0 {
		e.DeliveryAttempt = one.Attempt
	}
	body, err := json.Marshal(e)
	if err != nil {
		panic(err) // only texts, bytes and numbers come here
	}
	return body
}

// letter is the message as Pub/Sub forwards it to a dead-letter topic, and why.
func (d *dispatcher) letter(one delivery, a *answer) message {
	attributes := maps.Clone(one.Attributes)
	maps.Copy(attributes, map[string]string{
		"CloudPubSubDeadLetterSourceDeliveryCount":       strconv.Itoa(one.Attempt),
		"CloudPubSubDeadLetterSourceSubscription":        d.Name,
		"CloudPubSubDeadLetterSourceSubscriptionProject": d.queue.Project,
		"CloudPubSubDeadLetterSourceTopicPublishTime":    one.PublishedAt.UTC().Format(time.RFC3339Nano),
		"gv-reason": a.reason(),
		"gv-topic":  one.Topic,
	})
	return message{Data: one.Data, Attributes: attributes, OrderingKey: one.OrderingKey}
}
