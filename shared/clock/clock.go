// Package clock waits.
package clock

import (
	"context"
	"time"
)

// Sleep returns after d, or with ctx's error as soon as ctx ends. A d of zero or less
// is no wait, but an ended ctx is still an error.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
