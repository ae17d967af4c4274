package tenants

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/accounts"
	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/ledger"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// Account is an ad account as it is shown.
type Account struct {
	AccountID string `json:"account_id"`
	Name      string `json:"name"`
	Currency  string `json:"currency"`
	TimeZone  string `json:"time_zone"`
	Niche     string `json:"niche"`
	Mode      string `json:"mode" enum:"dry_run,approval,live" doc:"dry_run writes nothing to the platform; approval only what a member approved."`
	Paused    bool   `json:"paused" doc:"Whether every write to the platform is stopped."`
	SettingsShown
	Connected bool      `json:"connected" doc:"Whether it is connected to Meta."`
	NumAds    int       `json:"num_ads"`
	CreatedAt time.Time `json:"created_at"`
}

func shown(a accounts.Account) Account {
	return Account{
		AccountID: a.ID, Name: a.Name, Currency: string(a.Currency), TimeZone: a.TimeZone, Niche: a.Niche, Mode: a.Mode, Paused: a.Paused,
		SettingsShown: shownSettings(a), Connected: a.Connected, NumAds: a.NumAds, CreatedAt: a.CreatedAt.UTC(),
	}
}

type accountsOutput struct {
	Body struct {
		Tenant   Tenant          `json:"tenant"`
		Accounts []accountDetail `json:"accounts" nullable:"false" doc:"By id."`
	}
}

