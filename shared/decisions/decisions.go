// Package decisions is the ledger of allocations: what each was given, what it
// believed and the very bytes that it answered, so that any of them can be read,
// and computed again, later.
package decisions

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/klauspost/compress/gzip"

	"github.com/geminivideo/geminivideo/shared/money"
)

// Summary is what a list shows of a decision.
type Summary struct {
	DecisionID uuid.UUID
	CreatedAt  time.Time
	// AccountID is "" where the request named no account and none could be told.
	AccountID    string
	Currency     money.Currency
	RequestedBy  string
	ModelVersion string
	Architecture string
	Seed         int64
	NumAds       int32
	Total        money.Amount
	Unallocated  money.Amount
}

// Decision is a whole entry of the ledger.
type Decision struct {
	Summary
	// Inputs is all that the model was given, Posterior what it believed, and
	// Answer the bytes that the caller got; all are JSON.
	Inputs, Posterior, Answer Packed
}

// Stamp returns a new decision's id and the time that the id itself holds: a
// UUIDv7 tells its millisecond, so one partition is enough to find it again.
func Stamp() (uuid.UUID, time.Time, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return id, time.Time{}, fmt.Errorf("draw a decision id: %w", err)
	}
	return id, timeOf(id), nil
}

func timeOf(id uuid.UUID) time.Time {
	return time.Unix(id.Time().UnixTime()).UTC()
}

// Here is the processor architecture that this program computes on. Another one
// may round the last bit of a sum differently.
const Here = runtime.GOARCH

// Packed is compressed JSON.
type Packed []byte

// Pack compresses JSON, for speed rather than for size. It is plain gzip; this
// writer takes half the time of the standard library's, which was a fifth of a
// whole allocation of 10,000 ads.
func Pack(json []byte) Packed {
	var b bytes.Buffer
	b.Grow(len(json)/4 + 64)
	w := writers.Get().(*gzip.Writer)
	defer writers.Put(w)
	w.Reset(&b)
	_, _ = w.Write(json) // a bytes.Buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

// writers are reused: each holds over a megabyte of tables.
var writers = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	return w
}}

// Open returns the JSON.
func (p Packed) Open() ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(p))
	if err != nil {
		return nil, fmt.Errorf("open packed JSON: %w", err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("open packed JSON: %w", err)
	}
	return data, nil
}
