package embed_test

import (
	"math"
	"slices"
	"testing"

	"github.com/geminivideo/geminivideo/shared/embed"
)

func TestNormalisedRefusesWhatIsNoVector(t *testing.T) {
	t.Parallel()
	of := func(n int, x float32) []float32 { return slices.Repeat([]float32{x}, n) }
	for name, values := range map[string][]float32{
		"none": nil, "too few": of(767, 1), "too many": of(3072, 1), "no length": of(768, 0),
		"no number": append(of(767, 1), float32(math.NaN())), "infinite": append(of(767, 1), float32(math.Inf(1))),
	} {
		if _, ok := embed.Normalised(values); ok {
			t.Errorf("%s is taken", name)
		}
	}
	for name, x := range map[string]float32{"small": 1e-30, "large": 1e30, "negative": -3} {
		v, ok := embed.Normalised(of(768, x))
		var sum float64
		for _, x := range v {
			sum += float64(x) * float64(x)
		}
		if !ok || math.Abs(sum-1) > 1e-5 {
			t.Errorf("%s: %v, of length %v", name, ok, sum)
		}
	}
}

func TestOnlyKnowsItsEmbedderAndTheLocalOne(t *testing.T) {
	t.Parallel()
	models := embed.Only(other{})
	for model, known := range map[string]bool{"other": true, embed.LocalModel: true, "gemini-embedding-2": false} {
		e, ok := models.Of("t", model)
		if ok != known || ok && e.Model() != model {
			t.Errorf("%s: %v", model, ok)
		}
	}
	if models.Configured() != "other" {
		t.Errorf("configured is %s", models.Configured())
	}
}

type other struct{ embed.Local }

func (other) Model() string { return "other" }
