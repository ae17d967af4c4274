package hubspot_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/hubspot"
)

const dealRoute = "GET /crm/v3/objects/deals/{id}"

func TestPassingTroubleIsOvercome(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]fakehubspot.Fault{
		"429":             {Status: 429, Times: 2},
		"429 with a wait": {Status: 429, RetryAfter: "0.01"},
		"500":             {Status: 500, Times: 3},
		"502 of a proxy":  {Status: 502},
		"503 with a wait": {Status: 503, RetryAfter: "0.01"},
		"423":             {Status: 423},
		"a cut body":      {Truncate: true, Times: 2},
		"a dropped line":  {Drop: true},
		"a hanging try":   {Delay: time.Hour},
		"a slow answer":   {Delay: 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, nil)
				id := h.deal(t, fakehubspot.NewDeal{})
				h.fake.Inject(f)
				if deal, err := h.client.Deal(t.Context(), id); err != nil || deal.ID != id {
					t.Errorf("got %+v, %v", deal, err)
				}
			})
		})
	}
}

func TestRetryAfterIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, nil)
		id := h.deal(t, fakehubspot.NewDeal{})
		h.fake.Inject(fakehubspot.Fault{Status: 429, RetryAfter: "0.3"})
		start := time.Now()
		if _, err := h.client.Deal(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 300*time.Millisecond || took > 400*time.Millisecond {
			t.Errorf("tried again after %v, want 300 ms", took)
		}
	})
}

func TestLastingTroubleEndsInTimeAndSaysWhenToReturn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault    fakehubspot.Fault
		budget   time.Duration
		requests int
		after    time.Duration
	}{
		"500 for ever":      {fakehubspot.Fault{Status: 500, Times: 1000}, time.Minute, 5, 10 * time.Second},
		"a hanging server":  {fakehubspot.Fault{Delay: time.Hour, Times: 1000}, 25 * time.Second, 0, 10 * time.Second},
		"a long wait asked": {fakehubspot.Fault{Status: 503, RetryAfter: "120", Times: 1000}, time.Minute, 1, 2 * time.Minute},
		"the day used up":   {fakehubspot.Fault{Status: 429, Policy: "DAILY", Times: 1000}, time.Minute, 1, 15 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, func(_ *fakehubspot.Options, _ *fakehubspot.PortalConfig, o *hubspot.Options) {
					o.Budget = c.budget
				})
				h.fake.Inject(c.fault)
				start := time.Now()
				_, err := h.client.Deal(t.Context(), 5)
				var problem *fault.Error
				if !errors.As(err, &problem) || problem.Kind != fault.Unavailable || problem.RetryAfter < c.after || problem.RetryAfter > c.after+time.Minute {
					t.Fatalf("got %v with %+v, want Unavailable and %v", err, problem, c.after)
				}
				mustNotTellTheToken(t, err)
				if took := time.Since(start); took > c.budget {
					t.Errorf("given up after %v, want %v at most", took, c.budget)
				}
				if n := h.fake.Requests(dealRoute); c.requests > 0 && n != c.requests {
					t.Errorf("%d requests, want %d", n, c.requests)
				}
			})
		})
	}
}

func TestTheCallersDeadlineBinds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, nil)
		h.fake.Inject(fakehubspot.Fault{Delay: time.Hour, Times: 1000})
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		start := time.Now()
		if _, err := h.client.Deal(ctx, 5); fault.Of(err) != fault.Unavailable {
			t.Errorf("got %v, want Unavailable", err)
		}
		if took := time.Since(start); took > 200*time.Millisecond {
			t.Errorf("given up after %v, want the caller's 200 ms", took)
		}
	})
}

func TestACancelledCallIsNoFaultOfHubSpot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, nil)
		h.fake.Inject(fakehubspot.Fault{Delay: time.Hour, Times: 1000})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		if _, err := h.client.Deal(ctx, 5); !errors.Is(err, context.Canceled) || fault.Of(err) != fault.Internal {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
}

func TestAUsedUpDayStopsTheOtherClientsOfThePortalToo(t *testing.T) {
	t.Parallel()
	h := newHub(t, nil)
	other, err := hubspot.New(h.options)
	if err != nil {
		t.Fatal(err)
	}
	h.fake.Inject(fakehubspot.Fault{Status: 429, Policy: "DAILY"})
	_, _ = h.client.Deal(t.Context(), 5)
	if _, err := other.Deal(t.Context(), 5); fault.Of(err) != fault.Unavailable {
		t.Errorf("got %v, want Unavailable", err)
	}
	if n := h.fake.Requests(""); n != 1 {
		t.Errorf("%d requests were sent, want 1", n)
	}
}

