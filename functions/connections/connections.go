// Package connections connects a tenant with the world outside: its HubSpot
// portal and the mapping of that portal's stages, its Meta ad accounts and pages, a
// webhook of its own, and a Slack channel. It serves /api/connections/.
//
// Credentials are checked with whom they are for, written to Secret Manager, and
// only their versions' names to the database: no answer, log line, error or row
// ever holds one. A request may be repeated: a credential that is there already
// is not written again, and one that was written without being recorded, by a
// crash between the two, is found by the next request.
package connections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/lease"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/secrets"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
	"github.com/geminivideo/geminivideo/shared/slack"
	"github.com/geminivideo/geminivideo/shared/webhook"
)

func init() { serve.HTTP("connections", build) }

type config struct {
	Postgres pg.Config
	Access   serve.AccessConfig
	Publish  publish.Config
	HubSpot  HubSpotConfig
	Meta     meta.Config
	Webhook  webhook.Config
	Slack    slack.Config
}

// HubSpotConfig is how HubSpot's API is reached.
type HubSpotConfig struct {
	URL string `env:"HUBSPOT_API_URL, default=https://api.hubapi.com"`
	// Patience is how long HubSpot may take, 10 s unless set.
	Patience time.Duration
}

func build(ctx context.Context) (http.Handler, error) {
	cfg, err := settings.Load[config](ctx)
	if err != nil {
		return nil, err
	}
	db, err := pg.Open(ctx, cfg.Postgres)
	if err != nil {
		return nil, err
	}
	return New(db, serve.NewAccess(cfg.Access, db), Outside{
		Project: cfg.Publish.Project, Vault: secrets.Default(), Queue: publish.New(cfg.Publish), HubSpot: cfg.HubSpot,
		Meta:    meta.New(cfg.Meta, meta.Options{Timeout: patience, Budget: patience, Attempts: 2}),
		Webhook: webhook.New(cfg.Webhook),
		Slack:   slack.New(cfg.Slack),
	}), nil
}

// patience is how long a member waits for a service outside.
const patience = 10 * time.Second

// Outside is what the function reaches beyond its database.
type Outside struct {
	Project string // the Google Cloud project that holds the secrets
	Vault   *secrets.Store
	Queue   outbox.Publisher
	HubSpot HubSpotConfig
	Meta    *meta.Client
	Webhook *webhook.Sender
	Slack   *slack.Client
}

type function struct {
	db *pg.DB
	Outside
}

// New returns the function's handler.
func New(db *pg.DB, access serve.Access, outside Outside) http.Handler {
	f := &function{db, outside}
	api := serve.NewAPI(access)
	api.Check("postgres", db.Ping)
	serve.Get(api, "/api/connections/deals", auth.Admin, f.listSources,
		serve.Summary("Lists the addresses that deals of other CRMs and tools are sent to."))
	serve.Post(api, "/api/connections/deals", auth.Admin, f.createSource,
		serve.Summary("Makes an address that deals are sent to; its secret is shown once."))
	serve.Post(api, "/api/connections/deals/{source}/rotate", auth.Admin, f.rotateSource,
		serve.Summary("Makes a new secret for a source of deals; the one before signs beside it for 24 hours."))
	serve.Delete(api, "/api/connections/deals/{source}", auth.Admin, f.revokeSource,
		serve.Summary("Closes a source of deals; the deals that it has sent stay."))
	serve.Get(api, "/api/connections/deals/{source}/stages", auth.Viewer, f.listSourceStages,
		serve.Summary("Lists the stages that a source has named and what they stand for."))
	serve.Put(api, "/api/connections/deals/{source}/stages", auth.Editor, f.putSourceStages,
		serve.Summary("Says which of the tenant's stages a source's stages stand for; deals are valued anew at once."))
	serve.Get(api, "/api/connections/hubspot", auth.Admin, f.listHubSpot,
		serve.Summary("Lists the tenant's HubSpot portals and how they are connected."))
	serve.Put(api, "/api/connections/hubspot", auth.Admin, f.putHubSpot,
		serve.Summary("Connects a HubSpot portal, changes its credentials, or disconnects it."))
	serve.Post(api, "/api/connections/hubspot/reconcile", auth.Admin, f.reconcile,
		serve.Summary("Compares the ledger with the portal within five minutes and repairs what differs."))
	serve.Post(api, "/api/connections/hubspot/backfill", auth.Admin, f.backfill,
		serve.Summary("Reads the portal's deals of the last days again, or cancels the reading that is under way."))
	serve.Get(api, "/api/connections/hubspot/stages", auth.Viewer, f.listStages,
		serve.Summary("Lists a portal's stages, what they stand for, and what is offered for the others."))
	serve.Put(api, "/api/connections/hubspot/stages", auth.Editor, f.putStages,
		serve.Summary("Says which of the tenant's stages a portal's stages stand for; deals are valued anew at once."))
	serve.Get(api, "/api/connections/meta", auth.Admin, f.listMeta,
		serve.Summary("Lists the tenant's Meta ad accounts and how they are connected."))
	serve.Put(api, "/api/connections/meta", auth.Admin, f.putMeta,
		serve.Summary("Connects a Meta ad account, changes its token, or disconnects it."))
	serve.Get(api, "/api/connections/slack", auth.Admin, f.getSlack,
		serve.Summary("Shows the tenant's Slack channel and how posting to it went."))
	serve.Put(api, "/api/connections/slack", auth.Admin, f.putSlack,
		serve.Summary("Sets the Slack channel that notices and summaries are posted to."))
	serve.Post(api, "/api/connections/slack/test", auth.Admin, f.testSlack,
		serve.Summary("Posts a test message to the Slack channel and says what came of it."))
	serve.Get(api, "/api/connections/webhook", auth.Admin, f.getWebhook,
		serve.Summary("Shows the tenant's webhook and how its deliveries went."))
	serve.Put(api, "/api/connections/webhook", auth.Admin, f.putWebhook,
		serve.Summary("Sets where the tenant's notices of changes are sent; a new secret is shown once."))
	serve.Get(api, "/api/connections/webhook/attempts", auth.Admin, f.listAttempts,
		serve.Summary("Lists the attempts to deliver notices to the webhook, newest first, of the last 30 days."))
	serve.Post(api, "/api/connections/webhook/test", auth.Admin, f.testWebhook,
		serve.Summary("Sends a test notice to the webhook and says what came of it."))
	return api
}

