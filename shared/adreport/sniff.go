package adreport

import (
	"bufio"
	"bytes"
	"strings"

	"github.com/geminivideo/geminivideo/shared/money"
)

// sniffDelimiter picks the separator by which the first line names most columns
// that are known, and then most columns.
func sniffDelimiter(sample []byte) byte {
	best, bestKnown, bestCells := byte(','), -1, 0
	for _, delim := range []byte{',', ';', '\t', '|'} {
		s := newScanner(bufio.NewReaderSize(bytes.NewReader(sample), maxRecord), delim)
		header, err := s.next()
		if err == nil && strings.HasPrefix(strings.ToLower(header.text()), "sep=") {
			header, err = s.next()
		}
		if err != nil {
			continue
		}
		c, _ := match(header)
		recognised := 0
		for _, i := range c.at {
			if i >= 0 {
				recognised++
			}
		}
		if recognised > bestKnown || recognised == bestKnown && len(header.cells) > bestCells {
			best, bestKnown, bestCells = delim, recognised, len(header.cells)
		}
	}
	return best
}

// sniff reads ahead in the sample to find out how the file writes numbers and
// dates, and which account and currency its rows name.
func (r *Reader) sniff(sample []byte, delim byte) {
	s := newScanner(bufio.NewReaderSize(bytes.NewReader(sample), maxRecord), delim)
	var numbers, dates votes
	var ids rounding
	widths := map[int]int{}
	for range 2 { // Excel's hint, if any, and the header
		if s.line < r.scan.line {
			_, _ = s.next()
		}
	}
	for {
		rec, err := s.next()
		if err != nil {
			break
		}
		widths[len(rec.cells)]++
		for f, i := range r.cols.at {
			cell := rec.cell(i)
			if cell == "" {
				continue
			}
			switch field(f) {
			case adID:
				ids.add(plainID(cell))
			case impressions, clicks, reach, leads, conversions:
				numbers.add(decimalPoint(cell, true))
			case spend, frequency, pipeline, revenue, dailyBudget, adsetBudget, campaignBudget:
				numbers.add(decimalPoint(cell, false))
			case day, starts, ends, createdAt:
				dates.add(fieldOrder(cell))
			case accountID:
				if r.account == "" {
					r.account = plainID(cell)
				}
			case currency:
				if may := meant(cell); r.cols.currency == "" && len(may) == 1 {
					r.cols.currency = money.Currency(may[0])
				}
			}
		}
	}
	r.rounded = ids.all()
	for width, rows := range widths { // a comma behind every row
		if width > r.cols.width && 2*rows > widths[len(r.cols.header)] {
			r.cols.width = width
		}
	}
	r.format.decimal = '.'
	if numbers.second > 0 && numbers.first == 0 || numbers.first == 0 && delim == ';' || numbers.first > 0 && numbers.second > 0 &&
		delim == ';' {
		r.format.decimal = ','
	}
	r.format.monthFirst = dates.first > 0 && dates.second == 0
	r.format.dayFirst = dates.second > 0 && dates.first == 0
}

// rounding looks for ids that a spreadsheet has rounded: it keeps 15 digits, so
// that every longer id ends in zeros. That a long id ends so by chance is one in
// ten for every digit beyond.
type rounding struct {
	seen  map[string]bool
	zeros int
	exact bool
}

func (r *rounding) add(id string) {
	if len(id) <= 15 || !allDigits(id) || r.seen[id] {
		return
	}
	if r.seen == nil {
		r.seen = map[string]bool{}
	}
	r.seen[id] = true
	if strings.Trim(id[15:], "0") != "" {
		r.exact = true
	}
	r.zeros += len(id) - 15
}

// all reports whether the ids have been rounded.
func (r rounding) all() bool { return !r.exact && r.zeros >= 3 }

// votes counts what speaks for the first and for the second of two readings.
type votes struct{ first, second int }

func (v *votes) add(vote int) {
	switch {
	case vote > 0:
		v.first++
	case vote < 0:
		v.second++
	}
}

// decimalPoint returns 1 where the cell can only have a decimal point, -1 where
// it can only have a decimal comma, and 0 where it says nothing.
func decimalPoint(cell string, count bool) int {
	_, core := cut(cell)
	dots, commas := strings.Count(core, "."), strings.Count(core, ",")
	switch {
	case dots > 1 && commas > 1 || dots+commas == 0:
		return 0
	case dots > 0 && commas > 0 && strings.LastIndexByte(core, '.') > strings.LastIndexByte(core, ','), commas > 1:
		return 1
	case dots > 0 && commas > 0, dots > 1:
		return -1
	}
	at := strings.IndexAny(core, ".,")
	decimal := len(core)-at-1 != 3 || at == 0 || at > 3 || core[0] == '0'
	if !decimal && !count {
		return 0 // 1,234 is either
	}
	if decimal == (dots == 1) {
		return 1
	}
	return -1
}
