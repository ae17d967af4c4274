package embed_test

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/embed"
)

func TestEveryTextHasAVectorOfLengthOne(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", " ", "!!!", "\x00", "\x00\x00a", "🙂🙂", "\xff\xfe", "fast cuts", strings.Repeat("word ", 6554), strings.Repeat("x", 32<<10),
		strings.Repeat("\x00", 32<<10), "n: NaN", "n: Inf", "n: 1e308", "n: -1e308", ": :\n: a\na: \n", "健身房广告", "n: 0.0",
	} {
		v := vector(t, text)
		if len(v) != embed.Dimensions {
			t.Fatalf("%.20q has %d dimensions", text, len(v))
		}
		if length := cosine(v, v); math.Abs(length-1) > 1e-5 {
			t.Errorf("%.20q has the length %f", text, length)
		}
	}
}

func TestDocumentsAndQueriesOfLocalAgree(t *testing.T) {
	t.Parallel()
	texts := []string{"a question hook", "", "fast pacing"}
	documents, err := embed.Local{}.Documents(t.Context(), texts)
	if err != nil || len(documents) != len(texts) {
		t.Fatalf("%d vectors, %v", len(documents), err)
	}
	for i, text := range texts {
		if diff := cmp.Diff(documents[i], vector(t, text)); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func TestTextsAreAlikeByTheWordsTheyShare(t *testing.T) {
	t.Parallel()
	want := vector(t, dna(t, `{"hook_type":"question","hook_strength":0.8,"visual_pacing":"fast cuts","cta_type":"book a call","emotion":"curiosity"}`))
	near := vector(t, dna(t, `{"hook_type":"question","hook_strength":0.75,"visual_pacing":"fast cuts","cta_type":"shop now","emotion":"curiosity"}`))
	far := vector(t, dna(t, `{"hook_type":"testimonial","hook_strength":0.1,"visual_pacing":"slow pan","cta_type":"download","emotion":"trust"}`))
	if n, f := cosine(want, near), cosine(want, far); n < 0.6 || f > 0.2 {
		t.Errorf("a near DNA is %.2f alike, a far one %.2f", n, f)
	}
	said := vector(t, "a question as the hook, with fast cuts")
	if n, f := cosine(said, want), cosine(said, far); n < 0.2 || n < f+0.15 {
		t.Errorf("in words the near DNA is %.2f alike, the far one %.2f", n, f)
	}
}

func TestNearNumbersAreMoreAlikeThanFarOnes(t *testing.T) {
	t.Parallel()
	at := func(n string) embed.Vector { return vector(t, "hook_strength: "+n) }
	if a, b, c := cosine(at("0.8"), at("0.8")), cosine(at("0.8"), at("0.72")), cosine(at("0.8"), at("0.2")); a < b || b < c+0.3 {
		t.Errorf("0.8 is like itself %.2f, like 0.72 %.2f, like 0.2 %.2f", a, b, c)
	}
}

func TestUnrelatedTextsAreNearlyPerpendicular(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		var b strings.Builder
		for range 30 {
			b.WriteString("w" + strconv.FormatUint(random.Uint64(), 36) + "x ")
		}
		return b.String()
	}
	for range 200 {
		if like := cosine(vector(t, text()), vector(t, text())); math.Abs(like) > 0.2 {
			t.Errorf("unrelated texts are %.2f alike", like)
		}
	}
}

func TestTheOrderOfADNAsKeysChangesNothing(t *testing.T) {
	t.Parallel()
	a := vector(t, dna(t, `{"hook_type":"question","x":{"a":1,"b":[true,"c"]}}`))
	b := vector(t, dna(t, `{"x":{"b":[true,"c"],"a":1},"hook_type":"question"}`))
	if diff := cmp.Diff(a, b); diff != "" {
		t.Error(diff)
	}
}

func FuzzLocalNeverPanics(f *testing.F) {
	f.Add("hook_type: question\n0.5")
	f.Fuzz(func(t *testing.T, text string) {
		v := vector(t, text)
		if length := cosine(v, v); math.Abs(length-1) > 1e-5 {
			t.Errorf("the length is %f", length)
		}
	})
}

func BenchmarkLocal(b *testing.B) {
	text := strings.Repeat("key: some words in a value\n", 40)
	for b.Loop() {
		_, _ = embed.Local{}.Query(b.Context(), text)
	}
}

func dna(t *testing.T, in string) string {
	t.Helper()
	d, err := creative.Parse([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	return d.Text()
}

func vector(t *testing.T, text string) embed.Vector {
	t.Helper()
	v, err := embed.Local{}.Query(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func cosine(a, b embed.Vector) float64 {
	var sum float64
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}
