package fakehubspot

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"time"
)

// PortalConfig describes a portal. Only ID must be set.
type PortalConfig struct {
	ID, AppID int64
	// Tokens are accepted as bearer tokens; SetTokens changes them later.
	Tokens []string
	// Secret signs the webhooks that Target receives.
	Secret, Target string
	// HomeCurrency is the company currency, USD unless set. Rates are how many
	// units of it one unit of another currency is worth.
	HomeCurrency string
	Rates        map[string]float64
	// Generic sends object.* events instead of the classic ones.
	Generic bool
	// SearchLag is how long the search takes to see a change.
	SearchLag time.Duration
	// SearchesPerSecond is the search's own limit, 5 unless set.
	SearchesPerSecond int
	// Limit and Window are the request limit: 100 in 10 s unless set.
	Limit  int
	Window time.Duration
	// Subscriptions are the events that are sent, such as "deal.creation" and
	// "deal.propertyChange:dealstage"; DefaultSubscriptions unless set.
	Subscriptions []string
	Pipelines     []Pipeline
}

// DefaultSubscriptions are those that the README asks an operator to make.
var DefaultSubscriptions = []string{
	"deal.creation", "deal.deletion", "deal.merge", "deal.restore", "deal.associationChange",
	"deal.propertyChange:dealstage", "deal.propertyChange:amount", "deal.propertyChange:pipeline",
	"deal.propertyChange:deal_currency_code", "deal.propertyChange:closedate",
	"contact.creation", "contact.deletion", "contact.merge", "contact.restore", "contact.associationChange",
	"contact.privacyDeletion", "contact.propertyChange:hs_facebook_click_id",
	"contact.propertyChange:hs_google_click_id", "contact.propertyChange:gv_click_id",
	"contact.propertyChange:gv_fingerprint_hash", "contact.propertyChange:first_conversion_date",
}

// Pipeline is a way of selling.
type Pipeline struct {
	ID     string  `json:"id"`
	Label  string  `json:"label"`
	Stages []Stage `json:"stages"`
}

// Stage is a step of a pipeline.
type Stage struct {
	ID          string  `json:"id"`
	Label       string  `json:"label"`
	Probability float64 `json:"probability"`
	Closed      bool    `json:"closed"`
}

// DefaultPipeline is the one that every new HubSpot account has.
var DefaultPipeline = Pipeline{ID: "default", Label: "Sales Pipeline", Stages: []Stage{
	{"appointmentscheduled", "Appointment Scheduled", 0.2, false},
	{"qualifiedtobuy", "Qualified To Buy", 0.4, false},
	{"presentationscheduled", "Presentation Scheduled", 0.6, false},
	{"decisionmakerboughtin", "Decision Maker Bought-In", 0.8, false},
	{"contractsent", "Contract Sent", 0.9, false},
	{"closedwon", "Closed Won", 1, true},
	{"closedlost", "Closed Lost", 0, true},
}}

func (c PortalConfig) withDefaults() PortalConfig {
	if c.AppID == 0 {
		c.AppID = 16111050
	}
	if c.HomeCurrency == "" {
		c.HomeCurrency = "USD"
	}
	if c.SearchesPerSecond == 0 {
		c.SearchesPerSecond = 5
	}
	if c.Limit == 0 {
		c.Limit = 100
	}
	if c.Window == 0 {
		c.Window = 10 * time.Second
	}
	if c.Subscriptions == nil {
		c.Subscriptions = DefaultSubscriptions
	}
	if c.Pipelines == nil {
		c.Pipelines = []Pipeline{DefaultPipeline}
	}
	return c
}

// Portal is one account with its records. Its methods change it and return the
// events that HubSpot would send; sending them is Deliver's or Enqueue's work.
type Portal struct {
	fake   *Fake
	config PortalConfig
	has    *records
	// refused holds why HubSpot does not answer for records, by their type and id.
	refused map[string]map[int64]string
}