func TestARotatedTokenIsPickedUp(t *testing.T) {
	t.Parallel()
	var current, reads atomic.Value
	current.Store(token)
	reads.Store(token)
	h := newHub(t, func(_ *fakehubspot.Options, _ *fakehubspot.PortalConfig, o *hubspot.Options) {
		o.Token = func(context.Context) (string, error) { return reads.Load().(string) + "\n", nil } // as a file would give it
		o.Forget = func() { reads.Store(current.Load()) }
	})
	id := h.deal(t, fakehubspot.NewDeal{})
	if _, err := h.client.Deal(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	h.SetTokens("pat-new")
	current.Store("pat-new")
	if _, err := h.client.Deal(t.Context(), id); err != nil {
		t.Errorf("after the rotation: %v", err)
	}
}

func TestARefusedConnectionWaitsForSomebodyAndKeepsTheTokenSecret(t *testing.T) {
	t.Parallel()
	for status, kind := range map[int]fault.Kind{401: fault.Unauthorized, 403: fault.Forbidden} {
		forgotten := 0
		h := newHub(t, func(_ *fakehubspot.Options, _ *fakehubspot.PortalConfig, o *hubspot.Options) {
			o.Forget = func() { forgotten++ }
		})
		h.fake.Inject(fakehubspot.Fault{Status: status, Times: 10})
		_, err := h.client.Deal(t.Context(), 5)
		if !errors.Is(err, hubspot.ErrRefused) || fault.Of(err) != kind || fault.Permanent(err) {
			t.Errorf("%d: got %v, want a refusal that is kept for later", status, err)
		}
		if !strings.Contains(err.Error(), "48807704") {
			t.Errorf("%d: the error does not name the portal: %v", status, err)
		}
		mustNotTellTheToken(t, err)
		if n := h.fake.Requests(""); n != 2 || forgotten != 1 {
			t.Errorf("%d: %d requests and %d looks for a new token, want 2 and 1", status, n, forgotten)
		}
	}
}

func TestAnUnreadableTokenIsADependencyThatIsDown(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func(context.Context) (string, error){
		"an error": func(context.Context) (string, error) { return "", errors.New("no permission") },
		"nothing":  func(context.Context) (string, error) { return " \n", nil },
	} {
		h := newHub(t, func(_ *fakehubspot.Options, _ *fakehubspot.PortalConfig, o *hubspot.Options) { o.Token = read })
		if _, err := h.client.Deal(t.Context(), 5); fault.Of(err) != fault.Unavailable {
			t.Errorf("%s: got %v, want Unavailable", name, err)
		}
		if n := h.fake.Requests(""); n != 0 {
			t.Errorf("%s: %d requests without a token", name, n)
		}
	}
}

func TestABudgetIsSharedAndKeptBelowThePortalsLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// 20 in 500 ms, while the client believes that it may send far more: it must
		// learn from the answers, and two clients together must get through.
		h := newHub(t, func(_ *fakehubspot.Options, c *fakehubspot.PortalConfig, o *hubspot.Options) {
			c.Limit, c.Window = 20, 500*time.Millisecond
			o.Attempts = 20
		})
		other, err := hubspot.New(h.options)
		if err != nil {
			t.Fatal(err)
		}
		id := h.deal(t, fakehubspot.NewDeal{})
		var wg sync.WaitGroup
		for i := range 60 {
			client := h.client
			if i%2 == 1 {
				client = other
			}
			wg.Go(func() {
				if _, err := client.Deal(t.Context(), id); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

func TestAnEmptyBudgetDoesNotOutwaitTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, func(_ *fakehubspot.Options, _ *fakehubspot.PortalConfig, o *hubspot.Options) {
			o.Limits = hubspot.NewLimits(1)
		})
		id := h.deal(t, fakehubspot.NewDeal{})
		if _, err := h.client.Deal(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := h.client.Deal(ctx, id); fault.Of(err) != fault.Unavailable || time.Since(start) > 0 {
			t.Errorf("got %v after %v, want Unavailable at once", err, time.Since(start))
		}
	})
}

func TestOddAnswersAreErrorsAndNotDeals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		kind   fault.Kind
		tries  int32
	}{
		"half a JSON":   {write(`{"id":"5","properties":{"amou`), fault.Unavailable, 3},
		"a page":        {write(`<html>maintenance</html>`), fault.Unavailable, 3},
		"nothing":       {write(``), fault.Unavailable, 3},
		"another form":  {write(`[1,2]`), fault.Internal, 1},
		"no id":         {write(`{}`), fault.Internal, 1},
		"a flood":       {write(`"` + strings.Repeat("x", 9<<20) + `"`), fault.Internal, 1},
		"a bad request": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(400) }, fault.Internal, 1},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/", http.StatusFound)
		}, fault.Internal, 1},
		"endless paging":  {write(`{"id":"5","associations":{"contacts":{"results":[],"paging":{"next":{"after":"1"}}}},"paging":{"next":{"after":"1"}}}`), fault.Internal, 200},
		"a gateway's 429": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }, fault.Unavailable, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var tries atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				tries.Add(1)
				c.answer(w, r)
			}))
			defer server.Close()
			client := clientOf(t, server.URL, func(o *hubspot.Options) { o.Attempts, o.Limits = 3, hubspot.NewLimits(1_000_000) })
			if _, err := client.Deal(t.Context(), 5); err == nil || fault.Of(err) != c.kind {
				t.Errorf("got %v, want kind %d", err, c.kind)
			} else {
				mustNotTellTheToken(t, err)
			}
			if n := tries.Load(); n != c.tries {
				t.Errorf("%d tries, want %d", n, c.tries)
			}
		})
	}
}

func write(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
}
