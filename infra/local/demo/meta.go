package demo

import (
	"context"
	"fmt"
	"strings"

	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
)

// fillMeta gives the ad account at Meta what the import says that it has: the
// campaigns, and each ad in an ad set of its own that holds its budget. The days
// come by the import; Meta tells of those only that somebody puts there.
func (s *seeder) fillMeta(context.Context) error {
	account := s.sys.Meta.Account(s.tenant.AccountID)
	if account == nil {
		return fmt.Errorf("ad account %s is not connected to the fake Meta", s.tenant.AccountID)
	}
	for _, c := range s.world.Campaigns {
		account.PutCampaign(fakemeta.Campaign{ID: c.ID, Name: c.Name})
	}
	for _, ad := range s.world.Ads {
		status, created := "ACTIVE", ad.Days[0].Date
		if !ad.Active {
			status = "PAUSED"
		}
		// Both tenants' currencies are counted in hundredths by Meta, as they are here.
		account.PutAdSet(fakemeta.AdSet{
			ID: ad.AdsetID, CampaignID: ad.CampaignID, Name: ad.Name, DailyBudget: int64(ad.DailyBudget), Created: created,
		})
		account.PutAd(fakemeta.Ad{
			ID: ad.ID, AdSetID: ad.AdsetID, Name: ad.Name, Status: status, Created: created,
			Title: ad.DNA.HookText, Body: ad.DNA.HookText, CallToAction: strings.ToUpper(ad.DNA.CTAType),
		})
	}
	return s.sys.Meta.Save()
}
