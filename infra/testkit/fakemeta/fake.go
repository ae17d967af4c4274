// Package fakemeta is Meta's Marketing API in memory: the part of it that we
// call, with its limits and its failures. Tests change it through Go methods,
// people through /control/ (see control.go), and a local system finds it again
// in a file. It counts every write, so that a test can prove what was applied.
package fakemeta

import (
	"net/http"
	"sync"
	"time"
)

// Options are all optional.
type Options struct {
	// File keeps the state; "" keeps nothing.
	File string
	// Now is the clock of limits and stamps.
	Now func() time.Time
	// BudgetChanges is how often an ad set's budget may change in an hour, 4 unless set.
	BudgetChanges int
	// PostsPerSecond of one account, 100 unless set.
	PostsPerSecond int
	// MaxPage is the most objects in one answer, 500 unless set.
	MaxPage int
	// MaxRows is how many days of insights may be asked for at once: more needs a
	// report. 0 is any number.
	MaxRows int
	// ReportLooks is how often a report has to be looked at until it is made, 2 unless set.
	ReportLooks int
	// Offsets pages by offset, without cursors, as some of Meta's edges do.
	Offsets bool
	// Next, where set, changes the address of the next page before it is sent.
	Next func(address string) string
}

// Fake is a whole Meta with its ad accounts. It is an http.Handler and safe for
// concurrent use.
type Fake struct {
	opts    Options
	control *http.ServeMux

	mu     sync.Mutex // guards everything below and all that accounts hold
	state  state
	tokens map[string][]string // accounts by token
	faults []*Fault
	calls  map[string]int
	posts  map[string][]time.Time
}

// state is what the file keeps. Tokens are not in it: Connect brings them.
type state struct {
	NextID    int64                `json:"next_id"`
	Accounts  map[string]*account  `json:"accounts"` // by digits
	Campaigns map[string]*Campaign `json:"campaigns"`
	AdSets    map[string]*AdSet    `json:"adsets"`
	Ads       map[string]*Ad       `json:"ads"`
	Reports   map[string]*report   `json:"reports"`
	Writes    []Write              `json:"writes"`
	Pages     map[string]*page     `json:"pages"`
	Leads     map[string]*Lead     `json:"leads"`
}

// account is one ad account with its figures.
type account struct {
	Config   AccountConfig       `json:"config"`
	Insights map[string]*Insight `json:"insights"` // by ad and day
	Usage    Usage               `json:"usage"`
}

// AccountConfig describes an ad account. Only ID must be set.
type AccountConfig struct {
	ID       string `json:"id"` // with or without act_
	Name     string `json:"name"`
	Currency string `json:"currency"`  // USD unless set
	TimeZone string `json:"time_zone"` // Etc/UTC unless set
	Status   int    `json:"status"`    // 1, active, unless set
	// Tokens are accepted; a token may be good for several accounts.
	Tokens []string `json:"-"`
}

// Usage is what the answers' headers say, in percent; 0 sends no header.
type Usage struct {
	App        float64 `json:"app"`        // X-App-Usage
	Management float64 `json:"management"` // X-Business-Use-Case-Usage
	Insights   float64 `json:"insights"`   // the same, and X-FB-Ads-Insights-Throttle
	Account    float64 `json:"account"`    // X-Ad-Account-Usage
	// RegainMinutes is estimated_time_to_regain_access, ResetSeconds reset_time_duration.
	RegainMinutes int `json:"regain_minutes"`
	ResetSeconds  int `json:"reset_seconds"`
}

// Campaign holds ad sets. Budgets are in Meta's minor units; 0 is none.
type Campaign struct {
	ID             string    `json:"id"`
	AccountID      string    `json:"account_id"`
	Name           string    `json:"name"`
	Status         string    `json:"status"` // ACTIVE unless set
	DailyBudget    int64     `json:"daily_budget"`
	LifetimeBudget int64     `json:"lifetime_budget"`
	Created        time.Time `json:"created"`
}

// AdSet holds ads and, where its campaign has none, their budget.
type AdSet struct {
	ID             string    `json:"id"`
	AccountID      string    `json:"account_id"`
	CampaignID     string    `json:"campaign_id"`
	Name           string    `json:"name"`
	Status         string    `json:"status"`
	DailyBudget    int64     `json:"daily_budget"`
	LifetimeBudget int64     `json:"lifetime_budget"`
	MinSpend       int64     `json:"daily_min_spend_target"`
	SpendCap       int64     `json:"daily_spend_cap"`
	Learning       string    `json:"learning"` // LEARNING, SUCCESS, FAIL or ""
	Created        time.Time `json:"created"`
	// Changes are when its budget changed through the API, in the last hour.
	Changes []time.Time `json:"changes,omitempty"`
}

// Ad is an ad with its creative.
type Ad struct {
	ID           string    `json:"id"`
	AccountID    string    `json:"account_id"`
	CampaignID   string    `json:"campaign_id"` // its ad set's, whatever was given
	AdSetID      string    `json:"adset_id"`
	Name         string    `json:"name"`
	Status       string    `json:"status"`
	Effective    string    `json:"effective,omitempty"` // such as PENDING_REVIEW, where it does not follow from the rest
	Title        string    `json:"title"`
	Body         string    `json:"body"`
	CallToAction string    `json:"call_to_action"`
	Created      time.Time `json:"created"`
}

// Insight is an ad's day.
type Insight struct {
	AdID        string             `json:"ad_id"`
	Day         string             `json:"day"` // 2026-11-20
	Impressions int64              `json:"impressions"`
	Clicks      int64              `json:"clicks"`
	LinkClicks  int64              `json:"link_clicks"`
	Reach       int64              `json:"reach"`
	Frequency   float64            `json:"frequency"`
	Spend       string             `json:"spend"` // units, such as 12.34
	Actions     map[string]float64 `json:"actions,omitempty"`
	Values      map[string]float64 `json:"values,omitempty"`
}

// Write is one POST to an object, whatever became of it.
type Write struct {
	At           time.Time `json:"at"`
	Object       string    `json:"object"` // its id
	Field        string    `json:"field"`  // daily_budget, daily_min_spend_target, daily_spend_cap or status
	Before       string    `json:"before"`
	After        string    `json:"after"`
	ValidateOnly bool      `json:"validate_only"`
	Applied      bool      `json:"applied"` // false: only validated, or refused with Code
	Code         int       `json:"code,omitempty"`
	Subcode      int       `json:"subcode,omitempty"`
}

type report struct {
	ID      string            `json:"id"`
	Account string            `json:"account"`
	Params  map[string]string `json:"params"`
	Looks   int               `json:"looks"`
	Status  string            `json:"status"` // what it comes to; "" is Job Completed
}

// New returns a fake without accounts: the one that o.File holds, where it exists.
func New(o Options) (*Fake, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.BudgetChanges = or(o.BudgetChanges, 4)
	o.PostsPerSecond = or(o.PostsPerSecond, 100)
	o.MaxPage = or(o.MaxPage, 500)
	o.ReportLooks = or(o.ReportLooks, 2)
	f := &Fake{
		opts: o, tokens: map[string][]string{}, calls: map[string]int{}, posts: map[string][]time.Time{},
		state: state{
			NextID: 120_500_000_000, Accounts: map[string]*account{}, Campaigns: map[string]*Campaign{}, AdSets: map[string]*AdSet{},
			Ads: map[string]*Ad{}, Reports: map[string]*report{}, Pages: map[string]*page{}, Leads: map[string]*Lead{},
		},
	}
	if err := f.load(); err != nil {
		return nil, err
	}
	f.control = f.controls()
	return f, nil
}

func or[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}
