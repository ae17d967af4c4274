package creative

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Feature is one thing that a model may learn from.
type Feature struct {
	// Name is the flat key, such as hook_type or duration_seconds.
	Name string
	// Value is a category in lower case with underscores, or yes or no; "" for a number.
	Value string
	// Number is a number's value in its own unit, within the field's limits.
	Number float64
	// IsNumber says which of the two it is.
	IsNumber bool
}

// Limits of what is read of a DNA.
const (
	maxCategory = 48 // characters
	maxValues   = 4  // of one field that is a list
	maxSections = 3  // levels
)

// Features returns what of the DNA a model can learn from, in one fixed order,
// whether it was said in flat keys or in the typed form's sections. A field that
// lists several values yields a feature for each. What is not understood (unknown
// keys, values out of range, texts) is left out; of the hook's text the number of
// words is a feature, hook_words.
func (d DNA) Features() []Feature {
	said := d.leaves()
	var all []Feature
	for i := range fields {
		found := fields[i].read(said)
		switch {
		case fields[i].name == "hook_text":
			if n := len(strings.Fields(firstText(said, &fields[i]))); n > 0 {
				found = []Feature{{Name: "hook_words", Number: float64(min(n, 100)), IsNumber: true}}
			}
		case fields[i].name == "orientation" && found == nil:
			if way := wayOf(firstText(said, fieldNamed("aspect_ratio"))); way != "" {
				found = []Feature{{Name: "orientation", Value: way}}
			}
		}
		all = append(all, found...)
	}
	return all
}

// leaves returns what the DNA says, by its flat key. Where a flat key and a
// section say the same thing differently, the flat key is right.
func (d DNA) leaves() map[string]any {
	said := map[string]any{}
	var walk func(prefix string, section map[string]any, depth int)
	walk = func(prefix string, section map[string]any, depth int) {
		keys := order(section)
		for _, key := range keys {
			if _, nested := section[key].(map[string]any); nested {
				continue
			}
			if path := join(prefix, key); said[path] == nil {
				said[path] = section[key]
			}
		}
		for _, key := range keys {
			if nested, ok := section[key].(map[string]any); ok && depth < maxSections {
				walk(join(prefix, key), nested, depth+1)
			}
		}
	}
	walk("", d, 1)
	return said
}

// read returns the field's features: of the first spelling that can be understood.
func (f *field) read(said map[string]any) []Feature {
	if f.kind == words {
		return nil
	}
	for _, spelling := range f.spellings() {
		if found := f.understand(said[spelling]); found != nil {
			return found
		}
	}
	if f.bare {
		if text, ok := said[f.section].(string); ok && slices.Contains(f.values, f.word(text)) {
			return []Feature{{Name: f.name, Value: f.word(text)}}
		}
	}
	return nil
}

// spellings are the keys that mean the field, the best first.
func (f *field) spellings() []string {
	return append([]string{f.name, f.section + "_" + f.member}, f.also...)
}

func (f *field) understand(v any) []Feature {
	if list, ok := v.([]any); ok {
		var all []Feature
		for _, member := range list {
			if one, ok := f.one(member); ok && !slices.Contains(all, one) && len(all) < maxValues {
				all = append(all, one)
			}
		}
		if f.kind != category && len(all) > 1 {
			return nil // two numbers for one thing are none
		}
		return all
	}
	if one, ok := f.one(v); ok {
		return []Feature{one}
	}
	return nil
}

func (f *field) one(v any) (Feature, bool) {
	switch f.kind {
	case number:
		n, ok := numberOf(v)
		if !ok || n < f.min || n > f.max {
			return Feature{}, false
		}
		return Feature{Name: f.name, Number: n, IsNumber: true}, true
	case truth:
		value := yesOrNo(v)
		return Feature{Name: f.name, Value: value}, value != ""
	case category:
		text, _ := v.(string)
		value := f.word(text)
		known := value != "" && !slices.Contains(nothing, value) && (!f.closed || slices.Contains(f.values, value))
		return Feature{Name: f.name, Value: value}, known
	}
	return Feature{}, false
}

// nothing are words that say that something is not known.
var nothing = []string{"unknown", "n_a", "na", "null", "undefined", "unclear"}

// synonyms are what people write for one of a field's values.
var synonyms = map[string]map[string]string{
	"visual_pacing": {
		"fast_paced": "fast", "fast_cuts": "fast", "quick": "fast", "quick_cuts": "fast", "rapid": "fast", "high": "fast",
		"slow_paced": "slow", "slow_pan": "slow", "calm": "slow", "low": "slow", "moderate": "medium", "normal": "medium",
	},
	"orientation": {"portrait": "vertical", "landscape": "horizontal", "1_1": "square"},
	"cta_type": {
		"book": "book_now", "book_a_call": "book_now", "book_call": "book_now", "shop": "buy", "shop_now": "buy", "buy_now": "buy",
		"signup": "sign_up", "register": "sign_up", "message": "send_message", "call_now": "call",
	},
	"hook_type": {
		"founder": "founder_story", "statistics": "statistic", "stat": "statistic", "demo": "demonstration", "humour": "humor",
		"before_after": "transformation",
	},
}

