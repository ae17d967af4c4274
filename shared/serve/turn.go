package serve

import (
	"context"
	"sync"
	"time"
)

// turns let one large body at a time be decoded and checked: whoever asks little beside
// twelve of them has one competitor for the processor and not twelve. Nobody waits for a
// client in his turn: a body has come as a whole by then.
type turns struct {
	taken chan struct{} // whoever has put something in has the turn; the others stand in a line
	wait  time.Duration // the longest
}

const (
	// heavyBody is from how many bytes on a body waits for its turn. Less is decoded within
	// a few milliseconds.
	heavyBody = 64 << 10
	// longestWait is less than most callers wait for an answer.
	longestWait = 20 * time.Second
)

// decoding are this process's turns.
var decoding = newTurns(longestWait)

func newTurns(wait time.Duration) *turns { return &turns{make(chan struct{}, 1), wait} }

// take waits for the turn of a body of n bytes and returns what gives it up, which may be
// called twice.
func (t *turns) take(ctx context.Context, n int) (give func(), err error) {
	if n <= heavyBody {
		return func() {}, nil
	}
	end := time.NewTimer(t.wait)
	defer end.Stop()
	select {
	case t.taken <- struct{}{}:
		return sync.OnceFunc(func() { <-t.taken }), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-end.C:
		return nil, crowded()
	}
}

type turnKey struct{}

// leaveTurn gives up the turn in which the request's body was decoded.
func leaveTurn(ctx context.Context) {
	if give, ok := ctx.Value(turnKey{}).(func()); ok {
		give()
	}
}

// Turn waits for the turn of a Raw operation's body of n bytes to be checked and decoded,
// and returns what gives it up. A small body has its turn at once.
func Turn(ctx context.Context, n int) (give func(), err error) { return decoding.take(ctx, n) }
