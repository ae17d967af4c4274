package winners_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/geminivideo/geminivideo/functions/winners"
	"github.com/geminivideo/geminivideo/infra/testkit/issuer"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

type fixture struct {
	handler  http.Handler
	issuer   *issuer.Issuer
	db       *pg.DB
	admin    *pgxpool.Pool
	embedder *model
}

// model is a remote embedding model: it can be down, and its calls are counted.
type model struct {
	embed.Local
	down      atomic.Bool
	documents atomic.Int64
}

func (m *model) Documents(ctx context.Context, texts []string) ([]embed.Vector, error) {
	m.documents.Add(1)
	if m.down.Load() {
		return nil, fault.Down("the embedding model does not answer", errors.New("key hunter2"))
	}
	return m.Local.Documents(ctx, texts)
}

func (m *model) Query(ctx context.Context, text string) (embed.Vector, error) {
	if m.down.Load() {
		return nil, fault.Down("the embedding model does not answer", errors.New("key hunter2"))
	}
	return m.Local.Query(ctx, text)
}

func open(t *testing.T) *fixture {
	t.Helper()
	made := pgtest.New(t)
	db, err := pg.Open(t.Context(), pg.Config{URL: made.AppURL, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	f := &fixture{issuer: issuer.New(t), db: db, admin: made.Admin(t), embedder: &model{}}
	f.handler = serve.Wrap("winners", winners.New(db, serve.Access{Verifier: f.issuer.Verifier()}, embed.Only(f.embedder)))
	if _, err := f.admin.Exec(t.Context(), `INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'A'), ($2, 'B')`, tenantA, tenantB); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) exec(t *testing.T, sql string) {
	t.Helper()
	if _, err := f.admin.Exec(t.Context(), sql, tenantA); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) token(tenant string, role auth.Role) string {
	return f.issuer.Token(tenant, "m@example.com", role, time.Hour)
}

func (f *fixture) index(t *testing.T, ad, dna string) {
	t.Helper()
	status, answer := f.post(t, auth.Editor, "index-winner", `{"ad_id":`+quote(ad)+`,"ad_data":{"creative_dna":`+dna+`},"ctr":0.03,"roas":4.5}`)
	if status != 200 || answer["status"] != "indexed" {
		t.Fatalf("index %s: %d %v", ad, status, answer)
	}
}

func (f *fixture) post(t *testing.T, role auth.Role, path, body string) (int, map[string]any) {
	t.Helper()
	return decoded(f.raw(t, http.MethodPost, path, f.token(tenantA, role), body))
}

func (f *fixture) get(t *testing.T, role auth.Role, path string) (int, map[string]any) {
	t.Helper()
	return decoded(f.raw(t, http.MethodGet, path, f.token(tenantA, role), ""))
}

func (f *fixture) raw(t *testing.T, method, path, token, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(method, "/api/ml/rag/"+path, bytes.NewBufferString(body))
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func decoded(status int, body string) (int, map[string]any) {
	answer := map[string]any{}
	_ = json.Unmarshal([]byte(body), &answer)
	return status, answer
}

func list(v any) (all []map[string]any) {
	items, _ := v.([]any)
	for _, item := range items {
		all = append(all, item.(map[string]any))
	}
	return all
}

func quote(s string) string {
	data, _ := json.Marshal(s)
	return string(data)
}
