package meta_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/meta"
)

// class is what the predicates say of an error.
func class(err error) string {
	_, throttled := meta.Throttled(err)
	switch {
	case meta.BudgetLimited(err):
		return "budget limit"
	case throttled:
		return "throttled"
	case meta.Unauthorized(err):
		return "unauthorized"
	case meta.Forbidden(err):
		return "forbidden"
	case meta.Gone(err):
		return "gone"
	case fault.Of(err) == fault.Unavailable:
		return "down"
	}
	return "refused"
}

func TestEveryCodeHasItsClassAndItsOutcome(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code, subcode, status int
		class                 string
		outcome               meta.Effect
		kind                  fault.Kind
	}{
		{1, 0, 400, "down", meta.Unknown, fault.Unavailable},
		{2, 0, 200, "down", meta.Unknown, fault.Unavailable},
		{2, 0, 503, "down", meta.Unknown, fault.Unavailable},
		{-1, 0, 500, "down", meta.Unknown, fault.Unavailable},
		{4, 0, 400, "throttled", meta.Refused, fault.Unavailable},
		{4, 1504022, 400, "throttled", meta.Refused, fault.Unavailable},
		{17, 2446079, 400, "throttled", meta.Refused, fault.Unavailable},
		{32, 0, 400, "throttled", meta.Refused, fault.Unavailable},
		{341, 0, 400, "throttled", meta.Refused, fault.Unavailable},
		{613, 0, 400, "throttled", meta.Refused, fault.Unavailable},
		{613, 1996, 400, "throttled", meta.Refused, fault.Unavailable},
		{613, 5044001, 400, "throttled", meta.Refused, fault.Unavailable},
		{613, 1487632, 400, "budget limit", meta.Refused, fault.Unavailable},
		{80000, 0, 400, "throttled", meta.Refused, fault.Unavailable},
		{80004, 0, 200, "throttled", meta.Refused, fault.Unavailable},
		{80014, 0, 400, "throttled", meta.Refused, fault.Unavailable},
		{102, 0, 401, "unauthorized", meta.Refused, fault.Conflict},
		{190, 463, 400, "unauthorized", meta.Refused, fault.Conflict},
		{10, 0, 403, "forbidden", meta.Refused, fault.Conflict},
		{200, 0, 403, "forbidden", meta.Refused, fault.Conflict},
		{294, 0, 400, "forbidden", meta.Refused, fault.Conflict},
		{100, 33, 400, "gone", meta.Refused, fault.NotFound},
		{803, 0, 404, "gone", meta.Refused, fault.NotFound},
		{100, 1885621, 400, "refused", meta.Refused, fault.Conflict},
		{100, 0, 200, "refused", meta.Refused, fault.Conflict},
		{2635, 0, 400, "refused", meta.Refused, fault.Conflict},
		{9999999, 0, 418, "refused", meta.Refused, fault.Conflict},
		{100, 0, 500, "down", meta.Unknown, fault.Unavailable},
	} {
		w := newWorld(t, func(_ *fakemeta.Options, _ *fakemeta.AccountConfig, o *meta.Options) { o.Attempts = 1 })
		w.know()
		strike := fakemeta.Fault{Code: c.code, Subcode: c.subcode, Status: c.status, Message: "why"}
		w.fake.Inject(strike, strike)
		_, err := w.account.SetStatus(t.Context(), "ad/"+w.ad, "PAUSED", false)
		if got := class(err); got != c.class || meta.Outcome(err) != c.outcome || fault.Of(err) != c.kind {
			t.Errorf("%d/%d with %d: %s, outcome %d, kind %d (%v)", c.code, c.subcode, c.status, got, meta.Outcome(err), fault.Of(err), err)
		}
		var e *meta.Error
		if !errors.As(err, &e) || e.Code != c.code || e.Subcode != c.subcode || e.HTTPStatus != c.status || e.Trace == "" || e.Message != "why" {
			t.Errorf("%d/%d: %+v", c.code, c.subcode, e)
		}
		if w.applied() != 0 {
			t.Errorf("%d/%d: something was applied", c.code, c.subcode)
		}
	}
}

