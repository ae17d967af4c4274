package meta

import (
	"context"
	"fmt"
	"net/url"
	"strconv"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/money"
)

// SetBudget sets the daily budget of "adset/ID" or "campaign/ID" to minor units of
// the account's currency, a multiple of Step. With validateOnly Meta checks it
// and changes nothing. It sends one request at most; Outcome says what an error
// means. An ad set whose campaign holds the budget is refused by Meta.
func (a *Account) SetBudget(ctx context.Context, name string, minor int64, validateOnly bool) (trace string, err error) {
	kind, id, err := object(name)
	if err != nil {
		return "", err
	}
	if kind == "ad" {
		return "", &unsent{fault.Invalidf("an ad has no budget of its own: name its ad set or its campaign")}
	}
	amount, err := a.amount(ctx, minor)
	if err != nil {
		return "", err
	}
	return a.set(ctx, name, id, url.Values{"daily_budget": {amount}}, validateOnly)
}

// SetSpendLimits sets what an ad set ("adset/ID") of a campaign with a budget
// should spend a day at least, and may at most, in minor units. nil leaves a
// limit as it is, 0 takes it away.
func (a *Account) SetSpendLimits(ctx context.Context, adset string, least, most *int64, validateOnly bool) (trace string, err error) {
	kind, id, err := object(adset)
	if err != nil {
		return "", err
	}
	if kind != "adset" {
		return "", &unsent{fault.Invalidf("only an ad set has spend limits")}
	}
	form := url.Values{}
	if least != nil {
		amount, err := a.amount(ctx, *least)
		if err != nil {
			return "", err
		}
		form.Set("daily_min_spend_target", amount)
	}
	if most != nil {
		amount, err := a.amount(ctx, *most)
		if err != nil {
			return "", err
		}
		if *most == 0 {
			amount = strconv.FormatInt(noCap, 10)
		}
		form.Set("daily_spend_cap", amount)
	}
	if len(form) == 0 {
		return "", &unsent{fault.Invalidf("neither limit is given")}
	}
	return a.set(ctx, adset, id, form, validateOnly)
}

// SetStatus sets an object ("adset/ID", "campaign/ID" or "ad/ID") to ACTIVE or PAUSED.
func (a *Account) SetStatus(ctx context.Context, name, status string, validateOnly bool) (trace string, err error) {
	_, id, err := object(name)
	if err != nil {
		return "", err
	}
	if status != "ACTIVE" && status != "PAUSED" {
		return "", &unsent{fault.Invalidf("the status must be ACTIVE or PAUSED")}
	}
	return a.set(ctx, name, id, url.Values{"status": {status}}, validateOnly)
}

func (a *Account) set(ctx context.Context, name, id string, form url.Values, validateOnly bool) (trace string, err error) {
	what := "change " + name
	if validateOnly {
		form.Set("execution_options", `["validate_only"]`)
		what = "validate a change of " + name
	}
	return a.write(ctx, call{path: id, form: form, what: what})
}

// amount is minor units as Meta writes them. Not knowing the currency is a
// reason not to write.
func (a *Account) amount(ctx context.Context, minor int64) (string, error) {
	currency, err := a.currency(ctx)
	if err != nil {
		return "", &unsent{err}
	}
	n, err := toMeta(minor, currency)
	if err != nil {
		return "", &unsent{err}
	}
	return strconv.FormatInt(n, 10), nil
}

// currency is the account's. Meta never changes it, so it is asked for once.
func (a *Account) currency(ctx context.Context) (money.Currency, error) {
	a.client.mu.Lock()
	known := a.client.currencies[a.id]
	a.client.mu.Unlock()
	if known != "" {
		return known, nil
	}
	info, err := a.Info(ctx)
	return info.Currency, err
}

// Info is an ad account as Meta has it.
type Info struct {
	AccountID string // with act_
	Name      string
	Currency  money.Currency
	TimeZone  string // an IANA name, such as America/Chicago
	Active    bool   // false where Meta has disabled or closed it, or bills are open
	Status    int    // Meta's account_status; 1 is active
}

// Info returns the account's name, currency and time zone.
func (a *Account) Info(ctx context.Context) (Info, error) {
	var answer struct {
		AccountID string         `json:"account_id"`
		Name      string         `json:"name"`
		Currency  money.Currency `json:"currency"`
		TimeZone  string         `json:"timezone_name"`
		Status    int            `json:"account_status"`
	}
	what := "read ad account " + a.ID()
	_, err := a.read(ctx, call{
		path: a.ID(), query: url.Values{"fields": {"account_id,name,currency,timezone_name,account_status"}},
		what: what,
	}, &answer)
	if err != nil {
		return Info{}, err
	}
	if !answer.Currency.Valid() || answer.AccountID != a.id {
		return Info{}, fmt.Errorf("%s: Meta's answer names account %q and currency %q", what, answer.AccountID, answer.Currency)
	}
	a.client.mu.Lock()
	a.client.currencies[a.id] = answer.Currency
	a.client.mu.Unlock()
	return Info{a.ID(), answer.Name, answer.Currency, answer.TimeZone, answer.Status == 1, answer.Status}, nil
}
