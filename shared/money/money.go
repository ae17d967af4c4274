// Package money holds amounts as whole minor units of a currency, so that sums
// never lose a cent. The edge converts from and to units with the currency's
// own number of decimals.
package money

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Amount is a number of minor units (cents of USD, yen of JPY, fils of KWD).
type Amount int64

// Max is the largest amount accepted from outside, in minor units: far above
// any advertising account and far below where float64 loses a minor unit.
const Max Amount = 1_000_000_000_000_000

// Currency is an ISO 4217 code in upper case.
type Currency string

// exponents lists the ISO 4217 currencies whose number of decimals is not two.
var exponents = map[Currency]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0,
	"PYG": 0, "RWF": 0, "UGX": 0, "UYI": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
	"CLF": 4, "UYW": 4,
}

// Decimals returns how many decimals the currency has.
func (c Currency) Decimals() int {
	if n, ok := exponents[c]; ok {
		return n
	}
	return 2
}

// Valid reports whether c has the form of an ISO 4217 code.
func (c Currency) Valid() bool {
	if len(c) != 3 {
		return false
	}
	for _, r := range c {
		if r < 'A' || r > 'Z' {
			return false
		}
	}
	return true
}

// codes lists the currencies of ISO 4217 (list one) that money is kept in, those
// beside exponents: no metals, no test codes.
const codes = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK " +
	"DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR " +
	"LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD " +
	"SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"

// Known reports whether ISO 4217 lists c as a currency in use.
func (c Currency) Known() bool {
	_, other := exponents[c]
	return other || c.Valid() && strings.Contains(codes, string(c))
}

// ErrRange is returned for NaN, infinities and amounts beyond Max.
var ErrRange = errors.New("is not an amount of money")

// FromUnits rounds units of c to the nearest minor unit, halves away from zero.
// It returns ErrRange for NaN, infinities and amounts beyond Max.
func FromUnits(units float64, c Currency) (Amount, error) {
	minor := math.Round(units * scale(c))
	if math.IsNaN(minor) || math.Abs(minor) > float64(Max) {
		return 0, ErrRange
	}
	return Amount(minor), nil
}

// ErrDecimals is returned for an amount with more decimals than its currency has.
var ErrDecimals = errors.New("has more decimals than its currency")

// Exact is FromUnits for an amount that somebody wrote down: it refuses decimals
// that the currency does not have, so that nothing is rounded unseen.
func Exact(units float64, c Currency) (Amount, error) {
	a, err := FromUnits(units, c)
	if err == nil && math.Abs(units*scale(c)-float64(a)) > max(1e-6, math.Abs(float64(a))*1e-15) {
		return 0, ErrDecimals
	}
	return a, err
}

// Units returns a in units of c, for JSON answers.
func (a Amount) Units(c Currency) float64 { return float64(a) / scale(c) }

// Format writes a with its currency's decimals and thousands separators, for
// people: "1,234.50 USD".
func (a Amount) Format(c Currency) string {
	var text [40]byte
	return string(a.Append(text[:0], c))
}

// Append appends what Format returns to text.
func (a Amount) Append(text []byte, c Currency) []byte {
	minor := uint64(a)
	if a < 0 {
		text, minor = append(text, '-'), -minor
	}
	decimals := c.Decimals()
	var buffer [24]byte
	digits := strconv.AppendUint(buffer[:0], minor, 10)
	for len(digits) <= decimals { // at least one digit before the point
		digits = slices.Insert(digits, 0, '0')
	}
	whole := len(digits) - decimals
	for i, digit := range digits {
		switch {
		case i == whole:
			text = append(text, '.')
		case 0 < i && i < whole && (whole-i)%3 == 0:
			text = append(text, ',')
		}
		text = append(text, digit)
	}
	text = append(text, ' ')
	return append(text, c...)
}

func scale(c Currency) float64 { return math.Pow10(c.Decimals()) }
