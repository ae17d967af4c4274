// Package accounts holds a tenant's ad accounts: what money they count in, which
// days are theirs, and how much the executor may do by itself.
package accounts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	_ "time/tzdata" // where the machine has none

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/money"
)

// The modes of an account: nothing is written to the platform; only what a
// member approved is; everything that the rules admit is.
const (
	DryRun   = "dry_run"
	Approval = "approval"
	Live     = "live"
)

// Account is an ad account of the tenant.
type Account struct {
	ID        string
	Name      string
	Currency  money.Currency
	TimeZone  string // an IANA name
	Niche     string
	Mode      string
	Paused    bool
	Settings  map[string]json.RawMessage
	CreatedAt time.Time
	Connected bool // to Meta
	NumAds    int
}

// Setting is a number of an account that a tenant may change.
type Setting struct {
	Name     string
	Min, Max float64
	Meaning  string
}

// Settings lists them, by name. The schema holds only those that were set.
var Settings = []Setting{
	{"gemini_daily_cap_usd", 0, 1e6, "USD that your organisation may spend on Gemini in a day (UTC), where that is less than the system allows; the lowest of its accounts' counts"},
	{"verdict_spend", 0, 1e9, "units of the account's currency spent before an ad is judged; the sampler's own where it is not set"},
	{"winner_roas", 0, 1000, "pipeline ROAS above which an ad is a winner; 3 where it is not set"},
	{"winner_spend", 0, 1e9, "units of the account's currency spent before an ad can be a winner; 50 where it is not set"},
}

// Store reads and writes accounts in a tenant's transaction.
type Store struct{ tx pgx.Tx }

// NewStore returns the store of tx.
func NewStore(tx pgx.Tx) Store { return Store{tx} }

const columns = `
	a.account_id AS id, a.name, a.currency, a.time_zone, a.niche, a.mode, a.paused, a.settings, a.created_at,
	EXISTS (SELECT FROM gv.meta_connections m WHERE m.tenant_id = a.tenant_id AND m.account_id = a.account_id AND m.disconnected_at IS NULL) AS connected,
	(SELECT count(*)::int FROM gv.ads d WHERE d.tenant_id = a.tenant_id AND d.account_id = a.account_id) AS num_ads`

// List returns the tenant's accounts by id.
func (s Store) List(ctx context.Context) ([]Account, error) {
	rows, _ := s.tx.Query(ctx, `SELECT `+columns+` FROM gv.accounts a WHERE a.tenant_id = gv.tenant() ORDER BY a.account_id COLLATE "C"`)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[Account])
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	return all, nil
}

// Get returns the account, or a NotFound fault.
func (s Store) Get(ctx context.Context, id string) (Account, error) {
	rows, _ := s.tx.Query(ctx, `SELECT `+columns+` FROM gv.accounts a WHERE a.tenant_id = gv.tenant() AND a.account_id = $1`, id)
	a, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Account])
	if errors.Is(err, pgx.ErrNoRows) {
		return a, fault.NotFoundf("there is no account with this account_id")
	}
	if err != nil {
		return a, fmt.Errorf("read account %s: %w", id, err)
	}
	return a, nil
}

// Lock keeps others from changing the account, or putting an ad into it, until
// the transaction ends.
func (s Store) Lock(ctx context.Context, id string) error {
	if _, err := s.tx.Exec(ctx, `SELECT FROM gv.accounts WHERE tenant_id = gv.tenant() AND account_id = $1 FOR UPDATE`, id); err != nil {
		return fmt.Errorf("lock account %s: %w", id, err)
	}
	return nil
}

// Zone reports whether name is a time zone that both Go and the database know.
func (s Store) Zone(ctx context.Context, name string) (known bool, err error) {
	if _, err := time.LoadLocation(name); err != nil || name == "" || name == "Local" {
		return false, nil
	}
	if err := s.tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_timezone_names WHERE name = $1)`, name).Scan(&known); err != nil {
		return false, fmt.Errorf("look up a time zone: %w", err)
	}
	return known, nil
}

// Measured reports whether there is money in the account already, counted in its
// currency: metrics, figures or budgets. Its ads are locked, so that it stays so.
func (s Store) Measured(ctx context.Context, id string) (measured bool, err error) {
	_, err = s.tx.Exec(ctx, `SELECT FROM gv.ads WHERE tenant_id = gv.tenant() AND account_id = $1 ORDER BY ad_id FOR UPDATE`, id)
	if err == nil {
		err = s.tx.QueryRow(ctx, `
			SELECT EXISTS (
				SELECT FROM gv.ads a WHERE a.tenant_id = gv.tenant() AND a.account_id = $1
				AND    (a.daily_budget_minor IS NOT NULL OR a.spend_minor > 0
				        OR EXISTS (SELECT FROM gv.ad_metrics m WHERE m.tenant_id = a.tenant_id AND m.ad_id = a.ad_id)
				        OR EXISTS (SELECT FROM gv.ad_figures f WHERE f.tenant_id = a.tenant_id AND f.ad_id = a.ad_id))
			) OR EXISTS (
				SELECT FROM gv.campaigns c WHERE c.tenant_id = gv.tenant() AND c.account_id = $1 AND c.daily_budget_minor IS NOT NULL
			)`, id).Scan(&measured)
	}
	if err != nil {
		return false, fmt.Errorf("look for metrics of account %s: %w", id, err)
	}
	return measured, nil
}

// Save writes what of the account can be changed, creating it where it is new.
// Settings that are null are back at their defaults; those that a does not name
// stay as they are.
func (s Store) Save(ctx context.Context, a Account) error {
	settings := a.Settings
	if settings == nil {
		settings = map[string]json.RawMessage{}
	}
	_, err := s.tx.Exec(ctx, `
		INSERT INTO gv.accounts AS a (tenant_id, account_id, name, currency, time_zone, niche, mode, paused, settings)
		VALUES (gv.tenant(), @id, @name, @currency, @zone, @niche, @mode, @paused, jsonb_strip_nulls(@settings::jsonb))
		ON CONFLICT (tenant_id, account_id) DO UPDATE
		SET name = excluded.name, currency = excluded.currency, time_zone = excluded.time_zone, niche = excluded.niche,
		    mode = excluded.mode, paused = excluded.paused, settings = jsonb_strip_nulls(a.settings || @settings::jsonb)`,
		pgx.StrictNamedArgs{
			"id": a.ID, "name": a.Name, "currency": a.Currency, "zone": a.TimeZone, "niche": a.Niche,
			"mode": a.Mode, "paused": a.Paused, "settings": settings,
		})
	if err != nil {
		return fmt.Errorf("save account %s: %w", a.ID, err)
	}
	return nil
}

// Candidates returns the account's ads that are winners or may become ones: they
// are to be settled when what makes a winner changes. One without value is none
// by any threshold.
func (s Store) Candidates(ctx context.Context, id string) ([]string, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT ad_id FROM gv.ads
		WHERE  tenant_id = gv.tenant() AND account_id = $1 AND (is_winner OR pipeline_minor > 0) ORDER BY ad_id`, id)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list candidates of account %s: %w", id, err)
	}
	return ids, nil
}
