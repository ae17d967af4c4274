package fakemeta

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Fault is something that goes wrong with the next requests. Without a Status, a
// Code, Drop, Truncate or Body it is only the Delay, and the answer is then the usual one.
type Fault struct {
	// Method is GET or POST; "" is both. Path is the beginning of the paths, below
	// the version, that it strikes; "" is every path.
	Method string `json:"method,omitempty"`
	Path   string `json:"path,omitempty"`
	// Skip lets that many requests pass first; Times is how many it then strikes, 1 unless set.
	Skip  int `json:"skip,omitempty"`
	Times int `json:"times,omitempty"`
	// After strikes once the request has had its effect: a change is applied, and
	// its answer lost.
	After bool `json:"after,omitempty"`
	// Status is answered instead of the usual, with Meta's error of Code and
	// Subcode where Code is set (400 unless Status says otherwise; 200 is possible),
	// and a gateway's page where it is not.
	Status  int    `json:"status,omitempty"`
	Code    int    `json:"code,omitempty"`
	Subcode int    `json:"subcode,omitempty"`
	Message string `json:"message,omitempty"`
	// Transient is the error's is_transient; Headers are sent with it.
	Transient bool              `json:"transient,omitempty"`
	Headers   map[string]string `json:"headers,omitempty"`
	// Delay passes first; a client that leaves earlier ends it. An hour is a
	// server that hangs.
	Delay time.Duration `json:"delay,omitempty"`
	// Drop closes the connection without an answer; Truncate ends the usual answer in its middle.
	Drop     bool `json:"drop,omitempty"`
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

// Heal takes all faults back.
func (f *Fake) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// struck returns the fault that strikes q, counted down, or nil.
func (f *Fake) struck(q *question) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, one := range f.faults {
		if one.Method != "" && one.Method != q.r.Method || !strings.HasPrefix(below(q.r.URL.Path), one.Path) {
			continue
		}
		if one.Skip > 0 {
			one.Skip--
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
	if one.Drop {
		panic(http.ErrAbortHandler)
	}
	for name, value := range one.Headers {
		w.Header().Set(name, value)
	}
	switch {
	case one.Body != "":
		_, _ = w.Write([]byte(one.Body))
	case one.Code != 0:
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		w.WriteHeader(or(one.Status, http.StatusBadRequest))
		t := trouble{Code: one.Code, Subcode: one.Subcode, Message: or(one.Message, "An unexpected error"), Transient: one.Transient}
		_ = json.NewEncoder(w).Encode(t.body())
	case one.Status != 0:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(one.Status)
		_, _ = w.Write([]byte("<html><body><h1>" + http.StatusText(one.Status) + "</h1></body></html>"))
	default:
		return false
	}
	return true
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
