package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"
)

// bare serves a handler that reads every body to its end and does nothing with it. What
// another caller of a function waits while strangers send their bytes there, on the
// function's own processor, is what the bytes alone cost: no function can do better that
// takes them in.
func bare(address string) error {
	read := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	server := &http.Server{Addr: address, ReadHeaderTimeout: time.Minute, Handler: read}
	return server.ListenAndServe()
}

// startBare starts the bare handler on the processors of the function until stop.
func (w *besieged) startBare(ctx context.Context) (base string, stop func(), err error) {
	address, err := freeAddress()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, os.Args[0], "strangers", "-bare", address) //nolint:gosec // this program
	cmd.Stderr = os.Stderr
	if err := w.cores.start(cmd); err != nil {
		return "", nil, err
	}
	stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	base = "http://" + address
	if err := waitFor(ctx, base); err != nil {
		stop()
		return "", nil, err
	}
	return base, stop, nil
}

// freeAddress is one of this machine that nobody listens at.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
