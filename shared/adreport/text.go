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
)

// plainID takes off what spreadsheets put around an id to keep it text.
func plainID(cell string) string {
	if inner, ok := strings.CutPrefix(cell, `="`); ok {
		cell = strings.TrimSpace(strings.TrimSuffix(inner, `"`))
	}
	cell = strings.TrimPrefix(cell, "'")
	if whole, zeros, ok := strings.Cut(cell, "."); ok && len(whole) <= 15 && allDigits(whole) && strings.Trim(zeros, "0") == "" {
		cell = whole
	}
	return cell
}

func (p *rowParser) id(f field) string {
	id := plainID(p.cell(f))
	switch {
	case strings.ContainsAny(id, "eE.") && (excelNumber.MatchString(id) || roundedFloat.MatchString(id)):
		p.fail(f, errors.New("is a number that a spreadsheet has rounded, so its last digits are lost: format the column as text and export again"))
	case utf8.RuneCountInString(id) > maxID:
		p.fail(f, fmt.Errorf("must have at most %d characters", maxID))
	case strings.ContainsFunc(id, unicode.IsControl):
		p.fail(f, errors.New("must not hold control characters"))
	case id == "" && f == adID:
		p.fail(f, errors.New("is empty"))
	}
	return id
}

func (p *rowParser) text(f field, limit int) string {
	text := p.rec.cell(p.cols.at[f])
	switch {
	case utf8.RuneCountInString(text) > limit:
		p.fail(f, fmt.Errorf("must have at most %d characters", limit))
	case strings.ContainsRune(text, 0):
		p.fail(f, errors.New("must not hold a NUL character"))
	}
	return text
}
