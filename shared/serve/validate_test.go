package serve_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// wide serves POST /typed, whose list may hold a million items, and POST /any,
// whose member may be anything.
func wide() http.Handler {
	api := serve.NewAPI(serve.Access{})
	serve.Post(api, "/typed", auth.Public, func(context.Context, *struct {
		Body struct {
			Items []struct {
				Spend float64 `json:"spend" minimum:"0"`
			} `json:"items" maxItems:"1000000"`
		}
	},
	) (*struct{}, error) {
		return nil, nil
	}, serve.MaxBody(8<<20))
	serve.Post(api, "/any", auth.Public, func(context.Context, *struct {
		Body struct {
			Items any `json:"items"`
		}
	},
	) (*struct{}, error) {
		return nil, nil
	}, serve.MaxBody(8<<20))
	return serve.Wrap("wide", api)
}

func post(h http.Handler, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// unknown is n members that no schema knows, each of another length.
func unknown(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`,"` + strings.Repeat("k", i+1) + `":0`)
	}
	return b.String()
}

func TestAnAnswerToBadInputNamesTwentyRulesAndCountsTheRest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body  string
		named int
		more  any
	}{
		"sixty unknown members":  {`{"items":[]` + unknown(60) + `}`, 20, 40.0},
		"twenty unknown members": {`{"items":[]` + unknown(20) + `}`, 20, nil},
		"a thousand bad items":   {`{"items":[` + strings.Repeat(`{"spend":-1},`, 999) + `{"spend":-1}]}`, 20, 980.0},
		"items that are numbers": {`{"items":[0,0,0]}`, 3, nil},
		"a very long name":       {`{"items":[],"` + strings.Repeat("k", 1<<20) + `":0}`, 1, nil},
	} {
		w := post(wide(), "/typed", c.body)
		p := decode(t, w)
		errs, _ := p["errors"].([]any)
		if w.Code != 422 || len(errs) != c.named || p["more_errors"] != c.more {
			t.Errorf("%s: %d, names %d and %v more, want 422, %d and %v", name, w.Code, len(errs), p["more_errors"], c.named, c.more)
		}
		if w.Body.Len() > 64_000 || c.more != nil && !strings.Contains(p["detail"].(string), "more)") {
			t.Errorf("%s: %d bytes, %q", name, w.Body.Len(), p["detail"])
		}
	}
}

func TestTheSameBadInputGetsTheSameAnswer(t *testing.T) {
	t.Parallel()
	var first string
	for range 20 {
		got := post(wide(), "/typed", `{"items":[]`+unknown(40)+`}`).Body.String()
		if first == "" {
			first = got
		}
		if got != first {
			t.Fatalf("two answers:\n%s\n%s", first, got)
		}
	}
}

// A body of half a million bad elements costs about what reading it costs: huma's
// own validation holds an error of some hundred bytes for each.
func TestAMillionBadElementsCostLittleMoreThanReadingThem(t *testing.T) {
	h := wide() // not parallel: it counts the process's memory
	list := `{"items":[` + strings.Repeat("0,", 450_000) + `0]}`
	post(h, "/typed", `{"items":[]}`) // compiles the rules
	read := allocated(func() { post(h, "/any", list) })
	checked := allocated(func() {
		if w := post(h, "/typed", list); w.Code != 422 || w.Body.Len() > 64_000 {
			t.Errorf("%d with %d bytes: %.200s", w.Code, w.Body.Len(), w.Body)
		}
	})
	t.Logf("reading allocates %d MB, checking %d MB", read>>20, checked>>20)
	if checked > 5*read {
		t.Errorf("checking allocates %d MB, reading %d MB", checked>>20, read>>20)
	}
}

func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
