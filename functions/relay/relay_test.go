package relay_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/geminivideo/geminivideo/functions/relay"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/serve"
)

const tenant = "00000000-0000-4000-8000-00000000000a"

func TestWhatTheOutboxHoldsIsSentOnce(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.exec(t, `INSERT INTO gv.outbox (tenant_id, topic, data) SELECT $1, 'crm-events', convert_to('m' || n, 'UTF8') FROM generate_series(1, 250) n`, tenant)
	f.exec(t, `INSERT INTO gv.outbox (tenant_id, topic, data, due_at) VALUES ($1, 'crm-events', 'later', now() + interval '1 minute')`, tenant)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { f.run(t) })
	}
	wg.Wait()
	f.run(t)
	seen := map[string]int{}
	for _, m := range f.queue.Messages() {
		seen[string(m.Data)]++
	}
	if len(seen) != 250 || len(f.queue.Messages()) != 250 {
		t.Errorf("sent %d messages, %d of them different", len(f.queue.Messages()), len(seen))
	}
	if n := f.count(t, `gv.outbox`); n != 1 {
		t.Errorf("%d messages wait, want the one that is not due", n)
	}
}

func TestWhatHasHadItsTimeIsCleared(t *testing.T) {
	t.Parallel()
	f := open(t)
	for i, age := range []string{"0", "23 hours 59 minutes", "24 hours 1 minute", "59 days", "61 days", "399 days", "401 days"} {
		f.exec(t, `INSERT INTO gv.inbox (tenant_id, consumer, event_key, received_at) VALUES ($1, 'c', $2, now() - ($2::text)::interval)`, tenant, age)
		f.exec(t, `INSERT INTO gv.idempotency_keys (tenant_id, operation, key, body_hash, answer, created_at) VALUES ($1, 'POST /x', $2, '', '', now() - ($2::text)::interval)`, tenant, age)
		f.exec(t, `INSERT INTO gv.ad_observations (tenant_id, bucket, version, ads, observations, records, updated_at)
			VALUES ($1, $2, 1, 0, 0, '', now() - ($3::text)::interval)`, tenant, i, age)
		f.exec(t, `INSERT INTO gv.sweeps (tenant_id, report, requested_by, started_at, completed_at) VALUES ($1, '{}', 's', now(), now() - ($2::text)::interval)`, tenant, age)
		f.exec(t, `INSERT INTO gv.change_requests (tenant_id, request_key, ad_id, change_id, source, created_at)
			VALUES ($1, $2, 'a', gen_random_uuid(), 'member', now() - ($2::text)::interval)`, tenant, age)
		f.exec(t, `INSERT INTO gv.pending_ad_changes (tenant_id, request_key, account_id, campaign_id, ad_id, budget_object, kind, target_minor, reason, source, requested_by, status, finished_at)
			VALUES ($1, $2, 'a', 'c', 'a', 'adset/' || $2, 'budget', 1, 'r', 'member', 'm', 'applied', now() - ($2::text)::interval)`, tenant, age)
	}
	f.exec(t, `INSERT INTO gv.leases (name, token, expires_at) VALUES ('old', gen_random_uuid(), now() - interval '2 hours'), ('held', gen_random_uuid(), now() + interval '1 minute')`)
	got := f.run(t)
	want := map[string]any{"leases": 1.0, "idempotency_keys": 5.0, "inbox": 3.0, "ad_observations": 1.0, "sweeps": 2.0, "change_requests": 1.0, "pending_ad_changes": 1.0, "webhook_attempts": 0.0, "slack_notices": 0.0}
	if diff := cmp.Diff(want, got["cleared"]); diff != "" || got["skipped"] != false || got["unfinished"] != false {
		t.Errorf("%v: %s", got, diff)
	}
	for table, left := range map[string]int{"gv.inbox": 4, "gv.idempotency_keys": 2, "gv.ad_observations": 6, "gv.sweeps": 5, "gv.change_requests": 6, "gv.pending_ad_changes": 6, "gv.leases": 1} {
		if n := f.count(t, table); n != left {
			t.Errorf("%s has %d rows left, want %d", table, n, left)
		}
	}
}

func TestManyOldRowsAreClearedInBatches(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.exec(t, `INSERT INTO gv.inbox (tenant_id, consumer, event_key, received_at) SELECT $1, 'c', n::text, now() - interval '90 days' FROM generate_series(1, 12345) n`, tenant)
	got := f.run(t)
	if got["cleared"].(map[string]any)["inbox"] != 12345.0 || f.count(t, "gv.inbox") != 0 {
		t.Errorf("%v", got)
	}
}

func TestTheMonthsOfDecisionsArePrepared(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.exec(t, `SELECT gv.partition_decisions('2030-12-15')`)
	f.run(t)
	for _, month := range []time.Time{time.Now().UTC(), time.Now().UTC().AddDate(0, 0, 1-time.Now().UTC().Day()).AddDate(0, 1, 0)} {
		if n := f.count(t, `pg_tables WHERE schemaname = 'gv' AND tablename = 'decisions_`+month.Format("200601")+`'`); n != 1 {
			t.Errorf("%s has no partition", month.Format("2006-01"))
		}
	}
}

// A month begins where the one before it ends, whatever zone a session is in.
func TestPartitionsMeetWhateverTheSessionsZone(t *testing.T) {
	t.Parallel()
	f := open(t)
	for i, zone := range []string{"UTC", "Pacific/Auckland", "America/Los_Angeles", "Asia/Kathmandu"} {
		conn, err := f.admin.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), `SET timezone = '`+zone+`'`); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), `SELECT gv.partition_decisions($1::date)`, fmt.Sprintf("2031-%02d-28", 2*i+1)); err != nil {
			t.Errorf("%s: %v", zone, err)
		}
		_ = conn.Conn().Close(t.Context())
		conn.Release()
	}
}

