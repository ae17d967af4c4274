package meta_test

import (
	"testing"

	"github.com/geminivideo/geminivideo/infra/testkit/conformance"
	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
)

func TestMetaIsAnAdPlatform(t *testing.T) {
	t.Parallel()
	conformance.AdPlatforms(t, func(t *testing.T) conformance.AdAccount {
		w := newWorld(t, nil)
		other := w.fake.Connect(fakemeta.AccountConfig{ID: "act_78", Tokens: []string{"another"}})
		theirs := other.PutAdSet(fakemeta.AdSet{CampaignID: other.PutCampaign(fakemeta.Campaign{}), DailyBudget: 5000})
		return conformance.AdAccount{Platform: w.account, AdSet: "adset/" + w.adset, Ad: "ad/" + w.ad, Foreign: "adset/" + theirs}
	})
}
