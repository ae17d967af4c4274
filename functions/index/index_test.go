package index_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/geminivideo/geminivideo/functions/index"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/pg"
)

const (
	tenantA = "00000000-0000-4000-8000-00000000000a"
	tenantB = "00000000-0000-4000-8000-00000000000b"
)

func TestAWinnerIsStoredWithItsFiguresOfNow(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.ad(t, "ad-1", `{"hook_type":"question"}`, 40000)
	f.handle(t, f.message("m1", "ad-1"))
	got := f.indexed(t)
	if len(got) != 1 || got[0].text != "hook_type: question" || got[0].roas != 4 || got[0].ctr != 0.05 || !got[0].active {
		t.Errorf("indexed %+v", got)
	}
}

func TestRedeliveryAndRepublishingEmbedOnce(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.ad(t, "ad-1", `{"hook_type":"question"}`, 40000)
	for _, key := range []string{"m1", "m1", "m1", "m2"} {
		f.handle(t, f.message(key, "ad-1"))
	}
	if n := f.embedder.calls.Load(); n != 1 || len(f.indexed(t)) != 1 {
		t.Errorf("embedded %d times, indexed %d", n, len(f.indexed(t)))
	}
}

func TestConcurrentTwinsAreHarmless(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.ad(t, "ad-1", `{"hook_type":"question"}`, 40000)
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			if err := f.consumer.Handle(t.Context(), f.message(fmt.Sprint("m", i%3), "ad-1")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := f.indexed(t); len(got) != 1 || !got[0].active {
		t.Errorf("indexed %+v", got)
	}
	if n := f.count(t, `SELECT count(*) FROM gv.inbox`); n != 3 {
		t.Errorf("%d messages recorded, want 3", n)
	}
}

func TestAnAdThatFellMeanwhileIsNotFound(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.ad(t, "fell", `{"hook_type":"question"}`, 100)
	f.handle(t, f.message("m1", "fell"))
	if got := f.indexed(t); len(got) != 0 {
		t.Errorf("an ad that is no winner came into the memory: %+v", got)
	}
	f.value(t, "fell", 40000)
	f.handle(t, f.message("m2", "fell"))
	f.value(t, "fell", 100)
	f.exec(t, `UPDATE gv.ads SET creative_dna = '{"hook_type":"promise"}' WHERE ad_id = 'fell'`)
	f.handle(t, f.message("m3", "fell"))
	if got := f.indexed(t); len(got) != 1 || got[0].active || got[0].text != "hook_type: promise" {
		t.Errorf("indexed %+v, want it up to date and out of searches", got)
	}
}

// Whatever the interleaving of recomputing and indexing, the memory ends as the ad
// once the messages that recomputing has sent are handled.
func TestSettlingAndIndexingAtOnceAgree(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.ad(t, "ad-1", `{"hook_type":"question"}`, 40000)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if i%2 == 0 {
				f.value(t, "ad-1", int64(100+i%4*20000))
			} else if err := f.consumer.Handle(t.Context(), f.message(fmt.Sprint("m", i), "ad-1")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, value := range []int64{40000, 100} {
		f.value(t, "ad-1", value)
		f.deliver(t)
		if got := f.indexed(t); len(got) != 1 || got[0].active != (value == 40000) {
			t.Errorf("at %d the memory says %+v", value, got)
		}
	}
}

func TestADeadEmbedderDelaysTheIndexing(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.ad(t, "ad-1", `{"hook_type":"question"}`, 40000)
	f.embedder.down.Store(true)
	if status := f.push(t, f.message("m1", "ad-1")); status != http.StatusServiceUnavailable {
		t.Errorf("answered %d", status)
	}
	if n := f.count(t, `SELECT count(*) FROM gv.inbox`) + f.count(t, `SELECT count(*) FROM gv.dead_letters`); n != 0 {
		t.Errorf("%d rows tell of a message that is not done", n)
	}
	f.embedder.down.Store(false)
	if status := f.push(t, f.message("m1", "ad-1")); status != http.StatusNoContent || len(f.indexed(t)) != 1 {
		t.Errorf("answered %d", status)
	}
}

func TestADNAThatChangesMeanwhileIsEmbeddedAnew(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.ad(t, "ad-1", `{"hook_type":"question"}`, 40000)
	f.embedder.meanwhile = func() {
		f.exec(t, `UPDATE gv.ads SET creative_dna = '{"hook_type":"promise"}' WHERE ad_id = 'ad-1'`)
	}
	f.handle(t, f.message("m1", "ad-1"))
	if got := f.indexed(t); len(got) != 1 || got[0].text != "hook_type: promise" || f.embedder.calls.Load() != 2 {
		t.Errorf("indexed %+v after %d embeddings", got, f.embedder.calls.Load())
	}
}

func TestWhatCanNeverSucceedIsKeptAsADeadLetter(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.ad(t, "ad-1", `{}`, 40000)
	with := func(key, tenant, data string) message.Message {
		return message.Message{ID: "1", Data: []byte(data), Attributes: map[string]string{message.KeyAttribute: key, message.TenantAttribute: tenant}}
	}
	for key, m := range map[string]message.Message{
		"unknown":  f.message("unknown", "ad-9"),
		"theirs":   with("theirs", tenantB, `{"ad_id":"ad-1"}`),
		"nobody's": with("nobody's", "", `{"ad_id":"ad-1"}`),
		"no uuid":  with("no uuid", "x' OR true", `{"ad_id":"ad-1"}`),
		"no ad":    with("no ad", tenantA, `{}`),
		"no JSON":  with("no JSON", tenantA, `ad-1`),
		"NUL":      with("NUL", tenantA, `{"ad_id":"a\u0000"}`),
		"gone":     with("gone", "00000000-0000-4000-8000-0000000000ff", `{"ad_id":"ad-1"}`),
	} {
		if status := f.push(t, m); status != http.StatusNoContent {
			t.Errorf("%s: %d", key, status)
		}
		if f.count(t, `SELECT count(*) FROM gv.dead_letters WHERE message_id = '`+strings.ReplaceAll(key, "'", "''")+`' AND topic = 'winner-found'`) != 1 {
			t.Errorf("%s is not kept", key)
		}
	}
	if n := f.count(t, `SELECT count(*) FROM gv.dead_letters WHERE tenant_id IS NULL`); n != 3 {
		t.Errorf("%d letters are nobody's, want 3", n)
	}
	if got := f.indexed(t); len(got) != 0 {
		t.Errorf("indexed %+v", got)
	}
}

func TestADeadDatabaseIsNoReasonToReject(t *testing.T) {
	t.Parallel()
	f := open(t)
	dead, err := pg.Open(t.Context(), pg.Config{URL: "postgres://gv_app@127.0.0.1:1/none"})
	if err != nil {
		t.Fatal(err)
	}
	if err := index.New(dead, f.worker, embed.Only(f.embedder)).Handle(t.Context(), f.message("m1", "ad-1")); fault.Of(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
}
