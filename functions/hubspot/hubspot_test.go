package hubspot_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/functions/hubspot"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/infra/testkit/vault"
	"github.com/geminivideo/geminivideo/shared/fault"
	crm "github.com/geminivideo/geminivideo/shared/hubspot"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

const (
	publicURL = "https://hooks.example.com"
	uri       = publicURL + "/webhooks/hubspot"
	secret    = vault.Marker + "the app's secret"
	other     = vault.Marker + "another app's secret"
	ownApp    = vault.Marker + "the deployment's secret"
)

// queue keeps what was published, or refuses it.
type queue struct {
	sent []message.Message
	err  error
}

func (q *queue) Publish(_ context.Context, messages ...message.Message) error {
	if q.err != nil {
		return q.err
	}
	q.sent = append(q.sent, messages...)
	return nil
}

type fixture struct {
	t       *testing.T
	handler http.Handler
	queue   *queue
	db      *pgtest.DB
}

// newFixture has two tenants: portal 1 with an app of its own, portal 2 with
// another, and portal 3 on the deployment's app.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	db := pgtest.New(t)
	server, store := vault.New(t)
	for name, value := range map[string]string{"a": secret, "b": other, "old": "the secret before"} {
		if err := server.Set("projects/p/secrets/"+name, value); err != nil {
			t.Fatal(err)
		}
	}
	_, err := db.Admin(t).Exec(t.Context(), `
		WITH t AS (INSERT INTO gv.tenants (name) VALUES ('A'), ('B') RETURNING tenant_id, name)
		INSERT INTO gv.hubspot_connections (tenant_id, portal_id, client_secret, previous_secret, previous_until, access_token, connected_by)
		SELECT tenant_id, 1, 'projects/p/secrets/a', 'projects/p/secrets/old', now() + interval '1 hour', 'x', 'test' FROM t WHERE name = 'A'
		UNION ALL SELECT tenant_id, 2, 'projects/p/secrets/b', 'projects/p/secrets/old', now() - interval '1 second', 'x', 'test' FROM t WHERE name = 'B'
		UNION ALL SELECT tenant_id, 3, NULL, NULL, NULL, 'x', 'test' FROM t WHERE name = 'B'`)
	if err != nil {
		t.Fatal(err)
	}
	app, err := pg.Open(t.Context(), pg.Config{URL: db.AppURL, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)
	q := &queue{}
	return &fixture{t, serve.Wrap("hubspot", hubspot.New(app, q, store, publicURL, ownApp)), q, db}
}

func (f *fixture) post(body []byte, header http.Header) *httptest.ResponseRecorder {
	f.t.Helper()
	r := httptest.NewRequestWithContext(f.t.Context(), http.MethodPost, "http://10.1.2.3:8080/webhooks/hubspot", bytes.NewReader(body))
	r.Header = header.Clone()
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	return w
}

func event(portal int64, n int) string {
	return fmt.Sprintf(`{"eventId":%d,"subscriptionId":1,"portalId":%d,"appId":1,"occurredAt":1752613920733,"subscriptionType":"deal.propertyChange","attemptNumber":0,"objectId":%d,"propertyName":"dealstage","propertyValue":"closedwon"}`, n, portal, n)
}

func batch(portal int64, n int) []byte {
	events := make([]string, n)
	for i := range events {
		events[i] = event(portal, i+1)
	}
	return []byte("[" + strings.Join(events, ",") + "]")
}

func signed(key string, body []byte, at time.Time) http.Header {
	return crm.Sign(key, http.MethodPost, uri, body, at)
}

func TestASignedBatchIsQueuedWhole(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for portal, key := range map[int64]string{1: secret, 2: other, 3: ownApp} {
		f.queue.sent = nil
		body := batch(portal, 100)
		w := f.post(body, signed(key, body, time.Now()))
		if got := strings.TrimSpace(w.Body.String()); w.Code != http.StatusOK || got != `{"events":100,"status":"queued"}` {
			t.Errorf("portal %d: %d %s", portal, w.Code, got)
		}
		keys := map[string]bool{}
		for _, m := range f.queue.sent {
			keys[m.Key()] = true
			if m.Topic != "crm-events" || m.Tenant() == "" {
				t.Errorf("queued on %q for tenant %q", m.Topic, m.Tenant())
			}
		}
		if len(keys) != 100 {
			t.Errorf("portal %d: %d different messages, want 100", portal, len(keys))
		}
	}
}

