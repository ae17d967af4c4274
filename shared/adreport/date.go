package adreport

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	errDate      = errors.New("is not a date: write it as 2026-11-22")
	errAmbiguous = errors.New("may be day/month or month/day, and no other row tells: write it as 2026-11-22")

	slashed = regexp.MustCompile(`^([0-9]{1,2})[/-]([0-9]{1,2})[/-]([0-9]{4})$`)
)

// layouts are the forms that can be read in one way only.
var layouts = []string{
	"2006-1-2", "2006/1/2", "2006.1.2", "20060102", "2.1.2006",
	"2 Jan 2006", "2-Jan-2006", "2 January 2006", "Jan 2, 2006", "Jan 2 2006", "January 2, 2006", "January 2 2006",
}

// date reads a day. A time of day behind it is passed over.
func (f format) date(cell string) (time.Time, error) {
	text := cell
	if m := clock.FindStringIndex(text); m != nil {
		text = strings.TrimSpace(text[:m[0]])
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	m := slashed.FindStringSubmatch(text)
	if m == nil {
		return time.Time{}, errDate
	}
	first, second := m[1], m[2]
	var month, dayOfMonth string
	switch order := fieldOrder(text); {
	case order > 0, order == 0 && f.monthFirst, first == second:
		month, dayOfMonth = first, second
	case order < 0, order == 0 && f.dayFirst:
		month, dayOfMonth = second, first
	default:
		return time.Time{}, errAmbiguous
	}
	t, err := time.Parse("2006-1-2", m[3]+"-"+month+"-"+dayOfMonth)
	if err != nil {
		return time.Time{}, errDate
	}
	return t, nil
}

// clock is a time of day behind a date, with a zone or without.
var clock = regexp.MustCompile(`(?i)[T ]+[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?( ?[AP]M)?( ?(Z|UTC|[+-][0-9]{2}:?[0-9]{2}))?$`)

// fieldOrder returns 1 where the cell can only be month/day/year, -1 where it can
// only be day/month/year, and 0 where it says nothing.
func fieldOrder(cell string) int {
	if m := clock.FindStringIndex(cell); m != nil {
		cell = strings.TrimSpace(cell[:m[0]])
	}
	m := slashed.FindStringSubmatch(cell)
	if m == nil {
		return 0
	}
	first, _ := strconv.Atoi(m[1])
	second, _ := strconv.Atoi(m[2])
	switch {
	case first > 12 && second <= 12:
		return -1
	case second > 12 && first <= 12:
		return 1
	}
	return 0
}

// instant reads a time, or a day as its midnight in UTC.
func (f format) instant(cell string) (time.Time, error) {
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 -0700",
		"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04",
	} {
		if t, err := time.Parse(layout, cell); err == nil {
			return t.UTC(), nil
		}
	}
	return f.date(cell)
}
