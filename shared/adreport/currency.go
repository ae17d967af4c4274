package adreport

import (
	"slices"
	"strings"

	"github.com/geminivideo/geminivideo/shared/money"
)

// codes are the currencies that ad platforms bill in, and some more.
var codes = strings.Fields(`AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP
	BYN BZD CAD CDF CHF CLF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF
	GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KRW KWD KYD KZT LAK LBP LKR LRD LSL
	LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG
	QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS
	UAH UGX USD UYI UYU UYW UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW`)

func known(c money.Currency) bool { return slices.Contains(codes, string(c)) }

// signs are what stands before or after an amount, and the currencies that each
// may mean; a lone $ is any dollar or peso.
var signs = map[string]string{
	"$":   "USD CAD AUD NZD SGD HKD TWD MXN ARS CLP COP UYU BBD BMD BND BSD BZD FJD GYD JMD KYD LRD NAD SBD SRD TTD XCD DOP CUP",
	"us$": "USD", "u$s": "USD", "ca$": "CAD", "c$": "CAD NIO", "a$": "AUD", "au$": "AUD", "nz$": "NZD", "s$": "SGD", "hk$": "HKD",
	"nt$": "TWD", "mx$": "MXN", "r$": "BRL", "€": "EUR", "£": "GBP EGP GIP FKP SHP LBP SYP SDG SSP", "¥": "JPY CNY", "cn¥": "CNY",
	"jp¥": "JPY", "円": "JPY", "元": "CNY", "₹": "INR", "rs": "INR PKR LKR NPR MUR SCR", "rs.": "INR PKR LKR NPR MUR SCR",
	"₩": "KRW", "₽": "RUB", "руб": "RUB", "руб.": "RUB", "₺": "TRY", "₫": "VND", "đ": "VND", "₪": "ILS", "฿": "THB", "₱": "PHP CUP",
	"zł": "PLN", "kr": "SEK NOK DKK ISK", "kr.": "DKK ISK SEK NOK", "kč": "CZK", "ft": "HUF", "rp": "IDR", "rm": "MYR", "r": "ZAR",
	"₦": "NGN", "₴": "UAH", "₡": "CRC", "₲": "PYG", "s/": "PEN", "s/.": "PEN", "q": "GTQ", "l": "HNL", "lei": "RON MDL", "лв": "BGN",
	"лв.": "BGN", "₸": "KZT", "৳": "BDT", "₵": "GHS", "gh₵": "GHS", "ksh": "KES", "tsh": "TZS", "ush": "UGX", "fr": "CHF", "fr.": "CHF",
	"sfr": "CHF", "fcfa": "XOF XAF", "cfa": "XOF XAF",
}

// meant returns the currencies that a sign or code may mean, none where it is
// neither.
func meant(sign string) []string {
	if c := strings.ToUpper(sign); slices.Contains(codes, c) {
		return []string{c}
	}
	return strings.Fields(signs[strings.ToLower(sign)])
}
