package crmevent_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/shared/message"
)

// fuse is a proxy in front of Postgres that breaks every connection once, at a
// chosen statement: before the server sees it, or after, with its answer lost.
type fuse struct {
	listener net.Listener
	server   string

	mu     sync.Mutex
	left   int // statements until it blows; negative: never
	answer bool
	conns  map[net.Conn]bool
}

func newFuse(t testing.TB, server string) *fuse {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fuse{listener: l, server: server, left: -1, conns: map[net.Conn]bool{}}
	go f.serve()
	t.Cleanup(func() { _ = l.Close(); f.cut() })
	return f
}

// through returns url with the fuse in the server's place.
func (f *fuse) through(t testing.TB, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = f.listener.Addr().String()
	return u.String()
}

func (f *fuse) set(statements int, loseAnswer bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.answer = statements, loseAnswer
}

// blown reports whether it has blown since it was set.
func (f *fuse) blown() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.left < 0
}

func (f *fuse) serve() {
	for {
		client, err := f.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", f.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		f.mu.Lock()
		f.conns[client], f.conns[server] = true, true
		f.mu.Unlock()
		go func() { _, _ = io.Copy(client, server); _ = client.Close() }()
		go f.forward(client, server)
	}
}

// forward passes the client's messages on and counts those that make the server
// act: Sync, and the simple protocol's Query.
func (f *fuse) forward(client, server net.Conn) {
	defer func() { _ = server.Close() }()
	head := make([]byte, 5)
	startup := true
	for {
		h := head
		if startup { // the first message has no type
			h = head[1:]
		}
		if _, err := io.ReadFull(client, h); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(client, body); err != nil {
			return
		}
		acts := !startup && (head[0] == 'S' || head[0] == 'Q')
		startup = false
		if acts && f.blows(false) {
			f.cut()
			return
		}
		if _, err := server.Write(append(h[:len(h):len(h)], body...)); err != nil {
			return
		}
		if acts && f.blows(true) {
			time.Sleep(5 * time.Millisecond) // the server acts, and nobody hears of it
			f.cut()
			return
		}
	}
}

func (f *fuse) blows(after bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left < 0 || after != f.answer {
		return false
	}
	f.left--
	return f.left < 0
}

func (f *fuse) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		_ = c.Close()
	}
	clear(f.conns)
}

// TestACrashBetweenAnyTwoStatementsLosesAndDoublesNothing moves a deal back and
// forth. At the nth move the connections break at the nth statement, before it
// is done or after; the event is delivered again, as the queue does.
func TestACrashBetweenAnyTwoStatementsLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("answer lost %v", after), func(t *testing.T) {
			t.Parallel()
			c := newCRM(t, fakehubspot.Options{HistoryLimit: 1000})
			calm, troubled := newWorld(t, c), newWorld(t, c)
			config := troubled.admin.Config().ConnConfig
			f := newFuse(t, fmt.Sprintf("%s:%d", config.Host, config.Port))
			_, shaky := open(t, f.through(t, troubled.urls.AppURL), f.through(t, troubled.urls.WorkerURL), c, troubled.queue)
			for _, w := range []*world{calm, troubled} {
				w.click("a1", "fb-1", day(1))
			}
			deal, events := lead(t, c, "fb-1", 2)
			calm.handle(messages(t, events...)...)
			troubled.handle(messages(t, events...)...)

			// The fuse goes over all of a move's trips, until three moves in a row go through.
			const fewest, most = 15, 100
			blown, calmMoves := 0, 0
			at := day(3)
			for n := 0; calmMoves < 3 && n < most; n++ {
				at = at.Add(time.Minute)
				moved, err := c.MoveStage(deal, []string{"closedwon", "closedlost", "appointmentscheduled"}[n%3], at)
				if err != nil {
					t.Fatal(err)
				}
				m := messages(t, moved...)
				calm.handle(m...)
				f.set(n, after)
				for _, one := range m {
					deliver(t, shaky, one)
				}
				if f.blown() {
					blown, calmMoves = blown+1, 0
				} else {
					calmMoves++
				}
				f.set(-1, false)
			}
			if blown < fewest || blown == most {
				t.Fatalf("the connection broke %d times: the test proves little", blown)
			}
			t.Logf("the connection broke at each of %d trips", blown)
			if diff := cmp.Diff(calm.dump(), troubled.dump()); diff != "" {
				t.Errorf("undisturbed (-), with crashes (+):\n%s", diff)
			}
			if got, want := troubled.winnersFound(), calm.winnersFound(); got != want {
				t.Errorf("%d winners were published, want %d", got, want)
			}
		})
	}
}

// winnersFound counts the messages about winners, sent or still in the outbox,
// each once however often it was sent.
func (w *world) winnersFound() int {
	w.t.Helper()
	keys := map[string]bool{}
	w.queue.mu.Lock()
	for _, m := range w.queue.sent {
		keys[m.Attributes[message.KeyAttribute]] = true
	}
	w.queue.mu.Unlock()
	rows, err := w.admin.Query(context.Background(), `SELECT message_id::text FROM gv.outbox`)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			w.t.Fatal(err)
		}
		keys[key] = true
	}
	return len(keys)
}
