package director

import (
	"cmp"
	"slices"
	"strings"

	"github.com/geminivideo/geminivideo/shared/creative"
)

// The features of a creative that a plan is made of, by their flat keys.
const (
	hookType     = "hook_type"
	visualPacing = "visual_pacing"
	ctaType      = "cta_type"
	duration     = "duration_seconds"
)

// traitsOf returns the creative's categories by feature, the first of each.
func traitsOf(d creative.DNA) map[string]string {
	traits := map[string]string{}
	for _, f := range d.Features() {
		if !f.IsNumber && traits[f.Name] == "" {
			traits[f.Name] = f.Value
		}
	}
	return traits
}

// HookOf returns the creative's type of hook, "" where it is not known.
func HookOf(d creative.DNA) string { return traitsOf(d)[hookType] }

// SecondsOf returns how long the creative is, 0 where it is not known.
func SecondsOf(d creative.DNA) float64 { return numberOf(d, duration) }

func numberOf(d creative.DNA, name string) float64 {
	for _, f := range d.Features() {
		if f.Name == name && f.IsNumber {
			return f.Number
		}
	}
	return 0
}

// textOf returns a text of the creative that may stand in a plan, such as its
// hook's words: in a flat key or in its section. It is data like any other: what a
// plan must not say is left out.
func textOf(d creative.DNA, section, member string) string {
	text, _ := d[section+"_"+member].(string)
	if inner, ok := d[section].(map[string]any); ok && text == "" {
		text, _ = inner[member].(string)
	}
	text = strings.Join(strings.Fields(text), " ")
	if rule := unfit(text, maxLine, nil); rule != "" {
		return ""
	}
	return text
}

// vote is a value that examples agree on.
type vote struct {
	value string
	share float64  // of all weight that was cast, 0 to 1
	ads   []string // that have it, the weightiest first
}

// votes counts what the examples have of a feature, the value with most weight
// first. An example weighs by its ROAS and by its likeness.
func votes(examples []Example, feature string) []vote {
	byWeight := slices.Clone(examples)
	slices.SortStableFunc(byWeight, func(a, b Example) int { return cmp.Compare(b.weight(), a.weight()) })
	var all []vote
	total := 0.0
	for _, e := range byWeight {
		value := traitsOf(e.DNA)[feature]
		if value == "" {
			continue
		}
		i := slices.IndexFunc(all, func(v vote) bool { return v.value == value })
		if i < 0 {
			i, all = len(all), append(all, vote{value: value})
		}
		all[i].share += e.weight()
		all[i].ads = append(all[i].ads, e.AdID)
		total += e.weight()
	}
	for i := range all {
		if total > 0 {
			all[i].share /= total
		}
	}
	slices.SortStableFunc(all, func(a, b vote) int {
		return cmp.Or(cmp.Compare(b.share, a.share), strings.Compare(a.value, b.value))
	})
	return all
}

// usualSeconds is the weighted median of the examples' lengths; 0 where none is known.
func usualSeconds(examples []Example) float64 {
	type length struct{ seconds, weight float64 }
	var all []length
	total := 0.0
	for _, e := range examples {
		if s := SecondsOf(e.DNA); s >= shortest && s <= longest {
			all = append(all, length{s, e.weight()})
			total += e.weight()
		}
	}
	slices.SortFunc(all, func(a, b length) int { return cmp.Compare(a.seconds, b.seconds) })
	passed := 0.0
	for _, l := range all {
		if passed += l.weight; 2*passed >= total {
			return l.seconds
		}
	}
	return 0
}
