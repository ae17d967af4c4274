package deadletter_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/geminivideo/geminivideo/functions/deadletter"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

const tenant = "00000000-0000-4000-8000-00000000000a"

func TestWhatTheQueueGaveUpIsKept(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.push(t, "77", `{"ad_id":"ad-1"}`, map[string]string{
		"gv-key": "k1", "gv-tenant": tenant, "gv-subject": "contact/1/2",
		"CloudPubSubDeadLetterSourceSubscription": "winner-found", "CloudPubSubDeadLetterSourceDeliveryCount": "20",
		"CloudPubSubDeadLetterSourceSubscriptionProject": "p", "CloudPubSubDeadLetterSourceTopicPublishTime": "2026-11-22T00:00:00Z",
	})
	want := []letter{{
		Tenant: tenant, Topic: "winner-found", MessageID: "k1", Data: `{"ad_id":"ad-1"}`, Subject: "contact/1/2", Attempts: 20,
		Reason:     "every attempt to handle it failed; the function's log says why",
		Attributes: map[string]string{"gv-key": "k1", "gv-tenant": tenant, "gv-subject": "contact/1/2"},
	}}
	if diff := cmp.Diff(want, f.letters(t)); diff != "" {
		t.Error(diff)
	}
}

func TestTheTopicIsWhatTheMessageOrItsSubscriptionSays(t *testing.T) {
	t.Parallel()
	f := open(t)
	for id, c := range map[string]struct{ subscription, topic, want string }{
		"1": {"projects/p/subscriptions/crm-events", "", "crm-events"},
		"2": {"gv-crm-events-push", "", "crm-events"},
		"3": {"crm-events-sub", "", "crm-events"},
		"4": {"crmevent", "crm-events", "crm-events"},
		"5": {"crmevent", "projects/p/topics/crm-events", "crm-events"},
		"6": {"", "", "dead-letter"},
		"7": {"gv-", "", "dead-letter"},
	} {
		f.push(t, id, "x", map[string]string{"CloudPubSubDeadLetterSourceSubscription": c.subscription, "gv-topic": c.topic})
		if got := f.letters(t, id); len(got) != 1 || got[0].Topic != c.want {
			t.Errorf("%+v: kept as %+v", c, got)
		}
	}
}

func TestTheQueuesReasonIsKept(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.push(t, "1", "x", map[string]string{"gv-reason": "503: the embedding model does not answer", "gv-topic": "winner-found"})
	if got := f.letters(t); len(got) != 1 || got[0].Reason != "503: the embedding model does not answer" || got[0].Attempts != 1 {
		t.Errorf("kept as %+v", got)
	}
}

func TestOneLetterIsKeptOnceHoweverOftenItComes(t *testing.T) {
	t.Parallel()
	f := open(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { f.push(t, "1", "x", map[string]string{"gv-key": "k1", "gv-topic": "winner-found"}) })
	}
	wg.Wait()
	if got := f.letters(t); len(got) != 1 {
		t.Errorf("kept %d times", len(got))
	}
}

func TestAMessageOfNoTenantIsKeptForOperators(t *testing.T) {
	t.Parallel()
	f := open(t)
	for id, said := range map[string]string{
		"1": "", "2": "nobody", "3": "00000000-0000-4000-8000-0000000000ff", "4": "{" + tenant + "}", "5": strings.Repeat("a", 1024),
	} {
		f.push(t, id, "x", map[string]string{"gv-tenant": said, "gv-topic": "crm-events"})
		if got := f.letters(t, id); len(got) != 1 || got[0].Tenant != "" {
			t.Errorf("%q: kept as %+v", said, got)
		}
	}
	f.push(t, "6", "x", map[string]string{"gv-tenant": strings.ToUpper(tenant), "gv-topic": "crm-events"})
	if got := f.letters(t, "6"); len(got) != 1 || got[0].Tenant != tenant {
		t.Errorf("in capitals: kept as %+v", got)
	}
}

func TestNothingThatComesIsTooStrangeToKeep(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.push(t, "1", "", nil)
	f.push(t, "2", "\x00\xff\xfe", map[string]string{"a\x00b": "c\x00d", "gv-reason": "\x00", "gv-topic": "t\x00", "gv-subject": "\x00"})
	f.push(t, "\x00", "", map[string]string{"gv-topic": "\x00"})
	f.push(t, "3\x00", "x", map[string]string{"CloudPubSubDeadLetterSourceDeliveryCount": "many", "gv-key": ""})
	if got := f.letters(t); len(got) != 4 {
		t.Errorf("kept %+v", got)
	}
}

func TestADeadDatabaseIs503SoThatItComesAgain(t *testing.T) {
	t.Parallel()
	dead, err := pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: "postgres://gv_worker@127.0.0.1:1/none"})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{handler: serve.Wrap("deadletter", serve.Consume("deadletter", deadletter.New(dead)))}
	if status := f.answer(t, "1", "x", nil); status != http.StatusServiceUnavailable {
		t.Errorf("answered %d", status)
	}
}

type fixture struct {
	handler http.Handler
	admin   *pgxpool.Pool
}

func open(t *testing.T) *fixture {
	t.Helper()
	made := pgtest.New(t)
	db, err := pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: made.WorkerURL, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	admin := made.Admin(t)
	if _, err := admin.Exec(t.Context(), `INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'A')`, tenant); err != nil {
		t.Fatal(err)
	}
	return &fixture{serve.Wrap("deadletter", serve.Consume("deadletter", deadletter.New(db))), admin}
}

func (f *fixture) push(t *testing.T, id, data string, attributes map[string]string) {
	t.Helper()
	if status := f.answer(t, id, data, attributes); status != http.StatusNoContent {
		t.Errorf("letter %q: answered %d", id, status)
	}
}

func (f *fixture) answer(t *testing.T, id, data string, attributes map[string]string) int {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"message": map[string]any{
			"data": base64.StdEncoding.EncodeToString([]byte(data)), "attributes": attributes,
			"messageId": id, "publishTime": "2026-11-22T00:00:00Z",
		},
		"subscription": "projects/p/subscriptions/dead-letter", "deliveryAttempt": 3,
	})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body))))
	return w.Code
}

type letter struct {
	Tenant, Topic, MessageID, Data, Subject, Reason string
	Attempts                                        int
	Attributes                                      map[string]string
}

func (f *fixture) letters(t *testing.T, ids ...string) []letter {
	t.Helper()
	rows, _ := f.admin.Query(t.Context(), `
		SELECT coalesce(tenant_id::text, '') AS tenant, topic, message_id, encode(data, 'escape') AS data,
		       coalesce(subject, '') AS subject, reason, attempts, attributes
		FROM gv.dead_letters WHERE cardinality($1::text[]) = 0 OR message_id = ANY ($1) ORDER BY message_id`, append([]string{}, ids...))
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[letter])
	if err != nil {
		t.Fatal(err)
	}
	return found
}
