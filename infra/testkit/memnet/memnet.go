// Package memnet serves HTTP over pipes in memory. A test that starts its server
// inside a testing/synctest bubble runs on that bubble's clock: a server may hang
// for an hour and a client wait for its deadline, and no real time passes.
package memnet

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
)

// Server answers requests that come through its Transport.
type Server struct {
	// URL is the address that clients are given.
	URL string
	// Transport carries a client's requests to the server; any other is refused.
	Transport *http.Transport

	http     *http.Server
	listener *listener
}

// Serve starts a server of h, which ends with the test or with Close.
func Serve(t testing.TB, h http.Handler) *Server {
	t.Helper()
	l := &listener{conns: make(chan net.Conn), closed: make(chan struct{})}
	s := &Server{
		URL: "http://memory.test", listener: l, http: &http.Server{Handler: h},
		Transport: &http.Transport{DialContext: l.dial},
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.http.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-done })
	return s
}

// Close ends the server; whoever dials it afterwards is refused.
func (s *Server) Close() {
	s.Transport.CloseIdleConnections()
	_ = s.http.Close()
}

var errRefused = errors.New("connection refused")

type listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *listener) dial(ctx context.Context, _, at string) (net.Conn, error) {
	if at != (address{}).String() {
		return nil, errRefused
	}
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, errRefused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return address{} }

type address struct{}

func (address) Network() string { return "memory" }
func (address) String() string  { return "memory.test:80" }
