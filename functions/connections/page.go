package connections

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/leads"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// MetaPage is a page whose lead forms are read, as it is shown.
type MetaPage struct {
	PageID         string     `json:"page_id"`
	Name           string     `json:"name"`
	Connected      bool       `json:"connected"`
	ConnectedAt    time.Time  `json:"connected_at"`
	ConnectedBy    string     `json:"connected_by"`
	DisconnectedAt *time.Time `json:"disconnected_at,omitempty"`
	AccessToken    Credential `json:"access_token"`
	LastLeadAt     *time.Time `json:"last_lead_at,omitempty" doc:"When somebody filled in the latest lead form that was read."`
	LastError      string     `json:"last_error,omitempty" doc:"Why Meta refused the page's token; absent while it works."`
}

func shownPage(p leads.Page) MetaPage {
	return MetaPage{
		PageID: p.PageID, Name: p.Name, Connected: p.DisconnectedAt == nil, ConnectedAt: p.ConnectedAt.UTC(), ConnectedBy: p.ConnectedBy,
		DisconnectedAt: inUTC(p.DisconnectedAt), AccessToken: credential(p.AccessToken, &p.AccessTokenSetAt),
		LastLeadAt: inUTC(p.LastLeadAt),
		LastError:  deref(p.LastError),
	}
}

// MetaAnswer is what PUT answers of an ad account or of a page.
type MetaAnswer struct {
	AccountID      string     `json:"account_id,omitempty"`
	PageID         string     `json:"page_id,omitempty"`
	Name           string     `json:"name"`
	Currency       string     `json:"currency,omitempty"`
	TimeZone       string     `json:"time_zone,omitempty"`
	Mode           string     `json:"mode,omitempty" enum:"dry_run,approval,live"`
	Connected      bool       `json:"connected"`
	ConnectedAt    time.Time  `json:"connected_at"`
	ConnectedBy    string     `json:"connected_by"`
	DisconnectedAt *time.Time `json:"disconnected_at,omitempty"`
	AccessToken    Credential `json:"access_token"`
	SyncedThrough  string     `json:"synced_through,omitempty" format:"date" doc:"The last day, in the account's time zone, whose metrics are here."`
	LastLeadAt     *time.Time `json:"last_lead_at,omitempty"`
	LastError      string     `json:"last_error,omitempty"`
}

func (c MetaConnection) answer() MetaAnswer {
	return MetaAnswer{
		AccountID: c.AccountID, Name: c.Name, Currency: c.Currency, TimeZone: c.TimeZone, Mode: c.Mode, Connected: c.Connected,
		ConnectedAt: c.ConnectedAt,
		ConnectedBy: c.ConnectedBy, DisconnectedAt: c.DisconnectedAt, AccessToken: c.AccessToken, SyncedThrough: c.SyncedThrough,
		LastError: c.LastError,
	}
}

func (p MetaPage) answer() MetaAnswer {
	return MetaAnswer{
		PageID: p.PageID, Name: p.Name, Connected: p.Connected, ConnectedAt: p.ConnectedAt, ConnectedBy: p.ConnectedBy,
		DisconnectedAt: p.DisconnectedAt,
		AccessToken:    p.AccessToken, LastLeadAt: p.LastLeadAt, LastError: p.LastError,
	}
}

// pageSecret is the name of a page's token, and leadSecret of the key that addresses
// are hashed with, below the tenant's prefix.
func pageSecret(page string) string { return "meta-page-" + page + "-access-token" }

const leadSecret = "lead-key"

