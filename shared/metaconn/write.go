package metaconn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// Begin records that an account's turn has come.
func Begin(ctx context.Context, tx pgx.Tx, account string) error {
	_, err := tx.Exec(ctx, `UPDATE gv.meta_connections SET attempted_at = now() WHERE tenant_id = gv.tenant() AND account_id = $1`, account)
	if err != nil {
		return fmt.Errorf("begin with account %s: %w", account, err)
	}
	return nil
}

// Succeeded records that the account was read: an earlier failure is over.
func Succeeded(ctx context.Context, tx pgx.Tx, account string) error {
	_, err := tx.Exec(ctx, `
		UPDATE gv.meta_connections SET last_error = NULL, last_error_at = NULL, retry_at = NULL
		WHERE  tenant_id = gv.tenant() AND account_id = $1 AND (last_error IS NOT NULL OR retry_at IS NOT NULL)`, account)
	if err != nil {
		return fmt.Errorf("record that account %s was synced: %w", account, err)
	}
	return nil
}

// Failed records why a sync failed and, where wait is above 0, that it is not to be
// tried again for so long. It reports whether that is news. A connection that was
// made anew meanwhile is left alone.
func Failed(ctx context.Context, tx pgx.Tx, c Connection, text string, wait time.Duration) (anew bool, err error) {
	rows, _ := tx.Query(ctx, `
		UPDATE gv.meta_connections m
		SET    last_error = @text, last_error_at = now(), retry_at = CASE WHEN @wait::interval > interval '0' THEN now() + @wait::interval END
		FROM  (SELECT last_error FROM gv.meta_connections WHERE tenant_id = gv.tenant() AND account_id = @account FOR UPDATE) AS was
		WHERE  m.tenant_id = gv.tenant() AND m.account_id = @account AND m.access_token = @token AND m.disconnected_at IS NULL
		RETURNING was.last_error IS DISTINCT FROM @text`,
		pgx.StrictNamedArgs{"account": c.AccountID, "token": c.AccessToken, "text": text, "wait": wait})
	found, err := pgx.CollectRows(rows, pgx.RowTo[bool])
	if err != nil {
		return false, fmt.Errorf("record why account %s was not synced: %w", c.AccountID, err)
	}
	return len(found) == 1 && found[0], nil
}

// Reached records that all days after day have been read.
func Reached(ctx context.Context, tx pgx.Tx, account string, day time.Time) error {
	return saveProgress(ctx, tx, account, `resume_day = @day`, day)
}

// Through records that the account has been read to the end, up to day.
func Through(ctx context.Context, tx pgx.Tx, account string, day time.Time) error {
	return saveProgress(ctx, tx, account, `resume_day = NULL, synced_through = @day, synced_at = now()`, day)
}

func saveProgress(ctx context.Context, tx pgx.Tx, account, set string, day time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE gv.meta_connections SET `+set+` WHERE tenant_id = gv.tenant() AND account_id = @account`,
		pgx.StrictNamedArgs{"account": account, "day": day})
	if err != nil {
		return fmt.Errorf("store how far account %s is read: %w", account, err)
	}
	return nil
}

// Token returns the name of the account's token and locks the connection. A tenant
// that has not connected the account gets a NotFound fault.
func Token(ctx context.Context, tx pgx.Tx, account string) (token string, err error) {
	err = tx.QueryRow(ctx, `SELECT access_token FROM gv.meta_connections WHERE tenant_id = gv.tenant() AND account_id = $1 FOR UPDATE`, account).Scan(&token)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", fault.NotFoundf("you have not connected this account")
	}
	if err != nil {
		return "", fmt.Errorf("read the connection of %s: %w", account, err)
	}
	return token, nil
}

// Connect records the token's name for the account, and who connects it where it was
// not connected.
func Connect(ctx context.Context, tx pgx.Tx, account, token, who string) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO gv.meta_connections AS c (tenant_id, account_id, access_token, access_token_set_at, connected_by)
		VALUES (gv.tenant(), @account, @token, now(), @who)
		ON CONFLICT (tenant_id, account_id) DO UPDATE
		SET access_token = excluded.access_token,
		    access_token_set_at = CASE WHEN c.access_token <> excluded.access_token THEN now() ELSE c.access_token_set_at END,
		    connected_by = CASE WHEN c.disconnected_at IS NULL THEN c.connected_by ELSE excluded.connected_by END,
		    connected_at = CASE WHEN c.disconnected_at IS NULL THEN c.connected_at ELSE now() END,
		    disconnected_at = NULL, last_error = NULL`,
		pgx.StrictNamedArgs{"account": account, "token": token, "who": who})
	if err != nil {
		return fmt.Errorf("connect account %s: %w", account, err)
	}
	return nil
}

// Disconnect gives the account up. What is known of its ads stays.
func Disconnect(ctx context.Context, tx pgx.Tx, account string) error {
	_, err := tx.Exec(ctx, `
		UPDATE gv.meta_connections SET disconnected_at = coalesce(disconnected_at, now()) WHERE tenant_id = gv.tenant()
		       AND account_id = $1`, account)
	if err != nil {
		return fmt.Errorf("disconnect account %s: %w", account, err)
	}
	return nil
}
