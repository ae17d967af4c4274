// Package hubspotconn knows which tenant has connected a HubSpot portal, and with
// which credentials.
package hubspotconn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/pg"
)

// Connection is a tenant's connection to a HubSpot portal. Credentials are
// Secret Manager names.
type Connection struct {
	PortalID       int64
	TenantID       string
	Currency       string // the tenant's, which is the portal's home currency
	ClientSecret   *string
	PreviousSecret *string
	PreviousUntil  *time.Time
	AccessToken    string
	LeadProperty   string  // the contact property with the id of a lead on Meta
	LeadKey        *string // what the tenant's contacts' addresses are hashed with; nil where no lead forms are read
	LastError      *string // why HubSpot refused the connection last, nil while it works
}

// Secrets returns the names of the client secrets that are valid at now, newest
// first; "" stands for the deployment's own secret.
func (c Connection) Secrets(now time.Time) []string {
	names := []string{""}
	if c.ClientSecret != nil {
		names[0] = *c.ClientSecret
	}
	if c.PreviousSecret != nil && c.PreviousUntil != nil && now.Before(*c.PreviousUntil) {
		names = append(names, *c.PreviousSecret)
	}
	return names
}

// Find returns the connection of each portal that a tenant has connected;
// portals that nobody has connected are missing from it.
func Find(ctx context.Context, db *pg.DB, portals ...int64) (map[int64]Connection, error) {
	type owned struct {
		PortalID int64
		TenantID string
	}
	var owners []owned
	err := pg.WithoutTenant(ctx, db, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `
			SELECT portal_id, tenant_id FROM (
				SELECT p AS portal_id, gv.portal_tenant(p) AS tenant_id FROM unnest($1::bigint[]) AS p
			) AS owners WHERE tenant_id IS NOT NULL`, portals)
		var err error
		owners, err = pgx.CollectRows(rows, pgx.RowToStructByName[owned])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look up portals %v: %w", portals, err)
	}
	found := make(map[int64]Connection, len(owners))
	for _, o := range owners {
		err := pg.InTenant(ctx, db, o.TenantID, func(tx pgx.Tx) error {
			rows, _ := tx.Query(ctx, `
				SELECT c.portal_id, c.tenant_id, t.currency, c.client_secret, c.previous_secret, c.previous_until, c.access_token, c.last_error,
				       c.lead_property, l.secret AS lead_key
				FROM   gv.hubspot_connections c JOIN gv.tenants t USING (tenant_id) LEFT JOIN gv.lead_keys l USING (tenant_id)
				WHERE  c.tenant_id = gv.tenant() AND c.portal_id = $1 AND c.disconnected_at IS NULL`, o.PortalID)
			c, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Connection])
			if errors.Is(err, pgx.ErrNoRows) {
				return nil // disconnected this very moment
			}
			found[o.PortalID] = c
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read the connection of portal %d: %w", o.PortalID, err)
		}
	}
	return found, nil
}
