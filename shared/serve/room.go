package serve

import (
	"math"
	"runtime/debug"
	"sync"
	"time"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// room is what the bodies of requests may take of an instance's memory together. The first
// part of each body is free, so that large ones keep no small one out; a single body is
// bounded by its operation. Uploads are not counted: they are not held whole (shared/spool).
type room struct {
	mu   sync.Mutex
	used int64
	most int64
}

// freeBody is the part of each body that is not counted: 80 requests at once have 20 MiB.
const freeBody = 256 << 10

// bodies is this process's room, a sixteenth of its memory: growing buffers and garbage take some times as much.
var bodies = sync.OnceValue(func() *room {
	limit := debug.SetMemoryLimit(-1) // GOMEMLIMIT, which Terraform sets by the manifest
	if limit == math.MaxInt64 {
		limit = 512 << 20
	}
	return &room{most: limit / 16}
})

// take reserves n bytes more for a request that holds some already, where there is room for
// them. Who is alone gets what it asks for.
func (m *room) take(n, holds int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.used+n > m.most && m.used > holds {
		return false
	}
	m.used += n
	return true
}

func (m *room) give(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used -= n
}

// crowded is the answer to a body for which there is no room now.
func crowded() error {
	return &fault.Error{Kind: fault.Unavailable, Message: "too many large bodies at once", RetryAfter: time.Second}
}
