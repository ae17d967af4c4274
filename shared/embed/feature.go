package embed

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a feature of each sort counts. A key's own words count little: they are
// alike in all DNAs.
const (
	wordWeight   = 1.0
	pairWeight   = 0.5 // two words in a row
	lineWeight   = 1.0 // a key with its value
	levelWeight  = 1.4 // a key with a number near this one
	keyWeight    = 0.2
	commonWeight = 0.1 // the, and, of
)

type feature struct{ weight, count float64 }

type features map[string]feature

// add counts a feature once more. One that is found in two roles, as a key's
// word and in a value, weighs as in the more telling one.
func (f features) add(name string, weight float64) {
	had := f[name]
	f[name] = feature{max(had.weight, weight), had.count + 1}
}

// longestKey is how many letters a key has at most.
const longestKey = 100

// keyed splits a line such as "hook_type: question". An expression that counts Unicode's
// letters to a hundred takes 4 MB and 10 ms at each start of a function.
func keyed(line string) (key, value string, ok bool) {
	key, value, ok = strings.Cut(line, ": ")
	if !ok || key == "" || value == "" || utf8.RuneCountInString(key) > longestKey {
		return "", "", false
	}
	for _, r := range key {
		if r != '_' && !unicode.IsLetter(r) && !unicode.IsNumber(r) {
			return "", "", false
		}
	}
	return key, value, true
}

func featuresOf(text string) features {
	found := features{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if key, value, ok := keyed(line); ok {
			addKeyed(found, strings.ToLower(key), value)
			continue
		}
		addWords(found, words(line))
	}
	return found
}

func addKeyed(found features, key, value string) {
	for _, word := range words(key) {
		found.add("w:"+word, keyWeight)
	}
	for part := range strings.SplitSeq(value, ", ") { // the members of a list, in any order
		if n, err := strconv.ParseFloat(part, 64); err == nil && !math.IsNaN(n) && !math.IsInf(n, 0) {
			addLevel(found, key, n)
			continue
		}
		said := words(part)
		addWords(found, said)
		if len(said) > 0 {
			found.add("l:"+key+"="+strings.Join(said, " "), lineWeight)
		}
	}
}

// addLevel shares a number between the two steps of a ladder that it stands
// between, so that near numbers are alike. Up to 1 a step is a fifth, above it a
// factor of the square root of two.
func addLevel(found features, key string, n float64) {
	step := math.Abs(n) * 5
	if step > 5 {
		step = 5 + 2*math.Log2(math.Abs(n))
	}
	step = math.Copysign(step, n)
	below := math.Floor(step)
	for _, near := range []struct{ step, share float64 }{{below, 1 - (step - below)}, {below + 1, step - below}} {
		if near.share > 0 {
			found.add(fmt.Sprintf("n:%s~%d", key, int(near.step)), levelWeight*near.share)
		}
	}
}

func addWords(found features, said []string) {
	for i, word := range said {
		weight := wordWeight
		if common[word] {
			weight = commonWeight
		}
		found.add("w:"+word, weight)
		if i > 0 && !common[word] && !common[said[i-1]] {
			found.add("p:"+said[i-1]+" "+word, pairWeight)
		}
	}
}

var common = map[string]bool{
	"a": true, "an": true, "and": true, "are": true, "as": true, "at": true, "be": true, "by": true, "for": true,
	"from": true, "in": true, "is": true, "it": true, "of": true, "on": true, "or": true, "that": true, "the": true,
	"this": true, "to": true, "with": true, "you": true, "your": true, "we": true, "our": true,
}

// words splits text at what is no letter and no digit, in lower case and without
// a plural's s. A picture or a letter of a script that writes no spaces is a word.
func words(text string) []string {
	var (
		found []string
		word  strings.Builder
	)
	end := func() {
		if w := word.String(); w != "" {
			if len(w) > 3 && strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss") {
				w = w[:len(w)-1]
			}
			found = append(found, w)
		}
		word.Reset()
	}
	for _, r := range strings.ToLower(text) {
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.So):
			end()
			found = append(found, string(r))
		case unicode.IsLetter(r), unicode.IsDigit(r), unicode.Is(unicode.Mn, r):
			word.WriteRune(r)
		default:
			end()
		}
	}
	end()
	return found
}
