package creative

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// first lists the keys that say most about a creative, in the order in which
// an embedder gets them; an embedder that cuts long texts cuts the rest.
var first = []string{
	"hook_type", "hook_strength", "hook_text", "hook",
	"visual_pacing", "visual_style", "visual",
	"cta_type", "cta_strength", "cta_text", "cta",
	"emotion", "tone", "audience", "format", "length_seconds", "duration_seconds",
}

// Text puts the DNA into lines of "key: value" for an embedder: known keys
// first, the others by name, sections flattened (a hook's type is hook_type
// however it was nested, and the typed form's members have their flat keys),
// numbers rounded to what makes a difference. The same DNA in another order of
// keys has the same text.
func (d DNA) Text() string {
	t := teller{written: map[string]bool{versionKey + ": " + strconv.Itoa(Version): true}}
	t.section("", d, order(d))
	return strings.TrimSuffix(t.b.String(), "\n")
}

// teller writes a DNA's lines, one that the typed form knows only once, however
// often the DNA says it.
type teller struct {
	b       strings.Builder
	written map[string]bool
}

// order returns d's keys, known ones first.
func order(d DNA) []string {
	keys := slices.Sorted(maps.Keys(d))
	rank := func(key string) int {
		if i := slices.Index(first, key); i >= 0 {
			return i
		}
		return len(first)
	}
	slices.SortStableFunc(keys, func(a, b string) int { return rank(a) - rank(b) })
	return keys
}

func (t *teller) section(prefix string, section map[string]any, keys []string) {
	for _, key := range keys {
		t.value(join(prefix, key), section[key])
	}
}

func (t *teller) value(key string, v any) {
	switch v := v.(type) {
	case map[string]any:
		t.section(key, v, slices.Sorted(maps.Keys(v)))
	case []any:
		var leaves []string
		for _, member := range v {
			if leaf, ok := text(member); ok {
				leaves = append(leaves, leaf)
			} else {
				t.value(key, member) // a list of sections: each adds its lines
			}
		}
		t.line(key, strings.Join(leaves, ", "))
	default:
		leaf, _ := text(v)
		t.line(key, leaf)
	}
}

func (t *teller) line(key, value string) {
	if value == "" {
		return
	}
	flat, typed := flatKeys[key]
	if typed {
		key = flat
	}
	line := key + ": " + value
	if (typed || key == versionKey) && t.written[line] {
		return
	}
	t.written[line] = typed || t.written[line]
	t.b.WriteString(line + "\n")
}

// flatKeys has the flat key of each of the typed form's members.
var flatKeys = func() map[string]string {
	all := map[string]string{}
	for _, f := range fields {
		all[f.name], all[f.section+"_"+f.member] = f.name, f.name
	}
	return all
}()

// text returns a leaf in words, and false for a section or a list.
func text(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", true
	case string:
		return strings.Join(strings.Fields(v), " "), true
	case bool:
		return strconv.FormatBool(v), true
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return "", true
		}
		return round(f), true
	case float64:
		return round(v), true
	}
	return "", false
}

// round keeps two decimals of a fraction, and three digits of what is larger.
func round(f float64) string {
	if math.Abs(f) < 10 {
		f = math.Round(f*100) / 100
	} else {
		scale := math.Pow10(max(0, 2-int(math.Floor(math.Log10(math.Abs(f))))))
		f = math.Round(f*scale) / scale
	}
	return strconv.FormatFloat(f+0, 'f', -1, 64) // +0: no minus sign on nothing
}

func join(prefix, key string) string {
	key = strings.Join(strings.FieldsFunc(strings.ToLower(key), func(r rune) bool {
		return r == ' ' || r == '_' || r == '-' || r == '.' || r == ':' || r == '\n' || r == '\r' || r == '\t'
	}), "_")
	switch {
	case prefix == "":
		return key
	case key == "":
		return prefix
	}
	return prefix + "_" + key
}
