package dealhook_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/shared/standardwebhook"
)

// from sends a deal from an address, signed with secret, and returns the status.
func (w *world) from(address, source, secret string, n int) int {
	w.t.Helper()
	body := fmt.Sprintf(`{"deals":[{"deal_id":"D-%d","stage":"lead","occurred_at":"2026-11-20T12:00:00Z"}]}`, n)
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, "/webhooks/deals/"+source, strings.NewReader(body))
	r.RemoteAddr = address
	id := fmt.Sprint("msg-", n)
	r.Header.Set(standardwebhook.IDHeader, id)
	r.Header.Set(standardwebhook.TimestampHeader, strconv.FormatInt(w.now.Unix(), 10))
	r.Header.Set(standardwebhook.SignatureHeader, standardwebhook.Sign(secret, id, w.now, []byte(body)))
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	if rec.Code == http.StatusTooManyRequests && rec.Header().Get("Retry-After") == "" {
		w.t.Error("429 without Retry-After")
	}
	return rec.Code
}

func TestStrangersWhoKnowASourceDoNotUseUpItsRequests(t *testing.T) {
	t.Parallel()
	w := open(t)
	foreign := standardwebhook.NewSecret()
	for n := range 200 { // in one second of this test's clock, from addresses without end
		if status := w.from(fmt.Sprintf("203.0.113.%d:1000", n), "src_one", foreign, n); status != http.StatusUnauthorized {
			t.Fatalf("a stranger's request %d is answered %d", n, status)
		}
	}
	statuses := map[int]int{}
	for n := range 60 {
		statuses[w.from("198.51.100.7:1000", "src_one", w.secret, n)]++
	}
	if statuses[http.StatusOK] != 50 || statuses[http.StatusTooManyRequests] != 10 {
		t.Errorf("the source itself is answered %v, want 50 times 200 and then 429", statuses)
	}
}

func TestAnAddressThatSignsNothingMayTryTwentyTimesASecond(t *testing.T) {
	t.Parallel()
	w := open(t)
	foreign := standardwebhook.NewSecret()
	// One subscriber has all addresses of a /64, and no source's existence shows.
	strangers := []struct{ address, source string }{{"[2001:db8::%d]:1000", "src_one"}, {"[2001:db8::1:%d]:1000", "src_nobody"}}
	statuses := map[int]int{}
	for n := range 40 {
		s := strangers[n%2]
		statuses[w.from(fmt.Sprintf(s.address, n), s.source, foreign, n)]++
	}
	if statuses[http.StatusUnauthorized] != 20 || statuses[http.StatusTooManyRequests] != 20 {
		t.Errorf("a stranger is answered %v, want 20 times 401 and then 429", statuses)
	}
	if status := w.from("[2001:db8:0:1::1]:1000", "src_one", w.secret, 100); status != http.StatusOK {
		t.Errorf("the source is answered %d at another address", status)
	}
	w.now = w.now.Add(time.Second)
	if status := w.from("[2001:db8::1]:1000", "src_one", foreign, 101); status != http.StatusUnauthorized {
		t.Errorf("a second later the stranger is answered %d", status)
	}
	if status := w.from("[2001:db8::1]:1000", "src_one", w.secret, 102); status != http.StatusOK {
		t.Errorf("a good request from the stranger's own address is answered %d", status)
	}
}
