// Package accounts holds a tenant's ad accounts: the currency and time zone of
// their figures, how they are judged, and how much the executor may change by
// itself. It is the only writer of gv.accounts.
package accounts

import (
	"encoding/json"
	"time"

	"github.com/geminivideo/geminivideo/shared/money"
)

// Account is an ad account of the tenant.
type Account struct {
	ID       string
	Name     string
	Currency money.Currency
	TimeZone string // an IANA name
	Niche    string
	Mode     string // a changes.Mode
	Paused   bool

	// ConversionValue is the worth of a conversion without a value; nil is 0.
	ConversionValue *money.Amount
	// BreakEven and Margin are two ways to say one thing; at most one is set.
	BreakEven *float64
	Margin    *float64
	// AttributionModel is last, first or position.
	AttributionModel   string
	ClickRetentionDays int
	// LeadProperty is the CRM's contact property with a Meta lead's id, or "".
	LeadProperty string
	WriteBack    bool
	// Settings are the thresholds of Settings that the tenant set.
	Settings map[string]json.RawMessage

	CreatedAt time.Time
	Connected bool // to Meta
	NumAds    int
}

// The attribution models.
const (
	LastClick  = "last"
	FirstClick = "first"
	ByPosition = "position"
)

// Bounds and default of an account's click retention.
const (
	MinClickRetention     = 8
	MaxClickRetention     = 400
	DefaultClickRetention = 90
)

// New returns an account with the settings of a new one.
func New(id string, currency money.Currency) Account {
	return Account{
		ID: id, Name: id, Currency: currency, TimeZone: "Etc/UTC", Mode: "dry_run",
		AttributionModel: LastClick, ClickRetentionDays: DefaultClickRetention,
	}
}

// BreakEvenROAS is the pipeline ROAS at which a sale pays for its ad: 1 unless
// the tenant set break_even or margin.
func (a Account) BreakEvenROAS() float64 {
	switch {
	case a.BreakEven != nil:
		return *a.BreakEven
	case a.Margin != nil:
		return 1 / *a.Margin
	}
	return 1
}

// Threshold returns the value of the setting called name, and false where the
// tenant has not set it.
func (a Account) Threshold(name string) (value float64, set bool) {
	raw, ok := a.Settings[name]
	return value, ok && json.Unmarshal(raw, &value) == nil
}

// Setting is a threshold of an account that a tenant may change.
type Setting struct {
	Name     string
	Min, Max float64
	Meaning  string
}

// Settings lists the thresholds by name. The schema holds only those that were set.
var Settings = []Setting{
	{"cross_learning", 0, 1, "1 lets the account give what its creative patterns do, never its texts or totals, to the prior of its niche, and take from it; 0, or not set, does neither"},
	{"gemini_daily_cap_usd", 0, 1e6, "USD that your organisation may spend on Gemini in a day (UTC), where that is less than the system allows; the lowest of its accounts' counts"},
	{"verdict_spend", 0, 1e9, "units of the account's currency spent before an ad is judged; the sampler's own where it is not set"},
	{"winner_roas", 0, 1000, "pipeline ROAS above which an ad is a winner; 3 where it is not set"},
	{"winner_spend", 0, 1e9, "units of the account's currency spent before an ad can be a winner; 50 where it is not set"},
}
