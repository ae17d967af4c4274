package sync

import (
	"time"

	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/meta"
)

// campaignRows, adSetRows, adRows and dayRows are what is stored of what Meta says.
func campaignRows(all []meta.Campaign) []ads.PlatformCampaign {
	rows := make([]ads.PlatformCampaign, len(all))
	for i, c := range all {
		rows[i] = ads.PlatformCampaign{
			ID: c.ID, Name: c.Name, Status: status(c.Status, c.Effective), Budget: c.DailyBudget, Created: known(c.CreatedAt),
			Lifetime: c.LifetimeBudget != nil,
		}
	}
	return rows
}

func adSetRows(all []meta.AdSet) []ads.PlatformAdSet {
	rows := make([]ads.PlatformAdSet, len(all))
	for i, s := range all {
		rows[i] = ads.PlatformAdSet{
			ID: s.ID, Campaign: s.CampaignID, Name: s.Name, Status: status(s.Status, s.Effective), Budget: s.DailyBudget,
			Learning: s.Learning, Lifetime: s.LifetimeBudget != nil,
		}
	}
	return rows
}

// adRows gives an ad the budget that own has for it.
func adRows(all []meta.Ad, own map[string]int64) []ads.PlatformAd {
	rows := make([]ads.PlatformAd, len(all))
	for i, ad := range all {
		rows[i] = ads.PlatformAd{
			ID: ad.ID, AdSet: ad.AdSetID, Campaign: ad.CampaignID, Name: ad.Name, Status: status(ad.Status, ad.Effective),
			Created: known(ad.CreatedAt), DNA: creative(ad),
		}
		if budget, ok := own[ad.ID]; ok {
			rows[i].Budget = &budget
		}
	}
	return rows
}

func dayRows(all []meta.Insight) []ads.Day {
	rows := make([]ads.Day, len(all))
	for i, d := range all {
		rows[i] = ads.Day{
			AdID: d.AdID, Day: d.Day, Impressions: d.Impressions, Clicks: d.Clicks, Spend: int64(d.Spend), Frequency: d.Frequency, Reach: d.Reach,
			Conversions: d.Conversions, Value: int64(d.Value),
		}
	}
	return rows
}

// known is nil for a time that Meta did not say.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
