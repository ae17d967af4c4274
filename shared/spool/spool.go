// Package spool takes in uploads whole before anything is done with them, so that no
// transaction waits for a client. Cloud Run has no disk, its /tmp is memory: uploads
// are compressed and stay in the process, and what all of them take together is
// bounded, for one tenant by half of that. An upload that finds no room is refused;
// it never waits, for two that hold half each would wait for ever.
package spool

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// chunk is how much is compressed at a time. A report shrinks to about an eighth.
const chunk = 256 << 10

// retryAfter is when who found no room may come again.
const retryAfter = 30 * time.Second

// Room is how much memory the uploads of an instance may take together. It is safe
// for concurrent use.
type Room struct {
	// turn is whose chunk is compressed now: whoever asks for something else meanwhile
	// has one upload beside him for the processor, however many there are.
	turn  sync.Mutex
	mu    sync.Mutex
	size  int64
	taken int64
	by    map[string]int64
}

// NewRoom returns a room of size bytes.
func NewRoom(size int64) *Room { return &Room{size: size, by: map[string]int64{}} }

// ErrTooLarge is why an upload is refused that alone takes more than a tenant's half.
var ErrTooLarge = errors.New("it takes more room than one upload may, even compressed")

// take reserves n bytes for an upload of tenant that has own already.
func (r *Room) take(tenant string, own, n int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	share := r.size / 2
	switch {
	case own+n > share:
		return ErrTooLarge
	case r.by[tenant]+n > share:
		return &fault.Error{Kind: fault.TooMany, RetryAfter: retryAfter, Message: "your organisation's other uploads take all the room it may use: send it again when one is done"}
	case r.taken+n > r.size:
		return &fault.Error{Kind: fault.Unavailable, RetryAfter: retryAfter, Message: "there is no room for another upload just now: send it again"}
	}
	r.taken += n
	r.by[tenant] += n
	return nil
}

func (r *Room) give(tenant string, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken -= n
	if r.by[tenant] -= n; r.by[tenant] == 0 {
		delete(r.by, tenant)
	}
}

// Taken is how many bytes the uploads take now.
func (r *Room) Taken() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.taken
}

// File is an upload that is there as a whole. It may be read any number of times.
type File struct {
	room   *Room
	tenant string
	held   int64
	chunks []block
}

// block is a chunk, compressed where that makes it smaller.
type block struct {
	data   []byte
	packed bool
}

var writers = sync.Pool{New: func() any {
	w, err := flate.NewWriter(io.Discard, flate.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}

// Read takes all of src in. Its error is src's own, ErrTooLarge, or a fault that says
// when to come again; nothing is taken then. Close gives the room back.
func (r *Room) Read(tenant string, src io.Reader) (*File, error) {
	f := &File{room: r, tenant: tenant}
	buffer := make([]byte, chunk)
	for {
		n, err := fill(src, buffer)
		if err != nil && !errors.Is(err, io.EOF) {
			f.Close()
			return nil, err
		}
		if n > 0 {
			if full := f.add(buffer[:n]); full != nil {
				f.Close()
				return nil, full
			}
		}
		if err != nil {
			return f, nil
		}
	}
}

// fill reads until the buffer is full. Unlike io.ReadFull it keeps src's own end apart
// from an upload that was cut off, which is io.ErrUnexpectedEOF.
func fill(src io.Reader, buffer []byte) (n int, err error) {
	for n < len(buffer) && err == nil {
		var more int
		more, err = src.Read(buffer[n:])
		n += more
	}
	return n, err
}

func (f *File) add(data []byte) error {
	packed, err := f.room.compress(data)
	if err != nil {
		return fmt.Errorf("compress an upload: %w", err)
	}
	b := block{packed.Bytes(), true}
	if packed.Len() >= len(data) {
		b = block{data, false}
	}
	b.data = bytes.Clone(b.data) // of just its size
	if err := f.room.take(f.tenant, f.held, int64(len(b.data))); err != nil {
		return err
	}
	f.held += int64(len(b.data))
	f.chunks = append(f.chunks, b)
	return nil
}

func (r *Room) compress(data []byte) (packed bytes.Buffer, err error) {
	r.turn.Lock()
	defer r.turn.Unlock()
	w := writers.Get().(*flate.Writer)
	defer writers.Put(w)
	w.Reset(&packed)
	if _, err := w.Write(data); err != nil {
		return packed, err
	}
	return packed, w.Close()
}

// Close gives the file's room back; it cannot be read any more. Twice is once.
func (f *File) Close() {
	f.room.give(f.tenant, f.held)
	f.held, f.chunks = 0, nil
}

// Open returns a reader from the file's beginning.
func (f *File) Open() io.Reader {
	return &reader{chunks: f.chunks}
}

type reader struct {
	chunks []block
	now    bytes.Reader
	plain  []byte
}

func (r *reader) Read(p []byte) (int, error) {
	for r.now.Len() == 0 {
		if len(r.chunks) == 0 {
			return 0, io.EOF
		}
		next := r.chunks[0]
		r.chunks = r.chunks[1:]
		data := next.data
		if next.packed {
			buffer := bytes.NewBuffer(r.plain[:0])
			if _, err := buffer.ReadFrom(flate.NewReader(bytes.NewReader(data))); err != nil {
				return 0, fmt.Errorf("read an upload back: %w", err)
			}
			r.plain = buffer.Bytes()
			data = r.plain
		}
		r.now.Reset(data)
	}
	return r.now.Read(p)
}
