package clicks

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Not parallel: it reads the process's log.
func TestTheLogSaysWhenTheProxiesDoNotFit(t *testing.T) {
	const balancer = "34.160.1.2"
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	send := func(h *hops, header string, now time.Time) string {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/", nil)
		r.Header.Set("X-Forwarded-For", header)
		return h.ip(r, now)
	}
	for name, c := range map[string]struct {
		proxies int
		header  func(n int) string
		want    string
		lines   int
	}{
		"two, behind the load balancer":     {2, func(n int) string { return fmt.Sprintf("198.51.100.%d, %s", n, balancer) }, "", 0},
		"one, behind the load balancer":     {1, func(n int) string { return fmt.Sprintf("198.51.100.%d, %s", n, balancer) }, "many visitors have one address", 1},
		"two, and only one address arrives": {2, func(n int) string { return fmt.Sprintf("198.51.100.%d", n) }, "fewer addresses", 1},
		"none, on a developer's machine":    {0, func(int) string { return "" }, "", 0},
		"one visitor who adds one address":  {2, func(int) string { return "10.0.0.1, 203.0.113.7, " + balancer }, "", 0},
	} {
		log.Reset()
		h := &hops{proxies: c.proxies}
		for n := range 100 {
			send(h, c.header(n), at.Add(time.Duration(n)*time.Second))
		}
		if got := strings.Count(log.String(), "level=WARN"); got != c.lines || !strings.Contains(log.String(), c.want) {
			t.Errorf("%s: %d lines\n%s", name, got, &log)
		}
	}
	h := &hops{proxies: 2}
	if got := send(h, "198.51.100.9, "+balancer, at); got != "198.51.100.9" {
		t.Errorf("the visitor is %s", got)
	}
}
