package winners

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// DueChange is a tenant whose change of the embedding model has to go on.
type DueChange struct {
	TenantID string
	ChangeDue
}

// ClaimChanges claims up to n changes of the embedding model that are due, of any
// tenant, for ttl. It needs pg.Across.
func ClaimChanges(ctx context.Context, tx pgx.Tx, ttl time.Duration, n int) ([]DueChange, error) {
	rows, _ := tx.Query(ctx, `
		UPDATE gv.embedding_models SET attempt = attempt + 1, due_at = now() + @ttl::interval
		WHERE  tenant_id IN (SELECT tenant_id FROM gv.embedding_models WHERE due_at <= now()
		                     ORDER BY due_at LIMIT @n FOR UPDATE SKIP LOCKED)
		RETURNING tenant_id::text, attempt`,
		pgx.StrictNamedArgs{"ttl": ttl, "n": n})
	claimed, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d DueChange, err error) {
		err = row.Scan(&d.TenantID, &d.Attempt)
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("claim changes of the embedding model: %w", err)
	}
	return claimed, nil
}
