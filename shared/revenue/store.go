package revenue

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/money"
)

// Store reads and writes a tenant's stages in its transaction.
type Store struct{ tx pgx.Tx }

// NewStore returns the store of tx.
func NewStore(tx pgx.Tx) Store { return Store{tx} }

// Currency returns the currency that the tenant's stages are valued in.
func (s Store) Currency(ctx context.Context) (money.Currency, error) {
	var c money.Currency
	err := s.tx.QueryRow(ctx, `SELECT currency FROM gv.tenants WHERE tenant_id = gv.tenant()`).Scan(&c)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", fault.Forbiddenf("your token's tenant is not set up here")
	}
	if err != nil {
		return "", fmt.Errorf("read the tenant's currency: %w", err)
	}
	return c, nil
}

// Stages returns the tenant's stages by value, then name.
func (s Store) Stages(ctx context.Context) ([]Stage, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   stage_name AS name, value_minor AS value, confidence::numeric::double precision AS confidence, description
		FROM     gv.stage_values
		WHERE    tenant_id = gv.tenant()
		ORDER BY value_minor, stage_name COLLATE "C"`)
	stages, err := pgx.CollectRows(rows, pgx.RowToStructByName[Stage])
	if err != nil {
		return nil, fmt.Errorf("list stages: %w", err)
	}
	return stages, nil
}

// Stage returns the tenant's stage, or a NotFound fault. It stays as it is until
// the transaction ends, so that a revaluation at the same moment comes before or
// after whatever is valued by it, and misses nothing.
func (s Store) Stage(ctx context.Context, name string) (Stage, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT stage_name AS name, value_minor AS value, confidence::numeric::double precision AS confidence, description
		FROM   gv.stage_values
		WHERE  tenant_id = gv.tenant() AND stage_name = $1
		FOR    SHARE`, name)
	stage, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Stage])
	if errors.Is(err, pgx.ErrNoRows) {
		return stage, fault.NotFoundf("no stage has this name")
	}
	if err != nil {
		return stage, fmt.Errorf("read stage %s: %w", name, err)
	}
	return stage, nil
}

// Change is what SetStage did.
type Change struct {
	Created bool
	Before  Stage // of a stage that existed
}

// SetStage makes the tenant's stage what stage says, creating it if there is
// none of that name. What it was worth before stays in the history. Deals keep
// their old value until Revalue.
func (s Store) SetStage(ctx context.Context, stage Stage, who string) (Change, error) {
	if err := s.lockDeals(ctx, stage.Name); err != nil {
		return Change{}, err
	}
	args := pgx.StrictNamedArgs{
		"name": stage.Name, "value": stage.Value, "confidence": stage.Confidence, "description": stage.Description, "who": who,
	}
	made, err := s.tx.Exec(ctx, `
		INSERT INTO gv.stage_values (tenant_id, stage_name, value_minor, confidence, description, updated_by)
		VALUES (gv.tenant(), @name, @value, @confidence, @description, @who)
		ON CONFLICT DO NOTHING`, args)
	if err != nil {
		return Change{}, fmt.Errorf("create stage %s: %w", stage.Name, err)
	}
	if made.RowsAffected() == 1 {
		return Change{Created: true}, nil
	}
	before, err := s.exclusively(ctx, stage.Name)
	if err != nil {
		return Change{}, err
	}
	// The clock is read under the row's lock, so that two changes' times follow each other.
	_, err = s.tx.Exec(ctx, `
		WITH clock AS (
			SELECT clock_timestamp() AS at
		), kept AS (
			INSERT INTO gv.stage_value_history (tenant_id, stage_name, value_minor, confidence, valid_from, valid_until, replaced_by)
			SELECT s.tenant_id, s.stage_name, s.value_minor, s.confidence, s.updated_at, clock.at, @who
			FROM   gv.stage_values s, clock
			WHERE  s.tenant_id = gv.tenant() AND s.stage_name = @name
			AND    (s.value_minor, s.confidence) IS DISTINCT FROM (@value::bigint, @confidence::real)
			RETURNING valid_until
		)
		UPDATE gv.stage_values s
		SET    value_minor = @value, confidence = @confidence, description = @description,
		       updated_at = coalesce((SELECT valid_until FROM kept), s.updated_at), updated_by = @who
		WHERE  s.tenant_id = gv.tenant() AND s.stage_name = @name`, args)
	if err != nil {
		return Change{}, fmt.Errorf("change stage %s: %w", stage.Name, err)
	}
	return Change{Before: before}, nil
}

