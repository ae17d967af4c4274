// Package demo fills a local system with the life of a small advertiser, and
// plays the main job on it: from a deal that moves in the CRM to a better
// budget. It goes through the same addresses as the world outside does.
package demo

import (
	"context"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/shared/auth"
)

// System is a running local system. When Seed and Play are called every
// function is served, the queue delivers, and the cron triggers fire.
type System struct {
	// BaseURL is where every HTTP function is, such as http://127.0.0.1:8080.
	BaseURL string
	// AdminDatabaseURL is the database owner's, whom row-level security does not bind.
	AdminDatabaseURL string

	// HubSpot is the fake that the functions read. Both tenants' portals are
	// connected to it with their webhooks' target; it delivers what
	// Portal.Enqueue is given, signed, and keeps its state in a file.
	HubSpot *fakehubspot.Fake
	// HubSpotURL is its API; a person finds its switches at HubSpotURL/control/.
	HubSpotURL string
	// Meta is the fake that holds both tenants' ad accounts; the functions read and
	// change them there. A person finds its switches at MetaURL/control/.
	Meta    *fakemeta.Fake
	MetaURL string

	// Home is the tenant of TOKEN, Other the one of OTHER_TENANT_TOKEN. They have
	// a row, members, an account, a portal and a key; nothing else is theirs yet.
	Home, Other Tenant

	// SilentDeals is how many deals the portal has that Play connects and that never
	// sends a webhook.
	SilentDeals int

	// Token returns an access token of tenant's member, good for 7 days.
	Token func(tenantID, email string, role auth.Role) string
	// Run runs the scheduled function of that name now, and returns its report.
	Run func(ctx context.Context, function string) (report string, err error)
	// Idle waits until the queue holds nothing that is due or being handled,
	// and nothing waits in the outbox; messages that back off do not count. The
	// error of a wait that ctx ended says what was left.
	Idle func(ctx context.Context) error
	// PutSecret keeps value in the local Secret Manager and returns its resource name.
	PutSecret func(ctx context.Context, id, value string) (name string, err error)
}

// Tenant is one advertiser as the local system makes it.
type Tenant struct {
	ID       string
	Name     string
	Currency string // of the CRM and of the account
	// AccountID is its ad account, in TimeZone.
	AccountID string
	TimeZone  string
	// PortalID is its HubSpot portal; WebhookSecret signs that portal's webhooks.
	PortalID      int64
	WebhookSecret string
	// MetaToken reads and changes its ad account at the fake Meta.
	MetaToken string
	// PageID is its page at the fake Meta, which PageToken reads the leads of.
	PageID    string
	PageToken string
	// PublishableKey is its web pages' key.
	PublishableKey string
	// ServerKey is its own server's.
	ServerKey string

	AdminToken, EditorToken, ViewerToken string
}

// Webhook is where HubSpot sends its events.
func (s System) Webhook() string { return s.BaseURL + "/webhooks/hubspot" }

// AwaitWithin is long enough for the queue to empty after a seed, on a slow machine.
const AwaitWithin = 2 * time.Minute
