package replay_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/shared/auth"
)

const (
	tenantA = "00000000-0000-4000-8000-00000000000a"
	tenantB = "00000000-0000-4000-8000-00000000000b"
)

func TestALetterIsSentAgainUnderItsFirstKey(t *testing.T) {
	t.Parallel()
	f := open(t)
	id := f.store(t, tenantA, "k1")
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
	id := f.store(t, tenantA, "k1")
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
	if again := f.store(t, tenantA, "k1"); again != id {
		t.Errorf("the message that failed again is another letter")
	}
	if status, answer := f.replay(t, tenantA, id); status != 200 {
		t.Errorf("after it failed again: %d %v", status, answer)
	}
}

func TestAQueueThatIsDownLeavesTheMessageForTheRelay(t *testing.T) {
	t.Parallel()
	f := open(t)
	id := f.store(t, tenantA, "k1")
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
		want = append([]string{f.store(t, tenantA, fmt.Sprint("k", i))}, want...)
	}
	// Dead letters of the same instant are ordered by their ids.
	f.exec(t, `UPDATE gv.dead_letters SET received_at = '2026-11-22T10:00:00.123456Z' WHERE message_id IN ('k2', 'k3', 'k4')`)
	f.store(t, tenantB, "theirs")
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
	f.store(t, tenantA, "k1")
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
	theirs, nobodys := f.store(t, tenantB, "k1"), f.store(t, "", "k2")
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
	id := f.store(t, tenantA, "k1")
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
