package hubspot_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/functions/hubspot"
	"github.com/geminivideo/geminivideo/infra/testkit/vault"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// hanging passes bytes on to Postgres until the test stops it, and then takes
// and answers nothing, as a server behind a lost route does.
func hanging(t *testing.T, dsn string) (through string, hang func()) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	server := u.Host
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	var once sync.Once
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", server)
			if err != nil {
				client.Close()
				continue
			}
			t.Cleanup(func() { client.Close(); upstream.Close() })
			go func() { _, _ = io.Copy(client, upstream) }()
			go func() {
				buffer := make([]byte, 64<<10)
				for {
					n, err := client.Read(buffer)
					if err != nil {
						upstream.Close()
						return
					}
					select {
					case <-stopped:
						continue
					default:
					}
					if _, err := upstream.Write(buffer[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
	u.Host = listener.Addr().String()
	return u.String(), func() { once.Do(func() { close(stopped) }) }
}

func TestWhenPostgresHangsHubSpotHearsOfItWhileItListens(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	through, hang := hanging(t, f.db.AppURL)
	app, err := pg.Open(t.Context(), pg.Config{URL: through, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)
	if err := app.Ping(t.Context()); err != nil { // a connection is open when the route is lost
		t.Fatal(err)
	}
	hang()
	_, store := vault.New(t)
	f.handler = serve.Wrap("hubspot", hubspot.New(app, f.queue, store, publicURL, ownApp))
	body := batch(1, 3)
	answer := f.post(body, signed(secret, body, time.Now()))
	if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" || len(f.queue.sent) != 0 {
		t.Errorf("%d %s, %d queued, want 503 with Retry-After", answer.Code, answer.Body, len(f.queue.sent))
	}
}

// deadlines notes until when it may publish, and publishes nothing.
type deadlines struct{ until []time.Time }

func (d *deadlines) Publish(ctx context.Context, _ ...message.Message) error {
	until, _ := ctx.Deadline()
	d.until = append(d.until, until)
	return context.DeadlineExceeded
}

func TestABatchIsAnsweredBeforeHubSpotGivesUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	app, err := pg.Open(t.Context(), pg.Config{URL: f.db.AppURL, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)
	queue := &deadlines{}
	_, store := vault.New(t)
	handler := serve.Wrap("hubspot", hubspot.New(app, queue, store, publicURL, ownApp))
	body := batch(3, 1)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://10.1.2.3/webhooks/hubspot", nil)
	r.Body, r.Header = io.NopCloser(bytes.NewReader(body)), signed(ownApp, body, time.Now())
	began := time.Now()
	handler.ServeHTTP(httptest.NewRecorder(), r)
	if len(queue.until) != 1 || queue.until[0].IsZero() || queue.until[0].Sub(began) > 5*time.Second {
		t.Errorf("publishing may take until %v of a batch that came at %v, want at most 5 s", queue.until, began)
	}
}

func TestABatchWithoutUsableHeadersCostsNoBody(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for name, header := range map[string]http.Header{
		"none": {}, "old": signed(secret, nil, time.Now().Add(-time.Hour)),
		"no base64": {"X-Hubspot-Signature-V3": {"%"}, "X-Hubspot-Request-Timestamp": signed(secret, nil, time.Now())["X-Hubspot-Request-Timestamp"]},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://10.1.2.3/webhooks/hubspot", nil)
		body := bytes.NewReader(batch(1, 100))
		unread := body.Len()
		r.Body, r.Header = io.NopCloser(body), header
		w := httptest.NewRecorder()
		f.handler.ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized || body.Len() != unread {
			t.Errorf("%s: %d, %d bytes read", name, w.Code, unread-body.Len())
		}
	}
}
