package fakehubspot

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is something that goes wrong with the next requests. Without a Status,
// Drop, Truncate or Body it is only the Delay, and the answer is then the usual one.
type Fault struct {
	// Path is the beginning of the paths that it strikes; "" is every path.
	Path string `json:"path,omitempty"`
	// Times is how many requests it strikes, 1 unless set.
	Times int `json:"times,omitempty"`
	// Status is answered instead of the usual: 429, 500, 502, 401, ...
	Status int `json:"status,omitempty"`
	// Policy is the 429's policyName, TEN_SECONDLY_ROLLING unless set.
	Policy string `json:"policy,omitempty"`
	// RetryAfter is the header's value, left out where empty.
	RetryAfter string `json:"retry_after,omitempty"`
	// Delay passes first; a client that leaves earlier ends it. An hour is a
	// server that hangs.
	Delay time.Duration `json:"delay,omitempty"`
	// Until is closed by a test when the request may go on, after the Delay.
	Until <-chan struct{} `json:"-"`
	// Drop closes the connection without an answer.
	Drop bool `json:"drop,omitempty"`
	// Truncate ends the usual answer in its middle.
	Truncate bool `json:"truncate,omitempty"`
	// Body is answered with 200 instead of the usual.
	Body string `json:"body,omitempty"`
}

// Inject lets faults strike, each in the order given, before what is usual.
func (f *Fake) Inject(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range faults {
		one.Times = max(one.Times, 1)
		f.faults = append(f.faults, &one)
	}
}

// fault returns the fault that strikes r, counted down, or nil; f.mu is held.
func (f *Fake) fault(r *http.Request) *Fault {
	for i, one := range f.faults {
		if !strings.HasPrefix(r.URL.Path, one.Path) {
			continue
		}
		struck := *one
		if one.Times--; one.Times == 0 {
			f.faults = slices.Delete(f.faults, i, i+1)
		}
		return &struck
	}
	return nil
}

// serve does the fault and reports whether it was the whole answer.
func (one *Fault) serve(w http.ResponseWriter, r *http.Request) bool {
	if one.Delay > 0 {
		// A server hears that its client has left only once it has read the body.
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		select {
		case <-r.Context().Done():
			return true
		case <-time.After(one.Delay):
		}
	}
	if one.Until != nil {
		select {
		case <-r.Context().Done():
			return true
		case <-one.Until:
		}
	}
	if one.Drop {
		panic(http.ErrAbortHandler)
	}
	if one.RetryAfter != "" {
		w.Header().Set("Retry-After", one.RetryAfter)
	}
	switch {
	case one.Body != "":
		_, _ = w.Write([]byte(one.Body))
	case one.Status == 0:
		return false
	case one.Status == http.StatusTooManyRequests:
		policy := one.Policy
		if policy == "" {
			policy = "TEN_SECONDLY_ROLLING"
		}
		tooMany(w, policy)
	case one.Status == http.StatusBadGateway:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(one.Status)
		_, _ = w.Write([]byte("<html><body><h1>502 Bad Gateway</h1></body></html>"))
	default:
		refuse(w, one.Status, problem{"message": "internal error"})
	}
	return true
}

// allow counts the request against the portal's rolling window.
func (f *Fake) allow(w http.ResponseWriter, p *Portal) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	recent := slices.DeleteFunc(f.rolling[p.config.ID], func(t time.Time) bool { return now.Sub(t) >= p.config.Window })
	allowed := len(recent) < p.config.Limit
	if allowed {
		recent = append(recent, now)
	}
	f.rolling[p.config.ID] = recent
	w.Header().Set("X-HubSpot-RateLimit-Daily", "250000")
	w.Header().Set("X-HubSpot-RateLimit-Daily-Remaining", "249000")
	w.Header().Set("X-HubSpot-RateLimit-Interval-Milliseconds", strconv.FormatInt(p.config.Window.Milliseconds(), 10))
	w.Header().Set("X-HubSpot-RateLimit-Max", strconv.Itoa(p.config.Limit))
	w.Header().Set("X-HubSpot-RateLimit-Remaining", strconv.Itoa(p.config.Limit-len(recent)))
	if !allowed {
		tooMany(w, "TEN_SECONDLY_ROLLING")
	}
	return allowed
}

func tooMany(w http.ResponseWriter, policy string) {
	refuse(w, http.StatusTooManyRequests, problem{
		"message":   "You have reached your " + strings.ToLower(policy) + " limit.",
		"errorType": "RATE_LIMIT", "policyName": policy, "category": "RATE_LIMITS",
	})
}

// truncated sends half of a body whose length was already promised.
type truncated struct{ http.ResponseWriter }

func (t *truncated) Write(body []byte) (int, error) {
	_, _ = t.ResponseWriter.Write(body[:len(body)/2])
	_ = http.NewResponseController(t.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}

// Heal takes back all faults that have not struck yet.
func (f *Fake) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// FaultsLeft counts the requests that faults have yet to strike.
func (f *Fake) FaultsLeft() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, one := range f.faults {
		n += one.Times
	}
	return n
}
