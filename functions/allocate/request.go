package allocate

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/danielgtaylor/huma/v2"
)

type selectInput struct{ Body selectBody }

type selectBody struct {
	AdStates    []adState        `json:"ad_states" minItems:"1" maxItems:"10000" nullable:"false" doc:"The ads among which the budget is split, each as it stands now."`
	TotalBudget float64          `json:"total_budget" minimum:"0" doc:"Budget of one day, in units of the account's currency."`
	Scores      map[string]score `json:"creative_dna_scores,omitempty" nullable:"true" doc:"By ad id: how good its creative is thought to be. A mild prior."`
	AccountID   *string          `json:"account_id,omitempty" nullable:"true" minLength:"1" maxLength:"256" doc:"Gives currency and thresholds. Left out: the only account, or that of the ads."`
	Seed        *whole           `json:"seed,omitempty" nullable:"true" doc:"Makes the answer repeatable. Drawn and returned where it is left out."`
	Unspent     bool             `json:"allow_unspent,omitempty" doc:"Leaves money in unallocated_budget that would return less than the account's break-even."`
}

type adState struct {
	AdID          string   `json:"ad_id" minLength:"1" maxLength:"256"`
	Impressions   whole    `json:"impressions" doc:"Total to date."`
	Clicks        whole    `json:"clicks" doc:"Total to date."`
	Spend         float64  `json:"spend" minimum:"0" doc:"Total to date, in units of the currency."`
	PipelineValue *float64 `json:"pipeline_value,omitempty" nullable:"true" minimum:"0" doc:"Present value of the ad's deals, won ones included. Left out: what the ledger says of a stored ad, else unknown, which is not 0."`
	CashRevenue   *float64 `json:"cash_revenue,omitempty" nullable:"true" minimum:"0" doc:"The won part of pipeline_value; never added to it. Left out: unknown."`
	Deals         *whole   `json:"deals,omitempty" nullable:"true" doc:"How many deals pipeline_value is made of, won ones included. Left out: the ledger's count of a stored ad, else estimated."`
	WonDeals      *whole   `json:"won_deals,omitempty" nullable:"true" doc:"How many of the deals are won."`
	AgeHours      float64  `json:"age_hours" minimum:"0" maximum:"1000000" doc:"How long the ad has lived."`
	CurrentBudget *float64 `json:"current_budget,omitempty" nullable:"true" minimum:"0" doc:"Today's daily budget; above 0 it limits a change to 50%. Left out: that of a stored ad."`
	MinBudget     *float64 `json:"min_budget,omitempty" nullable:"true" minimum:"0"`
	MaxBudget     *float64 `json:"max_budget,omitempty" nullable:"true" minimum:"0"`
	Excluded      bool     `json:"excluded,omitempty" doc:"The ad takes no part in the split: where its budget is known, it keeps that, and the total for the others is less by it; otherwise it gets nothing."`
}

// whole is a number without decimals that JSON, JavaScript and float64 all hold
// exactly; 4.0 is one too.
type whole float64

const maxWhole = 1<<53 - 1

// Schema describes a whole number in the OpenAPI document.
func (whole) Schema(huma.Registry) *huma.Schema {
	low, high := 0.0, float64(maxWhole)
	return &huma.Schema{Type: huma.TypeInteger, Format: "int64", Minimum: &low, Maximum: &high}
}

// score is a number from 0 to 1.
type score float64

// Schema is the rule of a score.
func (score) Schema(huma.Registry) *huma.Schema {
	low, high := 0.0, 1.0
	return &huma.Schema{Type: huma.TypeNumber, Format: "double", Minimum: &low, Maximum: &high}
}

// Resolve checks what the types cannot say.
func (in *selectInput) Resolve(huma.Context) []error {
	var broken []error
	refuse := func(i int, field, rule string) {
		broken = append(broken, &huma.ErrorDetail{Location: fmt.Sprintf("body.ad_states[%d].%s", i, field), Message: rule})
	}
	if in.Body.AccountID != nil && !printable(*in.Body.AccountID) {
		broken = append(broken, &huma.ErrorDetail{Location: "body.account_id", Message: printableRule})
	}
	first := make(map[string]int, len(in.Body.AdStates))
	for i := range in.Body.AdStates {
		ad := &in.Body.AdStates[i]
		if ad.AdID != "" && !printable(ad.AdID) {
			refuse(i, "ad_id", printableRule)
		} else if j, twice := first[ad.AdID]; twice && ad.AdID != "" {
			refuse(i, "ad_id", fmt.Sprintf("must not appear twice; it is also that of ad_states[%d]", j))
		} else {
			first[ad.AdID] = i
		}
		if ad.Clicks > ad.Impressions {
			refuse(i, "clicks", "must not be above impressions")
		}
		if ad.Deals != nil && ad.WonDeals != nil && *ad.WonDeals > *ad.Deals {
			refuse(i, "won_deals", "must not be above deals")
		}
		if ad.MinBudget != nil && ad.MaxBudget != nil && *ad.MinBudget > *ad.MaxBudget {
			refuse(i, "min_budget", "must not be above max_budget")
		}
	}
	return broken
}

const printableRule = "must hold something other than spaces, and no control characters"

// printable reports whether an id says anything and the database can hold it.
func printable(id string) bool {
	return strings.TrimSpace(id) != "" && !strings.ContainsFunc(id, unicode.IsControl)
}
