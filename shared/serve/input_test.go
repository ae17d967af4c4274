package serve_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/serve"
)

func TestBadInputIsNamedByItsPathAndNeverEchoed(t *testing.T) {
	t.Parallel()
	f := open(t)
	for name, c := range map[string]struct {
		body     string
		status   int
		location string
	}{
		"malformed":        {`{"name":"x"`, 400, "body"},
		"two values":       {`{"name":"x"} {}`, 400, "body"},
		"a comment":        {`{"name":"x" /* s3cret */}`, 400, "body"},
		"no body":          {``, 400, ""},
		"a list":           {`[]`, 422, "body"},
		"null":             {`null`, 422, "body"},
		"missing":          {`{}`, 422, "body.name"},
		"empty":            {`{"name":""}`, 422, "body.name"},
		"wrong type":       {`{"name":5}`, 422, "body.name"},
		"null name":        {`{"name":null}`, 422, "body.name"},
		"unknown field":    {`{"name":"x","s3cret":1}`, 422, "body.s3cret"},
		"another case":     {`{"NAME":"x"}`, 422, "body.NAME"},
		"negative":         {`{"name":"x","count":-1}`, 422, "body.count"},
		"half a count":     {`{"name":"x","count":1.5}`, 422, "body.count"},
		"a count too far":  {`{"name":"x","count":1e30}`, 422, "body.count"},
		"above 1":          {`{"name":"x","rate":1.01}`, 422, "body.rate"},
		"NaN":              {`{"name":"x","rate":NaN}`, 422, "body.rate"},
		"-Infinity":        {`{"name":"x","rate":-Infinity}`, 422, "body.rate"},
		"1e999":            {`{"name":"x","rate":1e999}`, 422, "body.rate"},
		"not of the list":  {`{"name":"x","kind":"s3cret"}`, 422, "body.kind"},
		"in an item":       {`{"name":"x","items":[{"spend":1},{"spend":-5}]}`, 422, "body.items[1].spend"},
		"NaN in an item":   {`{"name":"x","items":[{"spend":NaN}]}`, 422, "body.items[0].spend"},
		"item's count":     {`{"name":"x","items":[{"spend":1,"count":1e25}]}`, 422, "body.items.count"},
		"too many":         {`{"name":"x","items":[{"spend":1},{"spend":1},{"spend":1},{"spend":1}]}`, 422, "body.items"},
		"NaN in the open":  {`{"name":"x","open":{"a":[1,{"b":NaN}]}}`, 422, "body.open.a[1].b"},
		"1e999 in there":   {`{"name":"x","open":{"a":-1e999}}`, 422, "body.open.a"},
		"NUL":              {`{"name":"s3cret\u0000"}`, 422, "body.name"},
		"NUL in the open":  {`{"name":"x","open":{"a":["\u0000"]}}`, 422, "body.open.a[0]"},
		"NUL in a key":     {`{"name":"x","open":{"a\u0000":1}}`, 422, "body.open"},
		"not quite NUL":    {`{"name":"\\u0000"}`, 200, ""},
		"a word like it":   {`{"name":"NaN 1e999 Infinity"}`, 200, ""},
		"a large body":     {`{"name":"` + strings.Repeat("x", 3000) + `"}`, 413, ""},
		"all at its limit": {`{"name":"x","count":0,"rate":1,"kind":"b","items":[{"spend":0}],"open":{"n":1e308}}`, 200, ""},
	} {
		before := f.seen
		w := f.send(f.request(auth.Editor, http.MethodPost, "/things/1?limit=1", c.body))
		if w.Code != c.status {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
			continue
		}
		if w.Code == 200 {
			continue
		}
		var found []string
		errs, _ := decode(t, w)["errors"].([]any)
		for _, e := range errs {
			found = append(found, e.(map[string]any)["location"].(string))
		}
		if c.location != "" && !slices.Contains(found, c.location) {
			t.Errorf("%s: names %q: %s", name, found, w.Body)
		}
		if value := strings.ReplaceAll(w.Body.String(), `body.s3cret`, ""); strings.Contains(value, "s3cret") || f.seen != before {
			t.Errorf("%s: ran, or echoes: %s", name, w.Body)
		}
	}
}

