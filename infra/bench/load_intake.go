package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/bits"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"

	"github.com/geminivideo/geminivideo/functions/hubspot"
	crm "github.com/geminivideo/geminivideo/shared/hubspot"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/secrets"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// The promises of the intake, beside a handler that reads the same bodies and nothing more.
const (
	leastIntake  = 0.6
	mostP95      = 8 * time.Millisecond
	mostP99      = 50 * time.Millisecond
	batchEvents  = 100
	portal       = 7
	intakeSecret = "the app's secret, of this run only"
	intakeURL    = "https://hooks.example.com"
)

// accepting takes every message at once, as Pub/Sub does in some milliseconds, and keeps
// which events came: a bit for each, which costs the load next to nothing.
type accepting struct {
	mu   sync.Mutex
	seen []uint64
	lost error // a message whose event nobody can tell
}

func (q *accepting) Publish(_ context.Context, messages ...message.Message) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range messages {
		// A key begins with portal, type and the object's id, which is the event's number here.
		_, rest, _ := strings.Cut(m.Key(), "|")
		_, rest, _ = strings.Cut(rest, "|")
		id, _, _ := strings.Cut(rest, "|")
		n, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			q.lost = fmt.Errorf("the key %q: %w", m.Key(), err)
			continue
		}
		for int(n/64) >= len(q.seen) {
			q.seen = append(q.seen, make([]uint64, 1+len(q.seen))...)
		}
		q.seen[n/64] |= 1 << (n % 64)
	}
	return nil
}

// different returns how many different events came.
func (q *accepting) different() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, word := range q.seen {
		n += bits.OnesCount64(word)
	}
	return n
}

// loadIntake sends batches of 100 events to the webhook and to a bare handler in turn, so
// that both have the same machine.
func loadIntake(ctx context.Context, lasting time.Duration, inFlight int) error {
	db, app, err := openDoor(ctx)
	if err != nil {
		return err
	}
	defer db.close()
	defer app.Close()
	bare, err := bareHandler(ctx)
	if err != nil {
		return err
	}
	queue := &accepting{}
	ours := httptest.NewServer(serve.Wrap("hubspot", hubspot.New(app, queue, secrets.Default(), intakeURL, intakeSecret)))
	defer ours.Close()
	request := func(to string) func(int64) (*http.Request, error) {
		return func(n int64) (*http.Request, error) {
			body := eventBatch(n)
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, to+"/webhooks/hubspot", bytes.NewReader(body))
			if err == nil {
				r.Header = crm.Sign(intakeSecret, http.MethodPost, intakeURL+"/webhooks/hubspot", body, time.Now())
			}
			return r, err
		}
	}
	loop(inFlight, time.Second, request(bare)) // both are warm when it counts
	loop(inFlight, time.Second, request(ours.URL))
	queue.seen = nil
	floor := loop(inFlight, lasting, request(bare))
	cpu := db.cpu(ctx)
	got := loop(inFlight, lasting, request(ours.URL))
	cpu = db.cpu(ctx) - cpu
	printLoad("bare handler that reads the body", floor, "")
	share := got.rate() / floor.rate()
	printLoad("webhook intake, batches of 100", got, fmt.Sprintf("%.2f of the bare handler's, %s database CPU an event",
		share, (cpu/time.Duration(max(len(got.took)*batchEvents, 1))).Round(100*time.Nanosecond)))
	accepted := (len(got.took) - got.failed) * batchEvents
	queued := queue.different()
	fmt.Printf("    %d events were acknowledged and %d are queued\n", accepted, queued)
	switch {
	case queue.lost != nil:
		return queue.lost
	case queued < accepted:
		return fmt.Errorf("%d acknowledged events are not queued", accepted-queued)
	case got.failed > 0:
		return fmt.Errorf("%d batches were refused", got.failed)
	case share < leastIntake:
		return fmt.Errorf("intake is %.2f of the bare handler, below %.2f", share, leastIntake)
	case got.at(0.95) > mostP95 || got.at(0.99) > mostP99:
		return fmt.Errorf("intake takes %v at p95 and %v at p99, above %v and %v", got.at(0.95), got.at(0.99), mostP95, mostP99)
	}
	return nil
}

// bareHandler starts the Functions Framework's own server with a handler that reads the
// body, and returns its address. It ends with the process.
func bareHandler(ctx context.Context) (address string, err error) {
	err = funcframework.RegisterHTTPFunctionContext(ctx, "/webhooks/hubspot", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	if err != nil {
		return "", err
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	at := free.Addr().String()
	_ = free.Close()
	host, port, err := net.SplitHostPort(at)
	if err != nil {
		return "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- funcframework.StartHostPort(host, port) }()
	for range 1000 {
		conn, err := net.Dial("tcp", at)
		if err == nil {
			return "http://" + at, conn.Close()
		}
		select {
		case err := <-ended:
			return "", fmt.Errorf("the bare handler's server: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return "", fmt.Errorf("the bare handler's server does not listen at %s", at)
}

// eventBatch is the n-th batch; no event is sent twice.
func eventBatch(n int64) []byte {
	var b bytes.Buffer
	at := time.Now().UnixMilli()
	b.WriteByte('[')
	for i := range batchEvents {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"eventId":%d,"subscriptionId":1,"portalId":%d,"appId":1,"occurredAt":%d,"subscriptionType":"deal.propertyChange",`+
			`"attemptNumber":0,"objectId":%d,"changeSource":"CRM_UI","propertyName":"dealstage","propertyValue":"closedwon"}`,
			n*batchEvents+int64(i), portal, at, n*batchEvents+int64(i))
	}
	b.WriteByte(']')
	return b.Bytes()
}
