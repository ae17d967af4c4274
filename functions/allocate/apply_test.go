package allocate_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/shared/auth"
)

const applyPath = "/api/ml/battle-hardened/apply"

type appliedTo struct {
	Queued int
	Ads    []struct {
		AdID     string `json:"ad_id"`
		ChangeID string `json:"change_id"`
		Status   string
		Reason   string
	}
}

func (s *system) apply(body any) appliedTo {
	s.t.Helper()
	return unmarshal[appliedTo](s, s.do(call{path: applyPath, body: body}))
}

// decided is an account of live ads, each in an ad set of its own, and a decision.
func (s *system) decided() result {
	s.t.Helper()
	s.newAccount(s.tenant, "acc", "USD")
	s.exec(`UPDATE gv.accounts SET mode = 'live'`)
	for _, id := range []string{"ad-00", "ad-01", "ad-02"} {
		s.newAd("acc", id, 10_000)
	}
	s.exec(`UPDATE gv.ads SET adset_id = 's-' || ad_id`)
	return s.split(m{"ad_states": append(several(4), adState("left", m{"excluded": true})), "total_budget": 400.0, "account_id": "acc"})
}

func TestWhatADecisionRecommendedIsQueuedOnceAndTheRestSaysWhyNot(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	d := s.decided()
	first := s.apply(m{"decision_id": d.DecisionID})
	if first.Queued != 3 || len(first.Ads) != 5 {
		t.Fatalf("%+v", first)
	}
	for i, want := range []string{"pending", "pending", "pending", "refused", "excluded"} {
		got := first.Ads[i]
		if got.Status != want || (got.Reason == "") != (want == "pending") || (got.ChangeID != "") != (want == "pending") {
			t.Errorf("%s: %+v, want %s", got.AdID, got, want)
		}
	}
	again := s.apply(m{"decision_id": d.DecisionID})
	for i := range first.Ads {
		if again.Ads[i] != first.Ads[i] {
			t.Errorf("again: %+v, first %+v", again.Ads[i], first.Ads[i])
		}
	}
	if n := scalar[int](s, `SELECT count(*) FROM gv.pending_ad_changes`); n != 3 {
		t.Errorf("%d changes", n)
	}
	target := scalar[int64](s, `SELECT target_minor FROM gv.pending_ad_changes WHERE ad_id = 'ad-02'`)
	if want := int64(d.Recommendations[2].Recommended*100 + 0.5); target != want {
		t.Errorf("%d is queued, want %d", target, want)
	}
}

func TestOnlyTheAdsThatAreNamedAreApplied(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	d := s.decided()
	got := s.apply(m{"decision_id": d.DecisionID, "ad_ids": []string{"ad-01", "nobody"}})
	if len(got.Ads) != 2 || got.Ads[0].AdID != "ad-01" || got.Ads[0].Status != "pending" || !strings.Contains(got.Ads[1].Reason, "does not speak of") {
		t.Errorf("%+v", got)
	}
}

func TestAnOldDecisionIsRefusedPerAdOnceANewerOneIsQueued(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	old := s.decided()
	newer := s.split(m{"ad_states": several(3), "total_budget": 250.0, "account_id": "acc"})
	s.apply(m{"decision_id": newer.DecisionID, "ad_ids": []string{"ad-00"}})
	got := s.apply(m{"decision_id": old.DecisionID})
	if got.Ads[0].Status != "refused" || !strings.Contains(got.Ads[0].Reason, "a newer decision was made") || got.Ads[1].Status != "pending" {
		t.Errorf("%+v", got)
	}
}

func TestADecisionInAnotherCurrencyIsNotApplied(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	d := s.decided()
	s.exec(`UPDATE gv.accounts SET currency = 'JPY'`)
	if got := s.apply(m{"decision_id": d.DecisionID}); got.Queued != 0 || !strings.Contains(got.Ads[0].Reason, "made in USD") {
		t.Errorf("%+v", got)
	}
}

func TestApplyingIsRefusedToOthersAndByField(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	d := s.decided()
	for name, c := range map[string]struct {
		c      call
		status int
	}{
		"a viewer":       {call{path: applyPath, body: m{"decision_id": d.DecisionID}, role: auth.Viewer}, http.StatusForbidden},
		"no decision":    {call{path: applyPath, body: m{}}, http.StatusUnprocessableEntity},
		"not an id":      {call{path: applyPath, body: m{"decision_id": "x"}}, http.StatusUnprocessableEntity},
		"unknown":        {call{path: applyPath, body: m{"decision_id": "01920000-0000-7000-8000-000000000000"}}, http.StatusNotFound},
		"an empty list":  {call{path: applyPath, body: m{"decision_id": d.DecisionID, "ad_ids": []string{}}}, http.StatusUnprocessableEntity},
		"an ad twice":    {call{path: applyPath, body: m{"decision_id": d.DecisionID, "ad_ids": []string{"a", "a"}}}, http.StatusUnprocessableEntity},
		"another tenant": {call{path: applyPath, body: m{"decision_id": d.DecisionID}, token: s.tokens.Token(s.newTenant("EUR"), "x@example.com", auth.Admin, 1<<40)}, http.StatusNotFound},
	} {
		if got := s.do(c.c); got.status != c.status {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if n := scalar[int](s, `SELECT count(*) FROM gv.pending_ad_changes`); n != 0 {
		t.Errorf("%d changes", n)
	}
}
