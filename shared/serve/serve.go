// Package serve is the edge of every function: it registers the function with
// the Functions Framework, builds it on its first request, and wraps it in what
// every function needs: one log line a request, a deadline, a clean answer to a
// panic, /health, and a graceful stop.
package serve

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/geminivideo/geminivideo/shared/telemetry"
	"github.com/geminivideo/geminivideo/shared/telemetry/export"
)

// Kind is how a function is triggered.
type Kind string

// The kinds of functions.
const (
	KindHTTP     Kind = "http"
	KindPubSub   Kind = "pubsub"
	KindSchedule Kind = "schedule"
)

// Function is a registered function.
type Function struct {
	Name    string
	Kind    Kind
	Handler http.Handler
	// Build makes the function's own handler anew, bare of the edge that Handler
	// has around it: what it says of itself, such as an API's document, can be asked.
	Build func(context.Context) (http.Handler, error)
}

var registered = map[string]Function{}

// Registered returns the functions that this program links, by name.
func Registered() map[string]Function { return maps.Clone(registered) }

// HTTP registers an HTTP function. build runs on the first request, and again
// on a later one if it failed.
func HTTP(name string, build func(context.Context) (http.Handler, error)) {
	register(name, KindHTTP, build)
}

// PubSub registers a function that handles the messages of its topic.
func PubSub(name string, build func(context.Context) (Consumer, error)) {
	register(name, KindPubSub, func(ctx context.Context) (http.Handler, error) {
		c, err := build(ctx)
		if err != nil {
			return nil, err
		}
		return Consume(name, c), nil
	})
}

// Job is a scheduled function's work. It may be run at any time and twice at
// once; its report becomes the answer and a line in the log. When Stopping reports
// that the instance stops, it begins nothing new.
type Job interface {
	Run(ctx context.Context) (report any, err error)
}

// Schedule registers a function that Cloud Scheduler runs.
func Schedule(name string, build func(context.Context) (Job, error)) {
	register(name, KindSchedule, func(ctx context.Context) (http.Handler, error) {
		job, err := build(ctx)
		if err != nil {
			return nil, err
		}
		return Tick(job), nil
	})
}

// Tick returns the handler that runs job once a request.
func Tick(job Job) http.Handler { return process.tick(job) }

func (s *stopper) tick(job Job) http.Handler {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, err := only(r)
		if err != nil {
			WriteError(w, r, err)
			return
		}
		ctx, done := s.job(r.Context())
		defer done()
		report, err := job.Run(ctx)
		if err != nil {
			WriteError(w, r, err)
			return
		}
		note(r.Context(), func(o *outcome) { o.report = report })
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(report)
	})
	if c, ok := job.(checker); ok {
		return checked{h, c}
	}
	return h
}

func register(name string, kind Kind, build func(context.Context) (http.Handler, error)) {
	if os.Getenv("FUNCTION_TARGET") == name {
		telemetry.Setup()
		exporter, reporter = export.Start(name), export.StartErrors()
		stopGracefully()
	}
	handler := wrap(name, kind, &lazy{build: build})
	registered[name] = Function{Name: name, Kind: kind, Handler: handler, Build: build}
	functions.HTTP(name, process.counted(exported(kind, handler)).ServeHTTP)
}

// exporter and reporter send this process's telemetry; nil where nothing is exported.
var (
	exporter *export.Exporter
	reporter *export.Errors
)

// exported starts an export at the end of a request if one is due: Cloud Run gives an
// instance without requests no processor.
func exported(kind Kind, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		exporter.RequestEnded(kind != KindHTTP)
	})
}

// timeout is how long a request may take: the timeout of the service, less a second
// to answer in.
var timeout = sync.OnceValue(func() time.Duration {
	seconds, err := strconv.Atoi(os.Getenv("CLOUD_RUN_TIMEOUT_SECONDS"))
	if err != nil || seconds < 2 {
		return time.Minute
	}
	return time.Duration(seconds)*time.Second - time.Second
})