func (f *function) listAccounts(ctx context.Context, _ *struct{}) (*accountsOutput, error) {
	out := &accountsOutput{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) (err error) {
		if out.Body.Tenant, err = readTenant(ctx, tx); err != nil {
			return err
		}
		store := accounts.NewStore(tx)
		all, err := store.List(ctx)
		if err != nil {
			return err
		}
		alerts, err := store.Alerts(ctx, "")
		out.Body.Accounts = make([]accountDetail, len(all))
		for i, a := range all {
			out.Body.Accounts[i] = detail(a, alerts)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

type accountInput struct {
	ID string `path:"id" maxLength:"255"`
}

type accountOutput struct{ Body Account }

// AccountAlert is an alarm of an account whose ads fell together.
type AccountAlert struct {
	Kind       string     `json:"kind" enum:"ctr_down,cpm_up"`
	Since      string     `json:"since" format:"date" doc:"The day on which most of the ads began to fall, in the account's time zone."`
	Ads        int        `json:"ads" doc:"How many ads fell."`
	FellBy     float64    `json:"fell_by" doc:"The median of their changes, as a share: 0.4 is CTR down by 40%, or CPM up by 40%."`
	Detail     string     `json:"detail"`
	Action     string     `json:"action" doc:"What to look at."`
	ResolvedAt *time.Time `json:"resolved_at" nullable:"true" doc:"null while it is open."`
}

// accountDetail is an account with its alarms.
type accountDetail struct {
	Account
	Alerts []AccountAlert `json:"account_alerts" nullable:"false" doc:"Open alarms, and those resolved within 30 days: the account's ads fell together."`
}

type accountDetailOutput struct{ Body accountDetail }

// detail is an account with those of the alarms that are its own.
func detail(a accounts.Account, alerts []accounts.Alert) accountDetail {
	out := accountDetail{Account: shown(a), Alerts: []AccountAlert{}}
	for _, one := range alerts {
		if one.AccountID == a.ID {
			out.Alerts = append(out.Alerts, AccountAlert{
				one.Kind, one.Since.Format(time.DateOnly), one.Ads, one.FellBy, one.Detail, one.Action, one.ResolvedAt,
			})
		}
	}
	return out
}

func (f *function) getAccount(ctx context.Context, in *accountInput) (*accountDetailOutput, error) {
	out := &accountDetailOutput{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
		store := accounts.NewStore(tx)
		a, err := store.Get(ctx, in.ID)
		if err != nil {
			return err
		}
		alerts, err := store.Alerts(ctx, in.ID)
		out.Body = detail(a, alerts)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

type putAccountInput struct {
	ID   string `path:"id" maxLength:"255"`
	Body struct {
		Name     *string `json:"name,omitempty" maxLength:"200"`
		Mode     *string `json:"mode,omitempty" enum:"dry_run,approval,live" doc:"live needs a connection to Meta."`
		Paused   *bool   `json:"paused,omitempty" doc:"true stops every write to the platform within a minute."`
		Currency *string `json:"currency,omitempty" doc:"ISO 4217. It stays while there are metrics, figures or budgets in the account."`
		TimeZone *string `json:"time_zone,omitempty" maxLength:"64" doc:"An IANA name such as America/Chicago; metric days are in it."`
		Niche    *string `json:"niche,omitempty" maxLength:"100" doc:"What the account sells, such as fitness: whose prior a new account starts with."`
		SettingsInput
	}
}

func (f *function) putAccount(ctx context.Context, in *putAccountInput) (*accountOutput, error) {
	id := auth.From(ctx)
	serve.Note(ctx, "account", in.ID, "by", id.Subject)
	set, err := in.Body.thresholds()
	if err != nil {
		return nil, err
	}
	answer, err := idempotency.Run(ctx, f.db, id.Tenant, func(tx pgx.Tx) (Account, error) { return change(ctx, tx, in, set) })
	if err != nil {
		return nil, err
	}
	outbox.Flush(ctx, f.db, id.Tenant, f.queue) // of ads that became winners by it
	serve.Note(ctx, "mode", answer.Mode, "paused", answer.Paused)
	return &accountOutput{answer}, nil
}

func change(ctx context.Context, tx pgx.Tx, in *putAccountInput, set map[string]json.RawMessage) (Account, error) {
	store := accounts.NewStore(tx)
	if err := store.Lock(ctx, in.ID); err != nil {
		return Account{}, err
	}
	a, err := store.Get(ctx, in.ID)
	if err != nil {
		return Account{}, err
	}
	before := a
	if err := apply(ctx, store, &a, in); err != nil {
		return Account{}, err
	}
	a.Settings = set
	if err := store.Save(ctx, a); err != nil {
		return Account{}, err
	}
	if a, err = store.Get(ctx, in.ID); err != nil {
		return Account{}, err
	}
	if valuesChange(before, a) {
		err = recompute(ctx, tx, store, in.ID)
	}
	if err == nil && a.AttributionModel != before.AttributionModel {
		err = ledger.CreditAccount(ctx, tx, in.ID) // deals are credited again from their recorded clicks
	}
	return shown(a), err
}

// apply puts what the request names into a.
func apply(ctx context.Context, store accounts.Store, a *accounts.Account, in *putAccountInput) error {
	currency := a.Currency
	for field, value := range map[*string]*string{&a.Name: in.Body.Name, &a.Niche: in.Body.Niche} {
		if value != nil {
			*field = strings.TrimSpace(*value)
		}
	}
	if in.Body.Paused != nil {
		a.Paused = *in.Body.Paused
	}
	if in.Body.TimeZone != nil {
		known, err := store.Zone(ctx, *in.Body.TimeZone)
		if err != nil {
			return err
		}
		if !known {
			return fault.Field("body.time_zone", "must be an IANA time zone such as America/Chicago")
		}
		a.TimeZone = *in.Body.TimeZone
	}
	if in.Body.Currency != nil && money.Currency(*in.Body.Currency) != a.Currency {
		if err := mayCount(ctx, store, a.ID, money.Currency(*in.Body.Currency)); err != nil {
			return err
		}
		a.Currency = money.Currency(*in.Body.Currency)
	}
	if err := in.Body.SettingsInput.apply(a, currency); err != nil {
		return err
	}
	if in.Body.Mode == nil || *in.Body.Mode == a.Mode {
		return nil
	}
	if changes.Mode(*in.Body.Mode) == changes.ModeLive && !a.Connected {
		return fault.Conflictf("the account cannot go live without a connection to Meta: connect it with PUT /api/connections/meta")
	}
	a.Mode = *in.Body.Mode
	return nil
}

func mayCount(ctx context.Context, store accounts.Store, account string, currency money.Currency) error {
	if !currency.Known() {
		return fault.Field("body.currency", "must be an ISO 4217 code such as USD")
	}
	measured, err := store.Measured(ctx, account)
	if err != nil {
		return err
	}
	if measured {
		return fault.Conflictf("there are metrics or budgets in the account in its present currency: the currency cannot change any more")
	}
	return nil
}

// valuesChange reports whether the settings of now value an ad otherwise, or make
// other winners, than those of before.
func valuesChange(before, now accounts.Account) bool {
	for _, name := range []string{"winner_roas", "winner_spend"} {
		if string(before.Settings[name]) != string(now.Settings[name]) {
			return true
		}
	}
	if before.ConversionValue == nil || now.ConversionValue == nil {
		return before.ConversionValue != now.ConversionValue
	}
	return *before.ConversionValue != *now.ConversionValue
}

// atOnce bounds how many ads one statement recomputes.
const atOnce = 1000

func recompute(ctx context.Context, tx pgx.Tx, store accounts.Store, account string) error {
	ids, err := store.Valued(ctx, account)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(ids, atOnce) {
		if _, err := ads.Recompute(ctx, tx, part); err != nil {
			return err
		}
	}
	return nil
}
