package connections

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/accounts"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/leads"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// MetaConnection is an ad account's connection as it is shown.
type MetaConnection struct {
	AccountID      string     `json:"account_id"`
	Name           string     `json:"name"`
	Currency       string     `json:"currency"`
	TimeZone       string     `json:"time_zone"`
	Mode           string     `json:"mode" enum:"dry_run,approval,live"`
	Connected      bool       `json:"connected"`
	ConnectedAt    time.Time  `json:"connected_at"`
	ConnectedBy    string     `json:"connected_by"`
	DisconnectedAt *time.Time `json:"disconnected_at,omitempty"`
	AccessToken    Credential `json:"access_token"`
	SyncedThrough  string     `json:"synced_through,omitempty" format:"date" doc:"The last day, in the account's time zone, whose metrics are here."`
	LastError      string     `json:"last_error,omitempty" doc:"Why the last sync failed; absent while it works."`
}

type metaList struct {
	Body struct {
		Connections []MetaConnection `json:"connections" nullable:"false" doc:"Connected accounts first."`
		Pages       []MetaPage       `json:"pages" nullable:"false" doc:"Pages whose lead forms are read, connected ones first."`
	}
}

func (f *function) listMeta(ctx context.Context, _ *struct{}) (*metaList, error) {
	out := &metaList{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
		rows, err := metaRows(ctx, tx, "")
		out.Body.Connections = make([]MetaConnection, len(rows))
		for i, r := range rows {
			out.Body.Connections[i] = r.shown()
		}
		if err != nil {
			return err
		}
		pages, err := leads.NewStore(tx).Pages(ctx)
		out.Body.Pages = make([]MetaPage, len(pages))
		for i, p := range pages {
			out.Body.Pages[i] = shownPage(p)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

type metaInput struct {
	Body struct {
		AccountID       string `json:"account_id,omitempty" pattern:"^(act_)?[0-9]{1,20}$" patternDescription:"an ad account's id such as act_123456" doc:"With or without act_. Required unless page_id is given."`
		AccessToken     string `json:"access_token,omitempty" maxLength:"4096" doc:"Of a system user with ads_read and ads_management. Required with account_id unless disconnected is true."`
		PageID          string `json:"page_id,omitempty" pattern:"^[0-9]{1,20}$" patternDescription:"a page's id" doc:"A page whose lead forms are to be read, in the place of an ad account."`
		PageAccessToken string `json:"page_access_token,omitempty" maxLength:"4096" doc:"Of the page, with leads_retrieval and pages_manage_metadata. Required with page_id unless disconnected is true."`
		Disconnected    bool   `json:"disconnected,omitempty" doc:"Disconnects the account, which is back in dry run if it was live, or the page."`
	}
}

type metaOutput struct{ Body MetaAnswer }

func (f *function) putMeta(ctx context.Context, in *metaInput) (*metaOutput, error) {
	id := auth.From(ctx)
	if answer, found, err := kept[MetaAnswer](ctx, f); err != nil || found {
		return &metaOutput{answer}, err
	}
	switch {
	case in.Body.PageID != "" && in.Body.AccountID != "":
		return nil, fault.Field("body.page_id", "must not come with an account_id: each is connected by itself")
	case in.Body.PageID != "":
		return f.putPage(ctx, in)
	case in.Body.AccountID == "":
		return nil, fault.Field("body.account_id", "is required unless page_id is given")
	case in.Body.PageAccessToken != "":
		return nil, fault.Field("body.page_access_token", "is a page's: an ad account has access_token")
	}
	account := "act_" + strings.TrimPrefix(in.Body.AccountID, "act_")
	serve.Note(ctx, "account", account, "by", id.Subject)
	if in.Body.Disconnected {
		return f.disconnectMeta(ctx, account, in.Body.AccessToken)
	}
	switch {
	case in.Body.AccessToken == "":
		return nil, fault.Field("body.access_token", "is required: it reads and changes the account")
	case !printable(in.Body.AccessToken):
		return nil, fault.Field("body.access_token", "must be printable ASCII without spaces")
	}
	info, err := f.checkMeta(ctx, account, in.Body.AccessToken)
	if err != nil {
		return nil, err
	}
	if err := f.mayCount(ctx, account, info); err != nil { // before anything is written
		return nil, err
	}
	out := &metaOutput{}
	err = f.alone(ctx, account, func(ctx context.Context) error {
		token, err := f.store(ctx, id.Tenant, "meta-"+account+"-access-token", in.Body.AccessToken)
		if err != nil {
			return err
		}
		var retired []string
		out.Body, err = idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (answer MetaAnswer, err error) {
			if err := fill(ctx, tx, account, info); err != nil {
				return answer, err
			}
			var row metaRow
			row, retired, err = connectMeta(ctx, tx, account, token, id.Who())
			return row.shown().answer(), err
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

// checkMeta asks Meta what the token may see of the account.
func (f *function) checkMeta(ctx context.Context, account, token string) (meta.Info, error) {
	info, err := f.Meta.Account(account, token).Info(ctx)
	var refused *meta.Error
	switch {
	case err == nil:
	case meta.Gone(err):
		return info, fieldRefused(err, "body.account_id", "is not an ad account that the access token can see")
	case meta.Unauthorized(err):
		return info, fieldRefused(err, "body.access_token", "is refused by Meta: it is wrong, expired or revoked")
	case meta.Forbidden(err):
		return info, fieldRefused(err, "body.access_token", "may not see the account: it needs the permissions ads_read and ads_management")
	case errors.As(err, &refused) && fault.Of(err) == fault.Conflict:
		return info, fieldRefused(err, "body.access_token", "is refused by Meta")
	default:
		return info, err
	}
	if !info.Currency.Known() {
		return info, fault.Conflictf("the account's currency is not known here")
	}
	if _, err := time.LoadLocation(info.TimeZone); err != nil || info.TimeZone == "" {
		info.TimeZone = "Etc/UTC"
	}
	return info, nil
}

func fieldRefused(cause error, field, rule string) error {
	return &fault.Error{Kind: fault.Invalid, Message: field + " " + rule, Cause: cause, Details: []fault.Detail{{Field: field, Rule: rule}}}
}

func (f *function) mayCount(ctx context.Context, account string, info meta.Info) error {
	return pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
		if err := known(ctx, tx); err != nil {
			return err
		}
		_, err := filled(ctx, tx, account, info)
		return err
	})
}

// filled returns the account with what Meta says of it. What is counted in one
// currency already is not counted in another.
func filled(ctx context.Context, tx pgx.Tx, account string, info meta.Info) (accounts.Account, error) {
	store := accounts.NewStore(tx)
	a, err := store.Get(ctx, account)
	if fault.Of(err) == fault.NotFound {
		a, err = accounts.New(account, info.Currency), nil
	}
	if err != nil {
		return a, err
	}
	if a.Currency != "" && a.Currency != info.Currency {
		measured, err := store.Measured(ctx, account)
		if err != nil {
			return a, err
		}
		if measured {
			return a, fault.Conflictf("Meta counts the account in %s, but there are metrics of it in %s here", info.Currency, a.Currency)
		}
	}
	a.Name, a.Currency, a.TimeZone, a.Settings = info.Name, info.Currency, info.TimeZone, nil
	return a, nil
}

func fill(ctx context.Context, tx pgx.Tx, account string, info meta.Info) error {
	store := accounts.NewStore(tx)
	if err := store.Lock(ctx, account); err != nil {
		return err
	}
	a, err := filled(ctx, tx, account, info)
	if err != nil {
		return err
	}
	return store.Save(ctx, a)
}

func (f *function) disconnectMeta(ctx context.Context, account, token string) (*metaOutput, error) {
	id := auth.From(ctx)
	if token != "" {
		return nil, fault.Field("body.disconnected", "must not come with credentials")
	}
	out := &metaOutput{}
	err := f.alone(ctx, account, func(ctx context.Context) (err error) {
		var retired []string
		out.Body, err = idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (answer MetaAnswer, err error) {
			var row metaRow
			row, retired, err = disconnectMeta(ctx, tx, account)
			return row.shown().answer(), err
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
