package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// slow keeps connections open that send their bodies a byte at a time, until ctx ends. One
// that is cut off is opened again.
func (d door) slow(ctx context.Context, base string) {
	var all sync.WaitGroup
	for range slowConnections {
		all.Go(func() {
			for ctx.Err() == nil {
				d.trickle(ctx, strings.TrimPrefix(base, "http://"))
			}
		})
	}
	all.Wait()
}

func (d door) trickle(ctx context.Context, address string) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		time.Sleep(100 * time.Millisecond)
		return
	}
	defer conn.Close()
	var head bytes.Buffer
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n", d.method, d.path)
	_ = d.header(nil).Write(&head)
	if d.method != http.MethodGet {
		head.WriteString("\r\n{")
	} // a GET's head itself goes on a byte at a time
	ended := make(chan struct{})
	if _, err := conn.Write(head.Bytes()); err != nil {
		return
	}
	go func() { defer close(ended); _, _ = io.Copy(io.Discard, conn) }() // its answer, if it gets one, and the end
	for {
		select {
		case <-ctx.Done():
			return
		case <-ended:
			return
		case <-time.After(2 * time.Second):
			if _, err := conn.Write([]byte("a")); err != nil {
				return
			}
		}
	}
}

// large sends large bodies at once, again and again.
func (d door) large(ctx context.Context, base string) {
	again(ctx, func() { d.atOnce(ctx, base, d.largeBody) })
}

// again does something until ctx ends.
func again(ctx context.Context, do func()) {
	tick := time.NewTicker(roundsEvery)
	defer tick.Stop()
	for {
		do()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// bad sends bodies of a million bad elements at once, under each name that takes a list,
// and as large a list as the usual limit of a body lets through, again and again.
func (d door) bad(ctx context.Context, base string) {
	million, fitting := zeros(badElements), zeros(500_000)
	bodies := map[string][2]string{}
	for _, list := range d.lists {
		bodies[list] = [2]string{million, fitting}
		if list != "" {
			bodies[list] = [2]string{fmt.Sprintf(`{%q: %s}`, list, million), fmt.Sprintf(`{%q: %s}`, list, fitting)}
		}
	}
	turn := 0
	again(ctx, func() {
		list := d.lists[turn%len(d.lists)]
		turn++
		d.atOnce(ctx, base, func(i int) (string, io.Reader, int64) {
			body := bodies[list][i%2]
			return "application/json", strings.NewReader(body), int64(len(body))
		})
	})
}

func zeros(n int) string { return "[" + strings.Repeat("0,", n-1) + "0]" }

// atOnce sends all bodies to their ends, also where the other caller has stopped asking.
func (d door) atOnce(ctx context.Context, base string, body func(i int) (kind string, text io.Reader, length int64)) {
	ctx = context.WithoutCancel(ctx)
	client := &http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	var all sync.WaitGroup
	for i := range largeBodies {
		all.Go(func() {
			kind, text, length := body(i)
			r, err := http.NewRequestWithContext(ctx, d.method, base+d.path, text)
			if err != nil {
				return
			}
			r.ContentLength = length
			r.Header = d.header(nil)
			r.Header.Set("Content-Type", kind)
			answer, err := client.Do(r)
			if err != nil {
				return // cut off
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
		})
	}
	all.Wait()
}
