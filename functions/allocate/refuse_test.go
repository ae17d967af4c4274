package allocate_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/geminivideo/geminivideo/shared/auth"
)

func TestWhatBreaksARuleIsRefusedByItsField(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	raw := func(json string) any { return jsonValue(json) }
	ad := func(with ...m) m {
		return m{"ad_states": []m{adState("ok"), adState("ad", with...)}, "total_budget": 100.0}
	}
	top := func(with m) m {
		request := m{"ad_states": several(2), "total_budget": 100.0}
		for k, v := range with {
			if request[k] = v; v == nil {
				delete(request, k)
			}
		}
		return request
	}
	for _, tc := range []struct {
		name  string
		body  any
		field string
	}{
		{"no ads", top(m{"ad_states": []m{}}), "body.ad_states"},
		{"null ads", top(m{"ad_states": raw("null")}), "body.ad_states"},
		{"left-out ads", top(m{"ad_states": nil}), "body.ad_states"},
		{"a null ad", top(m{"ad_states": []any{nil}}), "body.ad_states[0]"},
		{"no total", top(m{"total_budget": nil}), "body.total_budget"},
		{"negative total", top(m{"total_budget": -0.01}), "body.total_budget"},
		{"total NaN", top(m{"total_budget": raw("NaN")}), "body.total_budget"},
		{"total infinite", top(m{"total_budget": raw("Infinity")}), "body.total_budget"},
		{"total beyond float64", top(m{"total_budget": raw("1e999")}), "body.total_budget"},
		{"total beyond money", top(m{"total_budget": 1e14}), "body.total_budget"},
		{"total as text", top(m{"total_budget": "100"}), "body.total_budget"},
		{"unknown field", top(m{"budget": 5}), "body.budget"},
		{"negative seed", top(m{"seed": -1}), "body.seed"},
		{"seed beyond 2^53", top(m{"seed": raw("9007199254740992")}), "body.seed"},
		{"broken seed", top(m{"seed": 1.5}), "body.seed"},
		{"empty account", top(m{"account_id": ""}), "body.account_id"},
		{"account of control characters", top(m{"account_id": "a\x00"}), "body.account_id"},
		{"score above 1", top(m{"creative_dna_scores": m{"ad-00": 1.01}}), "body.creative_dna_scores.ad-00"},
		{"score below 0", top(m{"creative_dna_scores": m{"ad-00": -1}}), "body.creative_dna_scores.ad-00"},
		{"score NaN", top(m{"creative_dna_scores": raw(`{"ad-00": NaN}`)}), "body.creative_dna_scores.ad-00"},
		{"no ad id", ad(m{"ad_id": nil}), "body.ad_states[1].ad_id"},
		{"empty ad id", ad(m{"ad_id": ""}), "body.ad_states[1].ad_id"},
		{"blank ad id", ad(m{"ad_id": "  "}), "body.ad_states[1].ad_id"},
		{"NUL in ad id", ad(m{"ad_id": "a\x00b"}), "body.ad_states[1].ad_id"},
		{"endless ad id", ad(m{"ad_id": strings.Repeat("x", 257)}), "body.ad_states[1].ad_id"},
		{"ad id twice", ad(m{"ad_id": "ok"}), "body.ad_states[1].ad_id"},
		{"no impressions", ad(m{"impressions": nil}), "body.ad_states[1].impressions"},
		{"null impressions", ad(m{"impressions": raw("null")}), "body.ad_states[1].impressions"},
		{"negative impressions", ad(m{"impressions": -1}), "body.ad_states[1].impressions"},
		{"half an impression", ad(m{"impressions": 1000.5}), "body.ad_states[1].impressions"},
		{"impressions NaN", ad(m{"impressions": raw("NaN")}), "body.ad_states[1].impressions"},
		{"impressions beyond 2^53", ad(m{"impressions": raw("1e17")}), "body.ad_states[1].impressions"},
		{"negative clicks", ad(m{"clicks": -1}), "body.ad_states[1].clicks"},
		{"clicks above impressions", ad(m{"clicks": 40001}), "body.ad_states[1].clicks"},
		{"negative spend", ad(m{"spend": -5}), "body.ad_states[1].spend"},
		{"spend NaN", ad(m{"spend": raw("NaN")}), "body.ad_states[1].spend"},
		{"spend beyond money", ad(m{"spend": 1e14}), "body.ad_states[1].spend"},
		{"negative value", ad(m{"pipeline_value": -5}), "body.ad_states[1].pipeline_value"},
		{"value -Infinity", ad(m{"pipeline_value": raw("-Infinity")}), "body.ad_states[1].pipeline_value"},
		{"negative cash", ad(m{"cash_revenue": -5}), "body.ad_states[1].cash_revenue"},
		{"negative age", ad(m{"age_hours": -0.1}), "body.ad_states[1].age_hours"},
		{"no age", ad(m{"age_hours": nil}), "body.ad_states[1].age_hours"},
		{"age infinite", ad(m{"age_hours": raw("Infinity")}), "body.ad_states[1].age_hours"},
		{"older than the world", ad(m{"age_hours": 1e9}), "body.ad_states[1].age_hours"},
		{"negative budget", ad(m{"current_budget": -1}), "body.ad_states[1].current_budget"},
		{"negative floor", ad(m{"min_budget": -1}), "body.ad_states[1].min_budget"},
		{"negative ceiling", ad(m{"max_budget": -1}), "body.ad_states[1].max_budget"},
		{"floor above ceiling", ad(m{"min_budget": 2, "max_budget": 1}), "body.ad_states[1].min_budget"},
		{"excluded as text", ad(m{"excluded": "yes"}), "body.ad_states[1].excluded"},
		{"unknown field of an ad", ad(m{"roas": 3}), "body.ad_states[1].roas"},
		{"a body that is a list", "[]", "body"},
	} {
		p := s.refused(s.do(call{body: text(t, tc.body)}), http.StatusUnprocessableEntity)
		found := false
		for _, e := range p.Errors {
			found = found || e.Location == tc.field && e.Message != ""
		}
		if !found {
			t.Errorf("%s: %+v does not name %s", tc.name, p, tc.field)
		}
	}
	s.refused(s.do(call{body: `{"ad_states": [`}), http.StatusBadRequest)
	s.refused(s.do(call{body: ``}), http.StatusBadRequest)
	if n := scalar[int](s, `SELECT (SELECT count(*) FROM gv.decisions) + (SELECT count(*) FROM gv.ad_observations)`); n != 0 {
		t.Errorf("refused requests left %d rows", n)
	}
}

