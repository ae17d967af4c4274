package replay_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/geminivideo/geminivideo/functions/replay"
	"github.com/geminivideo/geminivideo/infra/testkit/issuer"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/deadletter"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/serve"
)

type fixture struct {
	handler http.Handler
	issuer  *issuer.Issuer
	admin   *pgxpool.Pool
	worker  *pg.Worker
	queue   *pstest.Server
}

func open(t *testing.T) *fixture {
	t.Helper()
	made := pgtest.New(t)
	db, err := pg.Open(t.Context(), pg.Config{URL: made.AppURL, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	worker, err := pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: made.WorkerURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(worker.Close)
	queue := pstest.NewServer()
	t.Cleanup(func() { queue.Close() })
	if _, err := queue.GServer.CreateTopic(t.Context(), &pubsubpb.Topic{Name: "projects/p/topics/winner-found"}); err != nil {
		t.Fatal(err)
	}
	client := publish.New(publish.Config{Project: "p"}, option.WithEndpoint(queue.Addr), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	t.Cleanup(func() { _ = client.Close() })
	f := &fixture{issuer: issuer.New(t), admin: made.Admin(t), worker: worker, queue: queue}
	f.handler = serve.Wrap("replay", replay.New(db, serve.Access{Verifier: f.issuer.Verifier()}, client))
	f.exec(t, `INSERT INTO gv.tenants (tenant_id, name) VALUES ('`+tenantA+`', 'A'), ('`+tenantB+`', 'B')`)
	return f
}

func (f *fixture) exec(t *testing.T, sql string) {
	t.Helper()
	if _, err := f.admin.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// store keeps a letter, as a consumer does, and returns its id.
func (f *fixture) store(t *testing.T, tenant, key string) string {
	t.Helper()
	return f.keepData(t, tenant, key, `{"ad_id":"ad-1","portalId":5,"name":"Ann"}`)
}

func (f *fixture) keepData(t *testing.T, tenant, key, data string) (id string) {
	t.Helper()
	m := message.Message{ID: "7", Data: []byte(data), Attempt: 3, Attributes: map[string]string{
		message.KeyAttribute: key, message.TenantAttribute: tenant, message.SubjectAttribute: "contact/1/2",
	}}
	err := pg.Across(t.Context(), f.worker, func(tx pgx.Tx) error {
		return deadletter.Keep(t.Context(), tx, "winner-found", m, "there is no ad with this ad_id")
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.admin.QueryRow(t.Context(), `SELECT dead_letter_id FROM gv.dead_letters WHERE message_id = $1`, key).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

func (f *fixture) waiting(t *testing.T) (n int) {
	t.Helper()
	if err := f.admin.QueryRow(t.Context(), `SELECT count(*) FROM gv.outbox`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (f *fixture) replay(t *testing.T, tenant, id string) (int, map[string]any) {
	t.Helper()
	return decoded(f.raw(t, http.MethodPost, "/"+id+"/replay", tenant, auth.Admin))
}

func (f *fixture) get(t *testing.T, path string) (int, map[string]any) {
	t.Helper()
	return decoded(f.raw(t, http.MethodGet, path, tenantA, auth.Admin))
}

func (f *fixture) raw(t *testing.T, method, path, tenant string, role auth.Role) (int, string) {
	t.Helper()
	r := httptest.NewRequest(method, "/api/dead-letters"+path, nil)
	r.Header.Set("Authorization", "Bearer "+f.issuer.Token(tenant, "admin@example.com", role, time.Hour))
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func decoded(status int, body string) (int, map[string]any) {
	answer := map[string]any{}
	_ = json.Unmarshal([]byte(body), &answer)
	return status, answer
}
