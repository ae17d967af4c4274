package index_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/functions/index"
	"github.com/geminivideo/geminivideo/infra/testkit/fakegemini"
	"github.com/geminivideo/geminivideo/shared/embed"
)

const (
	local   = embed.LocalModel
	second  = "gemini-embedding-2"
	another = "gemini-embedding-001"
)

func TestAChangedModelIsEmbeddedWithWhileSearchesGoOn(t *testing.T) {
	t.Parallel()
	w := around(t, 120)
	if model, found := w.find(t, "hook_type: question word7", 5); model != local || len(found) != 5 || found[0] != "ad-007" {
		t.Errorf("before: %s finds %v", model, found)
	}
	if active, target, _ := w.state(t); active != local || target != second {
		t.Errorf("the search has not set the change going: %s, %s", active, target)
	}
	// The first batch is done, then Gemini is away: the change waits, and says why.
	w.fake.Inject(fakegemini.Fault{}, fakegemini.Quota(time.Hour))
	w.tick(t)
	active, target, why := w.state(t)
	if active != local || target != second || !strings.Contains(why, "quota") || w.count(t, `SELECT count(*) FROM gv.winners WHERE model = '`+second+`'`) != 100 {
		t.Errorf("paused: %s, %s, %q", active, target, why)
	}
	w.useFor(t, second, 500*time.Millisecond)
	w.fake.Break(fakegemini.Hang())
	w.tick(t)
	if model, found := w.find(t, "hook_type: question word110", 5); model != local || len(found) != 5 || found[0] != "ad-110" {
		t.Errorf("while Gemini hangs: %s finds %v", model, found)
	}
	w.use(t, second)
	// What is found meanwhile is in what is searched now, and later in the other.
	w.ad(t, "new-1", `{"hook_type":"promise"}`, 40000)
	w.handle(t, w.message("new-1", "new-1"))
	w.fake.Mend()
	w.ad(t, "new-2", `{"hook_type":"story"}`, 40000)
	w.handle(t, w.message("new-2", "new-2"))
	if n := w.count(t, `SELECT count(*) FROM gv.winners WHERE ad_id = 'new-1'`)*10 + w.count(t, `SELECT count(*) FROM gv.winners WHERE ad_id = 'new-2'`); n != 12 {
		t.Errorf("kept %d", n)
	}
	w.value(t, "ad-003", 90000)
	w.value(t, "ad-004", 100) // no winner any more
	w.tick(t)
	if active, target, why := w.state(t); active != second || target != "" || why != "" || w.uneven(t) != 0 {
		t.Errorf("complete: %s, %s, %q, and %d differ", active, target, why, w.uneven(t))
	}
	seen := map[string]int{}
	for _, one := range w.fake.Texts() {
		if strings.HasPrefix(one.Text, "title:") {
			seen[one.Text]++
		}
	}
	for text, n := range seen {
		if n > 1 {
			t.Errorf("%q was embedded %d times", text, n)
		}
	}
	if model, found := w.find(t, "whatever", 200); model != second || len(found) != 121 || len(seen) != 122 {
		t.Errorf("after: %s finds %d, of %d embedded", model, len(found), len(seen))
	}
	// The old vectors stay a day, then go.
	w.tick(t)
	if w.count(t, `SELECT count(*) FROM gv.winners WHERE model = '`+local+`'`) != 122 {
		t.Error("the old vectors are gone already")
	}
	w.exec(t, `UPDATE gv.embedding_models SET switched_at = now() - interval '25 hours', due_at = now()`)
	w.tick(t)
	if n := w.count(t, `SELECT count(*) FROM gv.winners WHERE model = '`+local+`'`); n != 0 || w.tick(t) != 0 {
		t.Errorf("%d old vectors are left, or there is more to do", n)
	}
}

