package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/changes"
)

// Due is an account with changes to carry out.
type Due struct {
	TenantID, AccountID string
	// At is when its first change is due.
	At time.Time
}

// Due lists the accounts of all tenants with changes that are due by until, the
// longest waiting first. Paused accounts are skipped, except changes already sent
// whose outcome is unknown: those are only read back. It needs pg.Across.
func (s Store) Due(ctx context.Context, until time.Time) ([]Due, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT   p.tenant_id, p.account_id, min(p.due_at) AS at
		FROM     gv.pending_ad_changes p
		JOIN     gv.accounts a USING (tenant_id, account_id)
		JOIN     gv.tenants t USING (tenant_id)
		WHERE    p.due_at <= @until AND (p.lease_until IS NULL OR p.lease_until < clock_timestamp())
		AND      (p.status IN ('applying', 'unknown')
		          OR p.status = 'pending' AND NOT a.paused AND NOT t.paused
		             AND NOT EXISTS (SELECT FROM gv.pending_ad_changes u
		                             WHERE u.tenant_id = p.tenant_id AND u.budget_object = p.budget_object
		                             AND u.status IN ('applying', 'unknown')))
		GROUP BY p.tenant_id, p.account_id
		ORDER BY at`,
		pgx.StrictNamedArgs{"until": until})
	due, err := pgx.CollectRows(rows, pgx.RowToStructByName[Due])
	if err != nil {
		return nil, fmt.Errorf("list accounts with due changes: %w", err)
	}
	return due, nil
}

// Claim is a change that one executor may act on until its lease ends.
type Claim struct {
	changes.Change
	LeaseToken string
}

// ErrClaimLost is returned where another executor has claimed the change since.
var ErrClaimLost = errors.New("another executor has claimed the change")

// Claim claims the account's longest due change for the time of lease; nil where
// none is due. A change waits while another of its object is being written.
func (s Store) Claim(ctx context.Context, tenant, account string, lease time.Duration) (*Claim, error) {
	now, err := s.Now(ctx)
	if err != nil {
		return nil, err
	}
	c := &Claim{LeaseToken: uuid.NewString()}
	found, err := s.read(ctx, `
		WITH next AS (
			SELECT c.change_id
			FROM   gv.pending_ad_changes c
			JOIN   gv.accounts a USING (tenant_id, account_id)
			JOIN   gv.tenants t USING (tenant_id)
			WHERE  c.tenant_id = @tenant AND c.account_id = @account AND c.due_at <= @now
			AND    (c.lease_until IS NULL OR c.lease_until < clock_timestamp())
			AND    (c.status IN ('applying', 'unknown')
			        OR c.status = 'pending' AND NOT a.paused AND NOT t.paused
			           AND NOT EXISTS (SELECT FROM gv.pending_ad_changes u
			                           WHERE u.tenant_id = c.tenant_id AND u.budget_object = c.budget_object
			                           AND u.status IN ('applying', 'unknown')))
			ORDER  BY c.due_at, c.change_id LIMIT 1
			FOR    UPDATE OF c SKIP LOCKED
		)
		UPDATE gv.pending_ad_changes p
		SET    attempt = p.attempt + 1, lease_token = @token, lease_until = clock_timestamp() + @lease::interval
		FROM   next, gv.accounts a
		WHERE  p.change_id = next.change_id AND a.tenant_id = p.tenant_id AND a.account_id = p.account_id
		RETURNING `+changeColumns,
		pgx.StrictNamedArgs{"tenant": tenant, "account": account, "now": now, "token": c.LeaseToken, "lease": lease})
	if err != nil {
		return nil, fmt.Errorf("claim a change of account %s: %w", account, err)
	}
	if len(found) == 0 {
		return nil, nil
	}
	c.Change = *found[0]
	return c, nil
}
