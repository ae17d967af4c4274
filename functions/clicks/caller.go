package clicks

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/fault"
)

// clientIP returns the address that the first of our own proxies saw, which is
// the n-th from the end of X-Forwarded-For; what stands before it the caller may
// have made up. A request that did not come through that many came directly.
func clientIP(r *http.Request, proxies int) string {
	var hops []string
	for _, line := range r.Header.Values("X-Forwarded-For") {
		hops = append(hops, strings.Split(line, ",")...)
	}
	if proxies <= 0 || len(hops) < proxies {
		return address(r.RemoteAddr)
	}
	return address(hops[len(hops)-proxies])
}

// address reads an address with or without a port.
func address(text string) string {
	text = strings.TrimSpace(text)
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	ip, _ := attribution.NormaliseIP(strings.Trim(text, "[]"))
	return ip
}

// network is what counts as one caller: an IPv4 address, or the /64 that one
// IPv6 subscriber has to himself.
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

// fillFrom takes the caller's address and agent where the body tells none.
func (b *beacon) fillFrom(r *http.Request, ip string) {
	if value(b.IPAddress) == "" {
		b.IPAddress = &ip
	}
	if value(b.UserAgent) == "" {
		agent := r.UserAgent()
		b.UserAgent = &agent
	}
}

// publishableKey returns the request's key, from the header or, where there is
// none, as with sendBeacon, from the body.
func publishableKey(r *http.Request, body map[string]any) (string, error) {
	key := r.Header.Get("X-Publishable-Key")
	if key == "" {
		key, _ = body["publishable_key"].(string)
	}
	if key == "" || len(key) > 200 {
		return "", fault.Unauthorizedf("a publishable key is needed, in the header X-Publishable-Key or as publishable_key in the body")
	}
	return key, nil
}
