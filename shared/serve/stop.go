package serve

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// Cloud Run leaves ten seconds after SIGTERM. A scheduled job begins nothing new from
// then on; after cutAfter what it still works on is cut off, so that it has time to
// record how far it came; after drainFor no request is waited for, and until flushFor
// what is not exported yet is.
const (
	cutAfter = 6 * time.Second
	drainFor = 9 * time.Second
	flushFor = 9500 * time.Millisecond
)

// ErrStopping is why the context of a scheduled run ends when its instance stops.
var ErrStopping = errors.New("the instance is stopping")

// stopper is a process's way to its end.
type stopper struct {
	asked, cut chan struct{}
	inFlight   sync.WaitGroup // requests, so that a stop can wait for them
}

func newStopper() *stopper { return &stopper{asked: make(chan struct{}), cut: make(chan struct{})} }

var process = newStopper()

// stopGracefully lets requests in flight end when the instance gets SIGTERM:
// the framework's own server would cut them off.
var stopGracefully = sync.OnceFunc(func() {
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	go func() {
		<-ctx.Done()
		flush, cancel := context.WithTimeout(context.Background(), flushFor)
		defer cancel()
		if process.stop() {
			slog.Info("stopped: every request in flight was answered")
		} else {
			slog.Warn("stopped with requests still in flight")
		}
		exporter.Flush(flush)
		reporter.Flush(flush)
		os.Exit(0)
	}()
})

// stop asks what runs to end, and reports whether it did in time.
func (s *stopper) stop() bool {
	close(s.asked)
	done := make(chan struct{})
	go func() { s.inFlight.Wait(); close(done) }()
	end := time.After(drainFor)
	select {
	case <-done:
		return true
	case <-time.After(cutAfter):
		close(s.cut)
	}
	select {
	case <-done:
		return true
	case <-end:
		return false
	}
}

// counted keeps the count of requests in flight.
func (s *stopper) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.inFlight.Add(1)
		defer s.inFlight.Done()
		h.ServeHTTP(w, r)
	})
}

// job returns the context of a scheduled run: Stopping reports the stop, and the
// context ends with it where the run does not.
func (s *stopper) job(ctx context.Context) (context.Context, func()) {
	if Stopping(ctx) == nil {
		ctx = WithStopping(ctx, s.asked)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		select {
		case <-s.cut:
			cancel(ErrStopping)
		case <-ended:
		}
	}()
	return ctx, func() { close(ended); cancel(nil) }
}

type stoppingKey struct{}

// WithStopping returns ctx whose Stopping is asked: for a host that stops jobs in its
// own way, and for tests.
func WithStopping(ctx context.Context, asked <-chan struct{}) context.Context {
	return context.WithValue(ctx, stoppingKey{}, asked)
}

// Stopping returns a channel that is closed when the instance is to stop: a job then
// finishes the piece it works on, and leaves the rest to the next run. Where nobody
// asks, it is nil.
func Stopping(ctx context.Context) <-chan struct{} {
	asked, _ := ctx.Value(stoppingKey{}).(<-chan struct{})
	return asked
}

// IsStopping reports whether the instance is to stop.
func IsStopping(ctx context.Context) bool {
	select {
	case <-Stopping(ctx):
		return true
	default:
		return false
	}
}
