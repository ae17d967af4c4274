package bucket

import "time"

// Hurry lets a bucket wait no longer than d for one answer.
func (b *Bucket) Hurry(d time.Duration) {
	b.patience = d
	if c, ok := b.store.(*cloud); ok {
		c.patience = d
	}
}
