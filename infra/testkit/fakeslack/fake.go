// Package fakeslack stands in for Slack's incoming webhooks: it takes messages within
// Slack's limits, one a second of each address, and refuses the others as Slack does.
package fakeslack

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf16"
)

// Fake is an http.Handler, safe for concurrent use.
type Fake struct {
	// Now is the clock that messages are counted by; time.Now unless set.
	Now func() time.Time
	// RetryAfter is what a message too many is answered, in seconds; 1 unless set.
	RetryAfter int

	mu     sync.Mutex
	taken  map[string][]Message
	last   map[string]time.Time
	broken map[string]answer
	asked  int
}

type answer struct {
	status int
	code   string
	hang   bool
}

// Message is what Slack took.
type Message struct {
	Text   string `json:"text"`
	Blocks []struct {
		Type string `json:"type"`
		Text *struct {
			Type string `json:"type"`
			Text string `json:"text"`
		} `json:"text"`
	} `json:"blocks"`
	At time.Time `json:"-"`
}

// Words is all text of the message's blocks.
func (m Message) Words() string {
	var b strings.Builder
	for _, block := range m.Blocks {
		if block.Text != nil {
			b.WriteString(block.Text.Text + "\n")
		}
	}
	return b.String()
}

// Break answers every message to the path with a status and Slack's word for it.
func (f *Fake) Break(path string, status int, code string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken == nil {
		f.broken = map[string]answer{}
	}
	f.broken[path] = answer{status: status, code: code}
}

// Hang leaves every message to the path without an answer.
func (f *Fake) Hang(path string) {
	f.Break(path, 0, "")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken[path] = answer{hang: true}
}

// Heal lets the path take messages again.
func (f *Fake) Heal(path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.broken, path)
}

// Taken returns the messages that the path has taken, oldest first.
func (f *Fake) Taken(path string) []Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Message{}, f.taken[path]...)
}

// Asked returns how many messages came, taken or not.
func (f *Fake) Asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

// ServeHTTP answers as Slack does: ok, or a word of what is wrong. GET /control/messages
// shows what was taken.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && r.URL.Path == "/control/messages" {
		f.mu.Lock()
		defer f.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(f.taken)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	f.mu.Lock()
	f.asked++
	broken, is := f.broken[r.URL.Path]
	f.mu.Unlock()
	if is && broken.hang {
		<-r.Context().Done()
		return
	}
	if is {
		say(w, broken.status, broken.code)
		return
	}
	if err != nil || r.Method != http.MethodPost || !strings.HasPrefix(r.URL.Path, "/services/") {
		say(w, http.StatusNotFound, "no_service")
		return
	}
	m, wrong := read(body)
	if wrong != "" {
		say(w, http.StatusBadRequest, wrong)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if f.Now != nil {
		now = f.Now()
	}
	if last, ok := f.last[r.URL.Path]; ok && now.Sub(last) < time.Second {
		w.Header().Set("Retry-After", strconv.Itoa(max(f.RetryAfter, 1)))
		say(w, http.StatusTooManyRequests, "rate_limited")
		return
	}
	if f.last == nil {
		f.last, f.taken = map[string]time.Time{}, map[string][]Message{}
	}
	m.At = now
	f.last[r.URL.Path], f.taken[r.URL.Path] = now, append(f.taken[r.URL.Path], m)
	say(w, http.StatusOK, "ok")
}

func say(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, code)
}

// read checks a message against Slack's limits.
func read(body []byte) (m Message, wrong string) {
	if err := json.Unmarshal(body, &m); err != nil {
		return m, "invalid_payload"
	}
	if m.Text == "" && len(m.Blocks) == 0 {
		return m, "no_text"
	}
	if len(m.Blocks) > 50 {
		return m, "invalid_blocks"
	}
	total := 0
	for _, b := range m.Blocks {
		most := map[string]int{"section": 3000, "header": 150}[b.Type]
		if b.Type == "divider" {
			continue
		}
		if most == 0 || b.Text == nil || b.Text.Text == "" {
			return m, "invalid_blocks"
		}
		n := len(utf16.Encode([]rune(b.Text.Text)))
		if total += n; n > most {
			return m, "invalid_blocks"
		}
	}
	if total > 13_200 {
		return m, "msg_blocks_too_long"
	}
	return m, ""
}

// String names the fake in failures.
func (f *Fake) String() string { return fmt.Sprintf("fakeslack, asked %d times", f.Asked()) }