func TestAProblemReadsLikeASentence(t *testing.T) {
	t.Parallel()
	f := open(t)
	for body, want := range map[string]string{
		`{"name":""}`:                   "body.name: ",
		`{"name":"","count":-1}`:        "(and 1 more)",
		`{"name":"x","unknown":1}`:      "body.unknown: ",
		`{"name":"x","rate":NaN}`:       "body.rate: ",
		`{"name":"x","open":{"a":NaN}}`: "body.open.a: must be a finite number",
		`{}`:                            "body.name: is required",
	} {
		problem := decode(t, f.send(f.request(auth.Editor, http.MethodPost, "/things/1?limit=1", body)))
		detail, _ := problem["detail"].(string)
		if !strings.Contains(detail, want) || strings.Contains(detail, "json:") || strings.Contains(detail, "unmarshal") {
			t.Errorf("%s: %q", body, detail)
		}
	}
}

func TestQueriesAndPathsAreNamedToo(t *testing.T) {
	t.Parallel()
	f := open(t)
	for path, want := range map[string]string{
		"/things/1?limit=0": "query.limit", "/things/1?limit=x": "query.limit", "/things/" + strings.Repeat("x", 21) + "?limit=1": "path.id",
	} {
		w := f.send(f.request(auth.Editor, http.MethodPost, path, `{"name":"x"}`))
		if w.Code != 422 || !strings.Contains(w.Body.String(), `"`+want+`"`) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestOnlyJSONIsTaken(t *testing.T) {
	t.Parallel()
	f := open(t)
	for kind, status := range map[string]int{
		"application/json": 200, "application/json; charset=utf-8": 200, "": 200,
		"text/plain": 415, "application/x-www-form-urlencoded": 415, "application/xml": 415,
	} {
		r := f.request(auth.Editor, http.MethodPost, "/things/1?limit=1", `{"name":"x"}`)
		r.Header.Set("Content-Type", kind)
		if w := f.send(r); w.Code != status {
			t.Errorf("%q: %d %s", kind, w.Code, w.Body)
		}
	}
}

func TestPathsAndMethodsThatAreNotServed(t *testing.T) {
	t.Parallel()
	f := open(t)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{http.MethodGet, "/nowhere", 404, ""},
		{http.MethodGet, "/things/1", 405, "POST"},
		{http.MethodDelete, "/plain", 405, "GET, HEAD"},
		{http.MethodPost, "/things/1/more", 404, ""},
		{http.MethodPost, "/", 404, ""},
		{http.MethodGet, "/raw", 405, "POST"},
	} {
		w := f.send(f.request(auth.Admin, c.method, c.path, ""))
		if problem := decode(t, w); w.Code != c.status || w.Header().Get("Allow") != c.allow || problem["status"] != float64(c.status) {
			t.Errorf("%s %s: %d, allow %q, %s", c.method, c.path, w.Code, w.Header().Get("Allow"), w.Body)
		}
	}
}

func TestEachRoleMayWhatTheOnesBeforeItMay(t *testing.T) {
	t.Parallel()
	f := open(t)
	for _, c := range []struct {
		role   auth.Role
		method string
		path   string
		status int
	}{
		{auth.Public, http.MethodGet, "/log-line", 401},
		{auth.Viewer, http.MethodGet, "/log-line", 200},
		{auth.Admin, http.MethodGet, "/log-line", 200},
		{auth.Viewer, http.MethodPost, "/things/1?limit=1", 403},
		{auth.Editor, http.MethodPost, "/things/1?limit=1", 200},
		{auth.Editor, http.MethodPost, "/raw", 403},
		{auth.Admin, http.MethodPost, "/raw", 202},
	} {
		w := f.send(f.request(c.role, c.method, c.path, `{"name":"x"}`))
		if w.Code != c.status {
			t.Errorf("%v %s: %d %s", c.role, c.path, w.Code, w.Body)
		}
		if w.Code == 401 && w.Header().Get("WWW-Authenticate") != "Bearer" {
			t.Error("a 401 does not say how")
		}
		if w.Code == 403 && !strings.Contains(w.Body.String(), "this needs the role") {
			t.Errorf("a 403 does not say why: %s", w.Body)
		}
	}
	// Who may not write is refused before the body is read.
	if w := f.send(f.request(auth.Viewer, http.MethodPost, "/things/1?limit=1", `{`)); w.Code != 403 {
		t.Errorf("a viewer's bad input: %d", w.Code)
	}
}

func TestOnlyConfiguredOriginsMayRead(t *testing.T) {
	t.Parallel()
	f := open(t)
	preflight := func(origin string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodOptions, "/things/1", nil)
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", "POST")
		return f.send(r)
	}
	w := preflight("https://app.example.com")
	if w.Code != 204 || w.Header().Get("Access-Control-Allow-Origin") != "https://app.example.com" || !strings.Contains(w.Header().Get("Access-Control-Allow-Headers"), "Idempotency-Key") {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	for _, origin := range []string{"https://evil.example.com", "null", "https://app.example.com.evil.com", "http://app.example.com"} {
		if w := preflight(origin); w.Header().Get("Access-Control-Allow-Origin") != "" || w.Header().Get("Vary") != "Origin" {
			t.Errorf("%s: %d %v", origin, w.Code, w.Header())
		}
	}
	// An error is to be read by the page as well.
	r := f.request(auth.Public, http.MethodGet, "/log-line", "")
	r.Header.Set("Origin", "https://app.example.com")
	if w := f.send(r); w.Code != 401 || w.Header().Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestAKeyedWriteIsKnownByItsBodyAndItsQuery(t *testing.T) {
	t.Parallel()
	f := open(t)
	var got []idempotency.Request
	api := serve.NewAPI(serve.Access{Verifier: f.issuer.Verifier()})
	serve.Raw(api, "POST /write/{id}", auth.Editor, func(_ http.ResponseWriter, r *http.Request) error {
		request, ok := idempotency.From(r.Context())
		if !ok {
			t.Error("the key is lost")
		}
		got = append(got, request)
		return nil
	})
	for _, c := range [][2]string{{"/write/1", "a"}, {"/write/1", "a"}, {"/write/1", "b"}, {"/write/1?dry_run=true", "a"}, {"/write/2", "a"}} {
		r := f.request(auth.Editor, http.MethodPost, c[0], c[1])
		r.Header.Set("Idempotency-Key", "k")
		api.ServeHTTP(httptest.NewRecorder(), r)
	}
	if len(got) != 5 {
		t.Fatalf("%d of 5 ran", len(got))
	}
	same := func(i int) bool { return string(got[0].BodyHash) == string(got[i].BodyHash) }
	if !same(1) || same(2) || same(3) || got[0].Operation == got[4].Operation || got[0].Key != "k" {
		t.Errorf("%+v", got)
	}
}

func TestAKeyThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	f := open(t)
	for _, key := range []string{strings.Repeat("k", 256), "k\x01", "schlüssel"} {
		r := f.request(auth.Editor, http.MethodPost, "/things/1?limit=1", `{"name":"x"}`)
		r.Header.Set("Idempotency-Key", key)
		if w := f.send(r); w.Code != 422 || !strings.Contains(w.Body.String(), "header.Idempotency-Key") {
			t.Errorf("%.10q: %d %s", key, w.Code, w.Body)
		}
	}
	r := f.request(auth.Editor, http.MethodPost, "/things/1?limit=1", `{"name":"`+strings.Repeat("x", 3000)+`"}`)
	r.Header.Set("Idempotency-Key", "k")
	if w := f.send(r); w.Code != 413 {
		t.Errorf("a large body with a key: %d %s", w.Code, w.Body)
	}
}

func TestABuildThatFailedIsTriedAgain(t *testing.T) {
	// Registers a function, which only a program's start may do: not parallel.
	tries := 0
	serve.HTTP("lazy-test", func(ctx context.Context) (http.Handler, error) {
		tries++
		if tries == 1 {
			return nil, errors.New("dial tcp: password hunter2")
		}
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }), nil
	})
	h := serve.Registered()["lazy-test"].Handler
	synctest.Test(t, func(t *testing.T) { buildsAgain(t, h) })
	if tries != 2 {
		t.Errorf("built %d times", tries)
	}
}

func buildsAgain(t *testing.T, h http.Handler) {
	call := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/lazy", nil))
		return w
	}
	for range 3 { // a burst is one try
		if w := call(); w.Code != 503 || strings.Contains(w.Body.String(), "hunter2") || w.Header().Get("Retry-After") == "" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	time.Sleep(1100 * time.Millisecond)
	for range 3 {
		if w := call(); w.Code != http.StatusTeapot {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}
