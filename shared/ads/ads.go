// Package ads knows campaigns and ads: what they are, how they did, and which of
// them are winners. Reports are loaded into it, and all that changes an ad's
// figures recomputes them here.
package ads

import (
	"time"

	"github.com/geminivideo/geminivideo/shared/money"
)

// Account is an ad account.
type Account struct {
	AccountID string
	Currency  money.Currency
	// ConversionValue is the account's worth of a conversion without a value.
	ConversionValue *money.Amount
}

// Campaign is a campaign with the totals of its ads.
type Campaign struct {
	CampaignID  string
	Name        string
	AccountID   string
	Currency    money.Currency
	Status      string
	TotalBudget money.Amount // per day
	NumAds      int64
	Impressions int64
	Clicks      int64
	Spend       money.Amount
	Pipeline    money.Amount
	Revenue     money.Amount
}

// Ad is an ad with its totals.
type Ad struct {
	AdID          string
	Name          string
	CampaignID    string
	Currency      money.Currency
	Status        string
	DailyBudget   *money.Amount // nil where nobody said
	Impressions   int64
	Clicks        int64
	Spend         money.Amount
	Pipeline      money.Amount
	Revenue       money.Amount
	CreatedAt     time.Time
	FatigueStatus string
}

// Page is a part of a list in the order of ids: up to Limit of what comes after After.
type Page struct {
	After string
	Limit int
}
