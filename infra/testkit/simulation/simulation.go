// Package simulation is for tests that play many invented accounts, requests or files, on one
// goroutine. The race detector finds nothing in them and makes them take five
// times as long, so the suite runs them without it.
package simulation

import "testing"

// Test marks t as one: under the race detector it is skipped, and the test command
// runs its package once more without (infra/local/check.go).
func Test(t *testing.T) {
	t.Helper()
	if detecting {
		t.Skip("a simulation: the suite runs it without the race detector")
	}
}
