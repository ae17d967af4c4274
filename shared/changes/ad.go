package changes

import (
	"fmt"

	"github.com/geminivideo/geminivideo/shared/money"
)

// Ad is an ad as the rules see it. Amounts are minor units.
type Ad struct {
	AdID, AccountID, CampaignID string
	// AdsetID is "" where it is not known which ad set the ad is in.
	AdsetID string
	// Name and AdsetName are "" where nobody named them.
	Name, AdsetName string
	Status          string
	// DailyBudget is the ad's own part of its ad set's budget; nil where not known.
	DailyBudget *int64
	// AdsetBudget is the whole ad set's, as the last sync found it.
	AdsetBudget *int64
	// CampaignBudget says that the campaign holds the money, LifetimeBudget that the
	// ad set or the campaign has a lifetime budget.
	CampaignBudget bool
	LifetimeBudget bool
	// Connected says that the account is synced from Meta: then what is known of an
	// object is newer than what an imported report says of the ad.
	Connected bool
	// SpendPerDay is the mean of its last days; nil where it has none.
	SpendPerDay *int64
	Currency    money.Currency
	// Grain is the smallest difference between two budgets that the platform knows.
	Grain int64
	Mode  Mode
}

func (a *Ad) gone() bool { return a.Status == "ARCHIVED" || a.Status == "DELETED" }

func (a *Ad) adset() string  { return "adset/" + a.AdsetID }
func (a *Ad) object() string { return "ad/" + a.AdID }

// Check reports what a caller's code got wrong in its intents; what people get
// wrong is an answed.
func Check(intents []Intent) error {
	keys := make(map[string]bool, len(intents))
	for i, in := range intents {
		wants := 0
		for _, set := range []bool{in.Target != nil, in.Cut != 0, in.Status != ""} {
			if set {
				wants++
			}
		}
		switch {
		case in.Key == "" || keys[in.Key]:
			return fmt.Errorf("intent %d: the key %q is empty or used twice", i, in.Key)
		case wants != 1:
			return fmt.Errorf("intent %s: asks for %d things, not one", in.Key, wants)
		case in.Target != nil && *in.Target < 0, in.Cut < 0 || in.Cut > 1:
			return fmt.Errorf("intent %s: its amount is out of range", in.Key)
		case in.Status != "" && in.Status != active && in.Status != paused:
			return fmt.Errorf("intent %s: there is no status %q", in.Key, in.Status)
		}
		keys[in.Key] = true
	}
	return nil
}

// ObjectsOf lists the objects that the intents may change: their ads, and the ad
// sets of these, with their accounts and campaigns.
func ObjectsOf(ads []Ad, intents []Intent) (names, accounts, campaigns []string) {
	asked := make(map[string]bool, len(intents))
	for _, in := range intents {
		asked[in.AdID] = true
	}
	seen := map[string]bool{}
	add := func(name string, a *Ad) {
		if !seen[name] {
			seen[name] = true
			names, accounts, campaigns = append(names, name), append(accounts, a.AccountID), append(campaigns, a.CampaignID)
		}
	}
	for i := range ads {
		if a := &ads[i]; asked[a.AdID] {
			add(a.object(), a)
			if a.AdsetID != "" {
				add(a.adset(), a)
			}
		}
	}
	return names, accounts, campaigns
}
