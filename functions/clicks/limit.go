package clicks

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// limiter lets each name take so many a second. It counts two generations of
// names, so its memory is bounded: when the young one is full, the old one is
// forgotten, and with it only those who have not come for as long.
type limiter struct {
	perSecond float64

	mu         sync.Mutex
	young, old map[string]*rate.Limiter
}

const generation = 10_000

// burst is how many seconds' worth may come at once.
const burst = 5

func newLimiter(perSecond float64) *limiter {
	return &limiter{perSecond: perSecond, young: map[string]*rate.Limiter{}}
}

// take lets name have one at now, or returns a TooMany fault that says when.
func (l *limiter) take(name string, now time.Time) error {
	r := l.of(name).ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait <= 0 {
		return nil
	}
	r.CancelAt(now)
	return fault.Limited("too many clicks at once from one sender", min(max(wait, time.Second), time.Minute))
}

func (l *limiter) of(name string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	one, ok := l.young[name]
	if !ok {
		if one, ok = l.old[name]; !ok {
			one = rate.NewLimiter(rate.Limit(l.perSecond), max(int(l.perSecond*burst), 1))
		}
		if len(l.young) >= generation {
			l.old, l.young = l.young, map[string]*rate.Limiter{}
		}
		l.young[name] = one
	}
	return one
}
