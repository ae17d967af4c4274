// Package tenants is where a tenant's admin says who belongs to it, which web
// pages may send clicks to it, and how its ad accounts are run, and where
// anybody sees their own memberships. It serves /api/tenants/, /api/accounts/
// and /api/me; every write may be repeated.
//
// A member is a row of gv.members: an e-mail address and a role. It is an
// invitation until the person accepts it. Then it becomes the app_metadata of that person's Supabase tokens by gv.access_token_hook, which
// an operator names as the project's custom access token hook (Authentication,
// Hooks): from their next token on, within an hour, a new member is in, a removed
// one out, and a role changed. Without the hook an operator sets app_metadata by
// hand, as infra/migrate -tenant -admin says for the first admin.
package tenants

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/live/signin"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/publish"
	"github.com/geminivideo/geminivideo/shared/serve"
	"github.com/geminivideo/geminivideo/shared/settings"
)

func init() { serve.HTTP("tenants", build) }

type config struct {
	Postgres pg.Config
	Access   serve.AccessConfig
	Publish  publish.Config
	Live     signin.Config
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
	signer, err := signin.New(cfg.Live)
	if err != nil {
		return nil, err
	}
	return New(db, serve.NewAccess(cfg.Access, db), publish.New(cfg.Publish), signer), nil
}

type function struct {
	db    *pg.DB
	queue outbox.Publisher
	// signer is nil where there is no live view.
	signer *signin.Signer
}

// New returns the function's handler. signer, nil where there is no live view, admits
// to it.
func New(db *pg.DB, access serve.Access, queue outbox.Publisher, signer *signin.Signer) http.Handler {
	f := &function{db: db, queue: queue, signer: signer}
	api := serve.NewAPI(access)
	api.Check("postgres", db.Ping)
	serve.Get(api, "/api/tenants", auth.Viewer, f.getTenant, serve.Summary("Shows the tenant."))
	serve.Put(api, "/api/tenants", auth.Admin, f.putTenant,
		serve.Summary("Renames the tenant, or pauses every write to the ad platforms for all of its accounts."))
	serve.Get(api, "/api/me", auth.Viewer, f.getMe, serve.NoTenant,
		serve.Summary("Says who is asking, and of which tenants they are a member or invited."))
	serve.Put(api, "/api/me/tenant", auth.Viewer, f.chooseTenant, serve.NoTenant, serve.Summary("Chooses the tenant of your next token."))
	serve.Post(api, "/api/me/live-token", auth.Viewer, f.liveToken,
		serve.Summary("Admits to the tenant's live view in Firestore for an hour."))
	serve.Post(api, "/api/me/invitations/{tenant_id}/accept", auth.Viewer, f.acceptInvitation, serve.NoTenant,
		serve.Summary("Accepts an invitation."))
	serve.Post(api, "/api/me/invitations/{tenant_id}/decline", auth.Viewer, f.declineInvitation, serve.NoTenant,
		serve.Summary("Declines an invitation."))
	serve.Get(api, "/api/tenants/members", auth.Admin, f.listMembers, serve.Summary("Lists the tenant's members."))
	serve.Post(api, "/api/tenants/members", auth.Admin, f.postMember, serve.Summary("Adds a member, or gives one another role."))
	serve.Post(api, "/api/tenants/members/remove", auth.Admin, f.removeMember, serve.Summary("Removes a member; never the last admin."))
	serve.Get(api, "/api/tenants/keys", auth.Admin, f.listKeys, serve.Summary("Lists the tenant's keys, without the keys themselves."))
	serve.Post(api, "/api/tenants/keys", auth.Admin, f.postKey,
		serve.Summary("Makes a publishable key or a server key, which is shown once."))
	serve.Post(api, "/api/tenants/keys/{id}/revoke", auth.Admin, f.revokeKey, serve.Summary("Revokes a key."))
	serve.Get(api, "/api/accounts", auth.Viewer, f.listAccounts, serve.Summary("Lists the tenant's ad accounts, and the tenant."))
	serve.Get(api, "/api/accounts/{id}", auth.Viewer, f.getAccount, serve.Summary("Shows an ad account."))
	serve.Put(api, "/api/accounts/{id}", auth.Admin, f.putAccount,
		serve.Summary("Changes how an ad account is run; what is not named stays as it is."))
	return api
}

// Tenant is the tenant as it is shown.
type Tenant struct {
	TenantID  string    `json:"tenant_id"`
	Name      string    `json:"name"`
	Currency  string    `json:"currency" doc:"The CRM's home currency: deals and stages are valued in it."`
	Paused    bool      `json:"paused" doc:"Whether every write to the ad platforms is stopped, for all accounts."`
	CreatedAt time.Time `json:"created_at"`
}

type tenantOutput struct{ Body Tenant }

func (f *function) getTenant(ctx context.Context, _ *struct{}) (*tenantOutput, error) {
	out := &tenantOutput{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) (err error) {
		out.Body, err = readTenant(ctx, tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

type tenantInput struct {
	Body struct {
		Name   *string `json:"name,omitempty" minLength:"1" maxLength:"200" pattern:"\\S" patternDescription:"text that is not blank"`
		Paused *bool   `json:"paused,omitempty" doc:"true stops every write to the ad platforms within a minute."`
	}
}

func (f *function) putTenant(ctx context.Context, in *tenantInput) (*tenantOutput, error) {
	id := auth.From(ctx)
	serve.Note(ctx, "by", id.Subject)
	if in.Body.Paused != nil {
		serve.Note(ctx, "paused", *in.Body.Paused)
	}
	answer, err := idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (Tenant, error) {
		_, err := tx.Exec(ctx, `
			UPDATE gv.tenants SET name = coalesce(@name, name), paused = coalesce(@paused, paused) WHERE tenant_id = gv.tenant()`,
			pgx.StrictNamedArgs{"name": in.Body.Name, "paused": in.Body.Paused})
		if err != nil {
			return Tenant{}, fmt.Errorf("change the tenant: %w", err)
		}
		return readTenant(ctx, tx)
	})
	if err != nil {
		return nil, err
	}
	return &tenantOutput{answer}, nil
}

func readTenant(ctx context.Context, tx pgx.Tx) (t Tenant, err error) {
	err = tx.QueryRow(ctx, `SELECT tenant_id::text, name, currency, paused, created_at FROM gv.tenants WHERE tenant_id = gv.tenant()`).
		Scan(&t.TenantID, &t.Name, &t.Currency, &t.Paused, &t.CreatedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return t, fault.NotFoundf("your token's tenant is not set up here")
	}
	if err != nil {
		return t, fmt.Errorf("read the tenant: %w", err)
	}
	t.CreatedAt = t.CreatedAt.UTC()
	return t, nil
}
