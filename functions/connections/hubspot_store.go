package connections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/revenue"
)

// portalRow is a connection as the database has it: credentials by name.
type portalRow struct {
	PortalID          int64
	ClientSecret      *string
	ClientSecretSetAt *time.Time
	PreviousSecret    *string
	PreviousUntil     *time.Time
	AccessToken       string
	AccessTokenSetAt  *time.Time
	ConnectedBy       string
	ConnectedAt       time.Time
	DisconnectedAt    *time.Time
	LastError         *string
	LastErrorAt       *time.Time
	LeadProperty      string
	Now               time.Time
}

func (r portalRow) shown() HubSpotConnection {
	c := HubSpotConnection{
		PortalID: r.PortalID, Connected: r.DisconnectedAt == nil, ConnectedAt: r.ConnectedAt.UTC(), ConnectedBy: r.ConnectedBy,
		DisconnectedAt: inUTC(r.DisconnectedAt), ClientSecret: credential(deref(r.ClientSecret), r.ClientSecretSetAt),
		AccessToken: credential(r.AccessToken, r.AccessTokenSetAt), LastError: deref(r.LastError), LastErrorAt: inUTC(r.LastErrorAt),
		LeadProperty: r.LeadProperty,
	}
	if r.PreviousUntil != nil && r.PreviousUntil.After(r.Now) {
		c.PreviousSecretUntil = inUTC(r.PreviousUntil)
	}
	return c
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

const portalColumns = `portal_id, client_secret, client_secret_set_at, previous_secret, previous_until, access_token, access_token_set_at,
	connected_by, connected_at, disconnected_at, last_error, last_error_at, lead_property, now() AS now`

func portals(ctx context.Context, tx pgx.Tx) ([]portalRow, error) {
	rows, _ := tx.Query(ctx, `
		SELECT `+portalColumns+` FROM gv.hubspot_connections
		WHERE  tenant_id = gv.tenant() ORDER BY (disconnected_at IS NOT NULL), portal_id`)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[portalRow])
	if err != nil {
		return nil, fmt.Errorf("list portals: %w", err)
	}
	return all, nil
}

// portalFree returns a Conflict where another tenant has connected the portal,
// without saying which, or where its money is not the tenant's.
func portalFree(ctx context.Context, tx pgx.Tx, portal int64, currency money.Currency) error {
	own, err := revenue.NewStore(tx).Currency(ctx)
	if err != nil {
		return err
	}
	var taken bool
	err = tx.QueryRow(ctx, `SELECT coalesce(gv.portal_tenant($1) <> gv.tenant(), false)`, portal).Scan(&taken)
	switch {
	case err != nil:
		return fmt.Errorf("look up portal %d: %w", portal, err)
	case taken:
		return portalTaken()
	}
	return sameMoney(own, currency)
}

func portalTaken() error {
	return fault.Conflictf("this portal is connected elsewhere: it has to be disconnected there first")
}

// portalGrant is what a portal is connected with.
type portalGrant struct {
	portal  int64
	token   string // version's name
	client  string // version's name; empty: as it is
	overlap time.Duration
	lead    *string // the property with a lead's id; nil: as it is
	who     string
}

