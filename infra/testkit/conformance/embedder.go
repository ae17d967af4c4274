package conformance

import (
	"context"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/geminivideo/geminivideo/shared/embed"
)

// Embedder is the suite of embed.Embedder. open returns an embedder that answers.
func Embedder(t *testing.T, open func(t *testing.T) embed.Embedder) {
	t.Helper()
	texts := []string{
		"a question hook", "fast pacing", "a question hook", "🙂", "健身房广告", "broken \xff\xfe", "\x00", "!!!",
		strings.Repeat("word ", 2000), strings.Repeat("x", 32<<10),
	}
	for name, test := range map[string]func(t *testing.T, e embed.Embedder){
		"every text has a vector of length one, in the order given": func(t *testing.T, e embed.Embedder) {
			vectors, err := e.Documents(t.Context(), texts)
			if err != nil || len(vectors) != len(texts) {
				t.Fatalf("%d vectors of %d texts, %v", len(vectors), len(texts), err)
			}
			for i, v := range vectors {
				unit(t, texts[i], v)
			}
			if !slices.Equal(vectors[0], vectors[2]) {
				t.Error("the same text has two vectors")
			}
			alone, err := e.Documents(t.Context(), texts[1:2])
			if err != nil || !slices.Equal(alone[0], vectors[1]) {
				t.Errorf("a text alone has another vector than among others, %v", err)
			}
		},
		"a query has a vector of the same space": func(t *testing.T, e embed.Embedder) {
			v, err := e.Query(t.Context(), "somebody asks a question")
			if err != nil {
				t.Fatal(err)
			}
			unit(t, "the query", v)
		},
		"nothing is embedded for nothing": func(t *testing.T, e embed.Embedder) {
			if vectors, err := e.Documents(t.Context(), nil); err != nil || len(vectors) != 0 {
				t.Errorf("%d vectors, %v", len(vectors), err)
			}
		},
		"it names its model, always the same": func(t *testing.T, e embed.Embedder) {
			first := e.Model()
			if again := e.Model(); first == "" || first != again {
				t.Errorf("it is called %q, then %q", first, again)
			}
		},
		"it is safe for concurrent use": func(t *testing.T, e embed.Embedder) {
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					if _, err := e.Query(context.WithoutCancel(t.Context()), "at once"); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// unit fails where v is no vector of embed.Dimensions finite numbers and length one.
func unit(t *testing.T, text string, v embed.Vector) {
	t.Helper()
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	if len(v) != embed.Dimensions || math.Abs(sum-1) > 1e-3 {
		t.Errorf("%.20q: %d dimensions, length %f; want %d and 1", text, len(v), math.Sqrt(sum), embed.Dimensions)
	}
}
