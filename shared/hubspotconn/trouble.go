package hubspotconn

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/notice"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// Refused keeps with the connection that HubSpot refuses it, and why, and tells
// the tenant once.
func Refused(ctx context.Context, db *pg.DB, c Connection, reason string) error {
	err := pg.InTenant(ctx, db, c.TenantID, func(tx pgx.Tx) error {
		var changed bool
		err := tx.QueryRow(ctx, `
			UPDATE gv.hubspot_connections SET last_error = @reason, last_error_at = now()
			WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND access_token = @token AND disconnected_at IS NULL
			AND    last_error IS DISTINCT FROM @reason
			RETURNING true`,
			pgx.StrictNamedArgs{"portal": c.PortalID, "token": c.AccessToken, "reason": reason}).Scan(&changed)
		if errors.Is(err, pgx.ErrNoRows) { // known already, or connected anew meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		return notice.Put(ctx, tx, c.TenantID, notice.Notice{
			Kind: notice.ConnectionRefused, Text: reason, Data: map[string]any{"portal_id": c.PortalID},
		})
	})
	if err != nil {
		return fmt.Errorf("keep the refusal of portal %d: %w", c.PortalID, err)
	}
	return nil
}

// Works keeps with the connection that HubSpot takes it again.
func Works(ctx context.Context, db *pg.DB, c Connection) error {
	err := pg.InTenant(ctx, db, c.TenantID, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE gv.hubspot_connections SET last_error = NULL, last_error_at = NULL
			WHERE  tenant_id = gv.tenant() AND portal_id = $1 AND access_token = $2 AND last_error IS NOT NULL`, c.PortalID, c.AccessToken)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep that portal %d works: %w", c.PortalID, err)
	}
	return nil
}
