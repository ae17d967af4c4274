package serve_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// pipes is a listener whose connections are in memory, so that the clock of a
// synctest bubble drives their deadlines.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// slowWorld serves POST /typed and POST /upload to everybody, on pipes.
func slowWorld(t *testing.T) (dial func() net.Conn, ran *int) {
	t.Helper()
	ran = new(int)
	api := serve.NewAPI(serve.Access{})
	type body struct {
		Body struct {
			Text string `json:"text"`
		}
	}
	serve.Post(api, "/typed", auth.Public, func(context.Context, *body) (*struct{}, error) { *ran++; return nil, nil })
	serve.Raw(api, "POST /upload", auth.Public, func(_ http.ResponseWriter, r *http.Request) error {
		_, err := io.Copy(io.Discard, r.Body)
		if err == nil {
			*ran++
		}
		return err
	}, serve.Upload)
	serve.Raw(api, "POST /refused", auth.Admin, func(http.ResponseWriter, *http.Request) error { return nil })
	listener := make(pipes)
	server := &http.Server{Handler: serve.Wrap("slow", api)}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { close(listener); _ = server.Close() })
	return func() net.Conn {
		client, end := net.Pipe()
		t.Cleanup(func() { _ = client.Close() })
		listener <- end
		return client
	}, ran
}

// trickle sends a request whose body comes as chunk every pause, until the
// server answers or all is sent, and returns the status and the time it took.
func trickle(t *testing.T, conn net.Conn, path, chunk string, chunks int, pause time.Duration) (int, time.Duration) {
	t.Helper()
	began := time.Now()
	answered := make(chan int, 1)
	go func() {
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			answered <- 0
			return
		}
		_ = response.Body.Close()
		answered <- response.StatusCode
	}()
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", path, len(chunk)*chunks)
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for range chunks {
			if _, err := io.WriteString(conn, chunk); err != nil {
				return
			}
			select {
			case <-stop:
				return
			case <-time.After(pause):
			}
		}
	}()
	status := <-answered
	took := time.Since(began)
	close(stop)
	<-stopped
	return status, took
}

func TestABodySlowerThanAKilobyteASecondIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, ran := slowWorld(t)
		for _, path := range []string{"/typed", "/upload"} {
			status, took := trickle(t, dial(), path, " ", 1000, 2*time.Second)
			if status != http.StatusRequestTimeout || took > 12*time.Second || took < 9*time.Second {
				t.Errorf("%s, a byte every two seconds: %d after %s", path, status, took)
			}
		}
		if *ran != 0 {
			t.Errorf("%d handlers ran", *ran)
		}
	})
}

func TestABodyThatKeepsTheRateHasAMinuteAndAnUploadMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, ran := slowWorld(t)
		chunk := strings.Repeat(" ", 2000)
		if status, took := trickle(t, dial(), "/typed", chunk, 100, time.Second); status != http.StatusRequestTimeout || took > 61*time.Second {
			t.Errorf("a typed body of 100 s: %d after %s", status, took)
		}
		if status, took := trickle(t, dial(), "/upload", chunk, 100, time.Second); status != http.StatusNoContent && status != http.StatusOK || *ran != 1 {
			t.Errorf("an upload of 100 s: %d after %s, %d ran", status, took, *ran)
		}
	})
}

func TestAnUploadThatStandsStillIsGivenUpHoweverMuchItHasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, ran := slowWorld(t)
		status, took := trickle(t, dial(), "/upload", strings.Repeat(" ", 1<<20), 2, time.Hour)
		if status != http.StatusRequestTimeout || took > 31*time.Second || *ran != 0 {
			t.Errorf("a MiB, and then nothing: %d after %s, %d ran", status, took, *ran)
		}
		time.Sleep(time.Second) // the server takes half of one to close
	})
}

func TestTheRestOfARefusedBodyIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, _ := slowWorld(t)
		conn := dial()
		if status, took := trickle(t, conn, "/nowhere", " ", 100_000, 2*time.Second); status != http.StatusNotFound || took > 5*time.Second {
			t.Errorf("%d after %s", status, took)
		}
		began := time.Now()
		for { // the server closes the connection
			if _, err := conn.Write([]byte(" ")); err != nil {
				break
			}
		}
		if gone := time.Since(began); gone > 10*time.Second {
			t.Errorf("the connection lasted another %s", gone)
		}
	})
}

func TestABodyThatIsCutOffIsABadRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := serve.NewAPI(serve.Access{})
		answered := make(chan error, 1)
		serve.Raw(api, "POST /upload", auth.Public, func(_ http.ResponseWriter, r *http.Request) error {
			_, err := io.Copy(io.Discard, r.Body)
			answered <- err
			return err
		})
		listener := make(pipes)
		server := &http.Server{Handler: serve.Wrap("cut", api)}
		go func() { _ = server.Serve(listener) }()
		defer func() { close(listener); _ = server.Close() }()
		client, end := net.Pipe()
		listener <- end
		_, _ = io.WriteString(client, "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
		_ = client.Close()
		err := <-answered
		if status, ok := err.(interface{ GetStatus() int }); !ok || status.GetStatus() != http.StatusBadRequest {
			t.Errorf("%v", err)
		}
	})
}
