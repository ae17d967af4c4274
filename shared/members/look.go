package members

import (
	"context"
	"sync"
	"time"
)

// looks are those at memberships that are on their way. A hundred requests of one person at
// once look twice, and not a hundred times: the first looks, and whoever comes while he does
// shares the look that begins after it. Nobody is answered by a look that began before he
// asked, so a member who was removed has lost his writes at once all the same.
type looks struct {
	mu sync.Mutex
	of map[who]*line
}

type who struct{ tenant, email string }

// line is a look that is on its way, and the one that begins after it, nil where nobody
// waits for one.
type line struct{ now, next *look }

type look struct {
	over chan struct{} // closed when the rest is known
	role string
	err  error
}

// lookFor is how long a look may take. It outlives the request that began it, for others
// wait for it too.
const lookFor = 10 * time.Second

type asker func(ctx context.Context, tenant, email string) (role string, err error)

// share returns what a look says that begins from now on.
func (l *looks) share(ctx context.Context, of who, ask asker) (string, error) {
	k := l.join(ctx, of, ask)
	select {
	case <-k.over:
		return k.role, k.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (l *looks) join(ctx context.Context, of who, ask asker) *look {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.of[of]
	switch {
	case at == nil:
		at = &line{now: &look{over: make(chan struct{})}}
		l.of[of] = at
		go l.run(context.WithoutCancel(ctx), of, ask)
		return at.now
	case at.next == nil:
		at.next = &look{over: make(chan struct{})}
	}
	return at.next
}

// run looks until nobody waits any more.
func (l *looks) run(ctx context.Context, of who, ask asker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for at := l.of[of]; at.now != nil; at.now, at.next = at.next, nil {
		l.mu.Unlock()
		within, cancel := context.WithTimeout(ctx, lookFor)
		at.now.role, at.now.err = ask(within, of.tenant, of.email)
		cancel()
		l.mu.Lock()
		close(at.now.over)
	}
	delete(l.of, of)
}
