package sampler

import (
	"math"

	"github.com/geminivideo/geminivideo/shared/money"
)

// Request is everything that a split is decided from. Allocate reads no clock
// and no store: the same Request gives the same Split, byte for byte.
type Request struct {
	// Currency is the account's; every amount below is in its minor units.
	Currency money.Currency
	// Total is the budget of one day to be divided.
	Total money.Amount
	// Seed keys every random stream, together with the ad's id.
	Seed uint64
	// Arms are the ads, in the order in which they are answered. Their ids differ.
	Arms []Arm
	// Account is what is known of the account besides these ads.
	Account Account
	// AllowUnspent leaves money unallocated that would return less than the
	// account's break-even.
	AllowUnspent bool `json:",omitempty"`
	// Settings are the thresholds; a zero field takes its default.
	Settings Settings
}

// Arm is one ad with its totals to date.
type Arm struct {
	ID string
	// Impressions and Clicks are totals to date.
	Impressions, Clicks int64
	// Spend is the money spent to date.
	Spend money.Amount
	// Pipeline is the present value of the ad's deals, won ones included.
	// PipelineUnknown says that nobody knows it; Pipeline is then 0 and means nothing.
	Pipeline        money.Amount
	PipelineUnknown bool `json:",omitempty"`
	// Cash is the won part of Pipeline; nil where it is not known.
	Cash *money.Amount `json:",omitempty"`
	// Deals is how many deals Pipeline is made of, WonDeals how many of them are
	// won; nil where it is not known.
	Deals, WonDeals *int64 `json:",omitempty"`
	// AgeHours is how long the ad has lived.
	AgeHours float64
	// Current is the daily budget of today. Where CurrentKnown is false it is an
	// estimate, which is shown and limits nothing (0: EstimateCurrent fills it).
	Current      money.Amount
	CurrentKnown bool
	// Min and Max are the caller's floor and ceiling; Max nil means none.
	Min money.Amount  `json:",omitempty"`
	Max *money.Amount `json:",omitempty"`
	// Excluded ads take no part: one with a known Current keeps it, and the
	// others share what is left; one without gets nothing.
	Excluded bool `json:",omitempty"`
	// DNA is the creative's score from 0 to 1, nil where there is none.
	DNA *float64 `json:",omitempty"`
	// Attribution is the mean confidence, 0 to 1, with which the ad's deals are
	// its own; 0 means unknown and counts as 1.
	Attribution float64 `json:",omitempty"`
	// Days are stored daily metrics, oldest first; they need not reach back to
	// the first day.
	Days []Day `json:",omitempty"`
	// Past are the ad's totals as earlier requests and feedback reported them,
	// oldest first.
	Past []Observation `json:",omitempty"`
}

// Day is one stored day of an ad's delivery.
type Day struct {
	// AgeHours is the ad's age at the end of that day.
	AgeHours            float64
	Impressions, Clicks int64
	Spend               money.Amount
}

// Observation is an ad's totals at an earlier age. Ages, not times of arrival,
// place it: a caller may replay two months of days within a minute.
type Observation struct {
	AgeHours            float64
	Impressions, Clicks int64
	Spend               money.Amount
	// The value and the counts are as in Arm.
	Pipeline        money.Amount
	PipelineUnknown bool          `json:",omitempty"`
	Cash            *money.Amount `json:",omitempty"`
	Deals, WonDeals *int64        `json:",omitempty"`
}

// Account is knowledge of the account that no single ad holds.
type Account struct {
	// Deals are the account's own deals, won, lost and open, for the delay
	// curve. A few hundred recent ones are enough.
	Deals []Deal
	// DealValue is what a typical won deal brings; 0 means unknown.
	DealValue money.Amount
	// Attributed is the share of the account's deals that an ad could be found for,
	// where ads may have brought the others too; 0 means unknown and counts as 1.
	Attributed float64 `json:",omitempty"`
}

// Deal is the life of one deal, in hours since the click that it came from (or
// since its creation, where the click is unknown).
type Deal struct {
	// Ad is the id of the ad that the deal is credited to; empty where it is not known.
	Ad string `json:",omitempty"`
	// Steps are the changes of its value, oldest first.
	Steps []Step
	// Observed is how many hours of it have been seen up to now.
	Observed float64
	// Won and Lost say how it ended; both false while it is open.
	Won, Lost bool
}

// Step is a change of a deal's value.
type Step struct {
	Hours float64
	Value money.Amount
}

// TypicalDeal returns what the won among deals brought on average, or 0: fewer
// than three say little of what is typical.
func TypicalDeal(deals []Deal) money.Amount {
	var won, sum float64
	for _, d := range deals {
		if n := len(d.Steps); d.Won && n > 0 {
			won++
			sum += float64(d.Steps[n-1].Value)
		}
	}
	if won < 3 {
		return 0
	}
	return money.Amount(math.Round(sum / won))
}

// Settings are the thresholds of the verdicts and the effort.
type Settings struct {
	// TestSpend is the money without which there is no verdict; a kill needs twice
	// as much. Default: about a hundred US dollars in the account's currency.
	TestSpend money.Amount
	// BreakEven and Target are returns (value per unit of money): an ad is a kill
	// when it is very probably under the first, a scale when it is probably over the
	// second. Defaults: 1, and three times the break-even.
	BreakEven, Target float64
	// Draws is the number of posterior draws, rounded up to a power of two; by
	// default it falls from 1024 to 64 as the ads grow in number.
	Draws int
	// Workers bounds the goroutines; it never changes the answer. Default GOMAXPROCS.
	Workers int
}
