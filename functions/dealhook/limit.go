package dealhook

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// perSecond is how many requests a source may send.
	perSecond = 50
	// refusedPerSecond is how many requests that no source has signed may come from one
	// address; each costs a look at the database. A source whose secret was rotated
	// tries again less often.
	refusedPerSecond = 20
)

// limits counts requests by name, in this process: the manifest allows one instance.
type limits struct {
	now       func() time.Time
	perSecond int
	mu        sync.Mutex
	of        map[string]*rate.Limiter
}

func newLimits(now func() time.Time, perSecond int) *limits {
	return &limits{now: now, perSecond: perSecond, of: map[string]*rate.Limiter{}}
}

// maxNames bounds the table. Of sources it holds known ones only; whoever has more
// addresses than this has them forgotten.
const maxNames = 10_000

// take counts a request and returns how long the name must wait, 0 where it need not.
func (l *limits) take(name string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := l.of[name]
	if one == nil {
		if len(l.of) >= maxNames {
			clear(l.of)
		}
		one = rate.NewLimiter(rate.Limit(l.perSecond), l.perSecond)
		l.of[name] = one
	}
	if one.AllowN(l.now(), 1) {
		return 0
	}
	return time.Second
}

// spent reports whether the name has to wait, and counts nothing.
func (l *limits) spent(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := l.of[name]
	return one != nil && one.TokensAt(l.now()) < 1
}

// network is what counts as one address: an IPv4 address, or the /64 that one IPv6
// subscriber has.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil || ip.Unmap().Is4() {
		return address
	}
	prefix, _ := ip.WithZone("").Prefix(64) // a 64 fits any IPv6 address
	return prefix.String()
}
