package allocate_test

import (
	"bytes"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/decisions"
)

type page struct {
	Decisions []struct {
		DecisionID   string  `json:"decision_id"`
		AccountID    string  `json:"account_id"`
		RequestedBy  string  `json:"requested_by"`
		NumAds       int     `json:"num_ads"`
		TotalBudget  float64 `json:"total_budget"`
		Unallocated  float64 `json:"unallocated_budget"`
		Currency     string  `json:"currency"`
		Seed         int64   `json:"seed"`
		ModelVersion string  `json:"model_version"`
	} `json:"decisions"`
	NextBefore string `json:"next_before"`
}

func (s *system) page(query string) page {
	s.t.Helper()
	return unmarshal[page](s, s.do(call{method: http.MethodGet, path: "/api/decisions" + query, role: auth.Viewer}))
}

func (s *system) replay(id string) reply {
	s.t.Helper()
	return s.do(call{path: "/api/decisions/" + id + "/replay", role: auth.Admin})
}

func TestDecisionsAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	if got := s.do(call{method: http.MethodGet, path: "/api/decisions"}); strings.TrimSpace(string(got.body)) != `{"decisions":[]}` {
		t.Errorf("an empty ledger is %s", got.body)
	}
	s.newAccount(s.tenant, "a1", "USD")
	s.newAccount(s.tenant, "a2", "JPY")
	var ids []string
	for i := range 7 {
		request := m{"ad_states": several(i + 1), "total_budget": 100.0 + float64(i), "account_id": []string{"a1", "a2"}[i%2], "seed": i}
		ids = append([]string{s.split(request).DecisionID}, ids...)
	}
	var listed []string
	pages, query := 0, "?limit=3"
	for ; ; pages++ {
		p := s.page(query)
		for _, d := range p.Decisions {
			listed = append(listed, d.DecisionID)
			if d.RequestedBy != "buyer@example.com" || d.TotalBudget != 99+float64(d.NumAds) || d.Seed != int64(d.NumAds-1) || d.ModelVersion == "" {
				t.Errorf("listed as %+v", d)
			}
		}
		if p.NextBefore == "" {
			break
		}
		query = "?limit=3&before=" + p.NextBefore
	}
	if strings.Join(listed, " ") != strings.Join(ids, " ") || pages != 2 {
		t.Errorf("listed in %d pages:\n%v, want\n%v", pages+1, listed, ids)
	}
	if p := s.page("?account_id=a2"); len(p.Decisions) != 3 || p.Decisions[0].AccountID != "a2" || p.Decisions[0].Currency != "JPY" {
		t.Errorf("of a2: %+v", p)
	}
	for query, field := range map[string]string{
		"?limit=0": "query.limit", "?limit=x": "query.limit", "?before=yesterday": "query.before", "?account_id=%00": "query.account_id",
	} {
		p := s.refused(s.do(call{method: http.MethodGet, path: "/api/decisions" + query}), http.StatusUnprocessableEntity)
		if len(p.Errors) == 0 || p.Errors[0].Location != field {
			t.Errorf("%s: %+v", query, p)
		}
	}
}

func TestADecisionSaysWhatItExpectsToGain(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	good := adState("good", m{"pipeline_value": 9000.0, "current_budget": 50.0})
	bad := adState("bad", m{"pipeline_value": 0.0, "current_budget": 50.0})
	sent := unmarshal[struct {
		Account struct {
			Expected float64 `json:"expected_return"`
		}
	}](s, s.do(call{body: m{"ad_states": []m{good, bad}, "total_budget": 100.0}}))
	same := m{"min_budget": 50.0, "max_budget": 50.0}
	for key, value := range same {
		good[key], bad[key] = value, value
	}
	s.split(m{"ad_states": []m{good, bad}, "total_budget": 100.0})
	list := unmarshal[struct {
		Decisions []struct {
			Expected *float64 `json:"expected_return"`
			Gain     *float64 `json:"expected_gain"`
		} `json:"decisions"`
	}](s, s.do(call{method: http.MethodGet, path: "/api/decisions", role: auth.Viewer})).Decisions
	unmoved, moved := list[0], list[1]
	if moved.Expected == nil || math.Abs(*moved.Expected-sent.Account.Expected) > 1e-6 || moved.Gain == nil || *moved.Gain <= 0 {
		t.Errorf("of a split that moved money to the better ad: expected %v, gain %v; it answered %v",
			moved.Expected, moved.Gain, sent.Account.Expected)
	}
	if unmoved.Gain == nil || math.Abs(*unmoved.Gain) > 1e-6 || unmoved.Expected == nil ||
		math.Abs(*moved.Expected-*moved.Gain-*unmoved.Expected) > 1e-6 {
		t.Errorf("of the same budgets as before: expected %v, gain %v; the other expected %v of it",
			unmoved.Expected, unmoved.Gain, *moved.Expected-*moved.Gain)
	}
}

