package sampler

import (
	"math"

	"github.com/geminivideo/geminivideo/shared/money"
)

// aHundredDollars is about what a hundred US dollars are in a currency, to one digit,
// where it is not near a hundred units: a test that proves something in dollars
// proves nothing with as many yen.
var aHundredDollars = map[money.Currency]float64{
	"AED": 400, "ARS": 100_000, "BDT": 10_000, "BHD": 40, "BRL": 500, "CLP": 100_000, "CNY": 700, "COP": 400_000, "CRC": 50_000,
	"CZK": 2_000, "DKK": 700, "DZD": 10_000, "EGP": 5_000, "GTQ": 800, "HKD": 800, "HNL": 3_000, "HUF": 40_000, "IDR": 2_000_000,
	"ILS": 400, "INR": 8_000, "ISK": 10_000, "JPY": 15_000, "KES": 10_000, "KRW": 150_000, "KWD": 30, "MAD": 1_000, "MXN": 2_000,
	"MYR": 400, "NGN": 150_000, "NIO": 4_000, "NOK": 1_000, "OMR": 40, "PEN": 400, "PHP": 6_000, "PKR": 30_000, "PLN": 400,
	"PYG": 800_000, "QAR": 400, "RON": 500, "RSD": 10_000, "RUB": 8_000, "SAR": 400, "SEK": 1_000, "THB": 3_000, "TRY": 4_000,
	"TWD": 3_000, "UAH": 4_000, "UYU": 4_000, "VND": 3_000_000, "ZAR": 2_000, "JOD": 70, "TND": 300,
}

// hundredDollars is about a hundred US dollars in minor units of c.
func hundredDollars(c money.Currency) money.Amount {
	units := 100.0
	if n, ok := aHundredDollars[c]; ok {
		units = n
	}
	return unit(c, units)
}

// unit returns n units of c in minor units.
func unit(c money.Currency, n float64) money.Amount {
	return money.Amount(math.Round(n * math.Pow10(c.Decimals())))
}
