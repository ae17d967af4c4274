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

// Store reads and writes accounts in a tenant's transaction.
type Store struct{ tx pgx.Tx }

// NewStore returns the store of tx.
func NewStore(tx pgx.Tx) Store { return Store{tx} }

const columns = `
	a.account_id AS id, a.name, a.currency, a.time_zone, a.niche, a.mode, a.paused, a.settings, a.created_at,
	a.conversion_value_minor AS conversion_value, a.break_even, a.margin, a.attribution_model, a.click_retention_days, a.lead_property,
	a.write_back,
	EXISTS (SELECT FROM gv.meta_connections m WHERE m.tenant_id = a.tenant_id AND m.account_id = a.account_id
	AND m.disconnected_at IS NULL) AS connected,
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

// Lock stops others from changing the account, and from putting an ad into it,
// until the transaction ends.
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

// Measured reports whether the account has money in its currency already:
// metrics, figures or budgets. It locks the account's ads, so that the answer
// stays true until the transaction ends.
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

// Save writes all of the account that a tenant can change, creating the account
// where it is new. Settings that are null go back to their defaults; settings
// that a does not name stay as they are.
func (s Store) Save(ctx context.Context, a Account) error {
	settings := a.Settings
	if settings == nil {
		settings = map[string]json.RawMessage{}
	}
	_, err := s.tx.Exec(ctx, `
		INSERT INTO gv.accounts AS a (tenant_id, account_id, name, currency, time_zone, niche, mode, paused, settings,
		                              conversion_value_minor, break_even, margin, attribution_model, click_retention_days, lead_property,
		                              write_back)
		VALUES (gv.tenant(), @id, @name, @currency, @zone, @niche, @mode, @paused, jsonb_strip_nulls(@settings::jsonb),
		        @value, @break_even, @margin, @model, @retention, @lead_property, @write_back)
		ON CONFLICT (tenant_id, account_id) DO UPDATE
		SET name = excluded.name, currency = excluded.currency, time_zone = excluded.time_zone, niche = excluded.niche,
		    mode = excluded.mode, paused = excluded.paused, settings = jsonb_strip_nulls(a.settings || @settings::jsonb),
		    conversion_value_minor = excluded.conversion_value_minor, break_even = excluded.break_even, margin = excluded.margin,
		    attribution_model = excluded.attribution_model, click_retention_days = excluded.click_retention_days,
		    lead_property = excluded.lead_property, write_back = excluded.write_back`,
		pgx.StrictNamedArgs{
			"id": a.ID, "name": a.Name, "currency": a.Currency, "zone": a.TimeZone, "niche": a.Niche,
			"mode": a.Mode, "paused": a.Paused, "settings": settings, "value": a.ConversionValue, "break_even": a.BreakEven,
			"margin": a.Margin,
			"model":  a.AttributionModel, "retention": a.ClickRetentionDays, "lead_property": a.LeadProperty, "write_back": a.WriteBack,
		})
	if err != nil {
		return fmt.Errorf("save account %s: %w", a.ID, err)
	}
	return nil
}

// Follow takes over what the ad platform says of the account: its currency and
// time zone, and its name where the tenant gave none.
func (s Store) Follow(ctx context.Context, id, name string, currency money.Currency, zone string) error {
	_, err := s.tx.Exec(ctx, `
		UPDATE gv.accounts SET currency = @currency, time_zone = @zone, name = CASE WHEN name IN ('', account_id) THEN @name ELSE name END
		WHERE  tenant_id = gv.tenant() AND account_id = @account
		AND    (currency <> @currency OR time_zone <> @zone OR (name IN ('', account_id) AND name <> @name))`,
		pgx.StrictNamedArgs{"account": id, "currency": currency, "zone": zone, "name": name})
	if err != nil {
		return fmt.Errorf("update account %s from the ad platform: %w", id, err)
	}
	return nil
}

// EndLive puts a live account back to a dry run: there is no connection left to
// write through.
func (s Store) EndLive(ctx context.Context, id string) error {
	_, err := s.tx.Exec(ctx, `UPDATE gv.accounts SET mode = 'dry_run' WHERE tenant_id = gv.tenant() AND account_id = $1 AND mode = 'live'`, id)
	if err != nil {
		return fmt.Errorf("end the live mode of account %s: %w", id, err)
	}
	return nil
}

// Valued returns the account's ads whose pipeline value or winner status depends
// on the account's settings: winners, ads with value, and ads with conversions.
func (s Store) Valued(ctx context.Context, id string) ([]string, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT a.ad_id FROM gv.ads a
		WHERE  a.tenant_id = gv.tenant() AND a.account_id = $1
		AND    (a.is_winner OR a.pipeline_minor > 0
		        OR EXISTS (SELECT FROM gv.ad_figures f WHERE f.tenant_id = a.tenant_id AND f.ad_id = a.ad_id AND f.conversions > 0)
		        OR EXISTS (SELECT FROM gv.ad_metrics m WHERE m.tenant_id = a.tenant_id AND m.ad_id = a.ad_id AND m.conversions > 0))
		ORDER BY a.ad_id`, id)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list the valued ads of account %s: %w", id, err)
	}
	return ids, nil
}
