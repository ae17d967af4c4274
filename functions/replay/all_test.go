package replay_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/shared/auth"
)

func (f *fixture) replayAll(t *testing.T, tenant, body string) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/api/dead-letters/replay", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+f.issuer.Token(tenant, "admin@example.com", auth.Admin, time.Hour))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	return decoded(w.Code, w.Body.String())
}

func TestLettersAreReplayedByFilterAfterADryRunAndEachOnce(t *testing.T) {
	t.Parallel()
	f := open(t)
	for n := range 6 {
		f.store(t, tenantA, fmt.Sprint("key-", n))
	}
	f.store(t, tenantB, "theirs")
	f.exec(t, `UPDATE gv.dead_letters SET reason = 'HubSpot does not answer' WHERE message_id IN ('key-0', 'key-1', 'key-2')`)
	f.exec(t, `UPDATE gv.dead_letters SET received_at = '2026-01-01' WHERE message_id = 'key-0'`)
	const filter = `"topic":"winner-found","reason":"hubspot","received_after":"2026-02-01T00:00:00Z"`
	if status, answer := f.replayAll(t, tenantA, `{`+filter+`}`); status != 200 || answer["matched"] != 2.0 || answer["replayed"] != 0.0 || f.marked(t) != 0 {
		t.Fatalf("the dry run answers %d %v", status, answer)
	}
	var replayed atomic.Int64
	var twins sync.WaitGroup
	for range 4 {
		twins.Go(func() {
			status, answer := f.replayAll(t, tenantA, `{"dry_run":false,`+filter+`}`)
			if status != 200 {
				t.Errorf("%d %v", status, answer)
				return
			}
			replayed.Add(int64(answer["replayed"].(float64)))
		})
	}
	twins.Wait()
	if replayed.Load() != 2 || f.marked(t) != 2 {
		t.Errorf("four requests replay %d letters, %d are marked, want 2", replayed.Load(), f.marked(t))
	}
	if status, answer := f.replayAll(t, tenantA, `{"dry_run":false,"limit":3}`); status != 200 || answer["replayed"] != 3.0 || answer["left"] != 1.0 {
		t.Errorf("of the other four, with a limit of three: %d %v", status, answer)
	}
	if status, answer := f.replayAll(t, tenantA, `{"received_after":"2026-02-01T00:00:00Z","received_before":"2026-02-01T00:00:00Z"}`); status != 422 {
		t.Errorf("an empty time is answered %d %v", status, answer)
	}
}

func (f *fixture) marked(t *testing.T) (n int) {
	t.Helper()
	if err := f.admin.QueryRow(t.Context(), `SELECT count(*) FROM gv.dead_letters WHERE replayed_at IS NOT NULL`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
