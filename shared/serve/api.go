package serve

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
)

// AccessConfig is who may call an HTTP function.
type AccessConfig struct {
	Auth    auth.Config
	Origins []string `env:"CORS_ORIGINS"`
}

// Access decides who may call an HTTP function, and from which web origins.
type Access struct {
	Verifier *auth.Verifier
	// Origins lists the web origins that browsers may call from; "*" is any.
	Origins []string
	// Credentials lets browsers send their own along: sendBeacon always does.
	Credentials bool
}

// NewAccess returns the access that cfg describes.
func NewAccess(cfg AccessConfig) Access {
	return Access{Verifier: auth.New(cfg.Auth), Origins: cfg.Origins}
}

// API is an HTTP function's handler: typed operations on the standard ServeMux,
// with one way to authenticate, validate, answer errors and document.
type API struct {
	mux    *http.ServeMux
	huma   huma.API
	access Access
	checks []check
	bodies map[string]int64 // how many bytes each pattern's body may have
}

type check struct {
	name string
	ping func(context.Context) error
}

// Version is the surface's version in the OpenAPI document.
const Version = "1.0.0"

// NewAPI returns an API without operations.
func NewAPI(access Access) *API {
	mux := http.NewServeMux()
	cfg := huma.DefaultConfig("geminivideo", Version)
	cfg.DocsPath, cfg.SchemasPath, cfg.OpenAPIPath = "", "", ""
	cfg.CreateHooks = nil // no $schema member and no Link header
	cfg.Formats = map[string]huma.Format{"application/json": jsonFormat, "json": jsonFormat}
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"supabase": {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "A Supabase access token."},
	}
	cfg.Components.Responses = problems(cfg.Components.Schemas)
	return &API{mux: mux, huma: humago.New(mux, cfg), access: access, bodies: map[string]int64{}}
}

// OpenAPI returns the document of the API's operations.
func (a *API) OpenAPI() *huma.OpenAPI { return a.huma.OpenAPI() }

// Check adds a dependency that /health asks after.
func (a *API) Check(name string, ping func(context.Context) error) {
	a.checks = append(a.checks, check{name, ping})
}

// Health returns an error that names what is down.
func (a *API) Health(ctx context.Context) error {
	var down []string
	var errs []error
	for _, c := range a.checks {
		if err := c.ping(ctx); err != nil {
			down, errs = append(down, c.name), append(errs, err)
		}
	}
	if len(down) == 0 {
		return nil
	}
	return fault.Down(strings.Join(down, ", "), errors.Join(errs...))
}

// Option changes an operation.
type Option func(*huma.Operation)

// defaultBody is huma's own.
const defaultBody = 1 << 20

// MaxBody sets how many bytes a body may have; 1 MiB where it is not said.
func MaxBody(n int64) Option { return func(op *huma.Operation) { op.MaxBodyBytes = n } }

// Status sets the status of a success; 200 where it is not said.
func Status(status int) Option { return func(op *huma.Operation) { op.DefaultStatus = status } }

// Summary says in one line what the operation does.
func Summary(text string) Option { return func(op *huma.Operation) { op.Summary = text } }

// Hidden leaves an operation out of the OpenAPI document: a page, say.
func Hidden(op *huma.Operation) { op.Hidden = true }

// Answers says what a success of a Raw operation holds; a typed one's type says it.
func Answers[T any](meaning string) Option {
	return func(op *huma.Operation) {
		op.Metadata = map[string]any{answerKey: &answerOf{reflect.TypeFor[T](), meaning}}
	}
}

// Get serves GET path to role and above.
func Get[I, O any](a *API, path string, role auth.Role, handle func(context.Context, *I) (*O, error), opts ...Option) {
	operation(a, http.MethodGet, path, role, handle, opts)
}

// Post serves POST path to role and above.
func Post[I, O any](a *API, path string, role auth.Role, handle func(context.Context, *I) (*O, error), opts ...Option) {
	operation(a, http.MethodPost, path, role, handle, opts)
}

// Put serves PUT path to role and above.
func Put[I, O any](a *API, path string, role auth.Role, handle func(context.Context, *I) (*O, error), opts ...Option) {
	operation(a, http.MethodPut, path, role, handle, opts)
}

// Raw serves a pattern such as "POST /webhooks/hubspot" to role and above with a
// handler that reads the request itself. An error that it returns is answered,
// so it must not have written anything by then.
func Raw(a *API, pattern string, role auth.Role, handle func(http.ResponseWriter, *http.Request) error, opts ...Option) {
	method, path, _ := strings.Cut(pattern, " ")
	op := describe(method, path, role, opts)
	a.bodies[pattern] = cmp.Or(op.MaxBodyBytes, maxKeyedBody)
	if !op.Hidden {
		documentAnswer(&op, a.huma.OpenAPI().Components.Schemas)
		a.huma.OpenAPI().AddOperation(&op)
	}
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		ctx, err := a.admit(r, role)
		if err == nil {
			r = r.WithContext(ctx)
			err = handle(w, r)
		}
		if err != nil {
			WriteError(w, r, err)
		}
	})
}

