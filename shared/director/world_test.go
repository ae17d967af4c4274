package director_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/director"
)

func dna(t *testing.T, text string) creative.DNA {
	t.Helper()
	d, err := creative.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func example(t *testing.T, ad string, similarity, roas float64, text string) director.Example {
	t.Helper()
	return director.Example{AdID: ad, Similarity: similarity, ROAS: roas, CTR: 0.02, DNA: dna(t, text)}
}

// grounded is a battle plan's brief with three winners.
func grounded(t *testing.T) director.Brief {
	t.Helper()
	return director.Brief{
		Kind: director.BattlePlan, DNA: dna(t, `{"hook_type":"offer","visual_pacing":"slow","duration_seconds":24}`), Seconds: 24,
		Grounding: director.OnWinners,
		Examples: []director.Example{
			example(t, "w-testimonial-1", 0.9, 6, `{"hook_type":"testimonial","hook_text":"I had quit four gyms before this one","visual_pacing":"medium","cta_type":"book_now","captions":true,"proof":"testimonial"}`),
			example(t, "w-testimonial-2", 0.7, 5, `{"hook":{"type":"testimonial"},"pacing":{"speed":"fast"},"cta":{"type":"book_now"}}`),
			example(t, "w-question", 0.8, 3.2, `{"hook_type":"question","hook_text":"Still paying?","visual_pacing":"fast","cta_type":"sign_up"}`),
		},
		Prediction: director.Prediction{
			Decision: "PROCEED", PredictedCTR: 0.014, PredictedROAS: 3.1, Confidence: 0.8, AccountBaseline: 0.012, BaselineSource: "account",
			Intervals: director.Intervals{CTR: director.Interval{Low: 0.01, High: 0.02, Level: 0.9}}, Weaknesses: []director.Weakness{},
		},
	}
}

// rejected is a fix plan's brief.
func rejected(t *testing.T) director.Brief {
	t.Helper()
	b := grounded(t)
	b.Kind = director.FixPlan
	b.Prediction.Decision = "REJECT"
	b.Prediction.Weaknesses = []director.Weakness{
		{Feature: "visual_pacing", Value: "slow", Effect: 0.31, Instead: "fast", Ads: []string{"w-question", "old-ad"}},
		{Feature: "hook_type", Value: "offer", Effect: 0.12, Instead: "testimonial", Ads: []string{"w-testimonial-1"}},
		{Feature: "human_face", Value: "no", Effect: 0.05, Ads: []string{}},
	}
	return b
}

// draft is what a model answers that does as it is asked.
func draft(t *testing.T, b director.Brief) map[string]any {
	t.Helper()
	data, err := json.Marshal(director.Template(b))
	if err != nil {
		t.Fatal(err)
	}
	var d map[string]any
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func member(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			v = v.(map[string]any)[p]
		case int:
			v = v.([]any)[p]
		}
	}
	return v
}

func names(broken []string, path string) bool {
	for _, b := range broken {
		if strings.HasPrefix(b, path+": ") || strings.HasPrefix(b, path+" ") {
			return true
		}
	}
	return false
}
