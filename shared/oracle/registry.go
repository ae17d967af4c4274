package oracle

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// kept is how many models of an account stay in the registry beside the champion.
const keptModels = 10

// Lock holds an account's place in the registry until the transaction ends, so
// that two who trained at once do not both promote.
func (s Store) Lock(ctx context.Context, account string) error {
	_, err := s.tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('oracle ' || gv.tenant()::text || ' ' || @account, 0))`,
		pgx.StrictNamedArgs{"account": account})
	if err != nil {
		return fmt.Errorf("lock the models of account %s: %w", account, err)
	}
	return nil
}

// Register keeps a model, in place of one of the same version. As champion it
// retires the one before it.
func (s Store) Register(ctx context.Context, m Model, basis Basis, champion bool, verdict string) error {
	data, err := m.encode()
	if err != nil {
		return err
	}
	metrics, err := json.Marshal(m.Metrics)
	if err != nil {
		return fmt.Errorf("encode a model's metrics: %w", err)
	}
	role := "challenger"
	if champion {
		role = "champion"
		if err := s.retire(ctx, m); err != nil {
			return err
		}
	}
	_, err = s.tx.Exec(ctx, `
		INSERT INTO gv.model_registry AS r (tenant_id, account_id, name, version, role, fingerprint, training_rows, parameters, metrics,
		       promoted_at, basis, verdict, trained_at)
		VALUES (gv.tenant(), @account, @name, @version, @role, @print, @rows, @data, @metrics,
		       CASE WHEN @role = 'champion' THEN clock_timestamp() END, @basis, @verdict, clock_timestamp())
		ON CONFLICT (tenant_id, account_id, name, version) DO UPDATE
		SET role = CASE WHEN r.role = 'champion' THEN r.role ELSE excluded.role END, parameters = excluded.parameters, metrics = excluded.metrics,
		    promoted_at = coalesce(excluded.promoted_at, r.promoted_at), basis = excluded.basis, verdict = excluded.verdict,
		    trained_at = excluded.trained_at`,
		pgx.StrictNamedArgs{
			"account": m.Columns.Account, "name": registered, "version": m.Version(), "role": role, "print": m.Print,
			"rows": m.Metrics.Ads, "data": data, "metrics": metrics, "basis": basis, "verdict": verdict,
		})
	if err != nil {
		return fmt.Errorf("register model %s of account %s: %w", m.Version(), m.Columns.Account, err)
	}
	_, err = s.tx.Exec(ctx, `
		DELETE FROM gv.model_registry
		WHERE  tenant_id = gv.tenant() AND account_id = @account AND name = @name AND role <> 'champion'
		AND    model_id NOT IN (
			SELECT model_id FROM gv.model_registry
			WHERE  tenant_id = gv.tenant() AND account_id = @account AND name = @name AND role <> 'champion'
			ORDER BY trained_at DESC, version LIMIT @kept)`,
		pgx.StrictNamedArgs{"account": m.Columns.Account, "name": registered, "kept": keptModels})
	if err != nil {
		return fmt.Errorf("clear old models of account %s: %w", m.Columns.Account, err)
	}
	return nil
}

func (s Store) retire(ctx context.Context, m Model) error {
	_, err := s.tx.Exec(ctx, `
		UPDATE gv.model_registry SET role = 'retired'
		WHERE  tenant_id = gv.tenant() AND account_id = @account AND name = @name AND role = 'champion' AND version <> @version`,
		pgx.StrictNamedArgs{"account": m.Columns.Account, "name": registered, "version": m.Version()})
	if err != nil {
		return fmt.Errorf("retire the champion of account %s: %w", m.Columns.Account, err)
	}
	return nil
}