func TestASecondRunIsSkippedAndSaysSo(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.exec(t, `INSERT INTO gv.leases (name, token, expires_at) VALUES ('relay', gen_random_uuid(), now() + interval '1 minute')`)
	f.exec(t, `INSERT INTO gv.outbox (tenant_id, topic, data) VALUES ($1, 'crm-events', 'm')`, tenant)
	if got := f.run(t); got["skipped"] != true || len(f.queue.Messages()) != 0 {
		t.Errorf("%v", got)
	}
	f.exec(t, `UPDATE gv.leases SET expires_at = now() - interval '1 second'`)
	if got := f.run(t); got["skipped"] != false || got["sent"] != 1.0 {
		t.Errorf("after the other died: %v", got)
	}
	if n := f.count(t, "gv.leases"); n != 0 {
		t.Error("the lease was not given back")
	}
}

func TestAQueueThatIsDownIsSaidAndTheRestIsDone(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.exec(t, `INSERT INTO gv.outbox (tenant_id, topic, data) VALUES ($1, 'no-such-topic', 'bad'), ($1, 'crm-events', 'good')`, tenant)
	f.exec(t, `INSERT INTO gv.inbox (tenant_id, consumer, event_key, received_at) VALUES ($1, 'c', 'k', now() - interval '90 days')`, tenant)
	if status, answer := f.answer(t.Context()); status != http.StatusServiceUnavailable {
		t.Errorf("%d %v", status, answer)
	}
	if n := f.count(t, `gv.outbox WHERE topic = 'no-such-topic' AND last_error IS NOT NULL AND attempt = 1 AND due_at > created_at`); n != 1 {
		t.Error("the message that could not be sent does not wait")
	}
	if sent := f.queue.Messages(); len(sent) != 1 || string(sent[0].Data) != "good" {
		t.Errorf("sent %v", sent)
	}
	if f.count(t, "gv.inbox") != 0 || f.count(t, "gv.leases") != 0 {
		t.Error("nothing was cleared, or the lease was not given back")
	}
}

func TestARunEndsCleanlyWhenItsTimeIsUp(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.exec(t, `INSERT INTO gv.outbox (tenant_id, topic, data) SELECT $1, 'crm-events', 'm' FROM generate_series(1, 2000) n`, tenant)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second+50*time.Millisecond) // 50 ms are the run's own
	defer cancel()
	status, answer := f.answer(ctx)
	if status == http.StatusOK && answer["unfinished"] != true && f.count(t, "gv.outbox") != 0 {
		t.Errorf("%d %v", status, answer)
	}
	if f.count(t, "gv.leases") != 0 {
		t.Error("the lease was not given back")
	}
	f.exec(t, `UPDATE gv.outbox SET due_at = now()`)
	if got := f.run(t); got["unfinished"] != false || f.count(t, "gv.outbox") != 0 {
		t.Errorf("the next run: %v", got)
	}
}

func TestADeadDatabaseIs503(t *testing.T) {
	t.Parallel()
	f := open(t)
	dead, err := pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: "postgres://gv_worker@127.0.0.1:1/none"})
	if err != nil {
		t.Fatal(err)
	}
	f.handler = serve.Wrap("relay", serve.Tick(relay.New(dead, f.client, nil)))
	if status, answer := f.answer(t.Context()); status != http.StatusServiceUnavailable {
		t.Errorf("%d %v", status, answer)
	}
}

type fixture struct {
	handler http.Handler
	admin   *pgxpool.Pool
	queue   *pstest.Server
	client  *publish.Client
	db      *pg.Worker
}

func open(t *testing.T) *fixture {
	t.Helper()
	made := pgtest.New(t)
	worker, err := pg.OpenWorker(t.Context(), pg.WorkerConfig{URL: made.WorkerURL, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(worker.Close)
	queue := pstest.NewServer()
	t.Cleanup(func() { queue.Close() })
	if _, err := queue.GServer.CreateTopic(t.Context(), &pubsubpb.Topic{Name: "projects/p/topics/crm-events"}); err != nil {
		t.Fatal(err)
	}
	client := publish.New(publish.Config{Project: "p"}, option.WithEndpoint(queue.Addr), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	t.Cleanup(func() { _ = client.Close() })
	f := &fixture{serve.Wrap("relay", serve.Tick(relay.New(worker, client, nil))), made.Admin(t), queue, client, worker}
	f.exec(t, `INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'A')`, tenant)
	return f
}

func (f *fixture) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := f.admin.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) text(t *testing.T, sql string) (text string) {
	t.Helper()
	if err := f.admin.QueryRow(t.Context(), sql).Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}

func (f *fixture) count(t *testing.T, from string) (n int) {
	t.Helper()
	if err := f.admin.QueryRow(t.Context(), `SELECT count(*) FROM `+from).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (f *fixture) answer(ctx context.Context) (int, map[string]any) {
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/", nil))
	answer := map[string]any{}
	_ = json.Unmarshal(w.Body.Bytes(), &answer)
	return w.Code, answer
}

func (f *fixture) run(t *testing.T) map[string]any {
	t.Helper()
	status, answer := f.answer(t.Context())
	if status != http.StatusOK {
		t.Errorf("answered %d %v", status, answer)
	}
	return answer
}
