package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

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
		if tree, ok := v.(*any); ok {
			if err == nil {
				return nil
			}
			if !atNonFinite(data, err) {
				return plainJSONError(err)
			}
			if cleaned, found := quoteNonFinite(data); found && json.Unmarshal(cleaned, tree) == nil {
				return nil
			}
			return plainJSONError(err)
		}
		// What the types allow by the schema's rules has passed by now.
		if unfit := unfitValue(data, err != nil); unfit != nil {
			return unfit
		}
		if err != nil {
			return plainJSONError(err)
		}
		return nil
	},
}

// unfitField is a rule that a field of the body breaks and that no schema can
// say. huma passes on an error's text only, so the text carries both.
type unfitField struct{ path, rule string }

const fieldMark = "\x1f"

func (u *unfitField) Error() string { return u.path + fieldMark + u.rule }

// unfitValue looks for what Postgres or a float64 cannot hold in members that may
// be anything: NUL characters and numbers without end.
func unfitValue(data []byte, failed bool) error {
	if !failed && !bytes.Contains(data, []byte(`\u0000`)) {
		return nil
	}
	cleaned, _ := quoteNonFinite(data)
	var tree any
	if json.Unmarshal(cleaned, &tree) != nil {
		return nil
	}
	if u := unfitIn(tree, ""); u != nil {
		return u
	}
	return nil
}

func unfitIn(v any, path string) *unfitField {
	switch v := v.(type) {
	case string:
		switch {
		case v == notFinite:
			return &unfitField{path, "must be a finite number"}
		case strings.ContainsRune(v, 0):
			return &unfitField{path, "must not hold the character U+0000"}
		}
	case []any:
		for i, member := range v {
			if u := unfitIn(member, path+"["+strconv.Itoa(i)+"]"); u != nil {
				return u
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if strings.ContainsRune(key, 0) {
				return &unfitField{path, "must not hold the character U+0000 in a member's name"}
			}
			if u := unfitIn(v[key], strings.TrimPrefix(path+"."+key, ".")); u != nil {
				return u
			}
		}
	}
	return nil
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
		return &unfitField{kind.Field, "has the wrong type or is out of range"}
	}
	return errors.New("is not valid JSON")
}

// atNonFinite reports whether what the decoder stopped at may be a number that float64
// cannot hold. Anything else is refused without a second look at the whole text.
func atNonFinite(data []byte, err error) bool {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return true
	}
	at := int(syntax.Offset) - 1 // it counts the byte that does not fit
	if at < 0 || at >= len(data) || !literal(data[at]) {
		return false
	}
	begin, end := at, at
	for begin > 0 && literal(data[begin-1]) {
		begin--
	}
	for end < len(data) && literal(data[end]) {
		end++
	}
	return nonFinite(string(data[begin:end]))
}

// notFinite stands for a number that float64 cannot hold; nobody sends it as a text.
const notFinite = "\ue000not a finite number"

// quoteNonFinite puts a text in place of the numbers that float64 cannot hold.
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
				word = strconv.Quote(notFinite)
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
