package fakehubspot

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDeliveriesAreSignedBatchedAndRepeated(t *testing.T) {
	t.Parallel()
	// The first batch fails twice, in the ways that count as failures.
	rc := newReceiver(t, func(n int) int { return []int{400, 503, 204, 200, 200}[n] })
	f, p := newFake(t, Options{Retries: []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond}}, PortalConfig{})
	var events []Event
	for range 63 {
		_, more, err := p.CreateDeal(NewDeal{Amount: "1"})
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, more...)
	}
	if err := f.Deliver(t.Context(), rc.url, secret, events...); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{100, 100, 100, 100, 52}, rc.sizes); diff != "" {
		t.Errorf("batches (-want +got):\n%s", diff)
	}
	got := rc.got()
	if a, b, c := got[0], got[100], got[200]; a.AttemptNumber != 0 || b.AttemptNumber != 1 || c.AttemptNumber != 2 || a.Key() != c.Key() {
		t.Errorf("attempts %d, %d, %d of %s and %s", a.AttemptNumber, b.AttemptNumber, c.AttemptNumber, a.Key(), c.Key())
	}
}

func TestATargetThatIsTooSlowFails(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	rc := newReceiver(t, func(int) int { <-release; return 200 })
	t.Cleanup(func() { close(release) })
	f, p := newFake(t, Options{Timeout: time.Second, Retries: []time.Duration{time.Millisecond}}, PortalConfig{})
	_, events, _ := p.CreateDeal(NewDeal{})
	if err := f.Deliver(t.Context(), rc.url, secret, events...); err == nil {
		t.Error("got no error")
	}
	if n := len(rc.wait(t, 2*len(events))); n != 2*len(events) {
		t.Errorf("%d events, want two tries of %d", n, len(events))
	}
}

// post sends one command as a person does and returns the record's id.
func post(t *testing.T, address, body string, want int) int64 {
	t.Helper()
	resp, err := http.Post(address, "application/x-www-form-urlencoded", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct {
		ID      int64
		Message string
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || resp.StatusCode != want {
		t.Fatalf("%s %s: %d %s, %v", address, body, resp.StatusCode, got.Message, err)
	}
	return got.ID
}

func TestMovingADealByHandSendsItsWebhook(t *testing.T) {
	t.Parallel()
	rc := newReceiver(t, nil)
	f, _ := newFake(t, Options{}, PortalConfig{Target: rc.url, Secret: secret})
	ctx, stop := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { f.Run(ctx) })
	server := httptest.NewServer(f)
	defer server.Close()
	base := server.URL + "/control/portals/77"
	contact := post(t, base+"/contacts", `{"properties": {"hs_facebook_click_id": "fb"}}`, 200)
	deal := post(t, base+"/deals", fmt.Sprintf(`{"amount": "1500", "contacts": [%d], "at": "2026-11-02T03:04:05Z"}`, contact), 200)
	one := fmt.Sprintf("%s/deals/%d/", base, deal)
	post(t, one+"stage", `{"stage": "closedwon", "at": "2026-11-03T03:04:05Z"}`, 200)
	post(t, one+"amount", `{"amount": "2000"}`, 200)
	other := post(t, base+"/deals", `{}`, 200)
	post(t, one+"merge", fmt.Sprintf(`{"merged": %d}`, other), 200)
	post(t, one+"contacts", fmt.Sprintf(`{"contact": %d, "primary": true}`, contact), 200)
	post(t, one+"delete", ``, 200)
	post(t, one+"restore", ``, 200)
	post(t, fmt.Sprintf("%s/contacts/%d/delete", base, contact), `{"erase": true}`, 200)
	post(t, one+"stage", `{"stagee": "x"}`, 400)
	post(t, one+"stage", `{}`, 400)
	post(t, base+"/deals/1/stage", `{"stage": "x"}`, 404)
	post(t, server.URL+"/control/portals/78/deals", `{}`, 404)

	var types []string
	for _, e := range rc.wait(t, 21) {
		types = append(types, e.Type)
	}
	for _, want := range []string{"deal.creation", "deal.propertyChange", "deal.merge", "deal.deletion", "deal.restore", "contact.privacyDeletion"} {
		if !strings.Contains(strings.Join(types, " "), want) {
			t.Errorf("no %s among %v", want, types)
		}
	}
	stop()
	run.Wait()
	if resp, err := http.Get(base); err != nil || resp.StatusCode != 200 {
		t.Errorf("the portal's state: %v, %v", resp, err)
	}
	request, _ := http.NewRequest("POST", base+"/deals", strings.NewReader(`{}`))
	request.Header.Set("Origin", "https://evil.example")
	request.Header.Set("Sec-Fetch-Site", "cross-site")
	if resp, err := http.DefaultClient.Do(request); err != nil || resp.StatusCode != 403 {
		t.Errorf("another site's page: %v, %v; want 403", resp, err)
	}
}

func TestARestartFindsRecordsAndUndeliveredEvents(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/hubspot.json"
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
	defer down.Close()
	o := Options{File: file, Retries: slices.Repeat([]time.Duration{50 * time.Millisecond}, 10_000)}
	config := PortalConfig{Target: down.URL, Secret: secret, Tokens: []string{"the-access-token"}}
	f, p := newFake(t, o, config)
	id, events, err := p.CreateDeal(NewDeal{Amount: "5"})
	if err != nil {
		t.Fatal(err)
	}
	p.Enqueue(events...)
	if err := f.Save(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	go func() { // until a delivery has failed
		failed := func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.state.Pending[0].Attempt > 0
		}
		for !failed() {
			time.Sleep(time.Millisecond)
		}
		stop()
	}()
	f.Run(ctx)
	if raw, err := os.ReadFile(file); err != nil || bytes.Contains(raw, []byte(secret)) || bytes.Contains(raw, []byte("the-access-token")) {
		t.Errorf("the file keeps a secret, or is none: %v", err)
	}

	rc := newReceiver(t, nil)
	config.Target = rc.url
	again, p := newFake(t, o, config)
	if d := p.deal(id); d == nil || d.Properties["amount"] != "5" || len(d.Stages) != 1 {
		t.Fatalf("after the restart the deal is %+v", d)
	}
	ctx, stop = context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { again.Run(ctx) })
	got := rc.wait(t, len(events))
	stop()
	run.Wait()
	if e := got[0]; e.AttemptNumber == 0 || e.ObjectID != id || e.EventID != events[0].EventID {
		t.Errorf("delivered %+v", e)
	}
	if next, _, _ := p.CreateDeal(NewDeal{}); next <= id {
		t.Errorf("a new deal got the used id %d", next)
	}
}

func TestADamagedFileIsNamed(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/hubspot.json"
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{File: file}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v, want an error that names %s", err, file)
	}
}
