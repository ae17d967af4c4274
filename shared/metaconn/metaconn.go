// Package metaconn knows which tenant has connected a Meta ad account, with which
// token, and how far that account has been read.
package metaconn

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/pg"
)

// Connection is a tenant's ad account and how far it has been read.
type Connection struct {
	TenantID      string
	AccountID     string
	AccessToken   string // its Secret Manager name
	SyncedThrough *time.Time
	SyncedAt      *time.Time
	AttemptedAt   *time.Time
	ResumeDay     *time.Time
	RetryAt       *time.Time
}

const selectConnection = `
	SELECT tenant_id, account_id, access_token, synced_through, synced_at, attempted_at, resume_day, retry_at
	FROM   gv.meta_connections c
	WHERE  disconnected_at IS NULL`

// scheduleName is the name of a tenant's own schedule of syncs in gv.schedules; the
// hourly run passes such a tenant over.
const scheduleName = "sync"

// maxAccounts of one run; the next run begins with those that were not reached.
const maxAccounts = 10_000

// Due lists the connected accounts of one tenant, or, of none, those of all
// tenants that have no schedule of their own, first those that were not begun for
// longest: one that never gets to its end does not stand before the others.
func Due(ctx context.Context, db *pg.Worker, only string) (all []Connection, err error) {
	err = pg.Across(ctx, db, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, selectConnection+`
			AND CASE WHEN @only = '' THEN NOT EXISTS (SELECT FROM gv.schedules s WHERE s.tenant_id = c.tenant_id AND s.name = @schedule)
			         ELSE c.tenant_id::text = @only END
			ORDER BY attempted_at NULLS FIRST, tenant_id, account_id LIMIT @most`,
			pgx.StrictNamedArgs{"only": only, "schedule": scheduleName, "most": maxAccounts})
		all, err = pgx.CollectRows(rows, pgx.RowToStructByName[Connection])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the connected ad accounts: %w", err)
	}
	return all, nil
}

// Reread returns the connection as it is now, nil where another run has synced it
// since c was read or a member has disconnected it.
func Reread(ctx context.Context, db *pg.Worker, c Connection) (*Connection, error) {
	var now []Connection
	err := pg.Across(ctx, db, func(tx pgx.Tx) (err error) {
		rows, _ := tx.Query(ctx, selectConnection+` AND tenant_id = $1 AND account_id = $2`, c.TenantID, c.AccountID)
		now, err = pgx.CollectRows(rows, pgx.RowToStructByName[Connection])
		return err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the connection of account %s: %w", c.AccountID, err)
	case len(now) == 0 || now[0].SyncedAt != nil && (c.SyncedAt == nil || now[0].SyncedAt.After(*c.SyncedAt)):
		return nil, nil
	}
	return &now[0], nil
}