func TestOnlyWhatHubSpotSignedIsQueued(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	now := time.Now()
	body := batch(1, 3)
	good := signed(secret, body, now)
	changed := bytes.Replace(body, []byte("closedwon"), []byte("closedwoN"), 1)
	old := http.Header{}
	for name, values := range good {
		if name != crm.SignatureHeader && name != http.CanonicalHeaderKey(crm.SignatureHeader) {
			old[name] = values
		}
	}
	old.Set("X-HubSpot-Signature", "69fc6631a867edd4f9e9e627fc5c1148e3fbdd8b21837b6d2b8901c1fa57f750")
	old.Set("X-HubSpot-Signature-Version", "v1")
	noTime := good.Clone()
	noTime.Del(crm.TimestampHeader)
	mixed := []byte("[" + event(1, 1) + "," + event(2, 2) + "]")
	for name, c := range map[string]struct {
		body   []byte
		header http.Header
	}{
		"one byte changed":            {changed, good},
		"a stale timestamp":           {body, signed(secret, body, now.Add(-5*time.Minute-2*time.Second))},
		"a future timestamp":          {body, signed(secret, body, now.Add(5*time.Minute+2*time.Second))},
		"no signature":                {body, http.Header{}},
		"no timestamp":                {body, noTime},
		"version 1 only":              {body, old},
		"another secret":              {body, signed("guess", body, now)},
		"an empty secret":             {body, signed("", body, now)},
		"another connection's portal": {batch(2, 1), signed(secret, batch(2, 1), now)},
		"a portal nobody connected":   {batch(99, 1), signed(secret, batch(99, 1), now)},
		"one portal of two not ours":  {mixed, signed(secret, mixed, now)},
		"a secret past its overlap":   {batch(2, 1), signed("the secret before", batch(2, 1), now)},
		"the deployment's own secret": {body, signed(ownApp, body, now)},
	} {
		w := f.post(c.body, c.header)
		var p struct {
			Status int    `json:"status"`
			Error  string `json:"error"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != http.StatusUnauthorized || p.Error != "Invalid signature" ||
			w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if len(f.queue.sent) > 0 {
			t.Fatalf("%s: something was queued", name)
		}
	}
}

func TestDuringARotationBothSecretsCount(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body := batch(1, 1)
	if w := f.post(body, signed("the secret before", body, time.Now())); w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestWhatCannotBeQueuedIsSentAgainByHubSpot(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.queue.err = fault.Down("the message queue does not take messages right now", errors.New("broken"))
	body := batch(1, 1)
	w := f.post(body, signed(secret, body, time.Now()))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "broken") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestMessagesCarryNoPersonalData(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body := []byte(`[{"eventId":1,"subscriptionId":1,"portalId":1,"occurredAt":1752613920733,"subscriptionType":"contact.propertyChange","objectId":77,"propertyName":"email","propertyValue":"jane@example.com"}]`)
	if w := f.post(body, signed(secret, body, time.Now())); w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	m := f.queue.sent[0]
	if bytes.Contains(m.Data, []byte("jane")) || m.Subject() != "contact/1/77" {
		t.Errorf("queued %s about %q", m.Data, m.Subject())
	}
}

// Pub/Sub takes no attribute of more than 1,024 bytes: an event must not be one that
// HubSpot sends for ever. It is queued, and its consumer refuses it for good.
func TestASignedEventOfAnOutlandishTypeIsQueuedAndThenRefusedForGood(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body := []byte(`[{"eventId":1,"subscriptionId":1,"portalId":1,"occurredAt":1752613920733,"subscriptionType":"deal.` +
		strings.Repeat("x", 1025) + `","objectId":77}]`)
	if w := f.post(body, signed(secret, body, time.Now())); w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	m := f.queue.sent[0]
	for name, value := range m.Attributes {
		if len(value) > 1024 {
			t.Errorf("attribute %s has %d bytes", name, len(value))
		}
	}
	if _, err := crm.ParseMessage(m.Data); !fault.Permanent(err) {
		t.Errorf("%v", err)
	}
}

func TestASignedBatchThatIsNoneIsRefusedByItsForm(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for body, want := range map[string]int{`{"not":"a batch"}`: http.StatusBadRequest, `[`: http.StatusBadRequest, `[]`: http.StatusOK} {
		if w := f.post([]byte(body), signed(ownApp, []byte(body), time.Now())); w.Code != want {
			t.Errorf("%s: %d %s, want %d", body, w.Code, w.Body, want)
		}
		if w := f.post([]byte(body), signed("guess", []byte(body), time.Now())); w.Code != http.StatusUnauthorized {
			t.Errorf("%s with a wrong signature: %d, want 401", body, w.Code)
		}
	}
}

func TestABodyWithoutASignatureIsNotRead(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if w := f.post(bytes.Repeat([]byte("x"), 11<<20), http.Header{}); w.Code != http.StatusUnauthorized {
		t.Errorf("%d %s, want 401", w.Code, w.Body)
	}
}

func TestABodyWithoutEndIsCutOff(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body := bytes.Repeat([]byte("x"), 11<<20)
	if w := f.post(body, signed(secret, body, time.Now())); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
