package notify

import "sync"

// atOnce is how many deliveries of one tenant wait for its receiver at a time:
// one that hangs must not keep the others' notices waiting.
const atOnce = 8

// turnstile counts the deliveries under way, by tenant.
type turnstile struct {
	mu     sync.Mutex
	inside map[string]int
}

func (t *turnstile) enter(tenant string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inside[tenant] >= atOnce {
		return false
	}
	t.inside[tenant]++
	return true
}

func (t *turnstile) leave(tenant string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inside[tenant]--; t.inside[tenant] == 0 {
		delete(t.inside, tenant)
	}
}
