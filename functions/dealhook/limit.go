package dealhook

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// perSecond is how many requests a source may send.
const perSecond = 50

// limits counts the requests of each source, in this process: the manifest allows
// one instance.
type limits struct {
	now func() time.Time
	mu  sync.Mutex
	of  map[string]*rate.Limiter
}

func newLimits(now func() time.Time) *limits {
	return &limits{now: now, of: map[string]*rate.Limiter{}}
}

// maxSources bounds the table; it holds known sources only.
const maxSources = 10_000

// take counts a request and returns how long the source must wait, 0 where it need not.
func (l *limits) take(source string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := l.of[source]
	if one == nil {
		if len(l.of) >= maxSources {
			clear(l.of)
		}
		one = rate.NewLimiter(perSecond, perSecond)
		l.of[source] = one
	}
	if one.AllowN(l.now(), 1) {
		return 0
	}
	return time.Second
}
