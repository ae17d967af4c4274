// Package console is the web console for media buyers: a page that is built from
// web/ (React, by npm run build there) into page/, embedded here, and talks to the
// other functions by their documented API with its reader's own access token. It
// serves GET /, everything under /console/, and the OpenAPI document of the whole
// surface, and only reads, so repeating a request is safe.
package console

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
)

//go:generate go test ../../infra/local -run TestTheOpenAPIDocumentIsFresh -count 1 -update

func init() { serve.HTTP("console", build) }

// Config is what the page must know of its deployment.
type Config struct {
	Origins []string `env:"CORS_ORIGINS"`
	// SupabaseURL is where the page signs its reader in.
	SupabaseURL string `env:"SUPABASE_URL, required"`
	// SupabaseAnonKey is the project's publishable key; without it the page takes a pasted access token only.
	SupabaseAnonKey string `env:"SUPABASE_ANON_KEY"`
}

func build(ctx context.Context) (http.Handler, error) {
	cfg, err := settings.Load[Config](ctx)
	if err != nil {
		return nil, err
	}
	return New(cfg), nil
}

type function struct {
	page   asset
	policy string
}

// New returns the function's handler. Pages of cfg.Origins may read the OpenAPI
// document.
func New(cfg Config) http.Handler {
	f := &function{page: pageFor(cfg), policy: policy(cfg.SupabaseURL)}
	api := serve.NewAPI(serve.Access{Origins: cfg.Origins})
	serve.Raw(api, "GET /{$}", auth.Public, f.show, serve.Hidden)
	serve.Raw(api, "GET /console/{file...}", auth.Public, f.file, serve.Hidden)
	serve.Raw(api, "GET /openapi.json", auth.Public, document,
		serve.Summary("This document."), serve.Answers[map[string]any]("The OpenAPI 3.1 document of the whole surface."))
	return api
}

// policy lets the page load its own origin, call that and the sign-in's, and
// nothing else: no inline script or style, no other host, no frame around it, and
// no text that becomes markup.
func policy(supabase string) string {
	connect := "'self'"
	if u, err := url.Parse(supabase); err == nil && u.Host != "" {
		connect += " " + u.Scheme + "://" + u.Host
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src " + connect + "; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}

func (f *function) show(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Content-Security-Policy", f.policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	f.page.serve(w, r)
	return nil
}

// file serves the page's files, and the page itself at each of its own routes.
func (f *function) file(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("file")
	if a, ok := assets[name]; ok {
		a.serve(w, r)
		return nil
	}
	if strings.HasPrefix(name, hashed) || strings.Contains(name, ".") {
		return fault.NotFoundf("the console has no such file")
	}
	return f.show(w, r)
}

func document(w http.ResponseWriter, r *http.Request) error {
	openAPI.serve(w, r)
	return nil
}
