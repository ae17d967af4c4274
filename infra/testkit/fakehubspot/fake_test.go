package fakehubspot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/shared/hubspot"
)

const secret = "the-app-secret"

func newFake(t *testing.T, o Options, c PortalConfig) (*Fake, *Portal) {
	t.Helper()
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if c.ID == 0 {
		c.ID = 77
	}
	return f, f.Connect(c)
}

// receiver is somebody's webhook endpoint: it checks every signature and
// records what came; answer decides the status of the n-th request.
type receiver struct {
	url    string
	mu     sync.Mutex
	events []hubspot.Event
	bodies int
	sizes  []int
}

func newReceiver(t *testing.T, answer func(n int) int) *receiver {
	t.Helper()
	rc := &receiver{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if _, err := hubspot.Verify([]string{secret}, r.Method, rc.url, body, r.Header, time.Now()); err != nil {
			t.Errorf("the signature: %v", err)
		}
		if r.Header.Get("X-HubSpot-Signature") != signV1(secret, body) {
			t.Error("the v1 signature is missing")
		}
		events, err := hubspot.ParseBatch(body)
		if err != nil {
			t.Errorf("the batch: %v", err)
		}
		rc.mu.Lock()
		n := rc.bodies
		rc.bodies++
		rc.events = append(rc.events, events...)
		rc.sizes = append(rc.sizes, len(events))
		rc.mu.Unlock()
		status := http.StatusOK
		if answer != nil {
			status = answer(n)
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	rc.url = server.URL + "/webhooks/hubspot"
	return rc
}

func (rc *receiver) got() []hubspot.Event {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return slices.Clone(rc.events)
}

func (rc *receiver) wait(t *testing.T, n int) []hubspot.Event {
	t.Helper()
	for range 12_000 {
		if events := rc.got(); len(events) >= n {
			return events
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%d events arrived, want %d", len(rc.got()), n)
	return nil
}

func names(events []Event) []string {
	var all []string
	for _, e := range events {
		name := e.SubscriptionType
		if e.PropertyName != "" {
			name += ":" + e.PropertyName
		}
		all = append(all, name)
	}
	return all
}

// must drops an error that no test expects.
func must(events []Event, err error) []Event {
	if err != nil {
		panic(err)
	}
	return events
}

func TestOldSignaturesAreThePublicOnes(t *testing.T) {
	t.Parallel()
	const (
		key  = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
		uri  = "https://www.example.com/webhook_uri"
		body = `{'example_field':'example_value'}`
	)
	got := []string{signV1(key, []byte(body)), signV2(key, "POST", uri, []byte(body)), signV2(key, "GET", uri, nil)}
	want := []string{
		"69fc6631a867edd4f9e9e627fc5c1148e3fbdd8b21837b6d2b8901c1fa57f750",
		"4fe4e3a7d3cf09db53be39d0a58130e2aaba074ec123a9e355b876a689a1c383",
		"eee2dddcc73c94d699f5e395f4b9d454a069a6855fbfa152e91e88823087200e",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEveryChangeFiresWhatHubSpotFires(t *testing.T) {
	t.Parallel()
	_, p := newFake(t, Options{}, PortalConfig{})
	contact, events, _ := p.UpsertContact(0, map[string]string{"gv_click_id": "c", "email": "a@b.example"}, time.Time{})
	check := func(what string, got []Event, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, names(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	check("a new contact", events, "contact.creation", "contact.propertyChange:gv_click_id")
	id, events, _ := p.CreateDeal(NewDeal{Name: "x", Amount: "5"})
	check("a new deal", events, "deal.creation", "deal.propertyChange:amount", "deal.propertyChange:dealstage", "deal.propertyChange:pipeline")
	events = must(p.Associate(id, contact, false))
	check("an association", events, "deal.associationChange", "contact.associationChange")
	events = must(p.Associate(id, contact, true))
	check("a primary one", events, "deal.associationChange", "deal.associationChange", "contact.associationChange")
	if *events[0].IsPrimaryAssociation || !*events[1].IsPrimaryAssociation {
		t.Error("only the second of the two is the primary one")
	}
	at := time.Date(2026, 11, 2, 3, 4, 5, 6_000_000, time.UTC)
	events = must(p.MoveStage(id, "closedwon", at))
	check("a move", events, "deal.propertyChange:dealstage")
	if e := events[0]; e.OccurredAt != at.UnixMilli() || *e.PropertyValue != "closedwon" || e.AttemptNumber != 0 || e.PortalID != 77 || e.SubscriptionID == 0 || e.EventID == 0 {
		t.Errorf("the move is %+v", e)
	}
	other, _, _ := p.CreateDeal(NewDeal{})
	survivor, events, err := p.MergeDeals(id, other, true)
	check("a merge", events, "deal.merge")
	if e := events[0]; err != nil || e.NewObjectID != survivor || e.PrimaryObjectID != id || !slices.Equal(e.MergedObjectIDs, []int64{other}) {
		t.Errorf("the merge into %d is %+v, %v", survivor, e, err)
	}
	check("a deletion", must(p.DeleteDeal(survivor)), "deal.deletion")
	check("a restoration", must(p.RestoreDeal(id)), "deal.restore")
	check("a parting", must(p.Dissociate(id, contact)), "deal.associationChange", "deal.associationChange", "contact.associationChange")
	check("an erasure", must(p.EraseContact(contact)), "contact.privacyDeletion", "contact.deletion")
	for what, change := range map[string]func() error{
		"an erased contact": func() error { _, err := p.Associate(id, contact, false); return err },
		"no deal":           func() error { _, err := p.MoveStage(1, "x", at); return err },
		"a living deal":     func() error { _, err := p.RestoreDeal(id); return err },
	} {
		if err := change(); !errors.Is(err, ErrNone) {
			t.Errorf("%s: got %v, want ErrNone", what, err)
		}
	}
}

func TestGenericPortalsSendGenericEvents(t *testing.T) {
	t.Parallel()
	_, p := newFake(t, Options{}, PortalConfig{Generic: true})
	contact, contactEvents, _ := p.UpsertContact(0, nil, time.Time{})
	id, events, err := p.CreateDeal(NewDeal{Contacts: []int64{contact}})
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Concat(contactEvents, events, must(p.EraseContact(contact)))
	for _, e := range all {
		if !strings.HasPrefix(e.SubscriptionType, "object.") && e.SubscriptionType != "contact.privacyDeletion" {
			t.Errorf("%s is not generic", e.SubscriptionType)
		}
	}
	raw, _ := json.Marshal(all)
	parsed, err := hubspot.ParseBatch(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range parsed {
		if strings.HasPrefix(e.Type, "object.") || (strings.HasPrefix(e.Type, "deal.") && !slices.Equal(e.Deals(), []int64{id})) {
			t.Errorf("%s concerns %v, want %d", e.Type, e.Deals(), id)
		}
	}
}

func TestAStageHistoryKeepsOnlyTheLatest(t *testing.T) {
	t.Parallel()
	_, p := newFake(t, Options{HistoryLimit: 3}, PortalConfig{})
	id, _, _ := p.CreateDeal(NewDeal{Stage: "s0"})
	for i := range 5 {
		must(p.MoveStage(id, fmt.Sprint("s", i+1), time.Now().Add(time.Duration(i+1)*time.Second)))
	}
	d := p.deal(id)
	if len(d.Stages) != 3 || d.Stages[0].Value != "s3" || d.Properties["dealstage"] != "s5" {
		t.Errorf("history %+v, stage %s", d.Stages, d.Properties["dealstage"])
	}
}

func TestRequestsBeyondTheLimitAreRefusedAsHubSpotRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, _ := newFake(t, Options{}, PortalConfig{Tokens: []string{"t"}, Limit: 3, Window: 10 * time.Second})
		get := func(token string) *http.Response {
			r := httptest.NewRequest("GET", "/account-info/v3/details", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			f.ServeHTTP(w, r)
			return w.Result()
		}
		for i := range 3 {
			if resp := get("t"); resp.StatusCode != 200 || resp.Header.Get("X-HubSpot-RateLimit-Remaining") != fmt.Sprint(2-i) {
				t.Errorf("request %d: %d, %v", i, resp.StatusCode, resp.Header)
			}
		}
		resp := get("t")
		var body map[string]any
		_ = json.NewDecoder(resp.Body).Decode(&body)
		if resp.StatusCode != 429 || body["policyName"] != "TEN_SECONDLY_ROLLING" || body["errorType"] != "RATE_LIMIT" || body["correlationId"] == "" {
			t.Errorf("got %d %v", resp.StatusCode, body)
		}
		if resp := get("another"); resp.StatusCode != 401 {
			t.Errorf("a wrong token: %d", resp.StatusCode)
		}
		time.Sleep(10 * time.Second)
		if resp := get("t"); resp.StatusCode != 200 {
			t.Errorf("after the window: %d", resp.StatusCode)
		}
	})
}

func TestManyAtOnceDisturbNobody(t *testing.T) {
	t.Parallel()
	rc := newReceiver(t, nil)
	f, p := newFake(t, Options{File: t.TempDir() + "/state.json"}, PortalConfig{Tokens: []string{"t"}, Limit: 1000, Target: rc.url, Secret: secret})
	ctx, stop := context.WithCancel(t.Context())
	var run, work sync.WaitGroup
	run.Go(func() { f.Run(ctx) })
	server := httptest.NewServer(f)
	defer server.Close()
	client, err := hubspot.New(hubspot.Options{
		Portal: 77, BaseURL: server.URL, Limits: hubspot.NewLimits(100_000),
		Token: func(context.Context) (string, error) { return "t", nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 8 {
		work.Go(func() {
			contact, events, _ := p.UpsertContact(0, nil, time.Time{})
			p.Enqueue(events...)
			for range 5 {
				id, events, err := p.CreateDeal(NewDeal{Contacts: []int64{contact}})
				if err != nil {
					t.Error(err)
				}
				p.Enqueue(events...)
				p.Enqueue(must(p.MoveStage(id, "closedwon", time.Now().Add(time.Second)))...)
				if deal, err := client.Deal(t.Context(), id); err != nil || deal.Stage != "closedwon" {
					t.Errorf("got %+v, %v", deal, err)
				}
			}
			if err := f.Save(); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	rc.wait(t, 8+8*5*6)
	stop()
	run.Wait()
}
