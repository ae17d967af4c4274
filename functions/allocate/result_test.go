package allocate_test

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"testing"
)

// result is what callers read of an answer.
type result struct {
	DecisionID        string  `json:"decision_id"`
	TotalBudget       float64 `json:"total_budget"`
	Currency          string  `json:"currency"`
	NumAds            int     `json:"num_ads"`
	Unallocated       float64 `json:"unallocated_budget"`
	UnallocatedReason string  `json:"unallocated_reason"`
	Limit             string  `json:"limit"`
	Seed              int64   `json:"seed"`
	Recommendations   []recommended
}

type recommended struct {
	AdID        string  `json:"ad_id"`
	Current     float64 `json:"current_budget"`
	Recommended float64 `json:"recommended_budget"`
	Change      float64 `json:"change_percentage"`
	Confidence  float64 `json:"confidence"`
	Reason      string  `json:"reason"`
	Interval    struct{ Low, High float64 }
	PBest       float64 `json:"p_best"`
	Verdict     string  `json:"verdict"`
	Metrics     struct {
		Impressions  int64   `json:"impressions"`
		Clicks       int64   `json:"clicks"`
		CTR          float64 `json:"ctr"`
		PipelineROAS float64 `json:"pipeline_roas"`
		CTRWeight    float64 `json:"ctr_weight"`
		ROASWeight   float64 `json:"roas_weight"`
		BlendedScore float64 `json:"blended_score"`
		DecayFactor  float64 `json:"decay_factor"`
		AgeHours     float64 `json:"age_hours"`
	}
}

// split asks for a split that must succeed, and checks what holds of every one:
// the order, the sum to the minor unit, no null, no negative number where none
// can be, probabilities that are some.
func (s *system) split(body any) result {
	s.t.Helper()
	return s.check(s.do(call{body: body}))
}

func (s *system) check(got reply) result {
	s.t.Helper()
	if got.status != http.StatusOK {
		s.t.Fatalf("status %d: %.600s", got.status, got.body)
	}
	if bytes.Contains(got.body, []byte("null")) {
		s.t.Errorf("the answer holds a null: %.600s", got.body)
	}
	var r result
	if err := json.Unmarshal(got.body, &r); err != nil {
		s.t.Fatal(err)
	}
	scale := map[string]float64{"JPY": 1, "KWD": 1000}[r.Currency]
	if scale == 0 {
		scale = 100
	}
	minor := func(units float64) int64 {
		if n := units * scale; math.Abs(n-math.Round(n)) > max(1e-3, n*1e-14) {
			s.t.Errorf("%v %s has more decimals than its currency", units, r.Currency)
		}
		return int64(math.Round(units * scale))
	}
	sum := minor(r.Unallocated)
	for i, ad := range r.Recommendations {
		sum += minor(ad.Recommended)
		switch {
		case ad.Recommended < 0, ad.Confidence < 0, ad.Confidence > 1, ad.PBest < 0, ad.PBest > 1, ad.Interval.Low > ad.Interval.High:
			s.t.Errorf("recommendation %d is out of bounds: %+v", i, ad)
		case ad.Reason == "" || ad.Verdict == "":
			s.t.Errorf("recommendation %d says no reason or verdict: %+v", i, ad)
		}
	}
	if sum != minor(r.TotalBudget) {
		s.t.Errorf("recommendations and unallocated_budget sum to %d minor units, want %d", sum, minor(r.TotalBudget))
	}
	if r.NumAds != len(r.Recommendations) || (r.Unallocated > 0) != (r.UnallocatedReason != "") {
		s.t.Errorf("num_ads %d, unallocated %v because %q, limit %q", r.NumAds, r.Unallocated, r.UnallocatedReason, r.Limit)
	}
	return r
}

// of returns the recommendation for an ad.
func (r result) of(t testing.TB, id string) recommended {
	t.Helper()
	for _, ad := range r.Recommendations {
		if ad.AdID == id {
			return ad
		}
	}
	t.Fatalf("no recommendation for %s", id)
	return recommended{}
}