func TestAWriteIsSentOnceWhateverHappens(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault   fakemeta.Fault
		outcome meta.Effect
		applied int
	}{
		"500 before":               {fakemeta.Fault{Status: 500, Times: 9}, meta.Unknown, 0},
		"502 after it was done":    {fakemeta.Fault{Status: 502, After: true, Times: 9}, meta.Unknown, 1},
		"code 2 after it was done": {fakemeta.Fault{Status: 200, Code: 2, After: true, Times: 9}, meta.Unknown, 1},
		"hangs before":             {fakemeta.Fault{Delay: time.Hour, Times: 9}, meta.Unknown, 0},
		"hangs after it was done":  {fakemeta.Fault{Delay: time.Hour, After: true, Times: 9}, meta.Unknown, 1},
		"connection lost before":   {fakemeta.Fault{Drop: true, Times: 9}, meta.Unknown, 0},
		"connection lost after":    {fakemeta.Fault{Drop: true, After: true, Times: 9}, meta.Unknown, 1},
		"half an answer":           {fakemeta.Fault{Truncate: true, Times: 9}, meta.Unknown, 1},
		"a page instead":           {fakemeta.Fault{Status: 200, After: true, Times: 9}, meta.Unknown, 1},
		"a gateway's 403":          {fakemeta.Fault{Status: 403, Times: 9}, meta.Refused, 0},
		"throttled":                {fakemeta.Fault{Code: 17, Times: 9}, meta.Refused, 0},
		"all is well":              {fakemeta.Fault{Delay: time.Microsecond}, meta.Applied, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				w.know()
				w.fake.Inject(c.fault)
				_, err := w.account.SetBudget(t.Context(), "adset/"+w.adset, 4000, false)
				if meta.Outcome(err) != c.outcome || w.applied() != c.applied {
					t.Errorf("outcome %d, %d applied: %v", meta.Outcome(err), w.applied(), err)
				}
				w.fake.Heal()
				if n := len(w.fake.Writes("")); n != c.applied {
					t.Errorf("%d writes arrived", n)
				}
			})
		})
	}
}

func TestAWriteThatNeverLeftIsRefusedForCertain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.know()
	refusedAt := func(what string, err error) {
		t.Helper()
		if err == nil || meta.Outcome(err) != meta.Refused || len(w.fake.Writes("")) != 0 {
			t.Errorf("%s: outcome %d, %v", what, meta.Outcome(err), err)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.account.SetBudget(gone, "adset/"+w.adset, 4000, false)
	refusedAt("a cancelled context", err)
	for _, name := range []string{"", "adset/", "adset/1/2", "adset/me", "act_77", "campaign/../1", "ad/1"} {
		_, err = w.account.SetBudget(t.Context(), name, 4000, false)
		refusedAt(name, err)
	}
	_, err = w.account.SetBudget(t.Context(), "adset/"+w.adset, -1, false)
	refusedAt("a negative budget", err)
	_, err = w.account.SetStatus(t.Context(), "ad/"+w.ad, "DELETED", false)
	refusedAt("another status", err)
	_, err = w.account.SetSpendLimits(t.Context(), "adset/"+w.adset, nil, nil, false)
	refusedAt("no limits", err)
	w.server.Close()
	_, err = w.account.SetBudget(t.Context(), "adset/"+w.adset, 4000, false)
	refusedAt("nobody listens", err)
}

func TestAReadIsTriedAgainAndEndsInTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault    fakemeta.Fault
		fails    bool
		requests int
	}{
		"two 500s":            {fakemeta.Fault{Status: 500, Times: 2}, false, 1},
		"two errors in a 200": {fakemeta.Fault{Status: 200, Code: 2, Times: 2}, false, 1},
		"a transient error":   {fakemeta.Fault{Code: 368, Transient: true, Times: 2}, false, 1},
		"a cut answer":        {fakemeta.Fault{Truncate: true}, false, 2},
		"a lost connection":   {fakemeta.Fault{Drop: true, Times: 2}, false, 1},
		"one that hangs":      {fakemeta.Fault{Delay: time.Hour}, false, 1},
		"500 for ever":        {fakemeta.Fault{Status: 500, Times: 99}, true, 0},
		"hangs for ever":      {fakemeta.Fault{Delay: time.Hour, Times: 99}, true, 0},
		"a refusal":           {fakemeta.Fault{Code: 100}, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(_ *fakemeta.Options, _ *fakemeta.AccountConfig, o *meta.Options) {
					o.Timeout, o.Budget, o.Attempts = 10*time.Second, 31*time.Second, 3
				})
				w.know()
				w.fake.Inject(c.fault)
				began := time.Now()
				s, err := w.account.Read(t.Context(), "ad/"+w.ad)
				if (err != nil) != c.fails || !c.fails && s.Status != "ACTIVE" {
					t.Errorf("%+v %v", s, err)
				}
				if n := w.fake.Requests(http.MethodGet + " ad"); n != c.requests {
					t.Errorf("%d requests were answered, want %d", n, c.requests)
				}
				if took := time.Since(began); took > 31*time.Second {
					t.Errorf("given up after %s, want 31 s at most", took)
				}
			})
		})
	}
}
