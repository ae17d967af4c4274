package serve

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
)

// pace is how slowly a body may come. The limits are on the socket, because a
// handler that waits for a byte cannot look at a clock.
type pace struct {
	grace  time.Duration // before the rate counts
	perSec int64         // bytes a second from then on
	still  time.Duration // in which nothing comes, whatever came before
	whole  time.Duration // for the whole body; 0: the rate alone decides
}

// slowest is what a client may take before it is cut off: 10 s, then 1 kB/s, half a
// minute of silence, and a minute in all.
var slowest = pace{grace: 10 * time.Second, perSec: 1000, still: 30 * time.Second, whole: time.Minute}

// After each breath of a large body its reader steps aside: bytes that are there already
// are copied without a pause, and twelve who do that keep everybody else from the processor
// for as long as twelve bodies take. A body of 10 MiB takes 40 ms longer.
const (
	breath = 256 << 10
	aside  = time.Millisecond
)

// lingering is how long the rest of a body that nobody reads may keep its
// connection after the answer.
const lingering = time.Second

// pacedBody is a request's body that a slow client cannot make last: a read that
// comes too late is a 408, and a body that ends before its length a 400.
type pacedBody struct {
	io.ReadCloser
	conn  *http.ResponseController
	pace  pace
	began time.Time
	read  int64
	pause int64 // before the byte behind so many its reader steps aside
	ended bool

	room    *room
	held    int64 // of the room
	streams bool  // the body is not held whole, and takes no room
}

// paceBody puts the body of r under the slowest pace. A request without a body
// is left alone: a deadline would end it while its handler works.
func paceBody(w http.ResponseWriter, r *http.Request, p pace) *pacedBody {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	b := &pacedBody{ReadCloser: r.Body, conn: http.NewResponseController(w), pace: p, began: time.Now(), pause: breath, room: bodies()}
	r.Body = b
	return b
}

func (b *pacedBody) Read(p []byte) (int, error) {
	due := b.began.Add(b.pace.grace + time.Duration(b.read)*time.Second/time.Duration(b.pace.perSec))
	if last := b.began.Add(b.pace.whole); b.pace.whole > 0 && due.After(last) {
		due = last
	}
	if last := time.Now().Add(b.pace.still); due.After(last) {
		due = last
	}
	_ = b.conn.SetReadDeadline(due) // a test's recorder has no connection
	if !b.streams {
		if b.read >= b.pause {
			time.Sleep(aside)
			b.pause = b.read + breath
		}
		p = p[:min(int64(len(p)), b.pause-b.read)]
	}
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	if more := b.read - freeBody - b.held; more > 0 && !b.streams {
		if !b.room.take(more, b.held) {
			return 0, crowded()
		}
		b.held += more
	}
	switch large := new(http.MaxBytesError); {
	case err == nil:
	case errors.Is(err, io.EOF):
		b.ended = true
		_ = b.conn.SetReadDeadline(time.Time{}) // the server goes on listening for the client's going away
	case errors.As(err, &large):
	case errors.Is(err, os.ErrDeadlineExceeded) || isTimeout(err):
		err = Problem(http.StatusRequestTimeout, "the body came too slowly: at least 1 kB a second is expected")
	default:
		err = Problem(http.StatusBadRequest, "the body was cut off before its end")
	}
	return n, err
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// finish gives the body's room back, and lets go of a body that was not read to its end:
// net/http would wait for the rest of it, however slowly it comes.
func (b *pacedBody) finish() {
	if b == nil {
		return
	}
	b.room.give(b.held)
	if !b.ended {
		_ = b.conn.SetReadDeadline(time.Now().Add(lingering))
	}
}

type pacedKey struct{}

// rateAlone lifts the limits on the whole body for an upload, which may be large, is not
// held whole, and is cut off by its rate alone.
func rateAlone(ctx context.Context) {
	if b, ok := ctx.Value(pacedKey{}).(*pacedBody); ok && b != nil {
		b.pace.whole, b.streams = 0, true
	}
}

type bodyKey struct{}

// readBody reads the whole body of a typed operation, at most limit bytes of it,
// and leaves it to be read again.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) (*http.Request, []byte, error) {
	body, err := ReadBody(w, r, limit)
	if err != nil {
		return r, nil, err
	}
	r = r.WithContext(context.WithValue(r.Context(), bodyKey{}, body))
	r.Body = io.NopCloser(bytes.NewReader(body))
	return r, body, nil
}

// ReadBody reads the whole body, at most limit bytes of it. One that says of itself that it
// is longer is refused before any of it is read. Room is made for what its length says, but
// at most for four times what has come: a length that is a lie costs no more.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	const usual = 64 << 10 // of most bodies
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	most := limit
	if r.ContentLength >= 0 {
		most = r.ContentLength
	}
	from := http.MaxBytesReader(w, r.Body, limit)
	body := make([]byte, 0, min(most, usual)+1) // and the end can be seen
	for {
		if len(body) == cap(body) {
			if int64(len(body)) > most { // no server lets it: the length was not the body's
				most = limit
			}
			grown := make([]byte, len(body), min(int64(4*len(body)), most+1))
			copy(grown, body)
			body = grown
		}
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return nil, err
		}
	}
}

// maxKey is the longest Idempotency-Key, in characters.
const maxKey = 255

// keyed notes the write's Idempotency-Key, with a hash of what is asked. A
// multipart upload has none yet: it hashes what it streams.
func keyed(r *http.Request, key string, body []byte) (*http.Request, error) {
	if len(key) > maxKey || strings.ContainsFunc(key, func(c rune) bool { return c < 0x20 || c > 0x7e }) {
		return r, fault.Field("header.Idempotency-Key", "must be 1 to 255 printable ASCII characters")
	}
	request := idempotency.Request{Operation: r.Method + " " + r.URL.Path, Key: key}
	if !multipart(r) {
		hash := sha256.New()
		hash.Write(body)
		if r.URL.RawQuery != "" { // what is asked in the query is as much a part of the request
			hash.Write([]byte("\n?" + r.URL.RawQuery))
		}
		request.BodyHash = hash.Sum(nil)
	}
	return r.WithContext(idempotency.With(r.Context(), request)), nil
}

func multipart(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/")
}
