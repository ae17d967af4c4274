// Package live writes the live view: documents in Firestore that a frontend listens to
// while a cycle, a sweep, a backfill, an import, a plan or the analysis of a video goes
// on. Postgres stays the truth: a Firestore that is absent, slow or down changes
// nothing else. infra/terraform/firestore.rules says who may read: a tenant its own.
package live

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"maps"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Kind is what a document is the progress of.
type Kind string

// The kinds.
const (
	Cycle    Kind = "cycle"
	Sweep    Kind = "sweep"
	Backfill Kind = "backfill"
	Import   Kind = "import"
	Plan     Kind = "plan"
	Video    Kind = "video"
)

// Config says where the live view is.
type Config struct {
	// The Firebase project whose Firestore holds the live view; without it there is none.
	Project string `env:"FIRESTORE_PROJECT"`
}

const (
	// writeTime bounds one write.
	writeTime = 2 * time.Second
	// flushTime bounds how long Flush waits.
	flushTime = time.Second
	// interval is how far apart two writes of a document are: what comes in between is
	// replaced by what comes last.
	interval = 500 * time.Millisecond
	// rest is how long a Firestore that failed is left alone.
	rest = 15 * time.Second
	// life is how long a document stays after its last write: expires_at is the field
	// of Firestore's TTL policy.
	life = 7 * 24 * time.Hour
	// mostWaiting bounds the documents that wait for a Firestore that does not answer.
	mostWaiting = 1000
)

// Progress is how far something has come.
type Progress struct {
	Kind Kind
	ID   string
	// Status is a word for people: running, completed, failed.
	Status string
	// Ended is set where nothing more will come.
	Ended bool
	// Data is what else the frontend shows: strings, numbers, times, and lists and maps
	// of them.
	Data map[string]any
}

// Set writes a document.
type Set func(ctx context.Context, path string, document map[string]any) error

// View writes documents. The nil View writes none.
type View struct {
	set Set

	mu      sync.Mutex
	waiting map[string]*document
	written map[string]time.Time // when a document was last written
	ending  []chan struct{}      // of documents that have ended and are not written yet
	running bool                 // a goroutine writes what waits
	until   time.Time            // Firestore is left alone until then
}

type document struct {
	tenant string
	data   map[string]any
	ended  bool
	done   chan struct{} // closed once this, or what replaced it, is written
}

// Open returns the view of a configuration, nil where there is none or where its client
// cannot be made.
func Open(ctx context.Context, cfg Config) *View {
	if cfg.Project == "" {
		return nil
	}
	w, err := openWriter(context.WithoutCancel(ctx), cfg.Project)
	if err != nil {
		slog.WarnContext(ctx, "there is no live view: Firestore's client cannot be made", "project", cfg.Project, "error", err.Error())
		return nil
	}
	return New(w.set)
}

// New returns a view that writes with set.
func New(set Set) *View {
	return &View{set: set, waiting: map[string]*document{}, written: map[string]time.Time{}}
}

// longestID is how many bytes of an id a document's name holds; a longer one is
// named by its hash.
const longestID = 400

// Path is where a document is.
func Path(tenant string, kind Kind, id string) string {
	name := url.PathEscape(id)
	if len(name) > longestID {
		hash := sha256.Sum256([]byte(id))
		name = hex.EncodeToString(hash[:])
	}
	return "tenants/" + tenant + "/progress/" + string(kind) + "-" + strings.ReplaceAll(name, ".", "%2E")
}

// Put has a document written and returns at once. It cannot fail.
func (v *View) Put(tenant string, p Progress) {
	if v == nil || tenant == "" {
		return
	}
	now := time.Now().UTC()
	data := maps.Clone(p.Data)
	if data == nil {
		data = map[string]any{}
	}
	data["kind"], data["id"], data["status"], data["ended"] = string(p.Kind), p.ID, p.Status, p.Ended
	data["updated_at"], data["expires_at"] = now, now.Add(life)
	v.add(Path(tenant, p.Kind, p.ID), &document{tenant: tenant, data: data, ended: p.Ended}, now)
}

// Flush waits until what has ended is written, at most a second: a function calls it
// before it answers, for afterwards it gets no processor.
func (v *View) Flush(ctx context.Context) {
	if v == nil {
		return
	}
	v.mu.Lock()
	ending := v.ending
	v.ending = nil
	v.mu.Unlock()
	timer := time.NewTimer(flushTime)
	defer timer.Stop()
	for _, done := range ending {
		select {
		case <-done:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// add puts a document in the place of what waits of it, and sees to it that somebody
// writes.
func (v *View) add(path string, d *document, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if before := v.waiting[path]; before != nil {
		d.done = before.done
	} else {
		if len(v.waiting) >= mostWaiting {
			return
		}
		d.done = make(chan struct{})
	}
	v.waiting[path] = d
	if now.Before(v.until) {
		return // it is written with what comes next
	}
	if d.ended && len(v.ending) < mostWaiting {
		v.ending = append(v.ending, d.done)
	}
	if !v.running {
		v.running = true
		go v.write()
	}
}

// write writes what waits until nothing does, or a write fails.
func (v *View) write() {
	for {
		path, d, wait := v.next()
		switch {
		case d == nil && wait == 0:
			return
		case d == nil:
			time.Sleep(wait)
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), writeTime)
		err := v.set(ctx, path, d.data)
		cancel()
		if !v.wrote(path, d, err) {
			slog.Warn("the live view was not written; Firestore is left alone for a while", "tenant", d.tenant, "document", path,
				"error", err.Error())
			return
		}
	}
}

// next takes a document that is due, or says how long none is; with neither nothing
// waits, and the writer has ended.
func (v *View) next() (path string, d *document, wait time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := time.Now()
	for path, d := range v.waiting {
		left := v.written[path].Add(interval).Sub(now)
		if d.ended || left <= 0 {
			delete(v.waiting, path)
			return path, d, 0
		}
		if wait == 0 || left < wait {
			wait = left
		}
	}
	// Another document's end must not wait for this one's turn.
	wait = min(wait, interval/10)
	v.running = wait > 0
	return "", nil, wait
}

// wrote records the outcome of a write and reports whether it went well.
func (v *View) wrote(path string, d *document, err error) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := time.Now()
	if err != nil {
		v.running, v.until = false, now.Add(rest)
		if v.waiting[path] == nil && len(v.waiting) < mostWaiting {
			v.waiting[path] = d // nothing newer has come
		}
		return false
	}
	if v.written[path] = now; d.ended || len(v.written) > mostWaiting {
		delete(v.written, path)
	}
	if v.waiting[path] == nil || v.waiting[path].done != d.done {
		close(d.done)
	}
	return true
}
