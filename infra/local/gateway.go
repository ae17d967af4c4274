package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/geminivideo/geminivideo/functions"
	"github.com/geminivideo/geminivideo/infra/testkit/issuer"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// gateway is the one address: production's load balancer, and Supabase Auth.
type gateway struct {
	server  *http.Server
	handler atomic.Pointer[http.Handler]
	failed  chan error // the server's end
}

// serveGateway answers 503 until open.
func serveGateway(l net.Listener) *gateway {
	g := &gateway{failed: make(chan error, 1)}
	g.server = &http.Server{Handler: g, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	go func() { g.failed <- g.server.Serve(l) }()
	return g
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := g.handler.Load(); h != nil {
		(*h).ServeHTTP(w, r)
		return
	}
	serve.WriteError(w, r, fault.Down("the local system is starting", nil))
}

// close lets requests in flight end.
func (g *gateway) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := g.server.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return g.server.Close()
}

// open serves every function at production's paths.
func (g *gateway) open(s *system) error {
	mux := http.NewServeMux()
	linked, taken := serve.Registered(), map[string]bool{}
	for _, f := range s.manifest.Functions {
		one, ok := linked[f.Name]
		if !ok {
			s.say("function %s is in functions.yaml but not built in: run go generate ./infra/local", f.Name)
			continue
		}
		for _, path := range f.Paths {
			// Without the method, as the load balancer routes: a preflight and a
			// wrong method are the function's to answer.
			if !taken[path.Pattern] {
				taken[path.Pattern] = true
				mux.Handle(path.Pattern, within(f.Timeout, one.Handler))
			}
		}
	}
	mux.Handle(issuer.JWKSPath, s.issuer)
	mux.Handle("/auth/v1/", s.signIn)
	health := http.HandlerFunc(s.health)
	mux.Handle("/health", health)
	mux.Handle("/healthz", health)
	if s.metricsPage != nil {
		mux.Handle("GET "+metricsPath, s.metricsPage)
	}
	mux.Handle("/_local/", s.backstage())
	if !taken["/"] {
		mux.Handle("/", serve.Wrap("gateway", serve.NewAPI(serve.Access{})))
	}
	var h http.Handler = mux
	g.handler.Store(&h)
	return nil
}

// within ends a request when the function's time is up, as Cloud Run does.
func within(timeout time.Duration, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}

// handler returns a function that no stranger reaches.
func (s *system) handler(name string, trigger functions.Trigger) (http.Handler, error) {
	f, ok := s.manifest.Get(name)
	one, linked := serve.Registered()[name]
	if !ok || !linked || f.Trigger != trigger {
		return nil, fault.NotFoundf("there is no function %s with the trigger %s", name, trigger)
	}
	return within(f.Timeout, one.Handler), nil
}

// health asks every function, and answers 503 with what is down.
func (s *system) health(w http.ResponseWriter, r *http.Request) {
	type report struct {
		Status    string            `json:"status"`
		Functions map[string]string `json:"functions"`
	}
	all := report{"ok", map[string]string{}}
	for name, f := range serve.Registered() {
		status, body := call(r.Context(), f.Handler, http.MethodGet, "/health", nil)
		all.Functions[name] = "ok"
		if status != http.StatusOK {
			var problem struct {
				Detail string `json:"detail"`
			}
			_ = json.Unmarshal(body, &problem)
			all.Status, all.Functions[name] = "down", problem.Detail
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if all.Status != "ok" {
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(all)
}
