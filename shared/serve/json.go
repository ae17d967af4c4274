package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// jsonFormat reads JSON strictly. A number that JSON or float64 cannot hold
// (NaN, Infinity, 1e999) is a broken rule of its field, not malformed JSON, so
// the validation's pass sees it as what it is: not a number.
var jsonFormat = huma.Format{
	Marshal: func(w io.Writer, v any) error {
		if ready, ok := v.(interface{ encoded() []byte }); ok {
			_, err := w.Write(ready.encoded())
			return err
		}
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	},
	Unmarshal: func(data []byte, v any) error {
		err := json.Unmarshal(data, v)
		if err == nil {
			return nil
		}
		if tree, ok := v.(*any); ok {
			if cleaned, found := quoteNonFinite(data); found && json.Unmarshal(cleaned, tree) == nil {
				return nil
			}
		}
		return plainJSONError(err)
	},
}

// Encoded is an answer's body that is JSON already and is sent byte for byte; T
// is what it holds, for the OpenAPI document.
type Encoded[T any] []byte

// Schema returns T's.
func (Encoded[T]) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[T](), true, "")
}

func (e Encoded[T]) encoded() []byte { return e }

func plainJSONError(err error) error {
	var (
		syntax *json.SyntaxError
		kind   *json.UnmarshalTypeError
	)
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("is not valid JSON at byte %d", syntax.Offset)
	case errors.As(err, &kind) && kind.Field != "":
		return fmt.Errorf("%s has the wrong type or range", kind.Field)
	}
	return errors.New("is not valid JSON")
}

// quoteNonFinite puts quotes around the numbers that float64 cannot hold.
func quoteNonFinite(data []byte) ([]byte, bool) {
	var out bytes.Buffer
	found := false
	for i := 0; i < len(data); {
		switch c := data[i]; {
		case c == '"':
			end := stringEnd(data, i)
			out.Write(data[i:end])
			i = end
		case literal(c):
			end := i
			for end < len(data) && literal(data[end]) {
				end++
			}
			word := string(data[i:end])
			if nonFinite(word) {
				found = true
				word = `"not a finite number"`
			}
			out.WriteString(word)
			i = end
		default:
			out.WriteByte(c)
			i++
		}
	}
	return out.Bytes(), found
}

func literal(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '+' || c == '-' || c == '.'
}

func nonFinite(word string) bool {
	switch word {
	case "NaN", "Infinity", "-Infinity", "-NaN", "+Infinity", "inf", "-inf", "nan", "Inf", "-Inf":
		return true
	case "true", "false", "null":
		return false
	}
	_, err := strconv.ParseFloat(word, 64)
	return errors.Is(err, strconv.ErrRange)
}

func stringEnd(data []byte, start int) int {
	for i := start + 1; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}
