package fair

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// Looks share looks at the database. A hundred requests that ask the same thing at once look
// twice, and not a hundred times, at connections that everybody else waits for: the first
// looks, and whoever comes while he does shares the look that begins after it. Nobody is
// answered by a look that began before he asked, so what was taken away is gone at once all
// the same. The zero value is ready.
type Looks[K comparable, V any] struct {
	mu sync.Mutex
	of map[K]*line[V]
}

// line is a look that is on its way, and the one that begins after it, nil where nobody
// waits for one.
type line[V any] struct{ now, next *look[V] }

type look[V any] struct {
	over  chan struct{} // closed when the rest is known
	found V
	err   error
}

// lookFor is how long a look may take. It outlives the request that began it, for others
// wait for it too.
const lookFor = 10 * time.Second

// Share returns what a look at key says that begins from now on.
func (l *Looks[K, V]) Share(ctx context.Context, key K, ask func(context.Context, K) (V, error)) (found V, err error) {
	k := l.join(ctx, key, ask)
	select {
	case <-k.over:
		return k.found, k.err
	case <-ctx.Done():
		return found, ctx.Err()
	}
}

func (l *Looks[K, V]) join(ctx context.Context, key K, ask func(context.Context, K) (V, error)) *look[V] {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.of[key]
	switch {
	case at == nil:
		at = &line[V]{now: &look[V]{over: make(chan struct{})}}
		if l.of == nil {
			l.of = map[K]*line[V]{}
		}
		l.of[key] = at
		go l.run(context.WithoutCancel(ctx), key, ask)
		return at.now
	case at.next == nil:
		at.next = &look[V]{over: make(chan struct{})}
	}
	return at.next
}

// run looks until nobody waits any more.
func (l *Looks[K, V]) run(ctx context.Context, key K, ask func(context.Context, K) (V, error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for at := l.of[key]; at.now != nil; at.now, at.next = at.next, nil {
		l.mu.Unlock()
		within, cancel := context.WithTimeout(ctx, lookFor)
		at.now.found, at.now.err = caught(within, key, ask)
		cancel()
		l.mu.Lock()
		close(at.now.over)
	}
	delete(l.of, key)
}

// caught asks, and makes a panic an error: a look has its own goroutine, where nothing else
// would keep it from ending the process.
func caught[K comparable, V any](ctx context.Context, key K, ask func(context.Context, K) (V, error)) (found V, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a shared look panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return ask(ctx, key)
}
