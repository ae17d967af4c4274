package serve

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// inFlight counts requests, so that a stop can wait for them.
var inFlight sync.WaitGroup

// drainFor is within the ten seconds that Cloud Run leaves after SIGTERM.
const drainFor = 9 * time.Second

// stopGracefully lets requests in flight end when the instance gets SIGTERM:
// the framework's own server would cut them off.
var stopGracefully = sync.OnceFunc(func() {
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	go func() {
		<-ctx.Done()
		done := make(chan struct{})
		go func() { inFlight.Wait(); close(done) }()
		select {
		case <-done:
			slog.Info("stopped: every request in flight was answered")
		case <-time.After(drainFor):
			slog.Warn("stopped with requests still in flight")
		}
		os.Exit(0)
	}()
})

// counted keeps the count of requests in flight.
func counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inFlight.Add(1)
		defer inFlight.Done()
		h.ServeHTTP(w, r)
	})
}
