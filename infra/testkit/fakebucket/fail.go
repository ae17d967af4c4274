package fakebucket

import (
	"net/http"
	"strings"
)

// Fail answers the next request whose method and address hold match with a status,
// without doing anything.
func (f *Fake) Fail(status int, match string) { f.failing(match, status) }

// FailAfter does what the next such request asks and answers 500 all the same.
func (f *Fake) FailAfter(match string) { f.failing(match, -1) }

// Hang never answers requests whose method and address hold match.
func (f *Fake) Hang(match string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hangs = match
}

func (f *Fake) failing(match string, status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = append(f.fail, func(r *http.Request) int {
		if strings.Contains(r.Method+" "+r.URL.String(), match) {
			return status
		}
		return 0
	})
}

// Cut breaks the connection of the next such request after n bytes of an object.
func (f *Fake) Cut(n int, match string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cuts = append(f.cuts, cut{n, match})
}

type cut struct {
	bytes int
	match string
}

// cutAfter returns after how many bytes the answer to r breaks off: -1 for never.
func (f *Fake) cutAfter(r *http.Request) int {
	for i, c := range f.cuts {
		if strings.Contains(r.Method+" "+r.URL.String(), c.match) {
			f.cuts = append(f.cuts[:i], f.cuts[i+1:]...)
			return c.bytes
		}
	}
	return -1
}

// Corrupt sends the object's first byte changed from now on, as a fault on the way
// would: its checksum is that of what was stored.
func (f *Fake) Corrupt(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := f.objects[name]
	o.corrupt = true
	f.objects[name] = o
}