// connectPortal records the credentials' names and returns those that nothing
// names any more. A client secret that is replaced stays valid for the overlap.
func connectPortal(ctx context.Context, tx pgx.Tx, g portalGrant) (row portalRow, retired []string, err error) {
	rows, _ := tx.Query(ctx, `SELECT `+portalColumns+` FROM gv.hubspot_connections
		WHERE tenant_id = gv.tenant() AND portal_id = $1 FOR UPDATE`, g.portal)
	was, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[portalRow])
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return row, nil, fmt.Errorf("read portal %d: %w", g.portal, err)
	}
	connected := err == nil && was.DisconnectedAt == nil
	client, previous, until := rotated(was, connected, g)
	rows, _ = tx.Query(ctx, `
		INSERT INTO gv.hubspot_connections AS c (tenant_id, portal_id, client_secret, client_secret_set_at, access_token, access_token_set_at,
		       connected_by, lead_property)
		VALUES (gv.tenant(), @portal, @client, CASE WHEN @client::text IS NOT NULL THEN now() END, @token, now(), @who,
		       coalesce(@lead, 'gv_lead_id'))
		ON CONFLICT (tenant_id, portal_id) DO UPDATE
		SET client_secret = excluded.client_secret, previous_secret = @previous, previous_until = now() + @until::interval,
		    client_secret_set_at = CASE WHEN c.client_secret IS DISTINCT FROM
		    excluded.client_secret THEN excluded.client_secret_set_at ELSE c.client_secret_set_at END,
		    lead_property = coalesce(@lead, c.lead_property), access_token = excluded.access_token,
		    access_token_set_at = CASE WHEN c.access_token <> excluded.access_token THEN now() ELSE c.access_token_set_at END,
		    connected_by = CASE WHEN c.disconnected_at IS NULL THEN c.connected_by ELSE excluded.connected_by END,
		    connected_at = CASE WHEN c.disconnected_at IS NULL THEN c.connected_at ELSE now() END,
		    disconnected_at = NULL, last_error = NULL, last_error_at = NULL
		RETURNING `+portalColumns,
		pgx.StrictNamedArgs{
			"portal": g.portal, "client": client, "token": g.token, "who": g.who, "previous": previous, "until": until,
			"lead": g.lead,
		})
	row, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[portalRow])
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "23505" { // somebody was faster
		return row, nil, portalTaken()
	}
	if err != nil {
		return row, nil, fmt.Errorf("connect portal %d: %w", g.portal, err)
	}
	return row, unnamed([]string{was.AccessToken, deref(was.ClientSecret), deref(was.PreviousSecret)},
		row.AccessToken, deref(row.ClientSecret), deref(row.PreviousSecret)), nil
}

// rotated returns the client secret that counts from now on, and the one that
// counts beside it and for how long yet; nil stands for none, or for the
// deployment's own, whose name as a previous one is empty.
func rotated(was portalRow, connected bool, g portalGrant) (client, previous *string, until *time.Duration) {
	if g.client != "" {
		client = &g.client
	}
	switch {
	case !connected:
		return client, nil, nil
	case client == nil || deref(was.ClientSecret) == *client:
		client = was.ClientSecret
		if was.PreviousUntil != nil && was.PreviousUntil.After(was.Now) {
			left := was.PreviousUntil.Sub(was.Now)
			if g.client != "" { // a repeat may shorten the overlap, not renew it
				left = min(left, g.overlap)
			}
			previous, until = was.PreviousSecret, &left
		}
	default:
		before := deref(was.ClientSecret)
		previous, until = &before, &g.overlap
	}
	if until != nil && *until <= 0 {
		return client, nil, nil
	}
	return client, previous, until
}

// unnamed returns those of before that are none of now.
func unnamed(before []string, now ...string) []string {
	named := map[string]bool{"": true}
	for _, name := range now {
		named[name] = true
	}
	var gone []string
	for _, name := range before {
		if !named[name] {
			gone = append(gone, name)
			named[name] = true
		}
	}
	return gone
}

// disconnectPortal gives the portal up and returns the credentials' names. What
// its deals were worth stays.
func disconnectPortal(ctx context.Context, tx pgx.Tx, portal int64) (row portalRow, retired []string, err error) {
	rows, _ := tx.Query(ctx, `
		UPDATE gv.hubspot_connections SET disconnected_at = coalesce(disconnected_at, now()), previous_until = NULL
		WHERE  tenant_id = gv.tenant() AND portal_id = $1
		RETURNING `+portalColumns, portal)
	row, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[portalRow])
	if errors.Is(err, pgx.ErrNoRows) {
		return row, nil, fault.NotFoundf("you have not connected this portal")
	}
	if err != nil {
		return row, nil, fmt.Errorf("disconnect portal %d: %w", portal, err)
	}
	return row, unnamed([]string{row.AccessToken, deref(row.ClientSecret), deref(row.PreviousSecret)}), nil
}
