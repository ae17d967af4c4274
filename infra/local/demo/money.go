package demo

import "github.com/geminivideo/geminivideo/shared/money"

// minor is an answer's money as the whole minor units that it stands for.
func minor(units float64, t Tenant) int64 {
	a, _ := money.FromUnits(units, money.Currency(t.Currency))
	return int64(a)
}

func units(minor int64, t Tenant) float64 {
	return money.Amount(minor).Units(money.Currency(t.Currency))
}

// say is money for people.
func say(units float64, t Tenant) string {
	return money.Amount(minor(units, t)).Format(money.Currency(t.Currency))
}
