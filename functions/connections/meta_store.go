package connections

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/accounts"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/metaconn"
	"github.com/geminivideo/geminivideo/shared/revenue"
)

// metaRow is a connection with its account.
type metaRow struct {
	AccountID        string
	Name             string
	Currency         string
	TimeZone         string
	Mode             string
	AccessToken      string
	AccessTokenSetAt *time.Time
	ConnectedBy      string
	ConnectedAt      time.Time
	DisconnectedAt   *time.Time
	SyncedThrough    *time.Time
	LastError        *string
}

func (r metaRow) shown() MetaConnection {
	c := MetaConnection{
		AccountID: r.AccountID, Name: r.Name, Currency: r.Currency, TimeZone: r.TimeZone, Mode: r.Mode, Connected: r.DisconnectedAt == nil,
		ConnectedAt: r.ConnectedAt.UTC(), ConnectedBy: r.ConnectedBy, DisconnectedAt: inUTC(r.DisconnectedAt),
		AccessToken: credential(r.AccessToken, r.AccessTokenSetAt), LastError: deref(r.LastError),
	}
	if r.SyncedThrough != nil {
		c.SyncedThrough = r.SyncedThrough.Format(time.DateOnly)
	}
	return c
}

// known returns a NotFound fault where the token's tenant is not set up here.
func known(ctx context.Context, tx pgx.Tx) error {
	_, err := revenue.NewStore(tx).Currency(ctx)
	return err
}

// metaRows returns the tenant's connections, or the one of account.
func metaRows(ctx context.Context, tx pgx.Tx, account string) ([]metaRow, error) {
	rows, _ := tx.Query(ctx, `
		SELECT m.account_id, a.name, a.currency, a.time_zone, a.mode, m.access_token, m.access_token_set_at, m.connected_by,
		       m.connected_at, m.disconnected_at, m.synced_through, m.last_error
		FROM   gv.meta_connections m JOIN gv.accounts a USING (tenant_id, account_id)
		WHERE  m.tenant_id = gv.tenant() AND (@account = '' OR m.account_id = @account)
		ORDER  BY (m.disconnected_at IS NOT NULL), m.account_id COLLATE "C"`, pgx.StrictNamedArgs{"account": account})
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[metaRow])
	if err != nil {
		return nil, fmt.Errorf("list Meta connections: %w", err)
	}
	return all, nil
}

// connectMeta records the token's name and returns the one before, if another.
func connectMeta(ctx context.Context, tx pgx.Tx, account, token, who string) (row metaRow, retired []string, err error) {
	was, err := metaconn.Token(ctx, tx, account)
	if err != nil && fault.Of(err) != fault.NotFound {
		return row, nil, err
	}
	if err := metaconn.Connect(ctx, tx, account, token, who); err != nil {
		return row, nil, err
	}
	row, err = metaOne(ctx, tx, account)
	return row, other(was, token), err
}

// disconnectMeta gives the account up and returns its token's name. What is
// known of its ads stays; the executor has nothing to write with any more.
func disconnectMeta(ctx context.Context, tx pgx.Tx, account string) (row metaRow, retired []string, err error) {
	// Who lets it go live holds the account, and looks whether it is connected.
	if err := accounts.NewStore(tx).Lock(ctx, account); err != nil {
		return row, nil, err
	}
	token, err := metaconn.Token(ctx, tx, account)
	if err != nil {
		return row, nil, err
	}
	if err := metaconn.Disconnect(ctx, tx, account); err != nil {
		return row, nil, err
	}
	if err := accounts.NewStore(tx).EndLive(ctx, account); err != nil {
		return row, nil, err
	}
	row, err = metaOne(ctx, tx, account)
	return row, []string{token}, err
}

func metaOne(ctx context.Context, tx pgx.Tx, account string) (metaRow, error) {
	rows, err := metaRows(ctx, tx, account)
	if err == nil && len(rows) != 1 {
		err = fmt.Errorf("%d connections of account %s", len(rows), account)
	}
	if err != nil {
		return metaRow{}, err
	}
	return rows[0], nil
}
