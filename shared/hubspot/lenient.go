package hubspot

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mailru/easyjson/jlexer"
)

// HubSpot writes numbers as strings in some places and strings as numbers in others, and
// may change which. A webhook's events are read by the functions here, the answers of its
// API by the types.

// readNumber reads a whole number, also as a string; anything else counts as absent.
func readNumber(in *jlexer.Lexer) int64 { return wholeNumber(in.Raw()) }

// readNumbers reads a list of numbers, or a single one.
func readNumbers(in *jlexer.Lexer) []int64 {
	if !in.IsDelim('[') {
		if one := readNumber(in); one != 0 {
			return []int64{one}
		}
		return nil
	}
	var list []int64
	for in.Delim('['); !in.IsDelim(']'); in.WantComma() {
		list = append(list, readNumber(in))
	}
	in.Delim(']')
	return list
}

// readText reads a string, which may be a part of what in reads; another JSON value is
// kept as it was written, and null is none.
func readText(in *jlexer.Lexer) string {
	switch in.CurrentToken() {
	case jlexer.TokenString:
		return strings.ToValidUTF8(in.UnsafeString(), string(utf8.RuneError))
	case jlexer.TokenNull:
		in.Null()
		return ""
	default:
		return string(in.Raw())
	}
}

// readBoolean reads true or "true".
func readBoolean(in *jlexer.Lexer) bool {
	return bytes.EqualFold(bytes.Trim(in.Raw(), `"`), []byte("true"))
}

// wholeNumber is the whole number that raw is, as a JSON number or string; otherwise 0.
func wholeNumber(raw []byte) int64 {
	s := bytes.TrimSpace(bytes.Trim(raw, `"`))
	if i, err := strconv.ParseInt(string(s), 10, 64); err == nil {
		return i
	}
	// 1.7e12 is how some JSON writers put a large number; beyond 2^53 a float
	// would name another record.
	if f, err := strconv.ParseFloat(string(s), 64); err == nil && f == math.Trunc(f) && math.Abs(f) <= 1<<53 {
		return int64(f)
	}
	return 0
}

// number is a whole number, also as a string; anything else counts as absent.
type number int64

func (n *number) UnmarshalJSON(raw []byte) error {
	*n = number(wholeNumber(raw))
	return nil
}

// text is a string; another JSON value is kept as it was written.
type text string

func (t *text) UnmarshalJSON(raw []byte) error {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		s = string(bytes.TrimSpace(raw))
	}
	*t = text(s)
	return nil
}

// numbers is a list of numbers, or a single one.
type numbers []int64

func (n *numbers) UnmarshalJSON(raw []byte) error {
	*n = readNumbers(&jlexer.Lexer{Data: raw})
	return nil
}

// boolean is true or "true".
type boolean bool

func (b *boolean) UnmarshalJSON(raw []byte) error {
	*b = boolean(readBoolean(&jlexer.Lexer{Data: raw}))
	return nil
}
