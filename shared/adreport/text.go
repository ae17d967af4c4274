package adreport

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of texts, in characters.
const (
	maxID   = 128
	maxName = 512
)

var (
	excelNumber  = regexp.MustCompile(`^[0-9]+([.,][0-9]+)?[eE]\+?[0-9]+$`)
	roundedFloat = regexp.MustCompile(`^[0-9]{16,}\.0*$`)
	// groupedID is an id with thousands separators: 120,210,985 or 120 210 985.
	groupedID = regexp.MustCompile(`^[0-9]{1,3}([,. '’\x{00a0}\x{202f}][0-9]{3})+$`)
	// taggedID is how Ads Manager's bulk export writes ids: a:120210985.
	taggedID = regexp.MustCompile(`^(a|c|s|cg|ad|adset|campaign):([0-9]+)$`)
)

// plainID takes off what spreadsheets and people put around an id to keep it
// text, and the separators that a spreadsheet put into it.
func plainID(cell string) string {
	if inner, ok := strings.CutPrefix(cell, `="`); ok {
		cell = strings.TrimSpace(strings.TrimSuffix(inner, `"`))
	}
	cell = strings.TrimSpace(strings.Trim(cell, "'`´\"\u200b\ufeff"))
	if digits := strings.TrimSpace(strings.TrimPrefix(cell, "#")); digits != cell && digits != "" && allDigits(digits) {
		cell = digits
	}
	if m := taggedID.FindStringSubmatch(cell); m != nil {
		cell = m[2]
	}
	if groupedID.MatchString(cell) && (strings.Count(cell, ".") != 1 || strings.ContainsAny(cell, ", '’\u00a0\u202f")) {
		cell = strings.Map(func(r rune) rune {
			if r < '0' || r > '9' {
				return -1
			}
			return r
		}, cell)
	}
	if whole, zeros, ok := strings.Cut(cell, "."); ok && len(whole) <= 15 && allDigits(whole) && strings.Trim(zeros, "0") == "" {
		cell = whole
	}
	return cell
}

const roundedID = "is a number that a spreadsheet has rounded, so its last digits are lost: format the column as text and export again"

// wrongID says what is wrong with an id, "" where nothing is.
func wrongID(id string) string {
	switch {
	case strings.ContainsAny(id, "eE.") && (excelNumber.MatchString(id) || roundedFloat.MatchString(id)):
		return roundedID
	case strings.ContainsAny(id, ".,") && strings.Trim(id, "0123456789.,") == "":
		return "is a number with a decimal point and no id: format the column as text and export again"
	case utf8.RuneCountInString(id) > maxID:
		return fmt.Sprintf("must have at most %d characters", maxID)
	case strings.ContainsFunc(id, unicode.IsControl):
		return "must not hold control characters"
	}
	return ""
}

// ad reads the ad's id, without which a row says nothing.
func (p *rowParser) ad() string {
	id := plainID(p.cell(adID))
	wrong := wrongID(id)
	switch {
	case id == "":
		wrong = "is empty"
	case p.rounded && len(id) > 15 && allDigits(id) && strings.Trim(id[15:], "0") == "":
		wrong = roundedID
	}
	if wrong != "" {
		p.fail(adID, errors.New(wrong))
	}
	return id
}

// id reads an id that a row may go without.
func (p *rowParser) id(f field) string {
	id := plainID(p.cell(f))
	if wrong := wrongID(id); wrong != "" {
		p.drop(f, wrong)
		return ""
	}
	return id
}

// text reads a text and cuts it where it is too long.
func (p *rowParser) text(f field, limit int) string {
	text := p.rec.cell(p.cols.at[f])
	if strings.ContainsRune(text, 0) {
		p.drop(f, "must not hold a NUL character")
		return ""
	}
	if utf8.RuneCountInString(text) > limit {
		p.notes.add(p.rec.line, p.cols.at[f], fmt.Sprintf("was cut to %d characters", limit))
		text = string([]rune(text)[:limit])
	}
	return text
}