func operation[I, O any](a *API, method, path string, role auth.Role, handle func(context.Context, *I) (*O, error), opts []Option) {
	mustShow(reflect.TypeFor[I](), map[reflect.Type]bool{})
	mustShow(reflect.TypeFor[O](), map[reflect.Type]bool{})
	op := describe(method, path, role, opts)
	a.bodies[method+" "+path] = cmp.Or(op.MaxBodyBytes, defaultBody)
	op.Middlewares = huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		admitted, err := a.admit(r, role)
		if err != nil {
			WriteError(w, r, err)
			return
		}
		next(huma.WithContext(ctx, admitted))
	}}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			note(ctx, func(o *outcome) { o.err = err })
			return nil, problemOf(err)
		}
		return out, nil
	})
}

// admit checks who is asking and returns a context that says so.
func (a *API) admit(r *http.Request, role auth.Role) (context.Context, error) {
	ctx := r.Context()
	if role == auth.Public {
		return ctx, nil
	}
	id, err := a.access.Verifier.VerifyRequest(r)
	if err != nil {
		return ctx, err
	}
	note(ctx, func(o *outcome) { o.tenant = id.Tenant })
	if id.Role < role {
		return ctx, fault.Forbiddenf("this needs the role %s; your token has the role %s", role, id.Role)
	}
	return auth.With(ctx, id), nil
}

// ServeHTTP answers r: CORS first, then the idempotency key, then the operation.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.cors(w, r) {
		return
	}
	_, pattern := a.mux.Handler(r)
	if pattern == "" {
		a.unknown(w, r)
		return
	}
	if key := r.Header.Get("Idempotency-Key"); key != "" && r.Method != http.MethodGet {
		var err error
		if r, err = keyed(w, r, key, cmp.Or(a.bodies[pattern], maxKeyedBody)); err != nil {
			WriteError(w, r, err)
			return
		}
	}
	a.mux.ServeHTTP(w, r)
}

// maxKeyedBody bounds what is held in memory to be hashed, before anybody knows
// who is asking, where an operation sets no bound of its own. Larger bodies are
// multipart uploads, which hash what they stream.
const maxKeyedBody = 32 << 20

// maxKey is the longest Idempotency-Key, in characters.
const maxKey = 255

func keyed(w http.ResponseWriter, r *http.Request, key string, limit int64) (*http.Request, error) {
	if len(key) > maxKey || strings.ContainsFunc(key, func(c rune) bool { return c < 0x20 || c > 0x7e }) {
		return r, fault.Field("header.Idempotency-Key", "must be 1 to 255 printable ASCII characters")
	}
	request := idempotency.Request{Operation: r.Method + " " + r.URL.Path, Key: key}
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
		if err != nil {
			return r, fmt.Errorf("read body: %w", err)
		}
		hash := sha256.New()
		hash.Write(body)
		if r.URL.RawQuery != "" { // what is asked in the query is as much a part of the request
			hash.Write([]byte("\n?" + r.URL.RawQuery))
		}
		request.BodyHash = hash.Sum(nil)
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return r.WithContext(idempotency.With(r.Context(), request)), nil
}

// unknown answers what no operation serves, 404 or 405, in our form.
func (a *API) unknown(w http.ResponseWriter, r *http.Request) {
	probe := refusal{}
	a.mux.ServeHTTP(probe, r)
	if allow := http.Header(probe).Get("Allow"); allow != "" {
		w.Header().Set("Allow", allow)
		WriteError(w, r, Problem(http.StatusMethodNotAllowed, r.Method+" is not served here, but "+allow+" is"))
		return
	}
	WriteError(w, r, fault.NotFoundf("nothing is served at this path"))
}

// refusal takes the mux's own answer for its headers.
type refusal http.Header

func (h refusal) Header() http.Header         { return http.Header(h) }
func (h refusal) Write(p []byte) (int, error) { return len(p), nil }
func (h refusal) WriteHeader(int)             {}

// cors adds the headers that let a configured web origin read the answer, and
// answers a preflight by itself.
func (a *API) cors(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	if !slices.Contains(a.access.Origins, origin) && !slices.Contains(a.access.Origins, "*") {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "Retry-After")
	if a.access.Credentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, X-Publishable-Key")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}
