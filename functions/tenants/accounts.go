package tenants

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/accounts"
	"github.com/geminivideo/geminivideo/shared/ads"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/idempotency"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/outbox"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// Account is an ad account as it is shown.
type Account struct {
	AccountID string             `json:"account_id"`
	Name      string             `json:"name"`
	Currency  string             `json:"currency"`
	TimeZone  string             `json:"time_zone"`
	Niche     string             `json:"niche"`
	Mode      string             `json:"mode" enum:"dry_run,approval,live" doc:"dry_run writes nothing to the platform; approval only what a member approved."`
	Paused    bool               `json:"paused" doc:"Whether every write to the platform is stopped."`
	Settings  map[string]float64 `json:"settings" nullable:"false" doc:"What the tenant has set of gemini_daily_cap_usd, verdict_spend, winner_roas and winner_spend."`
	Connected bool               `json:"connected" doc:"Whether it is connected to Meta."`
	NumAds    int                `json:"num_ads"`
	CreatedAt time.Time          `json:"created_at"`
}

func shown(a accounts.Account) Account {
	out := Account{
		AccountID: a.ID, Name: a.Name, Currency: string(a.Currency), TimeZone: a.TimeZone, Niche: a.Niche, Mode: a.Mode, Paused: a.Paused,
		Settings: map[string]float64{}, Connected: a.Connected, NumAds: a.NumAds, CreatedAt: a.CreatedAt.UTC(),
	}
	for _, s := range accounts.Settings {
		var value float64
		if raw, ok := a.Settings[s.Name]; ok && json.Unmarshal(raw, &value) == nil {
			out.Settings[s.Name] = value
		}
	}
	return out
}

type accountsOutput struct {
	Body struct {
		Accounts []Account `json:"accounts" nullable:"false" doc:"By id."`
	}
}

func (f *function) listAccounts(ctx context.Context, _ *struct{}) (*accountsOutput, error) {
	out := &accountsOutput{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
		all, err := accounts.NewStore(tx).List(ctx)
		out.Body.Accounts = make([]Account, len(all))
		for i, a := range all {
			out.Body.Accounts[i] = shown(a)
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

func (f *function) getAccount(ctx context.Context, in *accountInput) (*accountOutput, error) {
	out := &accountOutput{}
	err := pg.InTenant(ctx, f.db, auth.From(ctx).Tenant, func(tx pgx.Tx) error {
		a, err := accounts.NewStore(tx).Get(ctx, in.ID)
		out.Body = shown(a)
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
		Name     *string        `json:"name,omitempty" maxLength:"200"`
		Mode     *string        `json:"mode,omitempty" enum:"dry_run,approval,live" doc:"live needs a connection to Meta."`
		Paused   *bool          `json:"paused,omitempty" doc:"true stops every write to the platform within a minute."`
		Currency *string        `json:"currency,omitempty" doc:"ISO 4217. It stays while there are metrics, figures or budgets in the account."`
		TimeZone *string        `json:"time_zone,omitempty" maxLength:"64" doc:"An IANA name such as America/Chicago; metric days are in it."`
		Niche    *string        `json:"niche,omitempty" maxLength:"100" doc:"What the account sells, such as fitness: whose prior a new account starts with."`
		Settings map[string]any `json:"settings,omitempty" doc:"gemini_daily_cap_usd (USD a day), verdict_spend (units spent before an ad is judged), winner_roas (pipeline ROAS above which an ad is a winner), winner_spend (units spent before it can be one): numbers, or null for the default. What is not named stays."`
	}
}

func (f *function) putAccount(ctx context.Context, in *putAccountInput) (*accountOutput, error) {
	id := auth.From(ctx)
	serve.Note(ctx, "account", in.ID, "by", id.Subject)
	set, err := settingsOf(in.Body.Settings)
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

// settingsOf checks settings and returns them as they are stored.
func settingsOf(given map[string]any) (map[string]json.RawMessage, error) {
	set := map[string]json.RawMessage{}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		i := slices.IndexFunc(accounts.Settings, func(s accounts.Setting) bool { return s.Name == name })
		if i < 0 {
			return nil, fault.Field("body.settings", "holds a setting that is not known here; there are "+settingNames())
		}
		if given[name] == nil {
			set[name] = json.RawMessage("null")
			continue
		}
		rule := accounts.Settings[i]
		value, ok := given[name].(float64)
		if !ok || value < rule.Min || value > rule.Max {
			return nil, fault.Field("body.settings."+name, "must be a number from "+number(rule.Min)+" to "+number(rule.Max)+", or null")
		}
		set[name] = json.RawMessage(strconv.FormatFloat(value, 'g', -1, 64))
	}
	return set, nil
}

func number(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

func settingNames() string {
	names := make([]string, len(accounts.Settings))
	for i, s := range accounts.Settings {
		names[i] = s.Name
	}
	return strings.Join(names, ", ")
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
	before := a.Settings
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
	if winnersChange(before, a.Settings) {
		err = settle(ctx, tx, store, in.ID)
	}
	return shown(a), err
}

// apply puts what the request names into a.
func apply(ctx context.Context, store accounts.Store, a *accounts.Account, in *putAccountInput) error {
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
	if in.Body.Mode == nil || *in.Body.Mode == a.Mode {
		return nil
	}
	if *in.Body.Mode == accounts.Live && !a.Connected {
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

// winnersChange reports whether other ads may be winners by the settings of now.
func winnersChange(before, now map[string]json.RawMessage) bool {
	for _, name := range []string{"winner_roas", "winner_spend"} {
		if string(before[name]) != string(now[name]) {
			return true
		}
	}
	return false
}

// settledAtOnce bounds what one statement settles.
const settledAtOnce = 1000

func settle(ctx context.Context, tx pgx.Tx, store accounts.Store, account string) error {
	ids, err := store.Candidates(ctx, account)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(ids, settledAtOnce) {
		if _, err := ads.Settle(ctx, tx, part); err != nil {
			return err
		}
	}
	return nil
}
