package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"unicode/utf8"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/serve"
)

type fuzzed struct {
	Body struct {
		Name  string             `json:"name" minLength:"1" maxLength:"20"`
		Count int64              `json:"count" minimum:"0" maximum:"100"`
		Rate  *float64           `json:"rate,omitempty" nullable:"true" minimum:"0" maximum:"1"`
		Kind  string             `json:"kind,omitempty" enum:"a,b"`
		Items []struct{ A int }  `json:"items,omitempty" maxItems:"5"`
		Open  map[string]any     `json:"open,omitempty"`
		Named map[string]float64 `json:"named,omitempty"`
	}
}

// FuzzBody: a body is one that the types describe, or is refused with a problem that is
// the caller's and of at most 64 kB.
func FuzzBody(f *testing.F) {
	f.Add("application/json", []byte(`{"name":"x","count":1,"rate":0.5,"kind":"a","items":[{"A":1}],"open":{"x":[1,null]},"named":{"y":2}}`))
	f.Add("application/json", []byte(`{"name":"\u0000","count":NaN,"rate":1e999,"items":[0,0,0]}`))
	f.Add("text/json", []byte(`[`))
	f.Add("", []byte(`{"NAME":"x"}`))
	api := serve.NewAPI(serve.Access{})
	var got *fuzzed
	serve.Post(api, "/fuzz", auth.Public, func(_ context.Context, in *fuzzed) (*struct{}, error) { got = in; return nil, nil })
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		got = nil
		r := httptest.NewRequest(http.MethodPost, "/fuzz", bytes.NewReader(body))
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		switch {
		case got != nil:
			b := got.Body
			if w.Code >= 300 || b.Count < 0 || b.Count > 100 || b.Name == "" || utf8.RuneCountInString(b.Name) > 20 || len(b.Items) > 5 ||
				b.Rate != nil && (*b.Rate < 0 || *b.Rate > 1) {
				t.Errorf("%d for %+v", w.Code, b)
			}
		case w.Code/100 != 4 || w.Body.Len() > 64<<10 || !json.Valid(w.Body.Bytes()):
			t.Errorf("%d with %d bytes: %.200s", w.Code, w.Body.Len(), w.Body)
		}
	})
}
