// Package decisions is the ledger of allocations: what each was given, what it
// believed and the very bytes that it answered, so that any of them can be read,
// and computed again, later.
package decisions

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"

	"github.com/geminivideo/geminivideo/shared/money"
)

// Summary is what a list shows of a decision.
type Summary struct {
	DecisionID uuid.UUID
	CreatedAt  time.Time
	// AccountID is "" where the request named no account and none is known.
	AccountID    string
	Currency     money.Currency
	RequestedBy  string
	ModelVersion string
	Architecture string
	Seed         int64
	NumAds       int32
	Total        money.Amount
	Unallocated  money.Amount
	// ExpectedReturn is the pipeline value, in minor units, that a day of the split
	// is expected to bring, and ExpectedGain how much more that is than the budgets
	// before it would; nil where the decision is older than they are.
	ExpectedReturn, ExpectedGain *float64
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

// Pack compresses JSON, for speed rather than for size: gzip took a tenth of a
// whole allocation of 10,000 ads, and a quarter more room.
func Pack(json []byte) Packed {
	return packer().EncodeAll(json, make([]byte, 0, len(json)/4+64))
}

// packer and opener may be used by several goroutines at once.
var (
	packer = sync.OnceValue(func() *zstd.Encoder {
		w, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithZeroFrames(true)) // these options are valid
		return w
	})
	opener = sync.OnceValue(func() *zstd.Decoder {
		r, _ := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0))
		return r
	})
)

// Open returns the JSON.
func (p Packed) Open() ([]byte, error) {
	if bytes.HasPrefix(p, []byte{0x1f, 0x8b}) { // the first decisions were gzipped
		return unzip(p)
	}
	if len(p) == 0 {
		return nil, errors.New("open packed JSON: there is none")
	}
	data, err := opener().DecodeAll(p, nil)
	if err != nil {
		return nil, fmt.Errorf("open packed JSON: %w", err)
	}
	return data, nil
}

func unzip(p Packed) ([]byte, error) {
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
