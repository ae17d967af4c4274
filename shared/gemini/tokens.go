package gemini

import (
	"math"
	"strings"
	"unicode"
)

// tokensOf estimates, rather too high, how many tokens a text is: one for each
// three letters of a word, one for each digit and sign, and one for each letter
// of a script that is not Latin.
func tokensOf(text string) int64 {
	n, _ := count(text, 1<<62)
	return n
}

// perMinute is what a minute of video is reserved as, at one frame a second.
const perMinute = 20_000

// file is what a file is reserved as.
func (p Part) file() int64 { return int64(math.Ceil(max(p.Seconds/60, 1) * perMinute)) }

// cut returns text as a model with room for limit tokens takes it: its beginning,
// as far as tokensOf counts, ended between words where there are any. What says
// most of a creative comes first in its text, so what is lost says least.
func cut(text string, limit int64) string {
	_, end := count(text, limit)
	if end == len(text) {
		return text
	}
	kept := text[:end]
	if space := strings.LastIndexFunc(kept, unicode.IsSpace); space > len(kept)/2 {
		kept = kept[:space]
	}
	return strings.TrimSpace(kept)
}

// count adds up tokens until limit, and returns where in text that is.
func count(text string, limit int64) (tokens int64, end int) {
	letters := 0
	for at, r := range text {
		add := int64(1)
		switch {
		case unicode.IsSpace(r):
			letters, add = 0, 0
		case r < 0x250 && unicode.IsLetter(r):
			if letters++; letters%3 != 1 {
				add = 0
			}
		default:
			letters = 0
			if r > 0xffff {
				add = 3 // spelt out in bytes
			}
		}
		if tokens+add > limit {
			return tokens, at
		}
		tokens += add
	}
	return tokens, len(text)
}
