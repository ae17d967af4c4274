package gemini_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/geminivideo/geminivideo/infra/testkit/fakegemini"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/gemini"
)

func TestEachModelGetsTheRoleOfATextItsOwnWay(t *testing.T) {
	t.Parallel()
	first := func(cfg *gemini.Config) { cfg.EmbeddingModel = "gemini-embedding-001" }
	for name, c := range map[string]struct {
		change              []func(*gemini.Config)
		model               string
		document, query     string
		docTask, queryTask  string
		largest, ofRequests int
	}{
		"developer, 2": {nil, "gemini-embedding-2", "title: none | text: a word", "task: search result | query: a word", "", "", 100, 4},
		"developer, 1": {[]func(*gemini.Config){first}, "gemini-embedding-001", "a word", "a word", "RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY", 100, 4},
		"vertex, 2":    {[]func(*gemini.Config){onVertex}, "gemini-embedding-2", "title: none | text: a word", "task: search result | query: a word", "", "", 1, 251},
		"vertex, 1":    {[]func(*gemini.Config){onVertex, first}, "gemini-embedding-001", "a word", "a word", "RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY", 1, 251},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := open(t, c.change...)
			f.fake.Embed = func(_, text string) []float32 {
				var n int
				fmt.Sscanf(text[strings.LastIndexByte(text, ' ')+1:], "%d", &n)
				return []float32{float32(math.Cos(float64(n))), float32(math.Sin(float64(n)))}
			}
			texts := make([]string, 250)
			for i := range texts {
				texts[i] = fmt.Sprintf("a word %d", i)
			}
			e := f.Embedder(tenantA)
			vectors, err := e.Documents(t.Context(), texts)
			if err != nil || len(vectors) != 250 || e.Model() != c.model {
				t.Fatalf("%d vectors, %v", len(vectors), err)
			}
			for i, v := range vectors {
				var length float64
				for _, x := range v {
					length += float64(x) * float64(x)
				}
				if len(v) != embed.Dimensions || math.Abs(length-1) > 1e-5 || math.Abs(float64(v[0])-math.Cos(float64(i))) > 1e-5 {
					t.Fatalf("text %d: %d numbers of length %v, the first %v", i, len(v), length, v[0])
				}
			}
			if _, err := e.Query(t.Context(), "a word 7"); err != nil {
				t.Fatal(err)
			}
			all := f.fake.Texts()
			last := all[len(all)-1]
			if !strings.HasPrefix(all[0].Text, c.document) || all[0].Task != c.docTask || last.Text != c.query+" 7" || last.Task != c.queryTask {
				t.Errorf("asked with %+v and %+v", all[0], last)
			}
			if f.fake.Largest() != c.largest || f.fake.Requests() != c.ofRequests {
				t.Errorf("%d requests of up to %d texts", f.fake.Requests(), f.fake.Largest())
			}
			if calls, failed, input, output, _ := f.used(t, c.model); calls != 4 || failed != 0 || input < 500 || output != 0 || f.reserved(t) != 0 {
				t.Errorf("counted %d, %d, %d, %d; %d reserved", calls, failed, input, output, f.reserved(t))
			}
		})
	}
}

func TestVectorsThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	f := open(t)
	for name, o := range map[string]fakegemini.Fault{
		"too long":      fakegemini.Dimensions(3072),
		"one too few":   fakegemini.Lost(1),
		"no embeddings": fakegemini.Body(`{}`),
		"null":          fakegemini.Body(`{"embeddings":[null]}`),
		"empty":         fakegemini.Body(`{"embeddings":[{}]}`),
	} {
		f.afresh(t)
		f.fake.Inject(o)
		if _, err := f.Embedder(tenantA).Query(t.Context(), "x"); !errors.Is(err, gemini.ErrNonsense) || fault.Of(err) != fault.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
		if calls, failed, _, _, _ := f.used(t, "gemini-embedding-2"); calls != 1 || failed != 1 || f.reserved(t) != 0 {
			t.Errorf("%s: counted %d, %d; %d reserved", name, calls, failed, f.reserved(t))
		}
	}
	f.fake.Embed = func(string, string) []float32 { return nil } // a vector of no length
	if _, err := f.Embedder(tenantA).Query(t.Context(), "x"); !errors.Is(err, gemini.ErrNonsense) {
		t.Errorf("no direction: %v", err)
	}
	f.fake.Break(fakegemini.Body(`not JSON ` + secretWords))
	_, err := f.Embedder(tenantA).Documents(t.Context(), []string{secretWords})
	if fault.Of(err) != fault.Unavailable {
		t.Errorf("not the API's: %v", err)
	}
	clean(t, "not the API's", err)
}

// The fake refuses what is longer than the model reads, as Google does.
func TestAnyTextIsEmbedded(t *testing.T) {
	t.Parallel()
	for _, back := range []func(*gemini.Config){func(*gemini.Config) {}, onVertex} {
		f := open(t, back)
		for _, model := range []string{"gemini-embedding-001", "gemini-embedding-2"} {
			f.cfg.EmbeddingModel = model
			f.afresh(t)
			texts := []string{
				strings.Repeat("a ", 16<<10), strings.Repeat("x", 32<<10), strings.Repeat("7", 32<<10), strings.Repeat("健身房", 10<<10),
				strings.Repeat("🙂", 8<<10), strings.Repeat("hook_type: question\n", 1600), "broken \xff\xfe", "🙂", "!!!",
			}
			if _, err := f.Embedder(tenantA).Documents(t.Context(), texts); err != nil {
				t.Errorf("%s: %v", model, err)
			}
			for _, one := range f.fake.Texts() {
				if !utf8.ValidString(one.Text) {
					t.Errorf("%.20q is not UTF-8", one.Text)
				}
			}
		}
	}
}

func TestATextIsCutBetweenWordsWhereItIsTooLong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"short":                  "short",
		"one two three four":     "one two three",
		"hook: 1 and 22 and 333": "hook: 1 and",
		"unbreakablelongword":    "unbreakablelong",
		"健身房健身房":                 "健身房健身",
		"":                       "",
	} {
		if got := gemini.Cut(text, 5); got != want || gemini.TokensOf(got) > 5 {
			t.Errorf("%q is cut to %q, want %q", text, got, want)
		}
	}
}
