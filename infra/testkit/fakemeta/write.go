package fakemeta

import (
	"net/http"
	"strconv"
	"time"
)

// Refusals of writes, by Meta's subcodes.
const (
	subcodeBudgetLimit    = 1487632 // four changes an hour
	subcodeCampaignBudget = 1885621 // the campaign holds the budget
	subcodeTooLow         = 1885272
)

// check says what a field is, and refuses a value that Meta would. f.mu is held.
func (f *Fake) check(kind, id, field, value string, now time.Time) (before string, status int, body any) {
	deny := func(code, subcode int, message string) (string, int, any) {
		status, body := no(code, subcode, message)
		return before, status, body
	}
	held := f.held(kind, id, field)
	if held == nil {
		return deny(100, 0, "(#100) Param "+field+" is not one of this object's")
	}
	before = held()
	if field == "status" {
		if value != "ACTIVE" && value != "PAUSED" && value != "ARCHIVED" && value != "DELETED" {
			return deny(100, 0, "(#100) Param status must be one of {ACTIVE, PAUSED, DELETED, ARCHIVED}")
		}
		if before == "DELETED" {
			return deny(100, 1487056, "A deleted object can't be changed")
		}
		return before, http.StatusOK, nil
	}
	amount, err := strconv.ParseInt(value, 10, 64)
	if err != nil || amount < 0 {
		return deny(100, 0, "(#100) Param "+field+" must be an integer")
	}
	limits := field != "daily_budget"
	switch kind {
	case "adset":
		s := f.state.AdSets[id]
		c := f.state.Campaigns[s.CampaignID]
		holds := c != nil && (c.DailyBudget > 0 || c.LifetimeBudget > 0)
		switch {
		case holds && !limits:
			return deny(100, subcodeCampaignBudget, "You can only set an ad set budget or a campaign budget.")
		case !holds && limits:
			return deny(100, subcodeCampaignBudget, "Spend limits need a campaign budget.")
		case !limits && len(within(s.Changes, now, time.Hour)) >= f.opts.BudgetChanges:
			return deny(613, subcodeBudgetLimit, "(#613) You can only change your ad set budget 4 times per hour.")
		}
	case "campaign":
		if f.state.Campaigns[id].DailyBudget == 0 {
			return deny(100, subcodeCampaignBudget, "This campaign's ad sets hold the budget.")
		}
	}
	if !limits && amount < 1 {
		return deny(100, subcodeTooLow, "Your budget is too low.")
	}
	return before, http.StatusOK, nil
}

// held reads a field that may be written; nil for any other.
func (f *Fake) held(kind, id, field string) func() string {
	text := func(n int64) func() string { return func() string { return strconv.FormatInt(n, 10) } }
	switch kind + " " + field {
	case "campaign status":
		return func() string { return f.state.Campaigns[id].Status }
	case "adset status":
		return func() string { return f.state.AdSets[id].Status }
	case "ad status":
		return func() string { return f.state.Ads[id].Status }
	case "campaign daily_budget":
		return text(f.state.Campaigns[id].DailyBudget)
	case "adset daily_budget":
		return text(f.state.AdSets[id].DailyBudget)
	case "adset daily_min_spend_target":
		return text(f.state.AdSets[id].MinSpend)
	case "adset daily_spend_cap":
		return text(f.state.AdSets[id].SpendCap)
	}
	return nil
}

// noCap is what Meta takes for "no spend cap".
const noCap = "922337203685478"

func (f *Fake) apply(kind, id, field, value string, now time.Time) {
	amount, _ := strconv.ParseInt(value, 10, 64)
	switch kind + " " + field {
	case "campaign status":
		f.state.Campaigns[id].Status = value
	case "adset status":
		f.state.AdSets[id].Status = value
	case "ad status":
		f.state.Ads[id].Status = value
	case "campaign daily_budget":
		f.state.Campaigns[id].DailyBudget = amount
	case "adset daily_budget":
		s := f.state.AdSets[id]
		if s.DailyBudget != amount { // to set what is set already is no change
			s.Changes = append(within(s.Changes, now, time.Hour), now)
		}
		s.DailyBudget = amount
	case "adset daily_min_spend_target":
		f.state.AdSets[id].MinSpend = amount
	case "adset daily_spend_cap":
		if value == noCap {
			amount = 0
		}
		f.state.AdSets[id].SpendCap = amount
	}
}
