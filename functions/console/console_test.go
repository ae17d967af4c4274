package console_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/functions/console"
)

func get(t *testing.T, method, target string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	console.New([]string{"https://app.example"}).ServeHTTP(w, r)
	return w
}

// files returns the page's files by name.
func files(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir("page")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		data, err := os.ReadFile("page/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(data)
	}
	return all
}

var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
	".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

func TestEveryFileIsServedAsWhatItIsAndOnlyOnceToEachBrowser(t *testing.T) {
	t.Parallel()
	for name, text := range files(t) {
		target := "/console/" + name
		if name == "index.html" {
			target = "/"
		}
		w := get(t, http.MethodGet, target)
		h := w.Header()
		if w.Code != http.StatusOK || w.Body.String() != text {
			t.Errorf("%s: %d, %d bytes", target, w.Code, w.Body.Len())
		}
		if got := h.Get("Content-Type"); got == "" || got != kinds[path.Ext(name)] {
			t.Errorf("%s: Content-Type %q", target, got)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-cache" || h.Get("ETag") == "" {
			t.Errorf("%s: headers %v", target, h)
		}
		if again := get(t, http.MethodGet, target, "If-None-Match", h.Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() > 0 {
			t.Errorf("%s: %d with its own ETag", target, again.Code)
		}
		if head := get(t, http.MethodHead, target); head.Code != http.StatusOK || head.Header().Get("ETag") != h.Get("ETag") {
			t.Errorf("HEAD %s: %d", target, head.Code)
		}
	}
}

func TestThePageMayLoadAndCallItsOwnOriginOnly(t *testing.T) {
	t.Parallel()
	policy := get(t, http.MethodGet, "/").Header().Get("Content-Security-Policy")
	for _, rule := range []string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'",
		"form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'",
	} {
		if !strings.Contains(policy, rule) {
			t.Errorf("the policy %q lacks %s", policy, rule)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") || strings.Contains(policy, "*") {
		t.Errorf("the policy %q is open", policy)
	}
	outside := regexp.MustCompile(`(?i)(src|href)="?(https?:)?//|@import|url\(|<script>|<style| style="| on[a-z]+="`)
	for name, text := range files(t) {
		if found := outside.FindString(text); found != "" && name != "icon.svg" {
			t.Errorf("%s holds %s", name, found)
		}
	}
}

func TestWhatTheAPITellsNeverBecomesMarkupOrCode(t *testing.T) {
	t.Parallel()
	sink := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|setHTML|document\.write|DOMParser|createContextualFragment|srcdoc|\beval\(|new Function|javascript:`)
	for name, text := range files(t) {
		if found := sink.FindString(text); found != "" {
			t.Errorf("%s uses %s", name, found)
		}
	}
}

func TestEveryFileIsUsedAndEveryUsedFileIsThere(t *testing.T) {
	t.Parallel()
	all := files(t)
	used := map[string]bool{"index.html": true}
	for name, text := range all {
		for _, m := range regexp.MustCompile(`(?:"/console/|from '\./)([a-z.]+)`).FindAllStringSubmatch(text, -1) {
			used[m[1]] = true
			if all[m[1]] == "" {
				t.Errorf("%s uses %s, which is not there", name, m[1])
			}
		}
	}
	for name := range all {
		if !used[name] {
			t.Errorf("nothing uses %s", name)
		}
	}
}

// Calls are written send('GET', '/api/...'), or with path`...`, or all('/api/...').
var call = regexp.MustCompile("(?:send\\('([A-Z]+)', |all\\()(?:path)?['`](/[^'`]*)['`]")

func TestTheConsoleCallsOnlyWhatIsDocumented(t *testing.T) {
	t.Parallel()
	var doc struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(get(t, http.MethodGet, "/openapi.json").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	hole := regexp.MustCompile(`\$?\{[^}]*\}`)
	documented := map[string]bool{}
	for p, item := range doc.Paths {
		for method := range item {
			documented[strings.ToUpper(method)+" "+hole.ReplaceAllString(p, "{}")] = true
		}
	}
	calls := 0
	for name, text := range files(t) {
		found := call.FindAllStringSubmatch(text, -1)
		if mentions := strings.Count(text, "/api/"); mentions != len(found) {
			t.Errorf("%s mentions /api/ %d times in %d calls", name, mentions, len(found))
		}
		for _, m := range found {
			calls++
			method := m[1]
			if method == "" {
				method = http.MethodGet
			}
			if p := method + " " + hole.ReplaceAllString(m[2], "{}"); !documented[p] {
				t.Errorf("%s calls %s, which openapi.json does not have", name, p)
			}
		}
	}
	if calls < 10 {
		t.Errorf("found %d calls only: is the pattern still right?", calls)
	}
}

func TestTheDocumentMayBeReadByConfiguredOrigins(t *testing.T) {
	t.Parallel()
	w := get(t, http.MethodGet, "/openapi.json", "Origin", "https://app.example")
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Access-Control-Allow-Origin") != "https://app.example" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if w := get(t, http.MethodGet, "/openapi.json", "Origin", "https://evil.example"); w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Error("any origin may read it")
	}
}

func TestWhatIsNotThereIsAProblem(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/console/", "/console/index.html", "/console/console.go", "/console/../console.go", "/nothing"} {
		w := get(t, http.MethodGet, target)
		if w.Code/100 == 2 {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
	w := get(t, http.MethodGet, "/console/nothing.js")
	if w.Code != http.StatusNotFound || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %s", w.Code, w.Header().Get("Content-Type"))
	}
	if w := get(t, http.MethodPost, "/"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST /: %d", w.Code)
	}
}
