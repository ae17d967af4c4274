package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// strangers are the operations that ask for no token, and how each answers a stranger
// who sends nothing that would let it in. A new one is a decision that is made here.
var strangers = map[string]int{
	"GET /health":                          200,
	"GET /openapi.json":                    200,
	"GET /webhooks/meta":                   403, // Meta's verify token is missing
	"POST /api/ml/attribution/track-click": 401,
	"POST /webhooks/deals/{source}":        401,
	"POST /webhooks/hubspot":               401,
	"POST /webhooks/meta":                  401,
}

// rank orders the roles; the environment's tokens are of members with these.
var rank = map[string]int{"viewer": 1, "editor": 2, "admin": 3}

// operations returns the role of every operation of the document that the system serves.
func (p *process) operations() map[string]string {
	p.t.Helper()
	var document struct {
		Paths map[string]map[string]struct {
			Role string `json:"x-role"`
		} `json:"paths"`
	}
	if err := json.Unmarshal([]byte(p.want(200, "GET", "/openapi.json", "", "")), &document); err != nil {
		p.t.Fatal(err)
	}
	all := map[string]string{}
	for path, methods := range document.Paths {
		for method, operation := range methods {
			all[strings.ToUpper(method)+" "+path] = operation.Role
		}
	}
	return all
}

// everyRole calls every operation of the document with the token of every role, with
// none and with one that is cut off. Bodies are no JSON: nobody with too small a role
// gets as far as that, and everybody else exactly so far, so that nothing is changed.
func (p *process) everyRole(t *testing.T) {
	p.env["CUT_TOKEN"] = p.env["ADMIN_TOKEN"][:len(p.env["ADMIN_TOKEN"])-9]
	operations := p.operations()
	for name := range strangers {
		if _, there := operations[name]; !there {
			t.Errorf("%s is no operation any more: take it out of strangers", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(operations)) {
		role := operations[name]
		method, path, _ := strings.Cut(name, " ")
		for from := strings.IndexByte(path, '{'); from >= 0; from = strings.IndexByte(path, '{') {
			path = path[:from] + "matrix" + path[strings.IndexByte(path, '}')+1:]
		}
		body := ""
		if method == http.MethodPost || method == http.MethodPut {
			body = "{"
		}
		if want, public := strangers[name]; public || role == "public" {
			if status, text := p.ask(method, path, "", strings.Repeat("{}", len(body))); !public || status != want {
				t.Errorf("%s for a stranger: %d %.200s, want %d, and a place in strangers", name, status, text, want)
			}
			continue
		}
		if rank[role] == 0 {
			t.Errorf("%s has the role %q: name viewer, editor, admin, or public and a place in strangers", name, role)
			continue
		}
		for _, none := range []string{"", "CUT_TOKEN"} {
			if status, text := p.ask(method, path, none, body); status != http.StatusUnauthorized {
				t.Errorf("%s with the token %q: %d %.200s, want 401", name, none, status, text)
			}
		}
		for token, holds := range map[string]string{"VIEWER_TOKEN": "viewer", "TOKEN": "editor", "ADMIN_TOKEN": "admin"} {
			status, text := p.ask(method, path, token, body)
			lacks := status == http.StatusForbidden && strings.Contains(text, "this needs the role "+role)
			switch {
			case rank[holds] < rank[role]:
				if !lacks {
					t.Errorf("%s as %s: %d %.200s, want 403 for it needs %s", name, holds, status, text, role)
				}
			case lacks, status == http.StatusUnauthorized, status >= 500 && status != http.StatusNotImplemented:
				t.Errorf("%s as %s: %d %.200s", name, holds, status, text)
			}
		}
	}
}
