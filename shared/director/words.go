package director

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A plan says what to film. Where the viewer goes, whom they call and what runs
// on the page is the ad's own, so none of that comes out of a text that was
// written from other people's texts. Nor does what is an order to a model: a plan
// may be read by the next one.
var (
	address = regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*://|\bwww\.|\b(?:javascript|data|mailto|tel):\S|[\p{L}\d_-]+\.(?:com|net|org|io|co|app|ai|dev|info|biz|shop|store|site|online|xyz|link|page|me|ly|gl|tv|ru|cn|de|fr|uk|us|eu|example|test|zip|click|top)\b(?:[/:?#]|\b)|@[\p{L}\d-]+\.\p{L}{2,}`)
	phone   = regexp.MustCompile(`(?:\+|\b)\d(?:[ ().-]{0,2}\d){6,}\b`)
	order   = regexp.MustCompile(`(?i)\b(?:ignore|disregard|forget|override)\b.{0,40}\b(?:instructions?|prompts?|previous|guidelines)\b|\b(?:system|assistant|developer)\s*(?:prompt|message|:)|\blanguage model\b`)
	markup  = regexp.MustCompile(`<\s*[a-zA-Z/!?]|\]\(|\{\{`)
)

// unfit returns the rule that a text breaks, "" where it may stand in a plan.
// known are ads whose ids may be written out.
func unfit(text string, most int, known map[string]bool) string {
	switch {
	case !utf8.ValidString(text):
		return "must be valid UTF-8"
	case utf8.RuneCountInString(text) > most:
		return fmt.Sprintf("must have at most %d characters", most)
	case strings.ContainsFunc(text, hidden):
		return "must not hold control characters"
	}
	text = withoutIDs(text, known)
	switch {
	case strings.ContainsAny(text, ".:@") && address.MatchString(text):
		return "must not hold a web or mail address: the ad's link stays what it is"
	case strings.ContainsAny(text, "<]{") && markup.MatchString(text):
		return "must be plain text without markup"
	case order.MatchString(text):
		return "must speak to the viewer and not to a language model"
	case strings.ContainsAny(text, "0123456789") && phone.MatchString(text):
		return "must not hold a telephone number or the id of an ad that is not among the examples"
	}
	return ""
}

// withoutIDs takes the ids that look like a telephone number, and may be written
// out, from a text, the longest first.
func withoutIDs(text string, known map[string]bool) string {
	var ids []string
	for id := range known {
		if phone.MatchString(id) && strings.Contains(text, id) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return len(b) - len(a) })
	for _, id := range ids {
		text = strings.ReplaceAll(text, id, "·")
	}
	return text
}

// hidden reports a character that is not seen and changes what is read; joiners
// and the marks of scripts that run from right to left are part of texts.
func hidden(r rune) bool {
	return r != '\n' && !(r >= '\u200c' && r <= '\u200f') && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co)
}

// spelt puts a type into lower case with underscores.
func spelt(name string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}), "_")
}

// plainly writes a type as people do.
func plainly(name string) string { return strings.ReplaceAll(name, "_", " ") }
