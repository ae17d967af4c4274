package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/shared/auth"
)

// prunedRules are the rules of an operation that takes what our operations take.
func prunedRules(t *testing.T) *rules {
	t.Helper()
	type item struct {
		Name string `json:"name"`
	}
	type body struct {
		Body struct {
			List  []item         `json:"list" minItems:"1" maxItems:"5"`
			Free  []any          `json:"free,omitempty"`
			Total float64        `json:"total"`
			Text  string         `json:"text,omitempty" maxLength:"3"`
			Map   map[string]int `json:"map,omitempty"`
			Any   any            `json:"any,omitempty"`
			One   *item          `json:"one,omitempty"`
		}
	}
	api := NewAPI(Access{})
	Post(api, "/pruned", auth.Public, func(context.Context, *body) (*struct{}, error) { return nil, nil })
	return bodyRules(api.OpenAPI().Components.Schemas, api.OpenAPI().Paths["/pruned"].Post)
}

func zeros(n int) string { return "[" + strings.Repeat("0,", n-1) + "0]" }

func TestWhatIsRefusedUnseenIsLeftOutOfALargeBody(t *testing.T) {
	t.Parallel()
	r := prunedRules(t)
	for body, want := range map[string]string{
		zeros(1000):         `[]`,
		" \n" + zeros(1000): `[]`,
		`{"list": ` + zeros(1000) + `, "total": 1}`:        `{"list": [null,null,null,null,null,null], "total": 1}`,
		`{"total": ` + zeros(1000) + `}`:                   `{"total": []}`,
		`{"text": {"a": ` + zeros(1000) + `}}`:             `{"text": {}}`,
		`{"map": ` + zeros(1000) + `, "one": [[]]}`:        `{"map": [], "one": []}`,
		`{"who": [` + zeros(1000) + `], "total": 2}`:       `{"who": null, "total": 2}`,
		`{"list" :[{"name": "]"} , 1,2,3,4,5 ],"list":[]}`: `{"list" :[null,null,null,null,null,null],"list":[]}`,
		// What may stand there stays.
		`{"list": [0,0,0,0,{"name": [1,2,3,4,5,6,7]}]}`: "", `{"free": ` + zeros(1000) + `}`: "", `{"any": [[1]]}`: "", `{"map": {"a": [1]}}`: "",
		`{"li\u0073t": [1,2,3,4,5,6]}`: "", `{"one": null, "who": 7}`: "", `7`: "", `"[[["`: "", `{}`: "", ` `: "",
		// What is no JSON is not taken apart, or what is left of it is none either.
		`{"list": [0,0,0,0,0,0`: "", `{"list": "`: "", `{"list"`: "", `{"list":`: "", `{`: "", `[`: `[]`,
	} {
		got, ok := r.pruned([]byte(body))
		if string(got) != want || ok != (want != "") {
			t.Errorf("%.60s: %q, %v, want %q", body, got, ok, want)
		}
	}
}

// The answer to a large body is the one that it would get without anything left out.
func TestALargeBodyIsAnsweredAsIfItWereCheckedWhole(t *testing.T) {
	t.Parallel()
	r := prunedRules(t)
	random := rand.New(rand.NewPCG(1, 2))
	padding := strings.Repeat(" ", heavyBody)
	left := 0
	for range 3000 {
		body := []byte(anything(random, 4) + padding)
		if _, ok := r.pruned(body); ok {
			left++
		}
		got, want := r.check("application/json", body), r.checked(body)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(problem{})); diff != "" {
			t.Fatalf("%.300s: %s", body, diff)
		}
	}
	if left < 300 {
		t.Errorf("only of %d bodies something was left out", left)
	}
}

// anything is a JSON value, as deep as it may be, with the members that the rules know.
func anything(r *rand.Rand, depth int) string {
	kind := r.IntN(7)
	if depth == 4 && r.IntN(4) > 0 {
		kind = 1
	} else if depth == 0 {
		kind = 2 + r.IntN(5)
	}
	switch kind {
	case 0:
		parts := make([]string, r.IntN(9))
		for i := range parts {
			parts[i] = anything(r, depth-1)
		}
		return "[" + strings.Join(parts, [...]string{",", " , ", ",\n"}[r.IntN(3)]) + "]"
	case 1:
		names := []string{"list", "free", "total", "text", "map", "any", "one", "name", "who", `l\u0069st`, "List"}
		parts := make([]string, r.IntN(6))
		for i := range parts {
			parts[i] = fmt.Sprintf(`"%s"%s%s`, names[r.IntN(len(names))], [...]string{":", " : "}[r.IntN(2)], anything(r, depth-1))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case 2:
		return fmt.Sprint(r.Float64() * 10)
	case 3:
		return "null"
	case 4:
		return "true"
	case 5:
		return [...]string{`""`, `"a\"]}[{,"`, `"\\"`, `"some text"`, `"\u0000"`}[r.IntN(5)]
	}
	return fmt.Sprint(r.IntN(100))
}

// A body that breaks off behind a list that is too long is refused for either.
func TestWhatStandsBehindAListThatIsTooLongIsNotLookedAt(t *testing.T) {
	t.Parallel()
	r := prunedRules(t)
	p := r.check("application/json", []byte(zeros(heavyBody)+"?"))
	if p == nil || p.Status != http.StatusUnprocessableEntity {
		t.Errorf("%+v, want 422", p)
	}
	p = r.check("application/json", []byte(`{"list": `+zeros(heavyBody)+`, ?}`))
	if p == nil || p.Status != http.StatusBadRequest || p.Detail == "" {
		t.Errorf("%+v, want 400", p)
	}
}

func TestOnlyANumberWithoutEndIsLookedForTwice(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`[1, NaN]`: true, `[-Infinity]`: true, `[+Infinity]`: true, `[+Inf]`: false, `[nan]`: true, `{"a": 1e999}`: true, `[Infinity, ?]`: true,
		`[1, ?]`: false, `[1`: false, `[nul]`: false, "[\"NaN\x01\"]": false, `[1,]`: false, `[1}`: false,
	} {
		var tree any
		if got := atNonFinite([]byte(text), json.Unmarshal([]byte(text), &tree)); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func FuzzPruned(f *testing.F) {
	for _, seed := range []string{`{"list":[1,2,3,4,5,6]}`, `[[]]`, `{"who":[`, `{"a":"\`, `{"list":]`, `{"list":[1,2,3,4,5,}`, `{"map":[,"one":{]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r := prunedRules(t)
		if short, ok := r.pruned(body); ok && json.Valid(body) {
			if diff := cmp.Diff(r.checked(body), r.checked(short), cmp.AllowUnexported(problem{})); diff != "" {
				t.Errorf("%q, pruned %q: %s", body, short, diff)
			}
		}
	})
}
