package creative

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Offender returns the path, from a DNA's own on, of the first number in data that
// breaks ErrNumber, such as .cta.strength or .shots[2]; "" for another rule.
func Offender(data []byte, rule error) string {
	if !errors.Is(rule, ErrNumber) {
		return ""
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var tree any
	if dec.Decode(&tree) != nil {
		return ""
	}
	path, _ := infinite("", tree)
	return path
}

func infinite(path string, v any) (string, bool) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if found, ok := infinite(path+"."+name, v[name]); ok {
				return found, true
			}
		}
	case []any:
		for i, member := range v {
			if found, ok := infinite(fmt.Sprintf("%s[%d]", path, i), member); ok {
				return found, true
			}
		}
	case json.Number:
		if _, err := v.Float64(); err != nil {
			return path, true
		}
	}
	return "", false
}
