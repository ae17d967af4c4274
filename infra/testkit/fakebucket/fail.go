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
