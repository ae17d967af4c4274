package adreport

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/geminivideo/geminivideo/shared/money"
)

// format is how a file writes what can be written in two ways.
type format struct {
	decimal byte // '.' as in 1,234.5 or ',' as in 1.234,5
	// monthFirst and dayFirst: what 03/11/2026 means; where neither is set, nobody knows.
	monthFirst, dayFirst bool
}

// Limits of what is believed of one row.
const (
	maxCount = 1_000_000_000_000
	maxMoney = money.Max / 10
)

// number is a cell's number: digits before and after the decimal point.
type number struct {
	negative        bool
	whole, fraction string
	sign            string // currency sign or code, or empty
	percent         bool
}

var (
	errNotNumber = errors.New("is not a number")
	errExponent  = errors.New("is in scientific notation, which drops digits: format the column as a number, or as text, and export again")
	exponent     = regexp.MustCompile(`^[+-]?[0-9]+([.,][0-9]+)?[eE][+-]?[0-9]+$`)
	smallFloat   = regexp.MustCompile(`^[0-9](\.[0-9]+)?[eE]-[0-9]{1,2}$`)
)

// cut takes signs, currency and percent off a cell and returns the rest: digits
// and separators, with every kind of space and apostrophe as a '_'.
func cut(cell string) (n number, core string) {
	s := strings.TrimSpace(cell)
	if strings.HasPrefix(s, "(") && strings.HasSuffix(s, ")") { // an accountant's minus
		n.negative, s = true, s[1:len(s)-1]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\'' || r == '’' || unicode.IsSpace(r) || r == '\u202f' || r == '\u2009':
			return '_'
		case r == '−':
			return '-'
		}
		return r
	}, s)
	isDigit := func(r rune) bool { return r >= '0' && r <= '9' }
	from, to := strings.IndexFunc(s, isDigit), strings.LastIndexFunc(s, isDigit)
	if from < 0 {
		return n, s
	}
	if from > 0 && (s[from-1] == '.' || s[from-1] == ',') && !strings.ContainsAny(s[:from-1], ".,") {
		from-- // .5
	}
	around := strings.Map(func(r rune) rune {
		switch r {
		case '-':
			n.negative = true
			return -1
		case '+', '_', '.', ',': // 144. is 144
			return -1
		case '%':
			n.percent = true
			return -1
		}
		return r
	}, s[:from]+s[to+1:])
	n.sign = around
	return n, s[from : to+1]
}

// grouped is 1,234,567 and India's 12,34,567, with any one separator.
var grouped = regexp.MustCompile(`^[0-9]{1,3}((,[0-9]{2,3})*,[0-9]{3}|(\.[0-9]{2,3})*\.[0-9]{3}|(_[0-9]{3})+)$`)

var separators = strings.NewReplacer(",", "", ".", "", "_", "")

// read reads a number as the file writes them.
func (f format) read(cell string) (number, error) {
	if strings.ContainsAny(cell, "eE") && exponent.MatchString(cell) {
		return f.readExponent(cell)
	}
	n, core := cut(cell)
	whole, fraction, _ := strings.Cut(core, string(f.decimal))
	if !allDigits(fraction) || whole+fraction == "" {
		return n, f.unreadable(core)
	}
	if !allDigits(whole) {
		if !grouped.MatchString(whole) {
			return n, f.unreadable(core)
		}
		whole = separators.Replace(whole)
	}
	n.whole, n.fraction = strings.TrimLeft(whole, "0"), fraction
	return n, nil
}

// readExponent admits how programs write very small numbers. A large one has
// lost digits.
func (f format) readExponent(cell string) (number, error) {
	if !smallFloat.MatchString(cell) {
		return number{}, errExponent
	}
	v, err := strconv.ParseFloat(cell, 64)
	if err != nil {
		return number{}, errNotNumber
	}
	whole, fraction, _ := strings.Cut(strconv.FormatFloat(v, 'f', 20, 64), ".")
	return number{whole: strings.TrimLeft(whole, "0"), fraction: fraction}, nil
}

// unreadable says more where only the file's way of writing numbers is in doubt.
func (f format) unreadable(core string) error {
	if strings.Trim(core, "0123456789.,_") != "" || !strings.ContainsAny(core, "0123456789") {
		return errNotNumber
	}
	example := "1,234.56"
	if f.decimal == ',' {
		example = "1.234,56"
	}
	return fmt.Errorf("is not written like %s, as the rest of the file is", example)
}

func allDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// count reads a whole number that is not negative.
func (f format) count(cell string) (int64, error) {
	n, err := f.read(cell)
	if err != nil {
		return 0, err
	}
	switch {
	case n.percent:
		return 0, errors.New("is a percentage; a count is expected")
	case n.sign != "":
		return 0, errNotNumber
	case strings.Trim(n.fraction, "0") != "":
		return 0, errors.New("must be a whole number")
	case n.negative && n.whole != "":
		return 0, errors.New("must not be negative")
	case len(n.whole) > 13:
		return 0, errors.New("is too large")
	}
	v, _ := strconv.ParseInt("0"+n.whole, 10, 64)
	if v > maxCount {
		return 0, errors.New("is too large")
	}
	return v, nil
}

// decimalValue reads a number that is not negative.
func (f format) decimalValue(cell string) (float64, error) {
	n, err := f.read(cell)
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseFloat("0"+n.whole+"."+n.fraction+"0", 64)
	switch {
	case err != nil || n.sign != "" || n.percent:
		return 0, errNotNumber
	case n.negative && v > 0:
		return 0, errors.New("must not be negative")
	case v > math.MaxInt32:
		return 0, errors.New("is too large")
	}
	return v, nil
}

// amount reads money of c, rounded to the minor unit, halves up.
func (f format) amount(cell string, c money.Currency) (money.Amount, error) {
	n, err := f.read(cell)
	if err != nil {
		return 0, err
	}
	if n.percent {
		return 0, errors.New("is a percentage; an amount of money is expected")
	}
	if n.sign != "" {
		switch may := meant(n.sign); {
		case len(may) == 0:
			return 0, errNotNumber
		case !contains(may, c):
			return 0, fmt.Errorf("is in another currency: the account is in %s", c)
		}
	}
	digits := strings.TrimLeft(n.whole+(n.fraction + "0000")[:c.Decimals()], "0")
	if len(digits) > 16 {
		return 0, errors.New("is too large")
	}
	minor, _ := strconv.ParseInt("0"+digits, 10, 64)
	if rest := n.fraction; len(rest) > c.Decimals() && rest[c.Decimals()] >= '5' {
		minor++
	}
	switch {
	case n.negative && strings.Trim(n.whole+n.fraction, "0") != "":
		return 0, errors.New("must not be negative")
	case money.Amount(minor) > maxMoney:
		return 0, errors.New("is too large")
	}
	return money.Amount(minor), nil
}

func contains(all []string, c money.Currency) bool {
	for _, s := range all {
		if s == string(c) {
			return true
		}
	}
	return false
}
