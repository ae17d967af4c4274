package replay_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/geminivideo/geminivideo/functions/replay"
	"github.com/geminivideo/geminivideo/infra/local/issuer"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/deadletter"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/pgtest"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/serve"
)

const (
	tenantA = "00000000-0000-4000-8000-00000000000a"
	tenantB = "00000000-0000-4000-8000-00000000000b"
)

func TestALetterIsSentAgainUnderItsFirstKey(t *testing.T) {
	t.Parallel()
	f := open(t)
	id := f.keep(t, tenantA, "k1")
	status, answer := f.replay(t, tenantA, id)
	if status != 200 || answer["status"] != "replayed" || answer["replayed_by"] != "admin@example.com" || answer["topic"] != "winner-found" {
		t.Fatalf("%d %v", status, answer)
	}
	sent := f.queue.Messages()
	if len(sent) != 1 || string(sent[0].Data) != `{"ad_id":"ad-1","portalId":5,"name":"Ann"}` ||
		sent[0].Attributes["gv-key"] != "k1" || sent[0].Attributes["gv-tenant"] != tenantA || sent[0].Attributes["gv-subject"] != "contact/1/2" {
		t.Errorf("sent %+v", sent)
	}
	if n := f.waiting(t); n != 0 {
		t.Errorf("%d messages wait", n)
	}
}

func TestALetterIsReplayedOnceUntilItFailsAgain(t *testing.T) {
	t.Parallel()
	f := open(t)
	id := f.keep(t, tenantA, "k1")
	var ok atomic.Int64
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			switch status, answer := f.replay(t, tenantA, id); status {
			case 200:
				ok.Add(1)
			case 409:
			default:
				t.Errorf("%d %v", status, answer)
			}
		})
	}
	wg.Wait()
	if ok.Load() != 1 || len(f.queue.Messages()) != 1 {
		t.Errorf("%d replays, %d messages", ok.Load(), len(f.queue.Messages()))
	}
	if again := f.keep(t, tenantA, "k1"); again != id {
		t.Errorf("the message that failed again is another letter")
	}
	if status, answer := f.replay(t, tenantA, id); status != 200 {
		t.Errorf("after it failed again: %d %v", status, answer)
	}
}

func TestAQueueThatIsDownLeavesTheMessageForTheRelay(t *testing.T) {
	t.Parallel()
	f := open(t)
	id := f.keep(t, tenantA, "k1")
	f.queue.Close()
	if status, answer := f.replay(t, tenantA, id); status != 200 {
		t.Errorf("%d %v", status, answer)
	}
	if n := f.waiting(t); n != 1 {
		t.Errorf("%d messages wait, want 1", n)
	}
}

func TestLettersAreListedNewestFirstPageByPage(t *testing.T) {
	t.Parallel()
	f := open(t)
	if _, body := f.raw(t, http.MethodGet, "", tenantA, auth.Admin); !strings.Contains(body, `"dead_letters":[]`) || strings.Contains(body, "next_cursor") {
		t.Errorf("no letters are listed as %s", body)
	}
	var want []string
	for i := range 7 {
		want = append([]string{f.keep(t, tenantA, fmt.Sprint("k", i))}, want...)
	}
	// Letters of one moment are told apart by their ids.
	f.exec(t, `UPDATE gv.dead_letters SET received_at = '2026-11-22T10:00:00.123456Z' WHERE message_id IN ('k2', 'k3', 'k4')`)
	f.keep(t, tenantB, "theirs")
	seen := map[string]bool{}
	cursor, pages := "", 0
	for {
		_, answer := f.get(t, "?limit=2&cursor="+cursor)
		for _, l := range answer["dead_letters"].([]any) {
			id := l.(map[string]any)["id"].(string)
			if seen[id] {
				t.Errorf("%s is on two pages", id)
			}
			seen[id] = true
		}
		pages++
		var more bool
		if cursor, more = answer["next_cursor"].(string); !more {
			break
		}
	}
	if len(seen) != 7 || pages != 4 {
		t.Errorf("%d letters on %d pages", len(seen), pages)
	}
	_, answer := f.get(t, "")
	if first := answer["dead_letters"].([]any)[0].(map[string]any)["id"]; first != want[0] {
		t.Errorf("the newest is %v, want %s", first, want[0])
	}
	f.replay(t, tenantA, want[0])
	if _, answer := f.get(t, "?open=true&topic=winner-found"); len(answer["dead_letters"].([]any)) != 6 {
		t.Errorf("open letters: %v", answer)
	}
	if _, answer := f.get(t, "?topic=crm-events"); len(answer["dead_letters"].([]any)) != 0 {
		t.Errorf("letters of another topic: %v", answer)
	}
}