// word puts a category into its one spelling.
func (f *field) word(text string) string {
	if f.name == "aspect_ratio" {
		return strings.Join(strings.Fields(strings.NewReplacer("x", ":", "/", ":").Replace(strings.ToLower(text))), "")
	}
	text = strings.Join(strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}), "_")
	if utf8.RuneCountInString(text) > maxCategory {
		return "" // a text, and not a category
	}
	if usual, ok := synonyms[f.name][text]; ok {
		return usual
	}
	return text
}

func firstText(said map[string]any, f *field) string {
	for _, spelling := range f.spellings() {
		if text, ok := said[spelling].(string); ok && strings.TrimSpace(text) != "" {
			return text
		}
	}
	return ""
}

func fieldNamed(name string) *field {
	i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
	return &fields[i]
}

// wayOf returns which way a picture of an aspect ratio such as 9:16 stands.
func wayOf(aspect string) string {
	width, height, ok := strings.Cut(fieldNamed("aspect_ratio").word(aspect), ":")
	w, errW := strconv.ParseFloat(width, 64)
	h, errH := strconv.ParseFloat(height, 64)
	if !ok || errW != nil || errH != nil || !(w > 0) || !(h > 0) {
		return ""
	}
	return Orientation(w, h)
}

// Orientation names which way a picture of that size stands: vertical, square or
// horizontal. Both sizes are above 0.
func Orientation(width, height float64) string {
	switch ratio := width / height; {
	case ratio < 0.95:
		return "vertical"
	case ratio > 1.05:
		return "horizontal"
	}
	return "square"
}

// AspectRatio names a picture's width to height, such as 9:16, by the nearest of
// the known ratios within 3%; "" where none is near. Both sizes are above 0.
func AspectRatio(width, height float64) string {
	for _, known := range fieldNamed("aspect_ratio").values {
		w, h, _ := strings.Cut(known, ":")
		x, _ := strconv.ParseFloat(w, 64)
		y, _ := strconv.ParseFloat(h, 64)
		if math.Abs(width/height/(x/y)-1) < 0.03 {
			return known
		}
	}
	return ""
}

func numberOf(v any) (float64, bool) {
	var f float64
	var err error
	switch v := v.(type) {
	case json.Number:
		f, err = v.Float64()
	case float64:
		f = v
	case int:
		f = float64(v)
	case string:
		f, err = strconv.ParseFloat(strings.TrimSpace(v), 64)
	default:
		return 0, false
	}
	return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
}

func yesOrNo(v any) string {
	switch v := v.(type) {
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case string:
		switch strings.ToLower(strings.TrimSpace(v)) {
		case "yes", "true", "y", "1":
			return "yes"
		case "no", "false", "n", "0", "none":
			return "no"
		}
	default:
		if n, ok := numberOf(v); ok && (n == 0 || n == 1) {
			return yesOrNo(n == 1)
		}
	}
	return ""
}

// Vocabulary reports whether value is one of the words that the typed form itself
// lists for a feature: such a pair says nothing in anybody's own words.
func Vocabulary(name, value string) bool {
	for i := range fields {
		if f := &fields[i]; f.name == name {
			return f.kind == truth && (value == "yes" || value == "no") || f.kind == category && slices.Contains(f.values, value)
		}
	}
	return false
}

// Out is a number of a DNA outside its documented range.
type Out struct{ Path, Rule string }

// OutOfRange returns the numbers of the DNA that their fields do not admit.
func (d DNA) OutOfRange() []Out {
	var all []Out
	said := d.leaves()
	for i := range fields {
		f := &fields[i]
		if f.kind != number {
			continue
		}
		spellings := f.spellings()
		if spellings[0] == spellings[1] {
			spellings = spellings[1:]
		}
		for _, spelling := range spellings {
			n, ok := numberOf(said[spelling])
			if !ok || n >= f.min && n <= f.max {
				continue
			}
			path := spelling
			if _, flat := d[spelling]; !flat && spelling == f.section+"_"+f.member {
				path = f.section + "." + f.member
			}
			all = append(all, Out{path, "must be a number from " + strconv.FormatFloat(f.min, 'g', -1,
				64) + " to " + strconv.FormatFloat(f.max, 'g', -1, 64)})
		}
	}
	return all
}
