package allocate_test

import (
	"bytes"
	"net/http"
	"testing"
)

func TestTwelveAtOnceAreAnswered(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	replies := make(chan reply)
	for i := range 12 {
		states := several(30)
		for _, ad := range states {
			ad["age_hours"] = float64(24 * (i + 1))
		}
		go func() { replies <- s.do(call{body: m{"ad_states": states, "total_budget": 1000.0}}) }()
	}
	for range 12 {
		s.check(<-replies)
	}
	if n := scalar[int](s, `SELECT count(*) FROM gv.decisions`); n != 12 {
		t.Errorf("%d decisions are kept, want 12", n)
	}
}

func TestTwinRequestsWithOneKeyAreOneDecision(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	other := s.instance()
	request := m{"ad_states": several(8), "total_budget": 400.0}
	replies := make(chan reply)
	for i := range 6 {
		to := s.handler
		if i%2 == 1 {
			to = other
		}
		go func() { replies <- s.do(call{body: request, key: "monday", to: to}) }()
	}
	var bodies [][]byte
	for range 6 {
		got := <-replies
		if got.status == http.StatusConflict && got.header.Get("Retry-After") != "" {
			continue // while the other was at work
		}
		s.check(got)
		bodies = append(bodies, got.body)
	}
	late := s.do(call{body: request, key: "monday"})
	s.check(late)
	for _, body := range bodies {
		if !bytes.Equal(body, late.body) {
			t.Errorf("the same key gave two answers:\n%.200s\n%.200s", body, late.body)
		}
	}
	if n := scalar[int](s, `SELECT count(*) FROM gv.decisions`); n != 1 {
		t.Errorf("one key made %d decisions", n)
	}
	request["total_budget"] = 401.0
	s.refused(s.do(call{body: request, key: "monday"}), http.StatusConflict)
}

func TestAStoppedDatabaseIs503(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.db.AppURL = "postgres://gv_app@127.0.0.1:1/none?sslmode=disable&connect_timeout=2"
	down := s.instance()
	for _, c := range []call{
		{body: m{"ad_states": several(3), "total_budget": 10.0}},
		{path: feedbackPath, body: m{"ad_id": "a", "actual_pipeline_value": 1, "actual_spend": 1}},
		{method: http.MethodGet, path: "/api/decisions"},
	} {
		c.to = down
		got := s.do(c)
		if s.refused(got, http.StatusServiceUnavailable); got.header.Get("Retry-After") == "" {
			t.Errorf("%s has no Retry-After", c.path)
		}
	}
}