func TestAModelThatIsAwayLosesNoWinner(t *testing.T) {
	t.Parallel()
	w, done := around(t, 0), 0
	for name, o := range map[string]fakegemini.Fault{
		"quota": fakegemini.Quota(time.Hour), "hangs": fakegemini.Hang(), "nonsense": fakegemini.Body(`{"embeddings":[{"values":[1]}]}`),
		"no API": fakegemini.Body(`<html>`), "bad key": fakegemini.Status(403, "PERMISSION_DENIED"), "down": fakegemini.Drop(),
	} {
		id := "ad-" + name
		w.ad(t, id, `{"hook_type":"question"}`, 40000)
		timeout := time.Minute
		if name == "hangs" {
			timeout = 500 * time.Millisecond
		}
		w.useFor(t, second, timeout) // an instance whose breaker is closed
		w.fake.Break(o)
		if status := w.push(t, w.message(id, id)); status != http.StatusServiceUnavailable {
			t.Errorf("%s: answered %d", name, status)
		}
		if n := w.count(t, `SELECT (SELECT count(*) FROM gv.inbox) + (SELECT count(*) FROM gv.dead_letters) + (SELECT count(*) FROM gv.winners)`); n != 2*done {
			t.Errorf("%s: %d rows tell of a message that is not done", name, n-2*done)
		}
		w.fake.Mend()
		w.use(t, second)
		done++
		if status := w.push(t, w.message(id, id)); status != http.StatusNoContent || len(w.indexed(t)) != done {
			t.Errorf("%s: answered %d", name, status)
		}
	}
}

// Pub/Sub gives a message up after some hours; the relay does not.
func TestAWinnerWhoseMessageCameToNothingIsTakenUpAgain(t *testing.T) {
	t.Parallel()
	w := around(t, 0)
	for i := range 400 { // each minute of the hour takes its own
		w.exec(t, `INSERT INTO gv.ads (tenant_id, ad_id, account_id, campaign_id, is_winner) VALUES ($1, $2, 'acc', 'c', true)`, tenantA, fmt.Sprintf("lost-%d", i))
	}
	n := w.tick(t)
	if n == 0 || n > 40 || len(w.indexed(t)) != n {
		t.Errorf("%d were asked for, %d are stored", n, len(w.indexed(t)))
	}
}

func TestAChangeSurvivesItsMessagesAndItsProcesses(t *testing.T) {
	t.Parallel()
	w := around(t, 30)
	w.handle(t, w.message("again", "ad-000")) // a message sets it going as well
	old := w.message("old", "")
	old.Data = []byte(`{"reembed":7}`)
	w.handle(t, old)
	if n := w.count(t, `SELECT count(*) FROM gv.winners WHERE model = '`+second+`'`); n != 1 {
		t.Errorf("a message of no claim embedded %d", n-1)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w.fake.Embed = func(string, string) []float32 { cancel(); return []float32{1} } // the process dies as it embeds
	w.exec(t, `UPDATE gv.embedding_models SET attempt = 1, due_at = now() + interval '5 minutes'`)
	old.Data = []byte(`{"reembed":1}`)
	_ = w.consumer.Handle(ctx, old)
	if active, target, _ := w.state(t); active != local || target != second {
		t.Errorf("%s, %s", active, target)
	}
	w.fake.Change(func(f *fakegemini.Fake) { f.Embed = nil }) // the request that died may still be read
	w.exec(t, `UPDATE gv.embedding_models SET attempt = 1`)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := w.consumer.Handle(t.Context(), old); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if active, target, _ := w.state(t); active != second || target != "" || w.uneven(t) != 0 {
		t.Errorf("twins ended with %s, %s and %d that differ", active, target, w.uneven(t))
	}
}

func TestATextThatTheModelRefusesHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	w := around(t, 30)
	w.fake.Refuse = func(text string) bool { return strings.Contains(text, "word13") || strings.Contains(text, "word21") }
	w.find(t, "x", 1)
	w.tick(t)
	if active, target, why := w.state(t); active != second || target != "" || w.uneven(t) != 0 {
		t.Errorf("%s, %s, %q", active, target, why)
	}
}

