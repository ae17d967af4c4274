// Package creative knows creative DNA: an open JSON object that says what an ad
// is made of. Known keys are understood, unknown ones kept.
package creative

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
)

// MaxBytes is how large a DNA may be, as JSON.
const MaxBytes = 32 << 10

// MaxDepth is how deep a DNA from outside may be nested: deeper than any section
// of one goes.
const MaxDepth = 16

// anyDepth is deeper than encoding/json reads.
const anyDepth = 10_000

// maxDigits is how long a number may be to be kept as it was written: Postgres
// has an end to them, and no measurement has so many.
const maxDigits = 64

// The rules of a DNA, in words that follow a field's name.
var (
	ErrTooLarge  = errors.New("must be at most 32 kB")
	ErrNotObject = errors.New("must be a JSON object")
	ErrTooDeep   = errors.New("must not be nested deeper than 16 levels")
	ErrNumber    = errors.New("must hold finite numbers only")
)

// DNA is a creative's DNA. Its leaves are strings, booleans, nil and
// json.Number, so that no digit of a number is lost.
type DNA map[string]any

// Parse reads a DNA from outside. Its error is one of this package's rules.
func Parse(data []byte) (DNA, error) {
	if len(data) > MaxBytes {
		return nil, ErrTooLarge
	}
	return read(data, MaxDepth)
}

// UnmarshalJSON reads a DNA of any size and depth, for what the database already
// holds.
func (d *DNA) UnmarshalJSON(data []byte) (err error) {
	*d, err = read(data, anyDepth)
	return err
}

func read(data []byte, depth int) (DNA, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, ErrNotObject
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, ErrNotObject
	}
	object, ok := tree.(map[string]any)
	if !ok {
		return nil, ErrNotObject
	}
	cleaned, err := clean(object, depth)
	if err != nil {
		return nil, err
	}
	return cleaned.(map[string]any), nil
}

// JSON returns the DNA in its canonical form: keys sorted, no spaces, numbers
// as they were written.
func (d DNA) JSON() []byte {
	if d == nil {
		return []byte("{}")
	}
	data, err := json.Marshal(map[string]any(d))
	if err != nil {
		return []byte("{}") // no value that Parse lets through
	}
	return data
}

// clean refuses what the database or a float64 cannot hold, and drops NUL
// characters, which Postgres has no way to store. v may be nested depth levels
// deep.
func clean(v any, depth int) (any, error) {
	if depth < 0 {
		return nil, ErrTooDeep
	}
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, member := range v {
			cleaned, err := clean(member, depth-1)
			if err != nil {
				return nil, err
			}
			out[withoutNUL(key)] = cleaned
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i, member := range v {
			cleaned, err := clean(member, depth-1)
			if err != nil {
				return nil, err
			}
			out[i] = cleaned
		}
		return out, nil
	case string:
		return withoutNUL(v), nil
	case json.Number:
		f, err := v.Float64()
		if err != nil || math.IsInf(f, 0) {
			return nil, ErrNumber
		}
		if f == 0 || len(v) > maxDigits {
			return json.Number(strconv.FormatFloat(f, 'g', -1, 64)), nil
		}
	}
	return v, nil
}

func withoutNUL(s string) string { return strings.ReplaceAll(s, "\x00", "") }
