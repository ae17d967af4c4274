package hubspot

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/geminivideo/geminivideo/shared/hubspotconn"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// In a burst, batches share a look at the database: one serves for as long as freshFor
// while batches follow each other within gap, which is less than a change by the API takes.
// So a batch that comes alone sees what was committed before it came; in a burst a portal
// that is disconnected is refused within freshFor, as if its last batches had come that much
// earlier. Nothing is refused by a look that began before the batch came.
const (
	freshFor = 100 * time.Millisecond
	gap      = time.Millisecond
)

// looks are the looks at portals' connections that batches may use now.
type looks struct {
	mu      sync.Mutex
	batches int       // that are here
	last    time.Time // when the last of them left
	now     map[string]*look
}

type look struct {
	began time.Time
	over  chan struct{} // closed when the rest is known

	connections map[int64]hubspotconn.Connection
	err         error
}

// enter says that a batch is here; leave follows.
func (l *looks) enter() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.batches == 0 && time.Since(l.last) > gap {
		clear(l.now)
	}
	l.batches++
}

// leave says that a batch has its answer.
func (l *looks) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.batches--
	l.last = time.Now()
}

// find returns the connections by portal; a portal that nobody has connected is missing.
// The look began after notBefore.
func (l *looks) find(ctx context.Context, db *pg.DB, portals []int64, notBefore time.Time) (map[int64]hubspotconn.Connection, error) {
	k := l.join(ctx, db, portals, notBefore)
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-k.over:
		return k.connections, k.err
	}
}

// join returns the look that is on its way or fresh, or begins one.
func (l *looks) join(ctx context.Context, db *pg.DB, portals []int64, notBefore time.Time) *look {
	key := fmt.Sprint(portals)
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.now[key]; k != nil && k.began.After(notBefore) {
		return k
	}
	k := &look{began: time.Now(), over: make(chan struct{})}
	if l.now == nil {
		l.now = map[string]*look{}
	}
	l.now[key] = k
	go func() {
		defer close(k.over)
		// The batch that began the look may be given up while others wait for it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		if k.connections, k.err = hubspotconn.Find(ctx, db, portals...); k.err != nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.now[key] == k {
				delete(l.now, key)
			}
		}
	}()
	return k
}