// One message of anybody's is enough: idle tenants are seen to as well.
func TestEveryTenantChanges(t *testing.T) {
	t.Parallel()
	w := around(t, 1)
	w.exec(t, `INSERT INTO gv.embedding_models (tenant_id, active) VALUES ($1, $2)`, tenantB, local)
	w.exec(t, `
		INSERT INTO gv.winners (tenant_id, ad_id, model, embedding, text, creative_dna, pipeline_roas, ctr, content_hash)
		SELECT $1, 'theirs', model, embedding, text, creative_dna, pipeline_roas, ctr, content_hash FROM gv.winners`, tenantB)
	w.handle(t, w.message("any", "ad-000"))
	w.tick(t)
	if n := w.count(t, `SELECT count(*) FROM gv.embedding_models WHERE active = '`+second+`' AND target IS NULL`); n != 2 {
		t.Errorf("%d of 2 tenants have changed", n)
	}
	if n := w.count(t, `SELECT count(*) FROM gv.gemini_usage WHERE tenant_id = '`+tenantB+`'`); n != 1 {
		t.Error("what it took is not counted as theirs")
	}
}

// A rollout: old and new instances know different models.
func TestAnOldVersionDoesNotUndoWhatANewOneDoes(t *testing.T) {
	t.Parallel()
	w := around(t, 3)
	before := index.New(w.db, w.worker, embed.Only(embed.Local{}))
	handle := func(key string) {
		t.Helper()
		if err := before.Handle(t.Context(), w.message(key, "ad-001")); err != nil {
			t.Fatal(err)
		}
	}
	w.find(t, "x", 1)
	handle("old-1")
	if _, target, _ := w.state(t); target != second {
		t.Error("the old version has ended the change")
	}
	w.tick(t)
	handle("old-2")
	if active, target, _ := w.state(t); active != second || target != "" {
		t.Errorf("the old version changes it back: %s, %s", active, target)
	}
	// An hour later it is meant.
	w.exec(t, `UPDATE gv.embedding_models SET switched_at = now() - interval '2 hours'`)
	w.exec(t, `UPDATE gv.winners SET ctr = 0.01 WHERE ad_id = 'ad-002' AND model = '`+second+`'`)
	handle("old-3")
	if _, target, _ := w.state(t); target != local {
		t.Error("a rollback does not begin")
	}
	w.consumer = before
	w.tick(t)
	if active, _, _ := w.state(t); active != local || w.uneven(t) != 0 {
		t.Errorf("rolled back: %s, and %d differ", active, w.uneven(t))
	}
	// And a change that nobody wants any more ends.
	w.exec(t, `UPDATE gv.embedding_models SET target = '`+another+`', due_at = now(), switched_at = NULL`)
	w.tick(t)
	w.tick(t)
	if active, target, _ := w.state(t); active != local || target != "" || w.count(t, `SELECT count(DISTINCT model) FROM gv.winners`) != 1 {
		t.Errorf("not wanted: %s, %s", active, target)
	}
}

// Recomputing, indexing and changing at once end with both models agreeing.
func TestWhateverHappensMeanwhileBothModelsAgree(t *testing.T) {
	t.Parallel()
	w := around(t, 12)
	w.find(t, "x", 1)
	var wg sync.WaitGroup
	for i := range 24 {
		id := fmt.Sprintf("ad-%03d", i%12)
		wg.Go(func() {
			switch i % 3 {
			case 0:
				w.value(t, id, int64(100+i%4*20000))
			case 1:
				w.exec(t, `UPDATE gv.ads SET creative_dna = '{"hook_type":"promise"}' WHERE ad_id = $1`, id)
				if err := w.consumer.Handle(t.Context(), w.message(fmt.Sprint("x", i), id)); err != nil {
					t.Error(err)
				}
			default:
				w.exec(t, `UPDATE gv.embedding_models SET attempt = 1, due_at = now() + interval '5 minutes' WHERE target IS NOT NULL`)
				m := w.message("c", "")
				m.Data = []byte(`{"reembed":1}`)
				if err := w.consumer.Handle(t.Context(), m); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	w.tick(t)
	if active, target, _ := w.state(t); active != second || target != "" {
		t.Errorf("ended with %s, %s", active, target)
	}
	if n := w.count(t, `SELECT count(*) FROM gv.winners g JOIN gv.ads a USING (tenant_id, ad_id) WHERE g.model = '`+second+`' AND g.active <> a.is_winner`); n != 0 {
		t.Errorf("%d are not what their ads are", n)
	}
	if n := w.count(t, `SELECT count(*) FROM gv.winners WHERE model = '`+second+`'`); n != 12 {
		t.Errorf("%d of 12 are there", n)
	}
}
