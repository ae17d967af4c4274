package crmsync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Adopt adds the state of connected portals that have none yet, in a transaction
// across tenants.
func Adopt(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO gv.crm_syncs (tenant_id, portal_id)
		SELECT tenant_id, portal_id FROM gv.hubspot_connections WHERE disconnected_at IS NULL
		ON CONFLICT DO NOTHING`)
	if err != nil {
		return fmt.Errorf("add the states of new portals: %w", err)
	}
	return nil
}

// letters is how many open dead letters of a tenant's CRM events make its portals due.
const letters = 10

// Hasten makes portals due whose events have ended as dead letters since their last
// run, in a transaction across tenants: what was lost is read again at once.
func Hasten(ctx context.Context, tx pgx.Tx, topic string) error {
	_, err := tx.Exec(ctx, `
		UPDATE gv.crm_syncs s SET due_at = now(), requested_by = 'dead letters'
		WHERE  s.due_at > now() AND s.claim IS NULL
		AND    @letters <= (
			SELECT count(*) FROM gv.dead_letters d
			WHERE  d.tenant_id = s.tenant_id AND d.topic = @topic AND d.replayed_at IS NULL
			AND    d.received_at > coalesce(s.last_started_at, '-infinity'))`,
		pgx.StrictNamedArgs{"letters": letters, "topic": topic})
	if err != nil {
		return fmt.Errorf("make portals with dead letters due: %w", err)
	}
	return nil
}

// Claim takes the portal that has been due longest, or whose run has died, for a
// time, in a transaction across tenants. It reports false where there is none.
func Claim(ctx context.Context, tx pgx.Tx, ttl time.Duration) (Sync, bool, error) {
	rows, _ := tx.Query(ctx, `
		UPDATE gv.crm_syncs s SET claim = @claim::uuid, claimed_until = now() + @ttl::interval, due_at = now() + @every::interval
		WHERE  (tenant_id, portal_id) IN (
			SELECT d.tenant_id, d.portal_id
			FROM   gv.crm_syncs d JOIN gv.hubspot_connections c USING (tenant_id, portal_id)
			WHERE  (d.due_at <= now() OR d.claim IS NOT NULL) AND (d.claimed_until IS NULL OR d.claimed_until <= now()) AND c.disconnected_at IS NULL
			ORDER  BY d.due_at, d.tenant_id, d.portal_id
			LIMIT  1 FOR UPDATE OF d SKIP LOCKED)
		RETURNING `+columns,
		pgx.StrictNamedArgs{"claim": uuid.NewString(), "ttl": ttl, "every": Every})
	one, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Sync])
	if errors.Is(err, pgx.ErrNoRows) {
		return one, false, nil
	}
	if err != nil {
		return one, false, fmt.Errorf("claim a portal: %w", err)
	}
	return one, true, nil
}
