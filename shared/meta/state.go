package meta

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/money"
)

// State is what Meta says of one object now.
type State struct {
	Object     string // as it was asked for: adset/ID, campaign/ID or ad/ID
	CampaignID string
	AdSetID    string // of an ad
	Name       string
	// Status is what the object was set to: ACTIVE, PAUSED, ARCHIVED or DELETED.
	// Effective is what it comes to, such as CAMPAIGN_PAUSED or PENDING_REVIEW.
	Status, Effective string
	Currency          money.Currency
	// Budgets and targets are in minor units; nil where the object has none.
	DailyBudget, LifetimeBudget *int64
	MinSpend, SpendCap          *int64
	// CampaignBudget says that the campaign holds the money: an ad set of it has no
	// budget that can be set.
	CampaignBudget bool
	// ActiveAds of an ad set are those set to ACTIVE, Ads all but archived and
	// deleted ones.
	ActiveAds, Ads int
	Learning       bool   // an ad set in its learning phase
	Trace          string // of the answer, for Meta's support
}

var objectForm = regexp.MustCompile(`^(adset|campaign|ad)/([0-9]{1,32})$`)

// object is an object's kind and id.
func object(name string) (kind, id string, err error) {
	m := objectForm.FindStringSubmatch(name)
	if m == nil {
		return "", "", &unsent{fault.Invalidf("the object must be adset/ID, campaign/ID or ad/ID with an ID of digits")}
	}
	return m[1], m[2], nil
}

// stateFields are what is asked of an object. An ad set has at most 50 ads that
// are not archived, so one page of them is enough.
var stateFields = map[string]string{
	"adset": "id,account_id,campaign_id,name,status,effective_status,daily_budget,lifetime_budget,daily_min_spend_target,daily_spend_cap," +
		"learning_stage_info{status},campaign{id,daily_budget,lifetime_budget},ads.limit(100){id,status}",
	"campaign": "id,account_id,name,status,effective_status,daily_budget,lifetime_budget",
	"ad":       "id,account_id,campaign_id,adset_id,name,status,effective_status",
}

// Read returns what Meta says of an object ("adset/ID", "campaign/ID" or
// "ad/ID") now. An object of another account is refused, even where the token
// would do.
func (a *Account) Read(ctx context.Context, name string) (State, error) {
	kind, id, err := object(name)
	if err != nil {
		return State{}, err
	}
	currency, err := a.currency(ctx)
	if err != nil {
		return State{}, fmt.Errorf("read %s: %w", name, err)
	}
	var answer struct {
		ID         string `json:"id"`
		AccountID  string `json:"account_id"`
		CampaignID string `json:"campaign_id"`
		AdSetID    string `json:"adset_id"`
		Name       string `json:"name"`
		Status     string `json:"status"`
		Effective  string `json:"effective_status"`
		budgets
		MinSpend number `json:"daily_min_spend_target"`
		SpendCap number `json:"daily_spend_cap"`
		Learning struct {
			Status string `json:"status"`
		} `json:"learning_stage_info"`
		Campaign budgets `json:"campaign"`
		Ads      struct {
			Data []struct {
				Status string `json:"status"`
			} `json:"data"`
		} `json:"ads"`
	}
	trace, err := a.read(ctx, call{path: id, query: url.Values{"fields": {stateFields[kind]}}, what: "read " + name}, &answer)
	if err != nil {
		return State{}, err
	}
	if owner := strings.TrimPrefix(answer.AccountID, "act_"); owner != a.id {
		return State{}, fault.Conflictf("%s is of ad account act_%s, not of %s", name, owner, a.ID())
	}
	s := State{
		Object: name, CampaignID: answer.CampaignID, AdSetID: answer.AdSetID, Name: answer.Name, Status: answer.Status,
		Effective: answer.Effective,
		Currency:  currency, CampaignBudget: answer.Campaign.any(), Learning: answer.Learning.Status == "LEARNING", Trace: trace,
	}
	if kind == "campaign" {
		s.CampaignID, s.CampaignBudget = id, answer.any()
	}
	for _, ad := range answer.Ads.Data {
		if ad.Status == "ACTIVE" {
			s.ActiveAds++
		}
		if ad.Status != "ARCHIVED" && ad.Status != "DELETED" {
			s.Ads++
		}
	}
	err = errorsIn(name,
		set(&s.DailyBudget, answer.Daily, currency), set(&s.LifetimeBudget, answer.Lifetime, currency),
		set(&s.MinSpend, answer.MinSpend, currency), set(&s.SpendCap, answer.SpendCap, currency))
	return s, err
}

// budgets are how Meta tells of a budget: as texts, "0" where there is none.
type budgets struct {
	Daily    number `json:"daily_budget"`
	Lifetime number `json:"lifetime_budget"`
}

func (b budgets) any() bool { return b.Daily.set() || b.Lifetime.set() }

// number is one that Meta writes as a text or as a number; "" where it is missing.
type number string

// UnmarshalJSON takes both forms.
func (n *number) UnmarshalJSON(raw []byte) error {
	var v any
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return err
	}
	switch v := v.(type) {
	case nil:
	case string:
		*n = number(v)
	case json.Number:
		*n = number(v)
	default:
		return fmt.Errorf("a number was expected, not %T", v)
	}
	return nil
}

func (n number) set() bool { return n != "" && n != "0" }
