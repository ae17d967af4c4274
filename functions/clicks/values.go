package clicks

import (
	"encoding/json"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// macro matches a template that an ad platform or a tag manager did not fill in:
// {{ad.id}}, __AID__, {creative}, ${id}, %%ID%%, [ID], <id>, and their encoded forms.
var macro = regexp.MustCompile(`(?i)^(\$?\{.*\}|__.*__|%%.*%%|\[.*\]|<.*>|%7b.*%7d|%255b.*%255d|%5b.*%5d|%3c.*%3e)$|\{\{|\}\}|%7b%7b`)

// unfilled reports an id that is no id: a macro that nobody filled in, or how a
// script writes that it has none.
func unfilled(id string) bool {
	switch strings.ToLower(id) {
	case "undefined", "null", "none", "nan", "(not set)", "(none)":
		return true
	}
	return macro.MatchString(id)
}

// timeOf reads RFC 3339, or Unix seconds or milliseconds, as a number or in text.
func timeOf(v any) (time.Time, bool) {
	var text string
	switch v := v.(type) {
	case string:
		if at, err := time.Parse(time.RFC3339, strings.TrimSpace(v)); err == nil {
			return at.UTC(), true
		}
		text = strings.TrimSpace(v)
	case json.Number:
		text = v.String()
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || n <= 0 || n > 253_402_300_799_999 { // the end of the year 9999
		return time.Time{}, false
	}
	// Seconds of any click are below 1e11, and its milliseconds above.
	if n < 1e11 {
		n *= 1000
	}
	return time.UnixMilli(int64(n)).UTC(), true
}

// unsound reports a value that cannot be stored.
func unsound(v any, depth int) bool {
	if depth > maxDepth {
		return true
	}
	switch v := v.(type) {
	case string:
		return strings.ContainsRune(v, 0)
	case json.Number:
		n, err := v.Float64()
		return err != nil || math.IsInf(n, 0)
	case []any:
		for _, one := range v {
			if unsound(one, depth+1) {
				return true
			}
		}
	case map[string]any:
		for name, one := range v {
			if unsound(name, depth) || unsound(one, depth+1) {
				return true
			}
		}
	}
	return false
}