func TestOfAMessageOnlyItsIDsAreShown(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.keep(t, tenantA, "k1")
	_, answer := f.get(t, "")
	got := answer["dead_letters"].([]any)[0].(map[string]any)
	delete(got, "id")
	delete(got, "received_at")
	want := map[string]any{
		"topic": "winner-found", "message_id": "k1", "reason": "there is no ad with this ad_id", "attempts": 3.0,
		"ids": map[string]any{"ad_id": "ad-1", "portalId": "5"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestStrangeDataIsListedWithoutIDs(t *testing.T) {
	t.Parallel()
	f := open(t)
	for i, data := range []string{"", "\x00\xff", "[1]", "null", `{"email_id":"ann@example.com","x_id":{"a":1},"id":null}`, `{"id":"` + strings.Repeat("x", 5000) + `"}`} {
		f.keepData(t, tenantA, fmt.Sprint("k", i), data)
	}
	_, answer := f.get(t, "")
	for _, l := range answer["dead_letters"].([]any) {
		if ids := l.(map[string]any)["ids"].(map[string]any); len(ids) != 0 {
			t.Errorf("shown: %v", ids)
		}
	}
}

func TestAnotherTenantsLettersAreOutOfReach(t *testing.T) {
	t.Parallel()
	f := open(t)
	theirs, nobodys := f.keep(t, tenantB, "k1"), f.keep(t, "", "k2")
	for _, id := range []string{theirs, nobodys, "00000000-0000-4000-8000-0000000000ff"} {
		if status, _ := f.replay(t, tenantA, id); status != 404 {
			t.Errorf("%s: %d", id, status)
		}
	}
	if _, answer := f.get(t, ""); len(answer["dead_letters"].([]any)) != 0 {
		t.Errorf("listed: %v", answer)
	}
	if len(f.queue.Messages()) != 0 {
		t.Error("something was sent")
	}
}

func TestOnlyAnAdminListsAndReplays(t *testing.T) {
	t.Parallel()
	f := open(t)
	id := f.keep(t, tenantA, "k1")
	if status, _ := f.raw(t, http.MethodGet, "", tenantA, auth.Editor); status != 403 {
		t.Errorf("an editor lists: %d", status)
	}
	if status, _ := f.raw(t, http.MethodPost, "/"+id+"/replay", tenantA, auth.Editor); status != 403 {
		t.Errorf("an editor replays: %d", status)
	}
}

func TestBadInputIsNamed(t *testing.T) {
	t.Parallel()
	f := open(t)
	for path, field := range map[string]string{
		"?limit=0": "query.limit", "?limit=201": "query.limit", "?limit=x": "query.limit", "?cursor=x": "query.cursor",
		"?cursor=eCB5": "query.cursor", "?open=perhaps": "query.open",
	} {
		status, body := f.raw(t, http.MethodGet, path, tenantA, auth.Admin)
		if status != 422 || !strings.Contains(body, `"`+field+`"`) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, body := f.raw(t, http.MethodPost, "/5/replay", tenantA, auth.Admin); status != 422 || !strings.Contains(body, "path.id") {
		t.Errorf("an id of no form: %d %s", status, body)
	}
}

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

// keep keeps a letter, as a consumer does, and returns its id.
func (f *fixture) keep(t *testing.T, tenant, key string) string {
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
