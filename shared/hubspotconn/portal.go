package hubspotconn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// Portal is a portal that the tenant has connected, now or once. Credentials are
// Secret Manager names.
type Portal struct {
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

// credentials are the names that the portal's row holds.
func (p Portal) credentials() []string {
	return []string{p.AccessToken, deref(p.ClientSecret), deref(p.PreviousSecret)}
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

const portalColumns = `portal_id, client_secret, client_secret_set_at, previous_secret, previous_until, access_token, access_token_set_at,
	connected_by, connected_at, disconnected_at, last_error, last_error_at, lead_property, now() AS now`

// Portals lists the tenant's portals, the connected ones first.
func Portals(ctx context.Context, tx pgx.Tx) ([]Portal, error) {
	rows, _ := tx.Query(ctx, `
		SELECT `+portalColumns+` FROM gv.hubspot_connections
		WHERE  tenant_id = gv.tenant() ORDER BY (disconnected_at IS NOT NULL), portal_id`)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[Portal])
	if err != nil {
		return nil, fmt.Errorf("list portals: %w", err)
	}
	return all, nil
}

// Free returns a Conflict where another tenant has connected the portal, without
// saying which.
func Free(ctx context.Context, tx pgx.Tx, portal int64) error {
	var taken bool
	err := tx.QueryRow(ctx, `SELECT coalesce(gv.portal_tenant($1) <> gv.tenant(), false)`, portal).Scan(&taken)
	if err != nil {
		return fmt.Errorf("look up portal %d: %w", portal, err)
	}
	if taken {
		return portalTaken()
	}
	return nil
}

func portalTaken() error {
	return fault.Conflictf("this portal is connected elsewhere: it has to be disconnected there first")
}

// Grant is what a portal is connected with.
type Grant struct {
	Portal       int64
	Token        string        // the access token's name
	Client       string        // the client secret's name; empty: it stays
	Overlap      time.Duration // how long a client secret that is replaced stays valid
	LeadProperty *string       // the contact property with a lead's id; nil: it stays
	Who          string
}

// Connect records the credentials' names and returns those that nothing names any
// more. A client secret that is replaced stays valid for the overlap.
func Connect(ctx context.Context, tx pgx.Tx, g Grant) (row Portal, retired []string, err error) {
	rows, _ := tx.Query(ctx, `SELECT `+portalColumns+` FROM gv.hubspot_connections
		WHERE tenant_id = gv.tenant() AND portal_id = $1 FOR UPDATE`, g.Portal)
	was, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Portal])
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return row, nil, fmt.Errorf("read portal %d: %w", g.Portal, err)
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
			"portal": g.Portal, "client": client, "token": g.Token, "who": g.Who, "previous": previous, "until": until,
			"lead": g.LeadProperty,
		})
	row, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Portal])
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "23505" { // somebody was faster
		return row, nil, portalTaken()
	}
	if err != nil {
		return row, nil, fmt.Errorf("connect portal %d: %w", g.Portal, err)
	}
	return row, unnamed(was.credentials(), row.credentials()...), nil
}

// rotated returns the client secret that counts from now on, and the one that
// counts beside it and for how long yet; nil stands for none, or for the
// deployment's own, whose name as a previous one is empty.
func rotated(was Portal, connected bool, g Grant) (client, previous *string, until *time.Duration) {
	if g.Client != "" {
		client = &g.Client
	}
	switch {
	case !connected:
		return client, nil, nil
	case client == nil || deref(was.ClientSecret) == *client:
		client = was.ClientSecret
		if was.PreviousUntil != nil && was.PreviousUntil.After(was.Now) {
			left := was.PreviousUntil.Sub(was.Now)
			if g.Client != "" { // a repeat may shorten the overlap, not renew it
				left = min(left, g.Overlap)
			}
			previous, until = was.PreviousSecret, &left
		}
	default:
		before := deref(was.ClientSecret)
		previous, until = &before, &g.Overlap
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

// Disconnect gives the portal up and returns the credentials' names. What its
// deals were worth stays.
func Disconnect(ctx context.Context, tx pgx.Tx, portal int64) (row Portal, retired []string, err error) {
	rows, _ := tx.Query(ctx, `
		UPDATE gv.hubspot_connections SET disconnected_at = coalesce(disconnected_at, now()), previous_until = NULL
		WHERE  tenant_id = gv.tenant() AND portal_id = $1
		RETURNING `+portalColumns, portal)
	row, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Portal])
	if errors.Is(err, pgx.ErrNoRows) {
		return row, nil, fault.NotFoundf("you have not connected this portal")
	}
	if err != nil {
		return row, nil, fmt.Errorf("disconnect portal %d: %w", portal, err)
	}
	return row, unnamed(row.credentials()), nil
}
