// Package hubspotconn knows which tenant has connected a HubSpot portal, and with
// which credentials.
package hubspotconn

import (
	"context"
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
	found := make(map[int64]Connection, len(portals))
	err := pg.WithoutTenant(ctx, db, func(ask pg.Asker) error {
		rows, _ := ask.Query(ctx, `SELECT * FROM gv.portal_connections($1)`, portals)
		connections, err := pgx.CollectRows(rows, pgx.RowToStructByName[Connection])
		for _, c := range connections {
			found[c.PortalID] = c
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look up portals %v: %w", portals, err)
	}
	return found, nil
}
