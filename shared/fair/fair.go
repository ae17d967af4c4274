// Package fair shares few slots between many tenants: whoever has the fewest in use
// is served next, so that one tenant's burst waits behind itself and not before
// others. A newcomer waits for one slot to come free, however long another's queue is
// (TestABurstOfOneTenantDelaysAnotherByOneTurn).
package fair

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Queue admits as many at once as it has slots. It is safe for concurrent use.
type Queue struct {
	mu      sync.Mutex
	free    int
	running map[string]int
	waiting map[string][]chan struct{} // by tenant, the oldest first
	turns   []string                   // tenants that wait; who was served last stands last
	waits   int64
	waited  time.Duration
}

// New returns a queue with so many slots, at least one.
func New(slots int) *Queue {
	return &Queue{free: max(slots, 1), running: map[string]int{}, waiting: map[string][]chan struct{}{}}
}

// Enter waits for a slot and returns what gives it back; calling that twice is once.
// It returns ctx's error where ctx ends first.
func (q *Queue) Enter(ctx context.Context, tenant string) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	q.mu.Lock()
	if q.free > 0 { // then nobody waits
		q.free--
		q.running[tenant]++
		q.mu.Unlock()
		return q.leaver(tenant), nil
	}
	turn := make(chan struct{})
	if len(q.waiting[tenant]) == 0 {
		q.turns = append(q.turns, tenant)
	}
	q.waiting[tenant] = append(q.waiting[tenant], turn)
	q.waits++
	q.mu.Unlock()
	began := time.Now()
	defer func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.waited += time.Since(began)
	}()
	select {
	case <-turn:
		return q.leaver(tenant), nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()          // before the other one
	if !q.giveUp(tenant, turn) { // the slot came at the same time
		q.release(tenant)
	}
	return nil, ctx.Err()
}

// Waited returns how many have had to wait so far, and how long all of them together.
func (q *Queue) Waited() (n int64, total time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waits, q.waited
}

// Waiting counts those of tenant who wait.
func (q *Queue) Waiting(tenant string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting[tenant])
}

func (q *Queue) leaver(tenant string) func() {
	return sync.OnceFunc(func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.release(tenant)
	})
}

// release passes tenant's slot on; the slot still counts for tenant then, so that of
// two who wait the other is next.
func (q *Queue) release(tenant string) {
	next := ""
	for i, other := range q.turns {
		if i == 0 || q.running[other] < q.running[next] {
			next = other
		}
	}
	if q.running[tenant]--; q.running[tenant] == 0 {
		delete(q.running, tenant)
	}
	if len(q.turns) == 0 {
		q.free++
		return
	}
	turn := q.waiting[next][0]
	q.running[next]++
	q.giveUp(next, turn)
	if at := slices.Index(q.turns, next); at >= 0 { // it waits for more, behind the others
		q.turns = append(slices.Delete(q.turns, at, at+1), next)
	}
	close(turn)
}

// giveUp takes a place out of the queue, and with its last place the tenant. It
// reports whether the place was there.
func (q *Queue) giveUp(tenant string, turn chan struct{}) bool {
	at := slices.Index(q.waiting[tenant], turn)
	if at < 0 {
		return false
	}
	q.waiting[tenant] = slices.Delete(q.waiting[tenant], at, at+1)
	if len(q.waiting[tenant]) == 0 {
		delete(q.waiting, tenant)
		q.turns = slices.DeleteFunc(q.turns, func(t string) bool { return t == tenant })
	}
	return true
}
