package terraform_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/functions"
)

// rule is one of the URL map's, with what it matches.
type rule struct {
	priority int
	service  string
	header   string // of the revision to ask
	path     *regexp.Regexp
}

// router is the URL map: rules in the order in which they are tried.
type router struct {
	rules    []rule
	standard string
}

// route answers which backend service a request goes to.
func (r router) route(path, next string) string {
	for _, one := range r.rules {
		if (one.header == "" || one.header == next) && one.path.MatchString(path) {
			return one.service
		}
	}
	return r.standard
}

var (
	restForm    = regexp.MustCompile(`\\\{\w+=\\\*\\\*\\\}`)
	segmentForm = regexp.MustCompile(`\\\{\w+=\\\*\\\}`)
)

func routerOf(t *testing.T, urlMap instance) router {
	t.Helper()
	matcher := urlMap.blocks["path_matcher"][0]
	r := router{standard: matcher.text("default_service")}
	for _, i := range matcher.blocks["route_rules"] {
		one := rule{service: i.text("service")}
		_, _ = fmt.Sscan(i.text("priority"), &one.priority)
		match := i.blocks["match_rules"][0]
		for _, h := range match.blocks["header_matches"] {
			if h.text("header_name") != "X-Geminivideo-Next" || h.text("exact_match") == "" {
				t.Errorf("a rule goes by another header: %v", h.attributes)
			}
			one.header = h.text("exact_match")
		}
		form := regexp.QuoteMeta(match.text("full_path_match") + match.text("path_template_match"))
		form = segmentForm.ReplaceAllString(restForm.ReplaceAllString(form, ".*"), "[^/]+") + "$"
		if prefix := match.text("prefix_match"); prefix != "" {
			form = regexp.QuoteMeta(prefix)
		}
		one.path = regexp.MustCompile("^" + form)
		r.rules = append(r.rules, one)
	}
	slices.SortFunc(r.rules, func(a, b rule) int { return a.priority - b.priority })
	return r
}

func urlMap(t *testing.T) instance {
	t.Helper()
	for _, i := range load(t, nil).all(t) {
		if i.kind == "google_compute_url_map" && i.name == "this" {
			return i
		}
	}
	t.Fatal("there is no URL map")
	return instance{}
}

// The URL map decides as one ServeMux with all the manifest's patterns does, also where
// a wildcard stands beside a word: every pattern is asked with each word of the others
// in its wildcards' places.
func TestTheLoadBalancerRoutesAsOneServeMuxWould(t *testing.T) {
	t.Parallel()
	mux, words := http.NewServeMux(), []string{"x1"}
	var patterns []string
	for _, f := range manifest(t).Functions {
		for _, p := range f.Paths {
			if slices.Contains(patterns, p.Pattern) {
				continue
			}
			patterns = append(patterns, p.Pattern)
			name := f.Name
			mux.HandleFunc(p.Pattern, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Function", name) })
			for word := range strings.SplitSeq(p.Pattern, "/") {
				if word != "" && !strings.Contains(word, "{") && !slices.Contains(words, word) {
					words = append(words, word)
				}
			}
		}
	}
	m := routerOf(t, urlMap(t))
	wildcard, rest := regexp.MustCompile(`\{\w+\}`), regexp.MustCompile(`\{\w+\.\.\.\}`)
	asked := map[string]bool{}
	ask := func(path string) {
		if asked[path] {
			return
		}
		asked[path] = true
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		want := w.Header().Get("Function")
		if want == "" {
			want = "console" // it answers 404
		}
		if got := m.route(path, ""); got != fmt.Sprintf("google_compute_backend_service.function[%q].id", want) {
			t.Errorf("%s goes to %s, and is %s's", path, got, want)
		}
	}
	for _, p := range patterns {
		for _, word := range words {
			path := wildcard.ReplaceAllString(strings.ReplaceAll(p, "{$}", ""), word)
			ask(rest.ReplaceAllString(path, word+"/deeper.js"))
		}
	}
	ask("/nothing/of/ours")
	if len(asked) < len(patterns) {
		t.Errorf("only %d paths were asked for %d patterns", len(asked), len(patterns))
	}
}

func TestARevisionBeforeItsTrafficIsAskedByAHeader(t *testing.T) {
	t.Parallel()
	m := routerOf(t, urlMap(t))
	for _, f := range manifest(t).Functions {
		want := `google_compute_backend_service.function["console"].id`
		if f.Public {
			want = fmt.Sprintf("google_compute_backend_service.next[%q].id", f.Name)
		}
		if got := m.route("/health", f.Name); f.Trigger == functions.HTTP && got != want {
			t.Errorf("%s: /health goes to %s, want %s", f.Name, got, want)
		}
	}
}

func TestTheURLMapFitsIntoGooglesLimits(t *testing.T) {
	t.Parallel()
	rules := urlMap(t).blocks["path_matcher"][0].blocks["route_rules"]
	if len(rules) > 200 {
		t.Errorf("%d route rules; a path matcher holds 200", len(rules))
	}
	seen := map[string]bool{}
	for _, rule := range rules {
		if seen[rule.text("priority")] {
			t.Errorf("two rules have the priority %s", rule.text("priority"))
		}
		seen[rule.text("priority")] = true
		for _, match := range rule.blocks["match_rules"] {
			if form := match.text("path_template_match"); len(form) > 255 || strings.Count(form, "{") > 5 {
				t.Errorf("%s: a template has at most 255 characters and 5 variables", form)
			}
		}
	}
}
