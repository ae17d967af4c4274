package gemini

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"unicode/utf8"
)

// The keywords that Validate checks, and of them those that the API takes; it
// answers 400 to a schema with one that it does not know. A validator of our own
// rather than a library's: this subset is a page, and one that names a keyword
// that it does not check, instead of passing it over, is what a gate needs.
var (
	checked = []string{
		"type", "properties", "required", "additionalProperties", "items", "enum", "anyOf",
		"minItems", "maxItems", "minimum", "maximum", "minLength", "maxLength", "pattern", "title", "description", "propertyOrdering",
	}
	ownOnly = []string{"minLength", "maxLength", "pattern"}
)

// Validate returns why data, JSON, does not keep to schema, naming the place and
// the rule and never the value; nil where it does. An unknown keyword is an
// error of the schema's.
func Validate(schema map[string]any, data []byte) error {
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return fmt.Errorf("$ is not JSON")
	}
	rules, err := plain(schema)
	if err != nil {
		return err
	}
	return check(rules, value, "$")
}

// plain gives a schema written in Go the types that JSON has.
func plain(schema map[string]any) (map[string]any, error) {
	data, err := json.Marshal(schema)
	if err != nil {
		return nil, fmt.Errorf("the schema is not JSON: %w", err)
	}
	var rules map[string]any
	return rules, json.Unmarshal(data, &rules)
}

// wire returns the schema as the API takes it, without what only we check.
func wire(schema any) any {
	switch s := schema.(type) {
	case map[string]any:
		out := make(map[string]any, len(s))
		for key, rule := range s {
			switch {
			case slices.Contains(ownOnly, key):
			case key == "properties":
				members, _ := rule.(map[string]any)
				kept := make(map[string]any, len(members))
				for name, member := range members {
					kept[name] = wire(member)
				}
				out[key] = kept
			case key == "enum" || key == "required":
				out[key] = rule
			default:
				out[key] = wire(rule)
			}
		}
		return out
	case []any:
		out := make([]any, len(s))
		for i, rule := range s {
			out[i] = wire(rule)
		}
		return out
	}
	return schema
}

func check(rules map[string]any, value any, at string) error {
	for key := range rules {
		if !slices.Contains(checked, key) {
			return fmt.Errorf("%s: the schema has the keyword %s, which nothing here checks", at, key)
		}
	}
	if kinds, ok := rules["type"]; ok && !slices.ContainsFunc(list(kinds), func(kind any) bool { return is(kind, value) }) {
		return fmt.Errorf("%s has the wrong type", at)
	}
	if options, ok := rules["anyOf"].([]any); ok && !slices.ContainsFunc(options, func(option any) bool {
		inner, _ := option.(map[string]any)
		return check(inner, value, at) == nil
	}) {
		return fmt.Errorf("%s is none of what it may be", at)
	}
	if allowed, ok := rules["enum"].([]any); ok && !slices.Contains(allowed, value) {
		return fmt.Errorf("%s is not one of its values", at)
	}
	switch v := value.(type) {
	case string:
		return checkText(rules, v, at)
	case float64:
		return within(rules, "minimum", "maximum", v, at)
	case []any:
		return checkList(rules, v, at)
	case map[string]any:
		return checkObject(rules, v, at)
	}
	return nil
}

// list is the one kind, or the kinds, that "type" names.
func list(kinds any) []any {
	if several, ok := kinds.([]any); ok {
		return several
	}
	return []any{kinds}
}

func is(kind, value any) bool {
	switch v := value.(type) {
	case nil:
		return kind == "null"
	case bool:
		return kind == "boolean"
	case string:
		return kind == "string"
	case float64:
		return kind == "number" || kind == "integer" && v == math.Trunc(v)
	case []any:
		return kind == "array"
	}
	return kind == "object"
}

func checkText(rules map[string]any, text, at string) error {
	if err := within(rules, "minLength", "maxLength", float64(utf8.RuneCountInString(text)), at); err != nil {
		return err
	}
	pattern, ok := rules["pattern"].(string)
	if !ok {
		return nil
	}
	form, err := regexp.Compile(pattern)
	if err != nil {
		return fmt.Errorf("%s: the schema's pattern is not one: %w", at, err)
	}
	if !form.MatchString(text) {
		return fmt.Errorf("%s has the wrong form", at)
	}
	return nil
}

func checkList(rules map[string]any, members []any, at string) error {
	if err := within(rules, "minItems", "maxItems", float64(len(members)), at); err != nil {
		return err
	}
	if inner, ok := rules["items"].(map[string]any); ok {
		for i, member := range members {
			if err := check(inner, member, at+"["+strconv.Itoa(i)+"]"); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkObject(rules, object map[string]any, at string) error {
	required, _ := rules["required"].([]any)
	for _, name := range required {
		if _, ok := object[fmt.Sprint(name)]; !ok {
			return fmt.Errorf("%s.%v is missing", at, name)
		}
	}
	known, _ := rules["properties"].(map[string]any)
	others, _ := rules["additionalProperties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(object)) {
		inner, ok := known[name].(map[string]any)
		place := at + "." + name
		if !ok {
			if rules["additionalProperties"] == false {
				return fmt.Errorf("%s has a member that is not known", at)
			}
			inner, place = others, at+".*" // such a name is as much the model's as a value
		}
		if err := check(inner, object[name], place); err != nil {
			return err
		}
	}
	return nil
}

// within checks a number, or a length, against the two keywords that bound it.
func within(rules map[string]any, least, most string, n float64, at string) error {
	if bound, ok := rules[least].(float64); ok && n < bound {
		return fmt.Errorf("%s is below its %s of %g", at, least, bound)
	}
	if bound, ok := rules[most].(float64); ok && n > bound {
		return fmt.Errorf("%s is above its %s of %g", at, most, bound)
	}
	return nil
}
