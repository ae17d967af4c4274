// Package fakegemini is Gemini in memory, for tests: the part of the Developer
// API and of Vertex AI that we call, in the real protocol, refusing what the real
// ones refuse. What it writes, a test decides; what goes wrong, a test orders.
package fakegemini

import (
	"encoding/json"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Key is the key that the Developer API's half takes.
const Key = "AIzaFakeKeyThatMustNeverBeSeenInALog"

// Call is a request for content.
type Call struct {
	Model  string
	System string
	Parts  []Part
	// Schema is the JSON Schema that was sent along; nil where none was.
	Schema          map[string]any
	MaxOutputTokens int
	Vertex          bool
}

// Part is what a request holds: text, a file's bytes, or its address.
type Part struct {
	Text, URI, MIMEType string
	Data                []byte
}

// Fake is both back ends. It is an http.Handler and safe for concurrent use.
type Fake struct {
	// Write returns the text that the model writes; "{}" unless set.
	Write func(Call) string
	// Embed returns the meaning of a text, prefix and all, of any length: the fake
	// makes a vector of the asked dimensions of it. A random one that depends on
	// the text alone, unless set.
	Embed func(model, text string) []float32
	// Refuse reports texts that the embedding models answer 400 to.
	Refuse func(text string) bool
	// Look is how often a file is asked after before it is ACTIVE; 1 unless set.
	// A file whose bytes begin with "broken" becomes FAILED.
	Look int

	mux     *http.ServeMux
	mu      sync.Mutex
	faults  []Fault
	always  *Fault
	calls   []Call
	texts   []Embedded
	largest int
	paths   []string
	files   map[string]*file
	closing chan struct{}
}

// Embedded is a text that was embedded.
type Embedded struct{ Model, Task, Text string }

type file struct {
	name, mime string
	data       []byte
	looks      int
}

// Change sets Write, Embed or Refuse while requests may still be on their way: of one
// whose caller has gone, the fake may still be reading them.
func (f *Fake) Change(set func(f *Fake)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	set(f)
}

// New returns a fake that answers everything.
func New() *Fake {
	f := &Fake{Look: 1, files: map[string]*file{}, closing: make(chan struct{})}
	f.routes()
	return f
}

// Start serves a new fake until the test ends, and returns it with its address:
// what GEMINI_BASE_URL is set to.
func Start(t testing.TB) (f *Fake, url string) {
	t.Helper()
	f = New()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(f.closing) }) // before Close, which waits for what hangs
	return f, server.URL
}

// Inject lets faults strike the next requests, one each, in the order given.
func (f *Fake) Inject(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, faults...)
}

// Break lets the fault strike every request until Mend.
func (f *Fake) Break(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.always = &fault
}

// Mend ends all faults.
func (f *Fake) Mend() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.always, f.faults = nil, nil
}

// FaultsLeft counts the injected faults that have yet to strike.
func (f *Fake) FaultsLeft() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.faults)
}

// Calls returns the requests for content, those that failed too.
func (f *Fake) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Call(nil), f.calls...)
}

// Texts returns what has been embedded, in order.
func (f *Fake) Texts() []Embedded {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Embedded(nil), f.texts...)
}

// Largest returns how many texts the largest request held.
func (f *Fake) Largest() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.largest
}

// Requests returns how many requests came, those that failed too.
func (f *Fake) Requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.paths)
}

// Files returns how many uploaded files are there.
func (f *Fake) Files() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.files)
}

// ServeHTTP answers as the API does.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.paths = append(f.paths, r.URL.Path)
	fault := f.strike()
	f.mu.Unlock()
	if fault != nil && fault.before(w, r, f.closing) {
		return
	}
	if strings.HasPrefix(r.URL.Path, "/v1beta/") || strings.HasPrefix(r.URL.Path, "/upload/") {
		if r.Header.Get("X-Goog-Api-Key") != Key {
			refuse(w, http.StatusBadRequest, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.",
				map[string]any{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"})
			return
		}
	}
	f.mux.ServeHTTP(w, r.WithContext(withFault(r.Context(), fault)))
}

func (f *Fake) strike() *Fault {
	if f.always != nil {
		return f.always
	}
	if len(f.faults) == 0 {
		return nil
	}
	next := f.faults[0]
	f.faults = f.faults[1:]
	return &next
}

// refuse answers as Google's services do.
func refuse(w http.ResponseWriter, status int, code, message string, details ...map[string]any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{
		"code": status, "message": message, "status": code, "details": details,
	}})
}

func invalid(w http.ResponseWriter, message string) {
	refuse(w, http.StatusBadRequest, "INVALID_ARGUMENT", message)
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_ = json.NewEncoder(w).Encode(body)
}

// meaning is what a text means where no test says it.
func meaning(model, text string) []float32 {
	h := fnv.New64a()
	h.Write([]byte(model + "\x00" + text))
	random := rand.New(rand.NewPCG(h.Sum64(), 1))
	v := make([]float32, 64)
	for i := range v {
		v[i] = float32(random.NormFloat64())
	}
	return v
}

// tokens is how the fake counts.
func tokens(text string) int { return (len(text) + 3) / 4 }

var epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
