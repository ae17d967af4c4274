package hubspot

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// Options are what a Client of one portal needs. Only Portal and Token must be set.
type Options struct {
	// Portal is the account's id; errors name it.
	Portal int64
	// Token returns the access token. It is asked before every request, so that
	// a rotated token is picked up; it is the one who caches.
	Token func(context.Context) (string, error)
	// Forget, where set, is called when HubSpot refused the token, so that a cached
	// one is read anew before the only other try.
	Forget func()
	// HomeCurrency is the portal's company currency, where the caller knows it
	// (see Client.Account). Amounts in it stay raw strings otherwise.
	HomeCurrency money.Currency

	// LeadProperty is the contact property that holds the id of a lead on Meta, "" for none.
	LeadProperty string
	// People, where set, returns what hashes the e-mail addresses ("email") and phone
	// numbers ("phone") of contacts; without it neither is asked for.
	People func(context.Context) (hash func(kind, text string) string, err error)

	// BaseURL is HubSpot's API; https://api.hubapi.com unless set.
	BaseURL string
	// Limits is shared by all clients of a process, so that two of one portal
	// spend one budget. A client without it keeps a budget of its own.
	Limits *Limits
	// Attempts is the number of tries of one request, 5 unless set.
	Attempts int
	// Timeout bounds one try, 10 s unless set; Budget bounds all tries and waits
	// of one call, 30 s unless set, or less where the context says so.
	Timeout, Budget time.Duration
	// FirstWait is the wait before the second try of what failed for no reason
	// that HubSpot gave, 500 ms unless set; it doubles from then on.
	FirstWait time.Duration
	// Transport carries the requests; http.DefaultTransport unless set.
	Transport http.RoundTripper
}

// Client reads one portal through HubSpot's API. It is safe for concurrent use.
type Client struct {
	opts  Options
	http  *http.Client
	limit *limit
}

// New returns a client of the portal that o names.
func New(o Options) (*Client, error) {
	if o.Portal <= 0 || o.Token == nil {
		return nil, errors.New("a HubSpot client needs a portal and a token")
	}
	o.BaseURL = strings.TrimSuffix(or(o.BaseURL, "https://api.hubapi.com"), "/")
	o.Attempts = or(o.Attempts, 5)
	o.Timeout = or(o.Timeout, 10*time.Second)
	o.Budget = or(o.Budget, 30*time.Second)
	o.FirstWait = or(o.FirstWait, 500*time.Millisecond)
	if o.Limits == nil {
		o.Limits = NewLimits(DefaultPerTenSeconds)
	}
	return &Client{
		opts:  o,
		limit: o.Limits.of(o.Portal),
		http: &http.Client{
			Transport: telemetry.Transport("hubspot", o.Transport),
			// Following a redirect could carry the token to another host.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// connection names the connection in errors, where the token must not.
func (c *Client) connection() string {
	return fmt.Sprintf("the HubSpot connection of portal %d", c.opts.Portal)
}

func or[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}