// lockDeals locks the stage's deals before the stage itself, the order in which
// a deal that moves locks them, so that the two do not deadlock.
func (s Store) lockDeals(ctx context.Context, name string) error {
	_, err := s.tx.Exec(ctx, `
		SELECT   FROM gv.deals
		WHERE    tenant_id = gv.tenant() AND stage_name = $1 AND state = 'live'
		ORDER BY portal_id, deal_id FOR UPDATE`, name)
	if err != nil {
		return fmt.Errorf("lock deals of stage %s: %w", name, err)
	}
	return nil
}

func (s Store) exclusively(ctx context.Context, name string) (Stage, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT stage_name AS name, value_minor AS value, confidence::numeric::double precision AS confidence, description
		FROM   gv.stage_values
		WHERE  tenant_id = gv.tenant() AND stage_name = $1
		FOR    UPDATE`, name)
	stage, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Stage])
	if err != nil {
		return stage, fmt.Errorf("lock stage %s: %w", name, err)
	}
	return stage, nil
}

// Revalue gives the stage's live deals the value that they have now, by the rule
// of Worth; one whose amount cannot be used stays at 0. It returns how many deals
// changed and the ads that they are credited to, which are then to be settled.
func (s Store) Revalue(ctx context.Context, stage string) (deals int, adIDs []string, err error) {
	err = s.tx.QueryRow(ctx, `
		WITH worth AS (
			SELECT d.portal_id, d.deal_id, s.confidence,
			       CASE WHEN d.amount_issue IS NOT NULL THEN 0
			            WHEN s.stage_name = @won THEN coalesce(d.amount_minor, s.value_minor)
			            ELSE s.value_minor END AS value_minor
			FROM   gv.deals d
			JOIN   gv.stage_values s USING (tenant_id, stage_name)
			WHERE  d.tenant_id = gv.tenant() AND d.stage_name = @stage AND d.state = 'live'
		), revalued AS (
			UPDATE gv.deals d
			SET    value_minor = w.value_minor, stage_confidence = w.confidence, processed_at = now()
			FROM   worth w
			WHERE  d.tenant_id = gv.tenant() AND d.portal_id = w.portal_id AND d.deal_id = w.deal_id
			AND    (d.value_minor, d.stage_confidence) IS DISTINCT FROM (w.value_minor, w.confidence)
			RETURNING d.ad_id
		)
		SELECT count(*), coalesce(array_agg(DISTINCT ad_id) FILTER (WHERE ad_id IS NOT NULL), '{}') FROM revalued`,
		pgx.StrictNamedArgs{"stage": stage, "won": ClosedWon}).Scan(&deals, &adIDs)
	if err != nil {
		return 0, nil, fmt.Errorf("revalue deals of stage %s: %w", stage, err)
	}
	return deals, adIDs, nil
}

// ImportValued returns the ads whose value is a number of imported conversions
// times the value of closed_won: they are to be settled when that changes.
func (s Store) ImportValued(ctx context.Context) ([]string, error) {
	rows, _ := s.tx.Query(ctx, `SELECT ad_id FROM gv.ads WHERE tenant_id = gv.tenant() AND value_source = 'import' ORDER BY ad_id`)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list ads valued by an import: %w", err)
	}
	return ids, nil
}
