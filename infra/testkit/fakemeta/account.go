package fakemeta

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Account is an ad account as a test or the local system handles it.
type Account struct {
	fake *Fake
	id   string
}

// Connect adds the account with these settings; the file may have brought what it holds.
func (f *Fake) Connect(c AccountConfig) *Account {
	f.mu.Lock()
	defer f.mu.Unlock()
	c.ID = digits(c.ID)
	c.Name, c.Currency, c.TimeZone, c.Status = or(c.Name, "Account "+c.ID), or(c.Currency, "USD"), or(c.TimeZone, "Etc/UTC"), or(c.Status, 1)
	a, ok := f.state.Accounts[c.ID]
	if !ok {
		a = &account{Insights: map[string]*Insight{}}
		f.state.Accounts[c.ID] = a
	}
	a.Config = c
	f.accept(c.ID, c.Tokens)
	return &Account{f, c.ID}
}

// Account returns a connected account, nil where there is none.
func (f *Fake) Account(id string) *Account {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state.Accounts[digits(id)] == nil {
		return nil
	}
	return &Account{f, digits(id)}
}

// accept makes tokens the only ones of the account.
func (f *Fake) accept(id string, tokens []string) {
	for token, accounts := range f.tokens {
		f.tokens[token] = slices.DeleteFunc(accounts, func(a string) bool { return a == id })
		if len(f.tokens[token]) == 0 {
			delete(f.tokens, token)
		}
	}
	for _, token := range tokens {
		f.tokens[token] = append(f.tokens[token], id)
	}
}

// ID returns the account's id with act_.
func (a *Account) ID() string { return "act_" + a.id }

// SetTokens replaces the tokens that are accepted, as a revocation does.
func (a *Account) SetTokens(tokens ...string) {
	a.fake.mu.Lock()
	defer a.fake.mu.Unlock()
	a.fake.accept(a.id, tokens)
}

// Configure changes the account's settings, such as its currency, which Meta
// itself never does.
func (a *Account) Configure(change func(*AccountConfig)) {
	a.fake.mu.Lock()
	defer a.fake.mu.Unlock()
	change(&a.fake.state.Accounts[a.id].Config)
}

// SetUsage says what the headers of all further answers tell of quotas.
func (a *Account) SetUsage(u Usage) {
	a.fake.mu.Lock()
	defer a.fake.mu.Unlock()
	a.fake.state.Accounts[a.id].Usage = u
}

// PutCampaign adds or replaces a campaign and returns its id, made up where it has none.
func (a *Account) PutCampaign(c Campaign) string {
	a.fake.mu.Lock()
	defer a.fake.mu.Unlock()
	c.ID, c.AccountID, c.Status = or(c.ID, a.fake.newID()), a.id, or(c.Status, "ACTIVE")
	c.Created = or(c.Created, a.fake.opts.Now())
	a.fake.state.Campaigns[c.ID] = &c
	return c.ID
}

// PutAdSet adds or replaces an ad set and returns its id.
func (a *Account) PutAdSet(s AdSet) string {
	a.fake.mu.Lock()
	defer a.fake.mu.Unlock()
	s.ID, s.AccountID, s.Status = or(s.ID, a.fake.newID()), a.id, or(s.Status, "ACTIVE")
	s.Created = or(s.Created, a.fake.opts.Now())
	a.fake.state.AdSets[s.ID] = &s
	return s.ID
}

// PutAd adds or replaces an ad and returns its id.
func (a *Account) PutAd(ad Ad) string {
	a.fake.mu.Lock()
	defer a.fake.mu.Unlock()
	ad.ID, ad.AccountID, ad.Status = or(ad.ID, a.fake.newID()), a.id, or(ad.Status, "ACTIVE")
	ad.Created = or(ad.Created, a.fake.opts.Now())
	if set := a.fake.state.AdSets[ad.AdSetID]; set != nil {
		ad.CampaignID = set.CampaignID
	}
	a.fake.state.Ads[ad.ID] = &ad
	return ad.ID
}

// PutInsights adds days, or restates them.
func (a *Account) PutInsights(rows ...Insight) {
	a.fake.mu.Lock()
	defer a.fake.mu.Unlock()
	for _, row := range rows {
		a.fake.state.Accounts[a.id].Insights[row.Day+" "+row.AdID] = &row
	}
}

// DropInsights takes days back, as Meta does with invalid traffic.
func (a *Account) DropInsights(ad string, days ...string) {
	a.fake.mu.Lock()
	defer a.fake.mu.Unlock()
	for _, day := range days {
		delete(a.fake.state.Accounts[a.id].Insights, day+" "+ad)
	}
}

// Campaign returns a copy of a campaign; the zero one where there is none.
func (f *Fake) Campaign(id string) Campaign { return copied(f, f.state.Campaigns, id) }

// AdSet returns a copy of an ad set.
func (f *Fake) AdSet(id string) AdSet { return copied(f, f.state.AdSets, id) }

// Ad returns a copy of an ad.
func (f *Fake) Ad(id string) Ad { return copied(f, f.state.Ads, id) }

func copied[T any](f *Fake, from map[string]*T, id string) (found T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one := from[id]; one != nil {
		found = *one
	}
	return found
}

// Edit changes an object as a person in Ads Manager does: no limit, no count.
// budget is in Meta's minor units; nil, and an empty status, leave things be.
func (f *Fake) Edit(id string, budget *int64, status string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.state.Campaigns[id] != nil:
		c := f.state.Campaigns[id]
		c.Status = or(status, c.Status)
		if budget != nil {
			c.DailyBudget = *budget
		}
	case f.state.AdSets[id] != nil:
		s := f.state.AdSets[id]
		s.Status = or(status, s.Status)
		if budget != nil {
			s.DailyBudget = *budget
		}
	case f.state.Ads[id] != nil:
		f.state.Ads[id].Status = or(status, f.state.Ads[id].Status)
	default:
		return false
	}
	return true
}

// Erase makes an object unknown, as if it had never been; Edit with DELETED
// leaves it readable by its id.
func (f *Fake) Erase(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.state.Campaigns, id)
	delete(f.state.AdSets, id)
	delete(f.state.Ads, id)
}

// Writes returns the writes to one object by id, or all for "", oldest first.
func (f *Fake) Writes(id string) []Write {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := []Write{}
	for _, w := range f.state.Writes {
		if id == "" || w.Object == id {
			found = append(found, w)
		}
	}
	return found
}

// Applied returns those of the writes to an object, or to all for "", that
// changed something.
func (f *Fake) Applied(id string) []Write {
	return slices.DeleteFunc(f.Writes(id), func(w Write) bool { return !w.Applied })
}

// FailReports lets every report that is asked for from now on end so, such as
// "Job Failed" or "Job Running" for ever; "" makes them again. A report that is
// "Gone" is made, and expires before it is read.
func (f *Fake) FailReports(status string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state.Reports[""] = &report{Status: status}
}

// Requests counts the requests so far of one route, such as "GET insights" or
// "POST adset", or of all for "".
func (f *Fake) Requests(route string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if route != "" {
		return f.calls[route]
	}
	n := 0
	for c := range maps.Values(f.calls) {
		n += c
	}
	return n
}

func (f *Fake) newID() string {
	f.state.NextID += 7
	return strconv.FormatInt(f.state.NextID, 10)
}

func digits(id string) string { return strings.TrimPrefix(id, "act_") }
