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
		return "", fault.NotFoundf("your token's tenant is not set up here")
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

// Setting is what a stage is to be. What is nil stays as it is; a new stage then
// has no description and is as likely as not.
type Setting struct {
	Value       money.Amount
	Confidence  *float64
	Description *string
}

const newConfidence = 0.5

// SetStage sets what the tenant's stage is worth, creating it if there is none
// of that name, and returns it as it was, nil if there was none, and as it is.
// What it was worth stays in the history. Deals keep their old value until
// Revalue.
func (s Store) SetStage(ctx context.Context, name string, to Setting, who string) (was *Stage, is Stage, err error) {
	if err := s.lockDeals(ctx, name); err != nil {
		return nil, is, err
	}
	is = Stage{Name: name, Value: to.Value, Confidence: newConfidence}
	made, err := s.tx.Exec(ctx, `
		INSERT INTO gv.stage_values (tenant_id, stage_name, value_minor, confidence, updated_by)
		VALUES (gv.tenant(), @name, @value, @confidence, @who)
		ON CONFLICT DO NOTHING`,
		pgx.StrictNamedArgs{"name": name, "value": is.Value, "confidence": is.Confidence, "who": who})
	if err != nil {
		return nil, is, fmt.Errorf("create stage %s: %w", name, err)
	}
	old, err := s.exclusively(ctx, name)
	if err != nil {
		return nil, is, err
	}
	is.Confidence, is.Description = old.Confidence, old.Description
	if to.Confidence != nil {
		is.Confidence = *to.Confidence
	}
	if to.Description != nil {
		is.Description = *to.Description
	}
	if made.RowsAffected() == 0 {
		was = &old
	}
	return was, is, s.replace(ctx, is, was != nil, who)
}

// replace reads the clock under the row's lock, so that the times of two changes
// follow each other.
func (s Store) replace(ctx context.Context, to Stage, keep bool, who string) error {
	_, err := s.tx.Exec(ctx, `
		WITH kept AS (
			INSERT INTO gv.stage_value_history (tenant_id, stage_name, value_minor, confidence, valid_from, valid_until, replaced_by)
			SELECT s.tenant_id, s.stage_name, s.value_minor, s.confidence, s.updated_at, clock_timestamp(), @who
			FROM   gv.stage_values s
			WHERE  s.tenant_id = gv.tenant() AND s.stage_name = @name AND @keep
			AND    (s.value_minor, s.confidence) IS DISTINCT FROM (@value::bigint, @confidence::real)
			RETURNING valid_until
		)
		UPDATE gv.stage_values s
		SET    value_minor = @value, confidence = @confidence, description = @description,
		       updated_at = coalesce((SELECT valid_until FROM kept), s.updated_at), updated_by = @who
		WHERE  s.tenant_id = gv.tenant() AND s.stage_name = @name`,
		pgx.StrictNamedArgs{
			"name": to.Name, "value": to.Value, "confidence": to.Confidence, "description": to.Description, "keep": keep, "who": who,
		})
	if err != nil {
		return fmt.Errorf("change stage %s: %w", to.Name, err)
	}
	return nil
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
