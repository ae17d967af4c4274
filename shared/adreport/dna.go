package adreport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/geminivideo/geminivideo/shared/creative"
)

// dna reads a JSON object in a form that the database takes as it is.
func (p *rowParser) dna() []byte {
	return deref(optional(p, creativeDNA, func(cell string) ([]byte, error) {
		if len(cell) > creative.MaxBytes {
			return nil, fmt.Errorf("must have at most %d kB", creative.MaxBytes>>10)
		}
		dec := json.NewDecoder(strings.NewReader(cell))
		dec.UseNumber()
		var object map[string]any
		if err := dec.Decode(&object); err != nil || object == nil {
			return nil, errors.New("must be a JSON object")
		}
		if _, err := dec.Token(); !errors.Is(err, io.EOF) {
			return nil, errors.New("must be one JSON object")
		}
		if err := storable(object, creative.MaxDepth); err != nil {
			return nil, err
		}
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		err := enc.Encode(object)
		return bytes.TrimSpace(b.Bytes()), err
	}))
}

func deref(b *[]byte) []byte {
	if b == nil {
		return nil
	}
	return *b
}

// storable refuses what JSON allows and jsonb cannot hold.
func storable(v any, depth int) error {
	if depth < 0 {
		return fmt.Errorf("must be nested at most %d deep", creative.MaxDepth)
	}
	switch v := v.(type) {
	case string:
		if strings.ContainsRune(v, 0) {
			return errors.New("must not hold a NUL character")
		}
	case json.Number:
		f, err := v.Float64()
		if err != nil || len(v) > 64 || f == 0 && strings.ContainsAny(string(v), "123456789") || f != 0 && math.Abs(f) < 1e-100 {
			return errors.New("holds a number out of range")
		}
	case []any:
		for _, e := range v {
			if err := storable(e, depth-1); err != nil {
				return err
			}
		}
	case map[string]any:
		for key, e := range v {
			if err := storable(key, depth); err != nil {
				return err
			}
			if err := storable(e, depth-1); err != nil {
				return err
			}
		}
	}
	return nil
}
