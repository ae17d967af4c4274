package serve

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// lazy builds its handler on the first request. A failure is answered with 503
// and tried again by a later request, though not by each one of a burst.
type lazy struct {
	build func(context.Context) (http.Handler, error)

	mu       sync.Mutex
	handler  http.Handler
	failure  error
	failedAt time.Time
}

const rebuildAfter = time.Second

func (l *lazy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, err := l.get(r.Context())
	if err != nil {
		WriteError(w, r, err)
		return
	}
	h.ServeHTTP(w, r)
}

func (l *lazy) get(ctx context.Context) (http.Handler, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.handler != nil {
		return l.handler, nil
	}
	if l.failure != nil && time.Since(l.failedAt) < rebuildAfter {
		return nil, l.failure
	}
	// What is built outlives the request that happened to come first.
	h, err := l.build(context.WithoutCancel(ctx))
	if err != nil {
		l.failure, l.failedAt = fault.Down("the function could not start", err), time.Now()
		return nil, l.failure
	}
	l.handler = h
	return h, nil
}

func (l *lazy) Health(ctx context.Context) error {
	h, err := l.get(ctx)
	if err != nil {
		return err
	}
	if c, ok := h.(checker); ok {
		return c.Health(ctx)
	}
	return nil
}