// kept returns the answer that was given to the same request before: what is
// outside is then not asked again.
func kept[O any](ctx context.Context, f *function) (answer O, found bool, err error) {
	if _, keyed := idempotency.From(ctx); !keyed {
		return answer, false, nil
	}
	err = pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) (err error) {
		answer, found, err = idempotency.Stored[O](ctx, tx)
		return err
	})
	return answer, found, err
}

// Credential is what is shown of a credential: never itself.
type Credential struct {
	Source  string     `json:"source" enum:"own,deployment" doc:"Whether it is the tenant's own or the deployment's."`
	Version string     `json:"version,omitempty" doc:"Its version in Secret Manager."`
	SetAt   *time.Time `json:"set_at,omitempty" doc:"Since when it is in use."`
}

func credential(name string, setAt *time.Time) Credential {
	if name == "" {
		return Credential{Source: "deployment"}
	}
	c := Credential{Source: "own", SetAt: inUTC(setAt)}
	if _, version, ok := strings.Cut(name, "/versions/"); ok {
		c.Version = version
	}
	return c
}

// other returns the credential's name that a new one replaces; none where it stays, or
// was none.
func other(was, now string) []string {
	if was == "" || was == now {
		return nil
	}
	return []string{was}
}

func inUTC(at *time.Time) *time.Time {
	if at == nil {
		return nil
	}
	utc := at.UTC()
	return &utc
}

// secretName is where a tenant's credential is: what is below the tenant's prefix
// is nobody else's.
func (f *function) secretName(tenant, what string) string {
	return fmt.Sprintf("projects/%s/secrets/gv-%s-%s", f.Project, tenant, what)
}

// store writes a credential and returns its version's name.
func (f *function) store(ctx context.Context, tenant, what, value string) (string, error) {
	return f.Vault.Put(ctx, f.secretName(tenant, what), value, map[string]string{"app": "geminivideo", "tenant": tenant})
}

const (
	// aloneFor is longer than a request may take, by its function's timeout.
	aloneFor = 2 * time.Minute
	// A request waits its turn for so long, and looks so often.
	turnWithin = 2 * time.Second
	turnEvery  = 50 * time.Millisecond
)

// alone runs do while no other request changes what: from where a credential is
// written to where the one before it is disabled, nobody else may come to name
// the one that goes.
func (f *function) alone(ctx context.Context, what string, do func(context.Context) error) error {
	for end := time.Now().Add(turnWithin); ; {
		err := lease.RunInTenant(ctx, f.db, auth.From(ctx).Tenant, "connections/"+what, aloneFor, do)
		switch {
		case !errors.Is(err, lease.ErrHeld):
			return err
		case time.Now().After(end):
			return &fault.Error{Kind: fault.Conflict, RetryAfter: turnWithin, Message: "another request is changing this connection right now: try again in a moment", Cause: err}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(turnEvery):
		}
	}
}

// retire disables versions that nothing names any more. Only a tenant's own are:
// others were put there by hand. What cannot be disabled now stays readable to
// this deployment alone, and is named in the log.
func (f *function) retire(ctx context.Context, tenant string, versions ...string) {
	for _, version := range versions {
		if !strings.HasPrefix(version, f.secretName(tenant, "")) || !strings.Contains(version, "/versions/") {
			continue
		}
		if err := f.Vault.Disable(ctx, version); err != nil {
			slog.WarnContext(ctx, "a credential that is no longer used is not disabled", "tenant", tenant, "secret", version, "error", err.Error())
		}
	}
}
