package serve

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
)

// API is an HTTP function's handler: typed operations on the standard ServeMux,
// with one way to authenticate, validate, answer errors and document.
type API struct {
	mux    *http.ServeMux
	huma   huma.API
	access Access
	checks []check
	routes map[string]*route // by pattern
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
	return &API{mux: mux, huma: humago.New(mux, cfg), access: access, routes: map[string]*route{}}
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

// defaultBody is how many bytes a body may have where an operation sets no limit.
const defaultBody = 1 << 20

// MaxBody sets how many bytes a body may have; 1 MiB where it is not said. A Raw
// operation that takes uploads bounds those itself.
func MaxBody(n int64) Option { return func(op *huma.Operation) { op.MaxBodyBytes = n } }

// Upload lets a body take longer than a minute, as long as it keeps its rate.
func Upload(op *huma.Operation) { mark(op, uploadMark) }

// NoTenant admits a token that names no tenant: its bearer may have been invited
// to one, or be looking for one.
func NoTenant(op *huma.Operation) { mark(op, noTenantMark) }

const (
	uploadMark   = "upload"
	noTenantMark = "no-tenant"
)

func mark(op *huma.Operation, name string) {
	if op.Metadata == nil {
		op.Metadata = map[string]any{}
	}
	op.Metadata[name] = true
}

// Status sets the status of a success; 200 where it is not said.
func Status(status int) Option { return func(op *huma.Operation) { op.DefaultStatus = status } }

// Summary says in one line what the operation does.
func Summary(text string) Option { return func(op *huma.Operation) { op.Summary = text } }

// Hidden leaves an operation out of the OpenAPI document: a page, say.
func Hidden(op *huma.Operation) { op.Hidden = true }

// Answers says what a success of a Raw operation holds; a typed one's type says it.
func Answers[T any](meaning string) Option {
	return func(op *huma.Operation) {
		mark(op, answerKey)
		op.Metadata[answerKey] = &answerOf{reflect.TypeFor[T](), meaning}
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

// Delete registers handle for DELETE path.
func Delete[I, O any](a *API, path string, role auth.Role, handle func(context.Context, *I) (*O, error), opts ...Option) {
	operation(a, http.MethodDelete, path, role, handle, opts)
}

// Raw serves a pattern such as "POST /webhooks/hubspot" to role and above with a
// handler that reads the request itself. An error that it returns is answered,
// so it must not have written anything by then.
func Raw(a *API, pattern string, role auth.Role, handle func(http.ResponseWriter, *http.Request) error, opts ...Option) {
	method, path, _ := strings.Cut(pattern, " ")
	op := describe(method, path, role, opts)
	a.routes[pattern] = routeOf(&op, role, false)
	if !op.Hidden {
		documentAnswer(&op, a.huma.OpenAPI().Components.Schemas)
		a.huma.OpenAPI().AddOperation(&op)
	}
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if err := handle(w, r); err != nil {
			WriteError(w, r, err)
		}
	})
}

func operation[I, O any](a *API, method, path string, role auth.Role, handle func(context.Context, *I) (*O, error), opts []Option) {
	mustShow(reflect.TypeFor[I](), map[reflect.Type]bool{})
	mustShow(reflect.TypeFor[O](), map[reflect.Type]bool{})
	op := describe(method, path, role, opts)
	op.SkipValidateBody = true // rules does it, at a bounded cost
	op.BodyReadTimeout = -1    // the body is in memory by then
	op.MaxBodyBytes = cmp.Or(op.MaxBodyBytes, defaultBody)
	a.routes[method+" "+path] = routeOf(&op, role, true)
	op.MaxBodyBytes++ // huma refuses a body that is just as large as its limit
	var body *rules
	op.Middlewares = huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
		if sent, ok := ctx.Context().Value(bodyKey{}).([]byte); ok && body != nil {
			if p := body.check(ctx.Header("Content-Type"), sent); p != nil {
				r, w := humago.Unwrap(ctx)
				WriteError(w, r, p)
				return
			}
		}
		next(ctx)
	}}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		leaveTurn(ctx)
		out, err := handle(ctx, in)
		if err != nil {
			note(ctx, func(o *outcome) { o.err = err })
			return nil, problemOf(err)
		}
		return out, nil
	})
	if item := a.huma.OpenAPI().Paths[path]; item != nil {
		body = bodyRules(a.huma.OpenAPI().Components.Schemas, map[string]*huma.Operation{
			http.MethodPost: item.Post, http.MethodPut: item.Put,
		}[method])
	}
}

func routeOf(op *huma.Operation, role auth.Role, typed bool) *route {
	return &route{
		role: role, limit: cmp.Or(op.MaxBodyBytes, defaultBody), bounded: op.MaxBodyBytes > 0, typed: typed,
		noTenant: op.Metadata[noTenantMark] != nil, upload: op.Metadata[uploadMark] != nil,
	}
}

// ServeHTTP answers r: CORS, then who is asking, then the body and its
// idempotency key, then the operation. Nobody who is not admitted costs more
// than the headers.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.cors(w, r) {
		return
	}
	_, pattern := a.mux.Handler(r)
	to, known := a.routes[pattern]
	if !known {
		a.unknown(w, r)
		return
	}
	note(r.Context(), func(o *outcome) { o.route = pattern })
	r, err := a.prepare(w, r, *to)
	if err != nil {
		WriteError(w, r, err)
		return
	}
	defer leaveTurn(r.Context())
	a.mux.ServeHTTP(w, r)
}

// prepare admits r and reads what its operation needs of its body.
func (a *API) prepare(w http.ResponseWriter, r *http.Request, to route) (*http.Request, error) {
	ctx, err := a.admit(r, to)
	if err != nil {
		return r, err
	}
	r = r.WithContext(ctx)
	if to.upload {
		rateAlone(ctx)
	}
	key := r.Header.Get("Idempotency-Key")
	// A public operation says how large its bodies are, or takes no key: strangers send them.
	takesKey := key != "" && r.Method != http.MethodGet && (to.role != auth.Public || to.bounded)
	var body []byte
	if to.typed && r.Method != http.MethodGet || takesKey && !multipart(r) {
		if r, body, err = readBody(w, r, to.limit); err != nil {
			return r, err
		}
	}
	if takesKey {
		if r, err = keyed(r, key, body); err != nil {
			return r, err
		}
	}
	if to.typed {
		give, err := decoding.take(ctx, len(body))
		if err != nil {
			return r, err
		}
		r = r.WithContext(context.WithValue(r.Context(), turnKey{}, give))
	}
	return r, nil
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
