// Package apitest is what tests of an HTTP function share: a database with two
// tenants, their members' tokens, a queue that keeps what was sent, and a caller.
package apitest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/geminivideo/geminivideo/infra/testkit/issuer"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/members"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// The two tenants of every world, both in US dollars.
const (
	Tenant = "6f1c0a52-6c1b-4d6e-9a51-0d1f0c8f6a01"
	Other  = "b9e60f6e-52f5-4c7e-8f0c-3a4f5f3b7c02"
)

// World is a migrated database, who may call, and what was published.
type World struct {
	T     testing.TB
	App   *pg.DB
	Queue *Queue

	admin  *pgxpool.Pool
	issuer *issuer.Issuer
	made   *pgtest.DB
}

// New returns a world with both tenants, a member of each role in the first and
// an admin in the other, and nothing else.
func New(t testing.TB) *World {
	t.Helper()
	db := pgtest.New(t)
	app, err := pg.Open(context.Background(), pg.Config{URL: db.AppURL, MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)
	w := &World{T: t, App: app, Queue: &Queue{}, admin: db.Admin(t), issuer: issuer.New(t), made: db}
	w.Exec(`INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'Northside'), ($2, 'Southside')`, Tenant, Other)
	w.Exec(`INSERT INTO gv.members (tenant_id, email, role, added_by, accepted_at)
		SELECT $1::uuid, role || '@northside.example', role, 'apitest', now() FROM unnest(ARRAY['admin', 'editor', 'viewer']) AS role
		UNION ALL SELECT $2::uuid, 'admin@southside.example', 'admin', 'apitest', now()`, Tenant, Other)
	return w
}

// AppURL is where gv_app finds the world's database.
func (w *World) AppURL() string { return w.made.AppURL }

// Lock runs SQL that takes a lock, as the database's owner, and returns what lets go.
func (w *World) Lock(sql string) (unlock func()) {
	w.T.Helper()
	ctx := context.Background()
	tx, err := w.admin.Begin(ctx)
	if err == nil {
		_, err = tx.Exec(ctx, sql)
	}
	if err != nil {
		w.T.Fatal(err)
	}
	unlock = sync.OnceFunc(func() { _ = tx.Rollback(ctx) })
	w.T.Cleanup(unlock)
	return unlock
}

// WorkerURL is where gv_worker finds the world's database.
func (w *World) WorkerURL() string { return w.made.WorkerURL }

// Access trusts the world's tokens and knows its members.
func (w *World) Access() serve.Access {
	return serve.Access{Verifier: w.issuer.Verifier(), Members: members.In(w.App)}
}

// TokenFor is a token of anybody: tenant may be empty.
func (w *World) TokenFor(tenant, email string, role auth.Role) string {
	return w.issuer.Token(tenant, email, role, time.Hour)
}

// Token is a token of Tenant's member with that role.
func (w *World) Token(role auth.Role) string {
	return w.issuer.Token(Tenant, role.String()+"@northside.example", role, time.Hour)
}

// OtherToken is a token of Other's admin.
func (w *World) OtherToken() string {
	return w.issuer.Token(Other, "admin@southside.example", auth.Admin, time.Hour)
}

// CPU is the processor time that the world's connections have used on the server.
func (w *World) CPU() time.Duration { return w.made.CPU(w.T) }

// Exec runs SQL as the database's owner.
func (w *World) Exec(sql string, args ...any) {
	w.T.Helper()
	if _, err := w.admin.Exec(context.Background(), sql, args...); err != nil {
		w.T.Fatal(err)
	}
}

// Text returns the one value that a query selects, as text; "" for null.
func (w *World) Text(sql string, args ...any) string {
	w.T.Helper()
	var v any
	if err := w.admin.QueryRow(context.Background(), sql, args...).Scan(&v); err != nil {
		w.T.Fatalf("%s: %v", sql, err)
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// Answer is what a function answered.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// JSON is the answer's body as an object.
func (a Answer) JSON(t testing.TB) map[string]any {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal([]byte(a.Body), &body); err != nil {
		t.Fatalf("%d %q is not a JSON object: %v", a.Status, a.Body, err)
	}
	return body
}

// Names reports whether a problem names the field.
func (a Answer) Names(field string) bool { return strings.Contains(a.Body, `"location":"`+field+`"`) }

// Call sends a request to h. headers are names and values in turn; a body with
// no Content-Type among them is sent as JSON.
func (w *World) Call(h http.Handler, method, path, token string, body any, headers ...string) Answer {
	w.T.Helper()
	var payload []byte
	switch b := body.(type) {
	case nil:
	case string:
		payload = []byte(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			w.T.Fatal(err)
		}
		payload = data
	}
	r := httptest.NewRequestWithContext(w.T.Context(), method, path, bytes.NewReader(payload))
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
		}
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return Answer{rec.Code, rec.Header(), rec.Body.String()}
}

// Queue stands where Pub/Sub would and keeps what was published.
type Queue struct {
	mu   sync.Mutex
	sent []message.Message
}

// Publish keeps messages.
func (q *Queue) Publish(_ context.Context, messages ...message.Message) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sent = append(q.sent, messages...)
	return nil
}

// Sent returns what was published to topic, as text.
func (q *Queue) Sent(topic string) []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	var data []string
	for _, m := range q.sent {
		if m.Topic == topic {
			data = append(data, string(m.Data))
		}
	}
	return data
}

// Messages returns what was published to topic.
func (q *Queue) Messages(topic string) []message.Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	var sent []message.Message
	for _, m := range q.sent {
		if m.Topic == topic {
			sent = append(sent, m)
		}
	}
	return sent
}
