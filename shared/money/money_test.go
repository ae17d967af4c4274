package money_test

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/money"
)

var currencies = []money.Currency{"USD", "EUR", "JPY", "KRW", "KWD", "TND", "CLF", "UYW", "ISK", "XXX"}

func TestUnitsAndBackLosesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := money.Amount(rapid.Int64Range(-int64(money.Max), int64(money.Max)).Draw(t, "minor"))
		c := rapid.SampledFrom(currencies).Draw(t, "currency")
		back, err := money.FromUnits(a.Units(c), c)
		if err != nil || back != a {
			t.Fatalf("%d %s came back as %d, %v", a, c, back, err)
		}
	})
}

func TestRoundingIsToTheNearestMinorUnit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		units := rapid.Float64Range(-1e9, 1e9).Draw(t, "units")
		c := rapid.SampledFrom(currencies).Draw(t, "currency")
		a, err := money.FromUnits(units, c)
		half := 0.5 / math.Pow10(c.Decimals())
		if err != nil || math.Abs(a.Units(c)-units) > half+4e-16*math.Abs(units) { // what a float of that size cannot say
			t.Fatalf("%v %s is %d, %v", units, c, a, err)
		}
		opposite, _ := money.FromUnits(-units, c)
		if opposite != -a {
			t.Fatalf("%v rounds to %d, its opposite to %d", units, a, opposite)
		}
	})
}

func TestWhatIsNoAmountIsRefused(t *testing.T) {
	t.Parallel()
	for _, units := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e300, -1e300, 1.1e13} {
		if a, err := money.FromUnits(units, "USD"); !errors.Is(err, money.ErrRange) || a != 0 {
			t.Errorf("%v is %d, %v", units, a, err)
		}
	}
	if a, err := money.FromUnits(1e13, "USD"); err != nil || a != money.Max {
		t.Errorf("the largest is %d, %v", a, err)
	}
}

func TestAnAmountWithTooManyDecimalsIsRefused(t *testing.T) {
	t.Parallel()
	for units, want := range map[float64]error{
		100.01: nil, 0: nil, 0.1 + 0.2: nil, 123_456_789.99: nil, 100.009: money.ErrDecimals, 0.001: money.ErrDecimals, -2.345: money.ErrDecimals,
	} {
		if _, err := money.Exact(units, "USD"); !errors.Is(err, want) {
			t.Errorf("%v USD: %v, want %v", units, err, want)
		}
	}
	if _, err := money.Exact(1.5, "JPY"); !errors.Is(err, money.ErrDecimals) {
		t.Errorf("1.5 JPY: %v", err)
	}
	rapid.Check(t, func(t *rapid.T) {
		a := money.Amount(rapid.Int64Range(-int64(money.Max), int64(money.Max)).Draw(t, "minor"))
		c := rapid.SampledFrom(currencies).Draw(t, "currency")
		if back, err := money.Exact(a.Units(c), c); err != nil || back != a {
			t.Fatalf("%d %s came back as %d, %v", a, c, back, err)
		}
	})
}

func TestAnAmountIsWrittenForPeople(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a    money.Amount
		c    money.Currency
		want string
	}{
		{123450, "USD", "1,234.50 USD"},
		{0, "USD", "0.00 USD"},
		{-5, "USD", "-0.05 USD"},
		{-123456789, "USD", "-1,234,567.89 USD"},
		{99999, "USD", "999.99 USD"},
		{100000, "USD", "1,000.00 USD"},
		{1234567, "JPY", "1,234,567 JPY"},
		{999, "JPY", "999 JPY"},
		{1234567, "KWD", "1,234.567 KWD"},
		{int64max, "USD", "10,000,000,000,000.00 USD"},
	} {
		if got := c.a.Format(c.c); got != c.want {
			t.Errorf("%d is written %q, want %q", c.a, got, c.want)
		}
	}
}

const int64max = money.Max

func TestACurrencyIsThreeCapitals(t *testing.T) {
	t.Parallel()
	for code, want := range map[money.Currency]bool{"USD": true, "XXX": true, "usd": false, "US": false, "USDT": false, "": false, "U$D": false, "ÜSD": false} {
		if code.Valid() != want {
			t.Errorf("%q: %v", code, !want)
		}
	}
}

func TestTheDatabaseHasTheSameDecimals(t *testing.T) {
	t.Parallel()
	admin := pgtest.New(t).Admin(t)
	rows, err := admin.Query(t.Context(), `
		SELECT code, gv.decimals(code) FROM (
			SELECT chr(65 + a) || chr(65 + b) || chr(65 + c) AS code
			FROM generate_series(0, 25) a, generate_series(0, 25) b, generate_series(0, 25) c) AS codes`)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for rows.Next() {
		var code string
		var decimals int
		if err := rows.Scan(&code, &decimals); err != nil {
			t.Fatal(err)
		}
		if got := money.Currency(code).Decimals(); got != decimals {
			t.Errorf("%s has %d decimals here and %d in the database", code, got, decimals)
		}
		n++
	}
	if n != 26*26*26 {
		t.Errorf("compared %d codes, %v", n, rows.Err())
	}
}

func TestACurrencyThatNobodyUsesIsNotKnown(t *testing.T) {
	t.Parallel()
	for code, want := range map[money.Currency]bool{"USD": true, "JPY": true, "KWD": true, "XCG": true, "AAA": false, "XXX": false, "usd": false, "D A": false, "": false, "ED AFN": false} {
		if code.Known() != want {
			t.Errorf("%q: %v", code, !want)
		}
	}
}