// records are what a portal holds and the file keeps.
type records struct {
	Deals    map[int64]*deal    `json:"deals"`
	Contacts map[int64]*contact `json:"contacts"`
	// MovedDeals and MovedContacts lead from a merged record's id to the survivor's.
	MovedDeals    map[int64]int64 `json:"moved_deals"`
	MovedContacts map[int64]int64 `json:"moved_contacts"`
	// Groups and Definitions are the properties that were added to deals.
	Groups      []string               `json:"groups,omitempty"`
	Definitions map[string]*Definition `json:"definitions,omitempty"`
}

type deal struct {
	ID         int64             `json:"id"`
	Properties map[string]string `json:"properties"`
	// Stages is the history of dealstage, oldest first.
	Stages   []version     `json:"stages"`
	Contacts []association `json:"contacts"`
	Created  time.Time     `json:"created"`
	Updated  time.Time     `json:"updated"`
	Touched  []time.Time   `json:"touched,omitempty"` // the latest values of Updated
	Archived bool          `json:"archived"`
	Merged   []int64       `json:"merged,omitempty"`
}

type contact struct {
	ID         int64             `json:"id"`
	Properties map[string]string `json:"properties"`
	// Past is every value that a property has had, oldest first.
	Past     map[string][]version `json:"past"`
	Created  time.Time            `json:"created"`
	Updated  time.Time            `json:"updated"`
	Touched  []time.Time          `json:"touched,omitempty"` // the latest values of Updated
	Archived bool                 `json:"archived"`
	Merged   []int64              `json:"merged,omitempty"`
}

type version struct {
	Value string    `json:"value"`
	At    time.Time `json:"at"`
}

type association struct {
	Contact int64 `json:"contact"`
	Primary bool  `json:"primary"`
}

// ErrNone means that the portal has no such record, or that it was deleted.
var ErrNone = errors.New("no such record")

// ID returns the portal's id.
func (p *Portal) ID() int64 {
	p.fake.mu.Lock()
	defer p.fake.mu.Unlock()
	return p.config.ID
}

// SetTokens replaces the tokens that are accepted, as a rotation does.
func (p *Portal) SetTokens(tokens ...string) {
	p.fake.mu.Lock()
	defer p.fake.mu.Unlock()
	p.config.Tokens = slices.Clone(tokens)
}

// SetTarget says where webhooks go from now on, and what signs them.
func (p *Portal) SetTarget(url, secret string) {
	p.fake.mu.Lock()
	defer p.fake.mu.Unlock()
	p.config.Target, p.config.Secret = url, secret
}

func (p *Portal) deal(id int64) *deal       { return follow(p.has.Deals, p.has.MovedDeals, id) }
func (p *Portal) contact(id int64) *contact { return follow(p.has.Contacts, p.has.MovedContacts, id) }

// follow finds a record by its own id or by that of one merged into it.
func follow[T any](records map[int64]*T, moved map[int64]int64, id int64) *T {
	for range len(moved) + 1 {
		to, ok := moved[id]
		if !ok {
			break
		}
		id = to
	}
	return records[id]
}

func (p *Portal) stage(pipeline, id string) (Stage, bool) {
	for _, l := range p.config.Pipelines {
		if l.ID != pipeline {
			continue
		}
		for _, s := range l.Stages {
			if s.ID == id {
				return s, true
			}
		}
	}
	return Stage{}, false
}

// home is amount in the portal's currency, "" where that is not known.
func (p *Portal) home(amount, currency string) string {
	if currency == "" || currency == p.config.HomeCurrency {
		return amount
	}
	units, err := strconv.ParseFloat(amount, 64)
	rate, ok := p.config.Rates[currency]
	if err != nil || !ok {
		return ""
	}
	return strconv.FormatFloat(math.Round(units*rate*1e6)/1e6, 'f', -1, 64)
}
