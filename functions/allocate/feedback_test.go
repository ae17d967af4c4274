package allocate_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

type registered struct {
	Status      string    `json:"status"`
	AdID        string    `json:"ad_id"`
	ActualROAS  float64   `json:"actual_roas"`
	Timestamp   time.Time `json:"timestamp"`
	Winner      bool      `json:"winner"`
	ValueSource string    `json:"value_source"`
	Note        string    `json:"note"`
}

func unmarshal[T any](s *system, got reply) (v T) {
	s.t.Helper()
	if got.status != http.StatusOK {
		s.t.Fatalf("status %d: %.600s", got.status, got.body)
	}
	if err := json.Unmarshal(got.body, &v); err != nil {
		s.t.Fatal(err)
	}
	return v
}

// sendFeedback sends feedback on an ad.
func (s *system) sendFeedback(id string, value, spend float64, with ...m) registered {
	s.t.Helper()
	body := m{"ad_id": id, "actual_pipeline_value": value, "actual_spend": spend}
	for _, w := range with {
		for k, v := range w {
			body[k] = v
		}
	}
	return unmarshal[registered](s, s.do(call{path: feedbackPath, body: body}))
}

func TestFeedbackRecomputesTheAd(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.newAccount(s.tenant, "acc", "USD")
	s.newAd("acc", "a", nil)
	got := s.sendFeedback("a", 150, 100, m{"actual_clicks": 40, "actual_impressions": 5000})
	if got.Status != "feedback_registered" || got.AdID != "a" || got.ActualROAS != 1.5 || got.Winner || got.ValueSource != "feedback" ||
		time.Since(got.Timestamp).Abs() > time.Minute {
		t.Errorf("got %+v", got)
	}
	const row = `SELECT concat_ws(' ', impressions, clicks, spend_minor, pipeline_minor, is_winner) FROM gv.ads WHERE ad_id = 'a'`
	if got := scalar[string](s, row); got != "5000 40 10000 15000 f" {
		t.Errorf("the ad is %s", got)
	}
	// Totals to date: the newest stand, also where they are lower.
	if got := s.sendFeedback("a", 90, 60, m{"actual_clicks": 30, "actual_impressions": 4000}); got.ActualROAS != 1.5 {
		t.Errorf("a correction downwards gives %+v", got)
	}
	if got := scalar[string](s, row); got != "4000 30 6000 9000 f" {
		t.Errorf("after a correction the ad is %s", got)
	}
	// Clicks and impressions that are not said again stand; fewer impressions than clicks cannot.
	s.sendFeedback("a", 90, 60)
	if got := scalar[string](s, row); got != "4000 30 6000 9000 f" {
		t.Errorf("after less was said the ad is %s", got)
	}
	s.sendFeedback("a", 90, 60, m{"actual_impressions": 10})
	if got := scalar[string](s, row); got != "10 10 6000 9000 f" {
		t.Errorf("after only impressions were corrected the ad is %s", got)
	}
	if got := s.sendFeedback("a", 5, 0.2); got.ActualROAS != 5 {
		t.Errorf("spend counts as at least 1: ROAS %v, want 5", got.ActualROAS)
	}
}

func TestFeedbackMakesAWinnerOnce(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.newAccount(s.tenant, "acc", "USD")
	s.newAd("acc", "a", nil)
	for _, tc := range []struct {
		value, spend float64
		winner       bool
	}{{300, 100, false}, {200, 49.99, false}, {301, 100, true}, {400, 100, true}, {100, 100, false}} {
		if got := s.sendFeedback("a", tc.value, tc.spend); got.Winner != tc.winner {
			t.Errorf("%v for %v: winner %v", tc.value, tc.spend, got.Winner)
		}
	}
	sent := s.queue.Messages()
	if len(sent) != 1 || string(sent[0].Data) != `{"ad_id":"a"}` || sent[0].Attributes["gv-tenant"] != s.tenant {
		t.Errorf("%d messages: %+v", len(sent), sent)
	}
	if n := scalar[int](s, `SELECT count(*) FROM gv.outbox`); n != 0 {
		t.Errorf("%d messages are left in the outbox", n)
	}
}

func TestTheLedgerDecidesWhereItKnowsTheDeals(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.history("acc", 1) // five deals of 800 each, won; 500 spent
	got := s.sendFeedback("acc-00", 99999, 500)
	if got.ActualROAS != 8 || got.ValueSource != "ledger" || !strings.Contains(got.Note, "ledger") {
		t.Errorf("got %+v, want the ledger's 4,000 over 500", got)
	}
}

func TestFeedbackIsTakenOncePerKey(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.newAccount(s.tenant, "acc", "USD")
	s.newAd("acc", "a", nil)
	body := m{"ad_id": "a", "actual_pipeline_value": 10, "actual_spend": 5}
	first := s.do(call{path: feedbackPath, body: body, key: "k"})
	s.sendFeedback("a", 20, 5)
	if again := s.do(call{path: feedbackPath, body: body, key: "k"}); string(again.body) != string(first.body) {
		t.Errorf("the same key gave %s, then %s", first.body, again.body)
	}
	if v := scalar[int](s, `SELECT pipeline_minor FROM gv.ads`); v != 2000 {
		t.Errorf("a repeat brought old totals back: %d", v)
	}
	body["actual_spend"] = 6
	s.refused(s.do(call{path: feedbackPath, body: body, key: "k"}), http.StatusConflict)
}

func TestBadFeedbackIsRefused(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.newAccount(s.tenant, "acc", "USD")
	s.newAd("acc", "a", nil)
	mine := s.tenant
	s.tenant = s.newTenant("USD")
	s.newAccount(s.tenant, "theirs", "USD")
	s.newAd("theirs", "b", nil)
	s.tenant = mine
	for _, id := range []string{"b", "nobody"} {
		s.refused(s.do(call{path: feedbackPath, body: m{"ad_id": id, "actual_pipeline_value": 1, "actual_spend": 1}}), http.StatusNotFound)
	}
	for _, tc := range []struct {
		with  m
		field string
	}{
		{m{"ad_id": ""}, "ad_id"},
		{m{"ad_id": "\x00"}, "ad_id"},
		{m{"actual_pipeline_value": -1}, "actual_pipeline_value"},
		{m{"actual_pipeline_value": jsonValue("NaN")}, "actual_pipeline_value"},
		{m{"actual_pipeline_value": 1e15}, "actual_pipeline_value"},
		{m{"actual_spend": -1}, "actual_spend"},
		{m{"actual_spend": jsonValue("1e999")}, "actual_spend"},
		{m{"actual_spend": 1e15}, "actual_spend"},
		{m{"actual_clicks": 5}, "actual_impressions"},
		{m{"actual_clicks": 5, "actual_impressions": 4}, "actual_clicks"},
		{m{"actual_clicks": 1.5, "actual_impressions": 4}, "actual_clicks"},
		{m{"actual_impressions": -4}, "actual_impressions"},
		{m{"roas": 3}, "roas"},
	} {
		body := m{"ad_id": "a", "actual_pipeline_value": 1, "actual_spend": 1}
		for k, v := range tc.with {
			body[k] = v
		}
		p := s.refused(s.do(call{path: feedbackPath, body: text(t, body)}), http.StatusUnprocessableEntity)
		if len(p.Errors) == 0 || p.Errors[0].Location != "body."+tc.field {
			t.Errorf("%v: %+v does not name %s", tc.with, p, tc.field)
		}
	}
	if n := scalar[int](s, `SELECT count(*) FROM gv.ad_figures`); n != 0 {
		t.Errorf("refused feedback left %d rows", n)
	}
}
