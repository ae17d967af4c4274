package serve

import (
	"net/http/httptest"
	"testing"
)

func TestTheLogNamesTheVisitorAndNotTheLoadBalancer(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"198.51.100.9, 34.160.1.2":          "198.51.100.9",
		"6.6.6.6, 198.51.100.9, 34.160.1.2": "198.51.100.9", // the first one is the visitor's own claim
		"2001:db8::7, 34.160.1.2":           "2001:db8::7",
		"66.249.1.1":                        "66.249.1.1", // Pub/Sub, which comes without the load balancer
		"":                                  "192.0.2.1",
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.Header.Set("X-Forwarded-For", header)
		if got := visitorOf(r, true); got != want {
			t.Errorf("forwarded for %q: %s, want %s", header, got, want)
		}
		if got := visitorOf(r, false); got != "192.0.2.1" {
			t.Errorf("on a developer's machine the connection's address counts, not %s", got)
		}
	}
}
