// Package meta is the client of Meta's Marketing API: what an ad account holds
// and how its ads did, and the few writes that move its money.
//
// Reads are tried again. A write never is: Meta knows no idempotency key, so a
// write whose answer was lost is reported as such (see Outcome), and its caller
// finds out by reading. Budgets are absolute, in the minor units of shared/money.
//
// A client records what Meta says of each account's quota on every answer, and
// leaves an account alone before its limit, and for as long as Meta says after it.
package meta

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// Config is how Meta is reached.
type Config struct {
	// Where Meta's Graph API is.
	BaseURL string `env:"META_API_URL, default=https://graph.facebook.com"`
	// Version of the Marketing API; Meta retires each after a year or less.
	Version string `env:"META_API_VERSION, default=v26.0"`
}

// Options tune a Client; all of them may be left out.
type Options struct {
	// Timeout bounds one try, 30 s unless set; Budget bounds all tries and waits
	// of one read, 90 s unless set, or less where the context says so.
	Timeout, Budget time.Duration
	// Attempts is the number of tries of one read, 5 unless set. A write has one.
	Attempts int
	// FirstWait is the wait before a read's second try, 500 ms unless set; it
	// doubles from then on.
	FirstWait time.Duration
	// ReportWithin is how long a report may take to be made, 5 min unless set;
	// ReportPoll is the first wait between two looks at it, 1 s unless set.
	ReportWithin, ReportPoll time.Duration
	// PageSize is how many objects or rows one answer may have, 500 unless set.
	PageSize int
	// Transport carries the requests; http.DefaultTransport unless set.
	Transport http.RoundTripper
	// Now is the clock that quotas are tracked by.
	Now func() time.Time
}

// Client calls Meta for any number of accounts. A process has one, for it
// tracks each account's quota. It is safe for concurrent use.
type Client struct {
	base  *url.URL // with the version
	opts  Options
	http  *http.Client
	quota *quota

	mu         sync.Mutex
	currencies map[string]money.Currency
	posts      map[string]*rate.Limiter
}

// New returns a client.
func New(cfg Config, o Options) *Client {
	o.Timeout = or(o.Timeout, 30*time.Second)
	o.Budget = or(o.Budget, 90*time.Second)
	o.Attempts = or(o.Attempts, 5)
	o.FirstWait = or(o.FirstWait, 500*time.Millisecond)
	o.ReportWithin = or(o.ReportWithin, 5*time.Minute)
	o.ReportPoll = or(o.ReportPoll, time.Second)
	o.PageSize = or(o.PageSize, 500)
	if o.Now == nil {
		o.Now = time.Now
	}
	base, err := url.Parse(strings.TrimSuffix(or(cfg.BaseURL, "https://graph.facebook.com"), "/"))
	if err != nil || base.Host == "" {
		base = &url.URL{Scheme: "https", Host: "meta-api-url.invalid"} // refused when first called, by a name that says why
	}
	return &Client{
		base: base.JoinPath("v" + strings.TrimPrefix(or(cfg.Version, "v26.0"), "v")), opts: o,
		quota:      &quota{now: o.Now, pauses: map[gate]pause{}},
		currencies: map[string]money.Currency{}, posts: map[string]*rate.Limiter{},
		http: &http.Client{
			Transport: telemetry.Transport("meta", o.Transport),
			// Following a redirect could carry the token to another host, and a write twice.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Account returns the ad account called id (with or without act_), reached with
// token. It makes no call.
func (c *Client) Account(id, token string) *Account {
	token = strings.TrimSpace(token)
	// A function keeps the token out of whatever prints an Account.
	return &Account{client: c, id: strings.TrimPrefix(id, "act_"), token: func() string { return token }}
}

// Account is one ad account. Money is in minor units of its currency, as
// shared/money has them.
type Account struct {
	client *Client
	id     string // digits, without act_
	token  func() string
}

// ID returns the account's id as Meta writes it, with act_.
func (a *Account) ID() string { return "act_" + a.id }

// Meta takes 100 POSTs a second of one app and account; half of it leaves room
// for a second instance while one replaces the other.
const (
	postsPerSecond = 50
	postsAtOnce    = 10
)

// limiter spaces the account's POSTs.
func (c *Client) limiter(account string) *rate.Limiter {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, ok := c.posts[account]
	if !ok {
		l = rate.NewLimiter(postsPerSecond, postsAtOnce)
		c.posts[account] = l
	}
	return l
}

func or[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}