// jsonValue is JSON that need not be valid, for what callers really send.
type jsonValue string

// text writes a body that may hold invalid JSON values.
func text(t *testing.T, body any) string {
	t.Helper()
	if s, ok := body.(string); ok {
		return s
	}
	swaps := map[string]string{}
	data, err := json.Marshal(marked(body, swaps))
	if err != nil {
		t.Fatal(err)
	}
	out := string(data)
	for mark, value := range swaps {
		out = strings.Replace(out, `"`+mark+`"`, value, 1)
	}
	return out
}

func marked(v any, swaps map[string]string) any {
	switch v := v.(type) {
	case jsonValue:
		mark := uuid.NewString()
		swaps[mark] = string(v)
		return mark
	case m:
		out := m{}
		for k, x := range v {
			out[k] = marked(x, swaps)
		}
		return out
	case []m:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = marked(x, swaps)
		}
		return out
	}
	return v
}

func TestOnlyEditorsAllocate(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	request := m{"ad_states": several(2), "total_budget": 1.0}
	s.refused(s.do(call{body: request, role: auth.Viewer}), http.StatusForbidden)
	s.refused(s.do(call{body: request, token: "nonsense"}), http.StatusUnauthorized)
	s.refused(s.do(call{path: feedbackPath, body: m{}, role: auth.Viewer}), http.StatusForbidden)
	s.refused(s.do(call{path: "/api/decisions/" + uuid.NewString() + "/replay", role: auth.Editor}), http.StatusForbidden)
	stranger := s.tokens.Token(uuid.NewString(), "who@example.com", auth.Editor, 1e12)
	s.refused(s.do(call{body: request, token: stranger}), http.StatusForbidden)
}
