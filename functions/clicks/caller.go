package clicks

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/fault"
)

// sender is who sends a beacon.
type sender struct {
	ip, agent string // the request's own
	key       string
	server    bool   // the key is a server's
	origin    string // the web page's, empty where it is no browser
}

// clientIP returns the address that the first of our own proxies saw, which is
// the n-th from the end of X-Forwarded-For; what stands before it the caller may
// have made up. A request that did not come through that many came directly.
func clientIP(r *http.Request, proxies int) string {
	all := forwarded(r)
	if proxies <= 0 || len(all) < proxies {
		return addressOf(r.RemoteAddr)
	}
	return addressOf(all[len(all)-proxies])
}

// addressOf reads an address with or without a port.
func addressOf(text string) string {
	text = strings.TrimSpace(text)
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	ip, _ := attribution.NormaliseIP(strings.Trim(text, "[]"))
	return ip
}

// network is what counts as one caller: an IPv4 address, or the /64 that one
// IPv6 subscriber has.
func network(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return "unknown"
	}
	if addr.Is4() {
		return ip
	}
	prefix, _ := addr.Prefix(64) // a 64 fits any IPv6 address
	return prefix.String()
}

// serverPrefix is how a server key begins.
const serverPrefix = "gvs_"

// headerKey returns the key of the request's headers, and whether it is a
// server's; empty where there is none. A server key from a web page is refused:
// its reader would have it.
func headerKey(r *http.Request) (key string, server bool, err error) {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if key = strings.TrimSpace(key); strings.EqualFold(scheme, "Bearer") && strings.HasPrefix(key, serverPrefix) {
		if r.Header.Get("Origin") != "" {
			return "", false, fault.Unauthorizedf("a server key is a secret and never comes from a web page: use a publishable key there")
		}
		return key, true, usable(key)
	}
	key = r.Header.Get("X-Publishable-Key")
	if strings.HasPrefix(key, serverPrefix) {
		return "", false, fault.Unauthorizedf("a server key is sent as Authorization: Bearer, and nowhere else")
	}
	return key, false, usable(key)
}

// bodyKey returns the publishable key that stands in the body, where sendBeacon
// has to put it.
func bodyKey(body map[string]any) (string, error) {
	key, _ := body["publishable_key"].(string)
	if key == "" || strings.HasPrefix(key, serverPrefix) {
		return "", fault.Unauthorizedf("a publishable key is needed, in the header X-Publishable-Key or as publishable_key in the body")
	}
	return key, usable(key)
}

func usable(key string) error {
	if len(key) > 200 {
		return fault.Unauthorizedf("the key is not known, or was revoked")
	}
	return nil
}
