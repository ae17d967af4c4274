package fair_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/geminivideo/geminivideo/shared/fair"
)

// queued makes n of tenant wait, one behind the other, each of whom notes its name
// when it is served and leaves at once.
func queued(t *testing.T, q *fair.Queue, served *[]string, mu *sync.Mutex, done *sync.WaitGroup, tenant string, n int) {
	t.Helper()
	for range n {
		done.Go(func() {
			leave, err := q.Enter(t.Context(), tenant)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			*served = append(*served, tenant)
			mu.Unlock()
			leave()
		})
		synctest.Wait()
	}
}

func TestABurstOfOneTenantDelaysAnotherByOneTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := fair.New(2)
		var running []func()
		for range 2 {
			leave, err := q.Enter(t.Context(), "burst")
			if err != nil {
				t.Fatal(err)
			}
			running = append(running, leave)
		}
		var (
			served []string
			mu     sync.Mutex
			done   sync.WaitGroup
		)
		queued(t, q, &served, &mu, &done, "burst", 100)
		queued(t, q, &served, &mu, &done, "other", 1)
		queued(t, q, &served, &mu, &done, "third", 1)
		running[0]()
		running[0]() // twice is once
		synctest.Wait()
		if len(served) < 3 || served[0] != "other" || served[1] != "third" {
			t.Errorf("first served: %v", served[:min(len(served), 5)])
		}
		running[1]()
		done.Wait()
		if len(served) != 102 {
			t.Errorf("%d were served", len(served))
		}
	})
}

func TestWaitsAreCountedAndAddedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := fair.New(1)
		leave, err := q.Enter(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if n, total := q.Waited(); n != 0 || total != 0 {
			t.Errorf("%d waits of %v though nobody waited", n, total)
		}
		var done sync.WaitGroup
		done.Go(func() { // gives up after 2 s
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if _, err := q.Enter(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("it ended with %v", err)
			}
		})
		done.Go(func() {
			next, err := q.Enter(t.Context(), "b")
			if err != nil {
				t.Error(err)
				return
			}
			next()
		})
		time.Sleep(3 * time.Second)
		leave()
		done.Wait()
		if n, total := q.Waited(); n != 2 || total != 5*time.Second {
			t.Errorf("%d waits of %v, want 2 of 5 s", n, total)
		}
	})
}

func TestTwoTenantsThatBothWaitTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := fair.New(1)
		leave, err := q.Enter(t.Context(), "first")
		if err != nil {
			t.Fatal(err)
		}
		var (
			served []string
			mu     sync.Mutex
			done   sync.WaitGroup
		)
		queued(t, q, &served, &mu, &done, "a", 3)
		queued(t, q, &served, &mu, &done, "b", 3)
		leave()
		done.Wait()
		if want := []string{"a", "b", "a", "b", "a", "b"}; !slices.Equal(served, want) {
			t.Errorf("%v", served)
		}
	})
}

func TestWhoGivesUpTakesNoSlotAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := fair.New(1)
		leave, err := q.Enter(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := q.Enter(ctx, "b"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if q.Waiting("b") != 0 {
			t.Error("who gave up still waits")
		}
		leave()
		if again, err := q.Enter(t.Context(), "c"); err != nil {
			t.Error(err)
		} else {
			again()
		}
	})
}

// Whatever comes, leaves and gives up, never more are in than there are slots, and in
// the end all of them are free.
func TestSlotsAreNeitherLostNorMade(t *testing.T) {
	t.Parallel()
	const slots = 3
	q := fair.New(slots)
	var in atomic.Int64
	var all sync.WaitGroup
	for i := range 400 {
		all.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i%3 == 0 {
				go cancel()
			}
			leave, err := q.Enter(ctx, string(rune('a'+rand.IntN(5)))) //nolint:gosec // any order will do
			if err != nil {
				return
			}
			if n := in.Add(1); n > slots {
				t.Errorf("%d are in", n)
			}
			in.Add(-1)
			leave()
		})
	}
	all.Wait()
	for range slots {
		if _, err := q.Enter(t.Context(), "end"); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.Enter(ctx, "end"); err == nil {
		t.Error("a slot too many")
	}
}
