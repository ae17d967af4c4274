package console_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/functions/console"
)

var deployment = console.Config{Origins: []string{"https://app.example"}, SupabaseURL: "https://abc.supabase.co/", SupabaseAnonKey: `sb_"key`}

func get(t *testing.T, method, target string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	console.New(deployment).ServeHTTP(w, r)
	return w
}

// built returns the page's built files by their path in page.
func built(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir("page", func(file string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(file)
		all[strings.TrimPrefix(filepath.ToSlash(file), "page/")] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var kinds = map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

func TestEveryFileIsServedAsWhatItIsCompressedAndOnlyOnceToEachBrowser(t *testing.T) {
	t.Parallel()
	for name, text := range built(t) {
		kind := kinds[path.Ext(name)]
		if kind == "" {
			continue
		}
		target := "/console/" + name
		w := get(t, http.MethodGet, target)
		h := w.Header()
		if w.Code != http.StatusOK || w.Body.String() != text || h.Get("Content-Type") != kind || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d, %d bytes, %v", target, w.Code, w.Body.Len(), h)
		}
		want := "no-cache"
		if strings.HasPrefix(name, "assets/") {
			want = "public, max-age=31536000, immutable"
			if !regexp.MustCompile(`-[\w-]{8}\.\w+$`).MatchString(name) {
				t.Errorf("%s has no hash in its name", name)
			}
		}
		if h.Get("Cache-Control") != want {
			t.Errorf("%s: Cache-Control %q", target, h.Get("Cache-Control"))
		}
		packed := get(t, http.MethodGet, target, "Accept-Encoding", "br, gzip")
		z, err := gzip.NewReader(bytes.NewReader(packed.Body.Bytes()))
		if err != nil || packed.Header().Get("Content-Encoding") != "gzip" || packed.Header().Get("ETag") == h.Get("ETag") {
			t.Fatalf("%s: not compressed: %v %v", target, err, packed.Header())
		}
		if unpacked, _ := io.ReadAll(z); string(unpacked) != text {
			t.Errorf("%s: compressed it is another file", target)
		}
		if again := get(t, http.MethodGet, target, "If-None-Match", h.Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() > 0 {
			t.Errorf("%s: %d with its own ETag", target, again.Code)
		}
		if plain := get(t, http.MethodGet, target, "Accept-Encoding", "gzip;q=0"); plain.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s: compressed for who refuses it", target)
		}
	}
}

func TestThePageIsServedAtItsOwnRoutesWithItsDeploymentsSignIn(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/", "/console/", "/console/campaigns", "/console/campaigns/c%2F1", "/console/setup/members"} {
		w := get(t, http.MethodGet, target)
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || w.Header().Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %d %v", target, w.Code, w.Header())
		}
		if body := w.Body.String(); !strings.Contains(body, `content="https://abc.supabase.co"`) || !strings.Contains(body, `content="sb_&#34;key"`) || strings.Contains(body, "{{") {
			t.Errorf("%s does not name the deployment's sign-in: %s", target, body)
		}
	}
}

func TestThePageMayLoadItsOwnOriginAndCallThatAndTheSignInOnly(t *testing.T) {
	t.Parallel()
	policy := get(t, http.MethodGet, "/console/").Header().Get("Content-Security-Policy")
	for _, rule := range []string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self' https://abc.supabase.co;", "base-uri 'none'",
		"form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
	} {
		if !strings.Contains(policy, rule) {
			t.Errorf("the policy %q lacks %s", policy, rule)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") || strings.Count(policy, "http") != 1 {
		t.Errorf("the policy %q is open", policy)
	}
	if found := regexp.MustCompile(`(?i)(src|href)="?(https?:)?//|<script>|<style| style="| on[a-z]+="`).FindString(built(t)["index.html"]); found != "" {
		t.Errorf("the page holds %s", found)
	}
}

// The first view's own JavaScript stays below this many bytes as it is sent.
const firstView = 130 << 10

func TestTheFirstViewIsSmallAndInFewFiles(t *testing.T) {
	t.Parallel()
	files := built(t)
	wanted := regexp.MustCompile(`/console/(assets/[^"]+)"`).FindAllStringSubmatch(files["index.html"], -1)
	size, requests := 0, map[string]bool{"index.html": true}
	imports := regexp.MustCompile(`(?:from|import)"\./([^"]+)"`)
	var add func(name string)
	add = func(name string) {
		if requests[name] {
			return
		}
		requests[name] = true
		if path.Ext(name) == ".js" {
			size += get(t, http.MethodGet, "/console/"+name, "Accept-Encoding", "gzip").Body.Len()
			for _, m := range imports.FindAllStringSubmatch(files[name], -1) {
				add("assets/" + m[1])
			}
		}
	}
	for _, m := range wanted {
		add(m[1])
	}
	t.Logf("%d bytes of JavaScript, %d files", size, len(requests))
	// Five calls of the API follow; eight requests are all.
	if size == 0 || size > firstView || len(requests) > 3 {
		t.Errorf("%d bytes of JavaScript in %d files: %v", size, len(requests), requests)
	}
}

func TestWhatTheAPISaysNeverBecomesMarkupOrCode(t *testing.T) {
	t.Parallel()
	sink := regexp.MustCompile(`dangerouslySetInnerHTML|innerHTML|outerHTML|insertAdjacentHTML|setHTML|document\.write|DOMParser|srcdoc|\beval\(|new Function|javascript:`)
	for name, text := range sources(t) {
		if found := sink.FindString(text); found != "" && strings.HasPrefix(name, "src/") {
			t.Errorf("web/%s uses %s", name, found)
		}
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
	for _, target := range []string{"/console/index.html", "/console/assets/nothing", "/console/assets/nothing-12345678.js", "/console/console.go", "/console/sources.sha256"} {
		w := get(t, http.MethodGet, target)
		if w.Code != http.StatusNotFound || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", target, w.Code, w.Header().Get("Content-Type"))
		}
	}
	if w := get(t, http.MethodPost, "/"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST /: %d", w.Code)
	}
}
