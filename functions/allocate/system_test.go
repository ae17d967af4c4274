package allocate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"github.com/google/uuid"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/geminivideo/geminivideo/functions/allocate"
	"github.com/geminivideo/geminivideo/infra/testkit/issuer"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/serve"
)

const (
	selectPath   = "/api/ml/battle-hardened/select"
	feedbackPath = "/api/ml/battle-hardened/feedback"
)

// system is the function on a database of its own, with one tenant.
type system struct {
	t       testing.TB
	db      *pgtest.DB
	tokens  *issuer.Issuer
	queue   *pstest.Server
	handler http.Handler
	tenant  string
}

func newSystem(t testing.TB) *system {
	t.Helper()
	s := &system{t: t, db: pgtest.New(t), tokens: issuer.New(t), queue: pstest.NewServer()}
	t.Cleanup(func() { _ = s.queue.Close() })
	if _, err := s.queue.GServer.CreateTopic(t.Context(), &pubsubpb.Topic{Name: "projects/test/topics/" + ads.WinnerFound}); err != nil {
		t.Fatal(err)
	}
	s.handler = s.instance()
	s.tenant = s.newTenant("USD")
	return s
}

// instance returns another instance of the function: all it shares is the database.
func (s *system) instance() http.Handler {
	s.t.Helper()
	db, err := pg.Open(context.Background(), pg.Config{URL: s.db.AppURL, MaxConns: 2})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(db.Close)
	conn, err := grpc.NewClient(s.queue.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		s.t.Fatal(err)
	}
	queue := publish.New(publish.Config{Project: "test"}, option.WithGRPCConn(conn))
	s.t.Cleanup(func() { _ = queue.Close(); _ = conn.Close() })
	return serve.Wrap("allocate", allocate.New(db, serve.Access{Verifier: s.tokens.Verifier()}, queue))
}

func (s *system) exec(sql string, args ...any) {
	s.t.Helper()
	if _, err := s.db.Admin(s.t).Exec(s.t.Context(), sql, args...); err != nil {
		s.t.Fatalf("%s: %v", strings.TrimSpace(sql), err)
	}
}

// scalar reads one value as the database's owner.
func scalar[T any](s *system, sql string, args ...any) (v T) {
	s.t.Helper()
	if err := s.db.Admin(s.t).QueryRow(s.t.Context(), sql, args...).Scan(&v); err != nil {
		s.t.Fatalf("%s: %v", strings.TrimSpace(sql), err)
	}
	return v
}

func (s *system) newTenant(currency string) string {
	id := uuid.NewString()
	s.exec(`INSERT INTO gv.tenants (tenant_id, name, currency) VALUES ($1, 'a gym', $2)`, id, currency)
	return id
}

func (s *system) newAccount(tenant, id, currency string) {
	s.exec(`INSERT INTO gv.accounts (tenant_id, account_id, currency) VALUES ($1, $2, $3)`, tenant, id, currency)
	s.exec(`INSERT INTO gv.campaigns (tenant_id, campaign_id, account_id) VALUES ($1, $2, $3)`, tenant, "c-"+id, id)
}

func (s *system) newAd(account, id string, dailyBudget any) {
	s.exec(`INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, daily_budget_minor, created_at)
	        VALUES ($1, $2, $3, $4, $5, '2026-10-01Z')`, s.tenant, id, account, "c-"+account, dailyBudget)
}

func (s *system) token(role auth.Role) string {
	return s.tokens.Token(s.tenant, "buyer@example.com", role, time.Hour)
}

// call is one request; a zero field takes what most tests want.
type call struct {
	method, path string
	role         auth.Role
	token        string
	key          string
	body         any // a string is sent as it is
	to           http.Handler
}

type reply struct {
	status int
	header http.Header
	body   []byte
}

func (s *system) do(c call) reply {
	s.t.Helper()
	var body io.Reader
	switch b := c.body.(type) {
	case nil:
	case string:
		body = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			s.t.Fatal(err)
		}
		body = bytes.NewReader(data)
	}
	if c.method == "" {
		c.method = http.MethodPost
	}
	if c.path == "" {
		c.path = selectPath
	}
	if c.role == auth.Public {
		c.role = auth.Editor
	}
	if c.token == "" {
		c.token = s.token(c.role)
	}
	if c.to == nil {
		c.to = s.handler
	}
	r := httptest.NewRequest(c.method, c.path, body)
	r.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		r.Header.Set("Idempotency-Key", c.key)
	}
	w := httptest.NewRecorder()
	c.to.ServeHTTP(w, r)
	return reply{w.Code, w.Header(), w.Body.Bytes()}
}

type problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Errors []struct {
		Location string `json:"location"`
		Message  string `json:"message"`
	} `json:"errors"`
}

func (s *system) refused(got reply, status int) problem {
	s.t.Helper()
	var p problem
	if got.status != status {
		s.t.Errorf("status %d, want %d: %.400s", got.status, status, got.body)
	} else if err := json.Unmarshal(got.body, &p); err != nil || p.Status != status || got.header.Get("Content-Type") != "application/problem+json" {
		s.t.Errorf("not a problem: %s %.400s", got.header.Get("Content-Type"), got.body)
	}
	return p
}

// m is a JSON object.
type m = map[string]any

// adState is one ad in a request: what is fixed, then what the test is about.
func adState(id string, with ...m) m {
	a := m{"ad_id": id, "impressions": 40000, "clicks": 400, "spend": 300.0, "pipeline_value": 600.0, "age_hours": 240.0}
	for _, w := range with {
		for k, v := range w {
			if a[k] = v; v == nil {
				delete(a, k)
			}
		}
	}
	return a
}

// several returns n ads of rising return.
func several(n int) []m {
	states := make([]m, n)
	for i := range states {
		states[i] = adState(fmt.Sprintf("ad-%02d", i), m{"pipeline_value": 200.0 * float64(i)})
	}
	return states
}
