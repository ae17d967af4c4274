package fakehubspot

import "time"

// Undelivered counts the batches that are on their way or due, and not those
// that wait for a further try.
func (f *Fake) Undelivered() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, one := range f.state.Pending {
		if !one.Due.After(time.Now()) {
			n++
		}
	}
	return n
}

// Waiting counts all batches that the target has not acknowledged yet.
func (f *Fake) Waiting() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.state.Pending)
}
