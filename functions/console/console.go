// Package console is the web console for media buyers: one page of plain HTML,
// CSS and JavaScript modules that talks to the other functions by their
// documented API with the reader's own access token. It serves GET /, its assets
// and the OpenAPI document of the whole surface, and only reads, so repeating a
// request is safe.
package console

import (
	"context"
	"net/http"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
)

//go:generate go test ../../infra/local -run TestTheOpenAPIDocumentIsFresh -count 1 -update

func init() { serve.HTTP("console", build) }

type config struct {
	Origins []string `env:"CORS_ORIGINS"`
}

func build(ctx context.Context) (http.Handler, error) {
	cfg, err := settings.Load[config](ctx)
	if err != nil {
		return nil, err
	}
	return New(cfg.Origins), nil
}

// New returns the function's handler. Pages of origins may read the OpenAPI
// document.
func New(origins []string) http.Handler {
	api := serve.NewAPI(serve.Access{Origins: origins})
	serve.Raw(api, "GET /{$}", auth.Public, page, serve.Hidden)
	serve.Raw(api, "GET /console/{file...}", auth.Public, file, serve.Hidden)
	serve.Raw(api, "GET /openapi.json", auth.Public, document,
		serve.Summary("This document."), serve.Answers[map[string]any]("The OpenAPI 3.1 document of the whole surface."))
	return api
}

func page(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	assets["index.html"].serve(w, r)
	return nil
}

func file(w http.ResponseWriter, r *http.Request) error {
	a, ok := assets[r.PathValue("file")]
	if !ok || a.name == "index.html" {
		return fault.NotFoundf("the console has no such file")
	}
	a.serve(w, r)
	return nil
}

func document(w http.ResponseWriter, r *http.Request) error {
	openAPI.serve(w, r)
	return nil
}
