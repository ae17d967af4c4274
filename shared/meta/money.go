package meta

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/money"
)

// whole are the currencies whose budgets Meta counts in whole units. Five of them
// have two decimals by ISO 4217, and so in shared/money; all others Meta counts
// in hundredths.
var whole = map[money.Currency]bool{
	"CLP": true, "COP": true, "CRC": true, "HUF": true, "IDR": true, "ISK": true,
	"JPY": true, "KRW": true, "PYG": true, "TWD": true, "VND": true,
}

// noCap is what Meta takes for "no spend cap".
const noCap = 922337203685478

// shift is how many decimals our minor unit has beyond Meta's; it may be negative.
func shift(c money.Currency) int {
	if whole[c] {
		return c.Decimals()
	}
	return c.Decimals() - 2
}

// Step is the smallest difference between two budgets that Meta can tell apart,
// in minor units: 1 for most currencies, 100 for HUF. A budget must be a multiple.
func Step(c money.Currency) int64 {
	step := int64(1)
	for range shift(c) {
		step *= 10
	}
	return step
}

// toMeta converts minor units to Meta's, exactly or not at all.
func toMeta(minor int64, c money.Currency) (int64, error) {
	if minor < 0 || minor > int64(money.Max) {
		return 0, fault.Invalidf("the amount must be between 0 and %d minor units", int64(money.Max))
	}
	step := Step(c)
	if minor%step != 0 {
		return 0, fault.Invalidf("Meta takes %s in steps of %d minor units", c, step)
	}
	minor /= step
	for range -shift(c) {
		minor *= 10
	}
	return minor, nil
}

// fromMeta converts Meta's minor units to ours, exactly or not at all.
func fromMeta(n int64, c money.Currency) (int64, error) {
	for range shift(c) {
		if n > int64(money.Max)/10 {
			return 0, errors.New("is more than can be counted")
		}
		n *= 10
	}
	for range -shift(c) {
		if n%10 != 0 {
			return 0, fmt.Errorf("is no whole number of %s", c)
		}
		n /= 10
	}
	if n < 0 || n > int64(money.Max) {
		return 0, errors.New("is out of range")
	}
	return n, nil
}

// set converts a budget of Meta's into to; one that is missing or 0 is nil, and so
// is a cap that says that there is none.
func set(to **int64, n number, c money.Currency) error {
	if !n.set() {
		return nil
	}
	v, err := strconv.ParseInt(string(n), 10, 64)
	if err != nil {
		return errors.New("a budget is no whole number")
	}
	if v == noCap {
		return nil
	}
	minor, err := fromMeta(v, c)
	if err != nil {
		return fmt.Errorf("a budget %w", err)
	}
	*to = &minor
	return nil
}

func errorsIn(what string, errs ...error) error {
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	return nil
}
