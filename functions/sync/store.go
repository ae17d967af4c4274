package sync

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// connection is a tenant's ad account and how far it has been read.
type connection struct {
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

// connections lists the connected accounts of one tenant, or, of none, those of all
// tenants that have no schedule of their own, first those that were not begun for
// longest: one that never gets to its end does not stand before the others.
func connections(ctx context.Context, db *pg.Worker, only string) (all []connection, err error) {
	err = pg.Across(ctx, db, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, selectConnection+`
			AND CASE WHEN @only = '' THEN NOT EXISTS (SELECT FROM gv.schedules s WHERE s.tenant_id = c.tenant_id AND s.name = @schedule)
			         ELSE c.tenant_id::text = @only END
			ORDER BY attempted_at NULLS FIRST, tenant_id, account_id LIMIT @most`,
			pgx.StrictNamedArgs{"only": only, "schedule": scheduleName, "most": maxAccounts})
		all, err = pgx.CollectRows(rows, pgx.RowToStructByName[connection])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the connected ad accounts: %w", err)
	}
	return all, nil
}

// reread returns the connection as it is now, errRead where another run has just
// synced it or a member has disconnected it.
func reread(ctx context.Context, db *pg.Worker, c connection) (*connection, error) {
	var now []connection
	err := pg.Across(ctx, db, func(tx pgx.Tx) (err error) {
		rows, _ := tx.Query(ctx, selectConnection+` AND tenant_id = $1 AND account_id = $2`, c.TenantID, c.AccountID)
		now, err = pgx.CollectRows(rows, pgx.RowToStructByName[connection])
		return err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the connection of account %s: %w", c.AccountID, err)
	case len(now) == 0 || now[0].SyncedAt != nil && (c.SyncedAt == nil || now[0].SyncedAt.After(*c.SyncedAt)):
		return nil, errRead
	}
	return &now[0], nil
}

// begin puts down that an account's turn has come.
func begin(ctx context.Context, tx pgx.Tx, account string) error {
	_, err := tx.Exec(ctx, `UPDATE gv.meta_connections SET attempted_at = now() WHERE tenant_id = gv.tenant() AND account_id = $1`, account)
	if err != nil {
		return fmt.Errorf("begin with account %s: %w", account, err)
	}
	return nil
}

func succeeded(ctx context.Context, tx pgx.Tx, account string) error {
	_, err := tx.Exec(ctx, `
		UPDATE gv.meta_connections SET last_error = NULL, last_error_at = NULL, retry_at = NULL
		WHERE  tenant_id = gv.tenant() AND account_id = $1 AND (last_error IS NOT NULL OR retry_at IS NOT NULL)`, account)
	if err != nil {
		return fmt.Errorf("put down that account %s was synced: %w", account, err)
	}
	return nil
}

// failed puts down why a sync failed, and reports whether that is news. A
// connection that was made anew meanwhile is left alone.
func failed(ctx context.Context, tx pgx.Tx, c connection, what explanation) (anew bool, err error) {
	rows, _ := tx.Query(ctx, `
		UPDATE gv.meta_connections m
		SET    last_error = @text, last_error_at = now(), retry_at = CASE WHEN @wait::interval > interval '0' THEN now() + @wait::interval END
		FROM  (SELECT last_error FROM gv.meta_connections WHERE tenant_id = gv.tenant() AND account_id = @account FOR UPDATE) AS was
		WHERE  m.tenant_id = gv.tenant() AND m.account_id = @account AND m.access_token = @token AND m.disconnected_at IS NULL
		RETURNING was.last_error IS DISTINCT FROM @text`,
		pgx.StrictNamedArgs{"account": c.AccountID, "token": c.AccessToken, "text": what.text, "wait": what.wait})
	found, err := pgx.CollectRows(rows, pgx.RowTo[bool])
	if err != nil {
		return false, fmt.Errorf("put down why account %s was not synced: %w", c.AccountID, err)
	}
	return len(found) == 1 && found[0], nil
}

// kept returns the currency that the account has here, and whether any
// figures are kept in it.
func kept(ctx context.Context, tx pgx.Tx, account string) (currency money.Currency, used bool, err error) {
	err = tx.QueryRow(ctx, `
		SELECT currency, EXISTS (SELECT FROM gv.ads a WHERE a.tenant_id = gv.tenant() AND a.account_id = @account)
		                 OR EXISTS (SELECT FROM gv.campaigns c WHERE c.tenant_id = gv.tenant() AND c.account_id = @account)
		FROM   gv.accounts WHERE tenant_id = gv.tenant() AND account_id = @account`, pgx.StrictNamedArgs{"account": account}).Scan(&currency, &used)
	if err != nil {
		return "", false, fmt.Errorf("read account %s: %w", account, err)
	}
	return currency, used, nil
}