// putPage connects a page: its token is tried, Meta is asked to send its leads, and the
// tenant gets the key that their addresses are hashed with.
func (f *function) putPage(ctx context.Context, in *metaInput) (*metaOutput, error) {
	id, page := auth.From(ctx), in.Body.PageID
	serve.Note(ctx, "page", page, "by", id.Subject)
	switch {
	case in.Body.AccessToken != "":
		return nil, fault.Field("body.access_token", "is an ad account's: a page has page_access_token")
	case in.Body.Disconnected:
		return f.disconnectPage(ctx, page, in.Body.PageAccessToken)
	case in.Body.PageAccessToken == "":
		return nil, fault.Field("body.page_access_token", "is required: it reads the page's leads")
	case !printable(in.Body.PageAccessToken):
		return nil, fault.Field("body.page_access_token", "must be printable ASCII without spaces")
	}
	graph := f.Meta.Page(page, in.Body.PageAccessToken)
	name, err := graph.Name(ctx)
	if err != nil {
		return nil, pageRefused(err)
	}
	err = pg.InTenant(ctx, f.db, id.Tenant, func(tx pgx.Tx) error {
		if err := known(ctx, tx); err != nil {
			return err
		}
		return leads.NewStore(tx).Free(ctx, page)
	})
	if err != nil {
		return nil, err
	}
	if err := graph.Subscribe(ctx); err != nil {
		return nil, pageRefused(err)
	}
	out := &metaOutput{}
	err = f.alone(ctx, "pages", func(ctx context.Context) error {
		token, err := f.store(ctx, id.Tenant, pageSecret(page), in.Body.PageAccessToken)
		if err != nil {
			return err
		}
		if err := f.leadKey(ctx, id.Tenant); err != nil {
			return err
		}
		var retired []string
		out.Body, err = idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (answer MetaAnswer, err error) {
			store := leads.NewStore(tx)
			was, err := store.Page(ctx, page)
			if err != nil && fault.Of(err) != fault.NotFound {
				return answer, err
			}
			now, err := store.Connect(ctx, page, name, token, id.Who())
			retired = other(was.AccessToken, token)
			return shownPage(now).answer(), err
		})
		if err == nil {
			f.retire(ctx, id.Tenant, retired...)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// leadKey makes the tenant's key where it has none. It is never replaced: what was
// hashed with it would no longer be found.
func (f *function) leadKey(ctx context.Context, tenant string) error {
	var name string
	read := func(tx pgx.Tx) (err error) {
		name, err = leads.NewStore(tx).SecretName(ctx)
		return err
	}
	if err := pg.InTenant(ctx, f.db, tenant, read); err != nil || name != "" {
		return err
	}
	version, err := f.store(ctx, tenant, leadSecret, leads.NewKey())
	if err != nil {
		return err
	}
	return pg.InTenant(ctx, f.db, tenant, func(tx pgx.Tx) error { return leads.NewStore(tx).SaveSecretName(ctx, version) })
}

func pageRefused(err error) error {
	var refused *meta.Error
	switch {
	case meta.Gone(err):
		return fieldRefused(err, "body.page_id", "is not a page that the token can see")
	case meta.Unauthorized(err):
		return fieldRefused(err, "body.page_access_token", "is refused by Meta: it is wrong, expired or revoked")
	case meta.Forbidden(err):
		return fieldRefused(err, "body.page_access_token",
			"may not read the page's leads: it needs the permissions leads_retrieval and pages_manage_metadata")
	case errors.As(err, &refused) && fault.Of(err) == fault.Conflict:
		return fieldRefused(err, "body.page_access_token", "is refused by Meta")
	}
	return err
}

func (f *function) disconnectPage(ctx context.Context, page, token string) (*metaOutput, error) {
	if token != "" {
		return nil, fault.Field("body.disconnected", "must not come with credentials")
	}
	id, out := auth.From(ctx), &metaOutput{}
	err := f.alone(ctx, "pages", func(ctx context.Context) (err error) {
		var gone leads.Page
		out.Body, err = idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (answer MetaAnswer, err error) {
			gone, err = leads.NewStore(tx).Disconnect(ctx, page)
			return shownPage(gone).answer(), err
		})
		if err == nil {
			f.retire(ctx, id.Tenant, gone.AccessToken)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
