package faults

import (
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

// proxy is a TCP proxy in front of Postgres that can make connections slow, and cut them.
type proxy struct {
	listener net.Listener
	server   string

	mu      sync.Mutex
	latency time.Duration // of each piece, in each direction
	rate    int           // bytes a second of each connection and direction; 0 is no limit
	conns   map[net.Conn]bool
	slowed  int // pieces
}

func newProxy(t *testing.T, dsn string) *proxy {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, server: u.Host, conns: map[net.Conn]bool{}}
	go p.serve()
	t.Cleanup(func() { _ = l.Close(); p.cut() })
	return p
}

// through returns the URL with the proxy in the server's place.
func (p *proxy) through(t *testing.T, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = p.listener.Addr().String()
	return u.String()
}

// set makes what passes from now on so slow.
func (p *proxy) set(latency time.Duration, rate int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency, p.rate = latency, rate
}

// cut breaks every connection and returns how many there were.
func (p *proxy) cut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.conns) / 2
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
	return n
}

func (p *proxy) passedSlowly() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.slowed
}

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		go p.pass(client, server)
		go p.pass(server, client)
	}
}

func (p *proxy) pass(from, to net.Conn) {
	defer func() {
		_, _ = from.Close(), to.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, from)
		delete(p.conns, to)
	}()
	buffer := make([]byte, 1<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			time.Sleep(p.wait(n))
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) wait(n int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait := p.latency
	if p.rate > 0 {
		wait += time.Duration(n) * time.Second / time.Duration(p.rate)
	}
	if wait > 0 {
		p.slowed++
	}
	return wait
}
