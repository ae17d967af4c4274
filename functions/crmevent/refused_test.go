package crmevent_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// journal is everything that this test's process logs.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// lines returns what was logged of text.
func (j *journal) lines(text string) (found []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range strings.Lines(j.text.String()) {
		if strings.Contains(line, text) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

var logged = &journal{}

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewJSONHandler(logged, &slog.HandlerOptions{Level: slog.LevelInfo})))
	os.Exit(m.Run())
}

// push delivers as Pub/Sub does and returns the answer's status.
func (w *world) push(m message.Message) int {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, "/", bytes.NewReader(m.Data))
	r.Header.Set("X-Goog-Pubsub-Message-Id", "1")
	for key, value := range m.Attributes {
		r.Header.Set(key, value)
	}
	rec := httptest.NewRecorder()
	serve.Consume("crmevent", w.consumer).ServeHTTP(rec, r)
	return rec.Code
}

func TestALeadThatMetaRefusesIsADeadLetterAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	c, w := withPage(t)
	var ids []string
	for n := range 4 {
		ids = append(ids, w.submit(3, fakemeta.Lead{AdID: fmt.Sprintf("a%d", n%3+1)}))
	}
	refused := ids[1]
	c.meta.Inject(fakemeta.Fault{Path: refused, Status: http.StatusBadRequest, Code: 2018, Times: 100})
	all := w.notified(ids...)
	for range 2 { // each is delivered twice
		for _, m := range all {
			if status := w.push(m); status != http.StatusNoContent {
				t.Errorf("message %s is answered with %d", m.Key(), status)
			}
		}
	}
	if got := one[string](w, `SELECT string_agg(ad_id, ' ' ORDER BY click_id) FROM gv.clicks`); got != "a1 a3 a1" {
		t.Errorf("the leads' clicks are on %q, want the three others", got)
	}
	letter := one[string](w, `SELECT convert_from(data, 'UTF8') || ' ' || reason FROM gv.dead_letters`)
	if !strings.Contains(letter, refused) || !strings.Contains(letter, "Meta") {
		t.Errorf("the one dead letter says %q, want the lead and that Meta refuses it", letter)
	}
	var key string
	for _, m := range all {
		if strings.Contains(string(m.Data), refused) {
			key = m.Key()
		}
	}
	lines := logged.lines(key)
	if len(lines) != 2 { // one of each delivery
		t.Errorf("the refusal is logged %d times in two deliveries: %q", len(lines), lines)
	}
	for _, line := range lines {
		if !strings.Contains(line, refused) || !strings.Contains(line, pageID) {
			t.Errorf("the log says %q, want the lead's and the page's id", line)
		}
	}

	c.meta.Heal()
	for _, m := range all { // replayed
		w.push(m)
	}
	if got := one[string](w, `SELECT string_agg(ad_id, ' ' ORDER BY click_id) FROM gv.clicks`); got != "a1 a2 a3 a1" {
		t.Errorf("once Meta shows the lead, the clicks are on %q", got)
	}
}

func TestAContactThatHubSpotRefusesHoldsUpItsOwnDealOnly(t *testing.T) {
	t.Parallel()
	c := newCRM(t, fakehubspot.Options{})
	w := newWorld(t, c)
	w.click("a1", "fb-1", day(1))
	var refused int64
	var all []message.Message
	for n := range 3 {
		contact, _, events := prospect(t, c, 2, map[string]string{"hs_facebook_click_id": "fb-1"})
		all = append(all, messages(t, events...)...)
		if n == 1 {
			refused = contact
		}
	}
	c.Refuse("contacts", refused, "INSUFFICIENT_PERMISSIONS")
	later := 0
	for _, m := range all {
		switch status := w.push(m); status {
		case http.StatusNoContent:
		case http.StatusServiceUnavailable: // the queue delivers it again, and keeps it as a dead letter in the end
			later++
		default:
			t.Errorf("a message is answered with %d", status)
		}
	}
	if got := w.credits(); got != "a1 url_param 1, a1 url_param 1" || later == 0 {
		t.Errorf("the deals are credited %q and %d events wait, want the two others on the ad", got, later)
	}
	c.Refuse("contacts", refused, "")
	for _, m := range all {
		w.push(m)
	}
	if got := w.credits(); got != "a1 url_param 1, a1 url_param 1, a1 url_param 1" {
		t.Errorf("once HubSpot shows the contact the deals are credited %q", got)
	}
}
