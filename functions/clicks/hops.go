package clicks

import (
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// hops reads the visitor's address from X-Forwarded-For, and says in the log when what
// arrives does not fit TRUSTED_PROXIES: with one proxy too few, every visitor has the
// proxy's address, and together they soon ask too much of one.
type hops struct {
	proxies int

	mu     sync.Mutex
	same   string          // what was taken for the visitor's address, so many times in a row
	before map[string]bool // the addresses that stood before it meanwhile
	warned time.Time
}

const (
	// distinct visitors behind one address make it a proxy's.
	distinct = 20
	// warnEvery is how often the log says so.
	warnEvery = 10 * time.Minute
)

// ip returns the visitor's address.
func (h *hops) ip(r *http.Request, now time.Time) string {
	all := forwarded(r)
	ip := clientIP(r, h.proxies)
	if h.proxies <= 0 {
		return ip
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch n := len(all) - h.proxies; {
	case n < 0:
		h.warn(now, "fewer addresses in X-Forwarded-For than TRUSTED_PROXIES: the connection's own counts", len(all), ip)
	case n > 0 && ip == h.same:
		if h.before[strings.TrimSpace(all[n-1])] = true; len(h.before) >= distinct {
			h.warn(now, "many visitors have one address: it looks like a proxy's, and TRUSTED_PROXIES like too few", len(all), ip)
			clear(h.before)
		}
	default:
		h.same, h.before = ip, map[string]bool{}
	}
	return ip
}

func (h *hops) warn(now time.Time, what string, arrived int, ip string) {
	if now.Sub(h.warned) < warnEvery {
		return
	}
	h.warned = now
	slog.Warn("clicks: "+what, "trusted_proxies", h.proxies, "addresses", arrived, "address", ip)
}

// forwarded returns the addresses of X-Forwarded-For, in order.
func forwarded(r *http.Request) (all []string) {
	for _, line := range r.Header.Values("X-Forwarded-For") {
		all = append(all, strings.Split(line, ",")...)
	}
	return all
}