func TestADecisionShowsItsAnswerInputsAndPosterior(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	states := append(several(3), adState(`<b>"&`, m{"excluded": true}))
	sent := s.do(call{body: m{"ad_states": states, "total_budget": 100.0, "creative_dna_scores": m{"ad-00": 1}}})
	r := s.check(sent)
	got := unmarshal[struct {
		DecisionID string `json:"decision_id"`
		NumAds     int    `json:"num_ads"`
		Inputs     map[string]int
		Posterior  struct {
			Account map[string]float64
			Ads     []map[string]any
		}
		Answer rawJSON
	}](s, s.do(call{method: http.MethodGet, path: "/api/decisions/" + r.DecisionID, role: auth.Viewer}))
	if got.DecisionID != r.DecisionID || got.NumAds != 4 || got.Inputs["excluded"] != 1 || got.Inputs["creative_scores"] != 1 {
		t.Errorf("shown as %+v", got)
	}
	account := got.Posterior.Account
	if len(got.Posterior.Ads) != 4 || got.Posterior.Ads[3]["ad_id"] != `<b>"&` || account["draws"] < 1 || account["cpm"] <= 0 {
		t.Errorf("posterior %+v", got.Posterior)
	}
	if !bytes.Equal(got.Answer, bytes.TrimSpace(sent.body)) {
		t.Errorf("the answer is shown as\n%s, but was\n%s", got.Answer, sent.body)
	}
}

// rawJSON keeps a member's bytes.
type rawJSON []byte

func (r *rawJSON) UnmarshalJSON(b []byte) error { *r = bytes.Clone(b); return nil }

func TestADecisionIsOneTenantsOwn(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	id := s.split(m{"ad_states": several(2), "total_budget": 10.0}).DecisionID
	mine := s.tenant
	s.tenant = s.newTenant("USD")
	s.refused(s.do(call{method: http.MethodGet, path: "/api/decisions/" + id}), http.StatusNotFound)
	s.refused(s.replay(id), http.StatusNotFound)
	if p := s.page(""); len(p.Decisions) != 0 {
		t.Errorf("another tenant's decisions are listed: %+v", p)
	}
	if p := s.page("?before=" + uuid.Must(uuid.NewV7()).String()); len(p.Decisions) != 0 {
		t.Errorf("another tenant's decisions are listed: %+v", p)
	}
	s.tenant = mine
	s.refused(s.do(call{method: http.MethodGet, path: "/api/decisions/" + uuid.NewString()}), http.StatusNotFound)
	s.refused(s.do(call{method: http.MethodGet, path: "/api/decisions/monday"}), http.StatusUnprocessableEntity)
}

func TestAReplayAnswersTheSameBytes(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.history("acc", 3)
	for name, request := range map[string]m{
		"strangers": {"ad_states": several(30), "total_budget": 1000.0},
		"stored":    {"ad_states": []m{adState("acc-00", m{"pipeline_value": nil}), adState("acc-01"), adState("acc-02")}, "total_budget": 80.0},
		"limits": {"ad_states": []m{
			adState("a<&>é\u2028", m{"current_budget": 1, "max_budget": 3.5}), adState("b", m{"excluded": true}),
		}, "total_budget": 1000.0},
		"many": large(2000),
	} {
		for _, ad := range request["ad_states"].([]m) {
			ad["age_hours"] = 24.0
		}
		s.split(request)
		for _, ad := range request["ad_states"].([]m) {
			ad["age_hours"] = 48.0 // with a past, then
		}
		sent := s.do(call{body: request})
		id := s.check(sent).DecisionID
		s.split(request) // what is reported later is no part of it
		if again := s.replay(id); again.status != http.StatusOK || !bytes.Equal(sent.body, again.body) {
			t.Errorf("%s: replayed as %d\n%.300s\nwas\n%.300s", name, again.status, again.body, sent.body)
		}
	}
}

func TestAReplayByAnotherModelIsRefusedByName(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	r := s.split(m{"ad_states": several(3), "total_budget": 10.0})
	running := s.page("").Decisions[0].ModelVersion
	for column, value := range map[string]string{"model_version": "gamma-chain-0/1", "architecture": "arm64be"} {
		s.exec(`UPDATE gv.decisions SET ` + column + ` = '` + value + `'`)
		p := s.refused(s.replay(r.DecisionID), http.StatusConflict)
		if !strings.Contains(p.Detail, value) || !strings.Contains(p.Detail, running) {
			t.Errorf("%s: %q names not both of %s and %s", column, p.Detail, value, running)
		}
	}
}

func TestALedgerThatDoesNotReproduceIsAnError(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	sent := s.do(call{body: m{"ad_states": several(3), "total_budget": 10.0}})
	id := s.check(sent).DecisionID
	forged := bytes.Replace(sent.body, []byte(`"total_budget":10`), []byte(`"total_budget":11`), 1)
	s.exec(`UPDATE gv.decisions SET answer = $1`, []byte(decisions.Pack(forged)))
	if p := s.refused(s.replay(id), http.StatusInternalServerError); p.Detail != "internal error" {
		t.Errorf("a forged answer: %+v", p)
	}
	s.exec(`UPDATE gv.decisions SET answer = 'torn'`)
	s.refused(s.replay(id), http.StatusInternalServerError)
	unreadable := decisions.Pack([]byte(`{"Total": "ten"}`))
	s.exec(`UPDATE gv.decisions SET answer = $1, inputs = $2`, []byte(decisions.Pack(sent.body)), []byte(unreadable))
	s.refused(s.replay(id), http.StatusInternalServerError)
}
