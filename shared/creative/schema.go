package creative

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Version is the typed form's. It grows when a field changes its meaning; a new
// field is no new version.
const Version = 1

// versionKey tells a typed DNA apart from an open one, and which form it has.
const versionKey = "dna_version"

// maxWords is the most characters that a text of the typed form keeps.
const maxWords = 300

// Schema is the JSON Schema of what a watcher is asked: the typed form without
// what the video's container itself says. It uses only what every structured
// output knows: types, enums, limits and required members.
func Schema() map[string]any {
	sections := map[string]any{}
	var names []string
	for i := range fields {
		f := &fields[i]
		if !f.asked {
			continue
		}
		section, known := sections[f.section].(map[string]any)
		if !known {
			section = object()
			sections[f.section] = section
			names = append(names, f.section)
		}
		section["properties"].(map[string]any)[f.member] = f.schema()
		section["required"] = append(section["required"].([]string), f.member)
	}
	all := object()
	all["properties"], all["required"] = sections, names
	return all
}

func object() map[string]any {
	return map[string]any{"type": "object", "properties": map[string]any{}, "required": []string{}, "additionalProperties": false}
}

func (f *field) schema() map[string]any {
	s := map[string]any{"description": f.about}
	switch f.kind {
	case number:
		s["type"], s["minimum"], s["maximum"] = "number", f.min, f.max
	case truth:
		s["type"] = "boolean"
	default:
		s["type"] = "string"
		if f.values != nil {
			s["enum"] = f.values
		}
	}
	return s
}

// Watched reads a watcher's answer: every field that Schema asks for and nothing
// else, each within its rule. What the watcher read or heard in the video is text
// in it and nothing more: texts are cut to 300 characters of one line. The error
// names the first field that breaks its rule.
func Watched(answer []byte) (DNA, error) {
	said, err := Parse(answer)
	if err != nil {
		return nil, fmt.Errorf("the description %w", err)
	}
	dna := DNA{versionKey: json.Number(fmt.Sprint(Version))}
	for i := range fields {
		f := &fields[i]
		if !f.asked {
			continue
		}
		section, _ := said[f.section].(map[string]any)
		v, there := section[f.member]
		if !there {
			return nil, fmt.Errorf("%s.%s is missing", f.section, f.member)
		}
		kept, err := f.strict(v)
		if err != nil {
			return nil, fmt.Errorf("%s.%s %w", f.section, f.member, err)
		}
		dna.Set(f.name, kept)
		delete(section, f.member)
	}
	for _, name := range slices.Sorted(maps.Keys(said)) {
		section, ok := said[name].(map[string]any)
		if !ok || dna[name] == nil {
			return nil, errors.New("the description holds a section that nobody asked for")
		}
		if len(section) > 0 {
			return nil, fmt.Errorf("%s holds a member that nobody asked for", name)
		}
	}
	return dna.mirrored(), nil
}

// strict returns what of v is kept, or the rule that it breaks.
func (f *field) strict(v any) (any, error) {
	switch f.kind {
	case number:
		n, isNumber := v.(json.Number)
		if found, ok := f.one(v); !isNumber || !ok || found.Number < f.min {
			return nil, fmt.Errorf("must be a number from %g to %g", f.min, f.max)
		}
		return n, nil
	case truth:
		if _, ok := v.(bool); !ok {
			return nil, errors.New("must be true or false")
		}
		return v, nil
	}
	text, ok := v.(string)
	switch {
	case !ok:
		return nil, errors.New("must be a text")
	case f.values != nil && !slices.Contains(f.values, text):
		return nil, errors.New("must be one of " + strings.Join(f.values, ", "))
	case f.kind == category && utf8.RuneCountInString(text) > maxCategory:
		return nil, fmt.Errorf("must have at most %d characters", maxCategory)
	}
	text = strings.Join(strings.Fields(text), " ")
	if cut := []rune(text); len(cut) > maxWords {
		text = string(cut[:maxWords])
	}
	return text, nil
}

// Measured is a typed DNA of nothing but what a video's container says; Set adds to it.
func Measured() DNA { return DNA{versionKey: json.Number(fmt.Sprint(Version))} }

// Set puts a known field, named by its flat key, into its section of the typed
// form. What is not known is not set.
func (d DNA) Set(name string, value any) {
	i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
	if i < 0 {
		return
	}
	section, ok := d[fields[i].section].(map[string]any)
	if !ok {
		section = map[string]any{}
		d[fields[i].section] = section
	}
	section[fields[i].member] = value
}

// mirrors are the flat keys that the outside contract names: who reads a DNA by
// them finds them in a typed one, too.
var mirrors = []string{"hook_type", "hook_strength", "visual_pacing", "cta_type"}

func (d DNA) mirrored() DNA {
	for _, name := range mirrors {
		f := fieldNamed(name)
		if section, ok := d[f.section].(map[string]any); ok && section[f.member] != nil {
			d[name] = section[f.member]
		}
	}
	return d
}
