package leads

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/notice"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// Page is a page whose lead forms a tenant reads. AccessToken is a Secret Manager name.
type Page struct {
	PageID           string
	Name             string
	AccessToken      string
	AccessTokenSetAt time.Time
	ConnectedBy      string
	ConnectedAt      time.Time
	DisconnectedAt   *time.Time
	LastLeadAt       *time.Time
	LastError        *string
}

const pageColumns = `page_id, name, access_token, access_token_set_at, connected_by, connected_at, disconnected_at, last_lead_at, last_error`

// Owners returns the tenant of each page that somebody has connected.
func Owners(ctx context.Context, db *pg.DB, pages ...string) (map[string]string, error) {
	owners := map[string]string{}
	err := pg.WithoutTenant(ctx, db, func(ask pg.Asker) error {
		clear(owners)
		rows, _ := ask.Query(ctx, `
			SELECT page, tenant::text FROM (SELECT p AS page, gv.page_tenant(p) AS tenant FROM unnest($1::text[]) AS p) AS o
			WHERE tenant IS NOT NULL`, pages)
		var page, tenant string
		_, err := pgx.ForEachRow(rows, []any{&page, &tenant}, func() error { owners[page] = tenant; return nil })
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look up pages: %w", err)
	}
	return owners, nil
}

// Store reads and writes a tenant's pages and its key in its transaction.
type Store struct{ tx pgx.Tx }

// NewStore returns the store of tx.
func NewStore(tx pgx.Tx) Store { return Store{tx} }

// Pages returns the tenant's pages, connected ones first.
func (s Store) Pages(ctx context.Context) ([]Page, error) {
	rows, _ := s.tx.Query(ctx, `SELECT `+pageColumns+` FROM gv.meta_pages WHERE tenant_id = gv.tenant() ORDER BY (disconnected_at IS NOT NULL), page_id`)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[Page])
	if err != nil {
		return nil, fmt.Errorf("list pages: %w", err)
	}
	return all, nil
}

// Page returns one of the tenant's pages, connected or not.
func (s Store) Page(ctx context.Context, page string) (Page, error) {
	rows, _ := s.tx.Query(ctx, `SELECT `+pageColumns+` FROM gv.meta_pages WHERE tenant_id = gv.tenant() AND page_id = $1`, page)
	one, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Page])
	if errors.Is(err, pgx.ErrNoRows) {
		return one, fault.NotFoundf("you have not connected this page")
	}
	if err != nil {
		return one, fmt.Errorf("read page %s: %w", page, err)
	}
	return one, nil
}

// Free returns a Conflict where another tenant has connected the page, without saying which.
func (s Store) Free(ctx context.Context, page string) error {
	var taken bool
	if err := s.tx.QueryRow(ctx, `SELECT coalesce(gv.page_tenant($1) <> gv.tenant(), false)`, page).Scan(&taken); err != nil {
		return fmt.Errorf("look up page %s: %w", page, err)
	}
	if taken {
		return errTaken
	}
	return nil
}

var errTaken = fault.Conflictf("this page is connected elsewhere: it has to be disconnected there first")

// Connect records the page and the name of its token.
func (s Store) Connect(ctx context.Context, page, name, token, who string) (Page, error) {
	rows, _ := s.tx.Query(ctx, `
		INSERT INTO gv.meta_pages AS p (tenant_id, page_id, name, access_token, connected_by) VALUES (gv.tenant(), @page, @name, @token, @who)
		ON CONFLICT (tenant_id, page_id) DO UPDATE
		SET name = excluded.name, access_token = excluded.access_token,
		    access_token_set_at = CASE WHEN p.access_token <> excluded.access_token THEN now() ELSE p.access_token_set_at END,
		    connected_by = CASE WHEN p.disconnected_at IS NULL THEN p.connected_by ELSE excluded.connected_by END,
		    connected_at = CASE WHEN p.disconnected_at IS NULL THEN p.connected_at ELSE now() END,
		    disconnected_at = NULL, last_error = NULL, last_error_at = NULL
		RETURNING `+pageColumns, pgx.StrictNamedArgs{"page": page, "name": name, "token": token, "who": who})
	one, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Page])
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "23505" { // another tenant connected it meanwhile
		return one, errTaken
	}
	if err != nil {
		return one, fmt.Errorf("connect page %s: %w", page, err)
	}
	return one, nil
}

// Disconnect gives the page up; the leads that were read stay.
func (s Store) Disconnect(ctx context.Context, page string) (Page, error) {
	rows, _ := s.tx.Query(ctx, `
		UPDATE gv.meta_pages SET disconnected_at = coalesce(disconnected_at, now())
		WHERE  tenant_id = gv.tenant() AND page_id = $1 RETURNING `+pageColumns, page)
	one, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Page])
	if errors.Is(err, pgx.ErrNoRows) {
		return one, fault.NotFoundf("you have not connected this page")
	}
	if err != nil {
		return one, fmt.Errorf("disconnect page %s: %w", page, err)
	}
	return one, nil
}

// Received records that a lead of the page was read.
func (s Store) Received(ctx context.Context, page string, at time.Time) error {
	_, err := s.tx.Exec(ctx, `
		UPDATE gv.meta_pages SET last_lead_at = greatest(last_lead_at, @at), last_error = NULL, last_error_at = NULL
		WHERE  tenant_id = gv.tenant() AND page_id = @page`, pgx.StrictNamedArgs{"page": page, "at": at})
	if err != nil {
		return fmt.Errorf("record a lead of page %s: %w", page, err)
	}
	return nil
}

// Refused records why Meta refuses the page's token and notifies the tenant once.
func (s Store) Refused(ctx context.Context, tenant, page, reason string) error {
	done, err := s.tx.Exec(ctx, `
		UPDATE gv.meta_pages SET last_error = @reason, last_error_at = now()
		WHERE  tenant_id = gv.tenant() AND page_id = @page AND disconnected_at IS NULL AND last_error IS DISTINCT FROM @reason`,
		pgx.StrictNamedArgs{"page": page, "reason": reason})
	if err != nil {
		return fmt.Errorf("record the refusal of page %s: %w", page, err)
	}
	if done.RowsAffected() == 0 {
		return nil
	}
	return notice.Put(ctx, s.tx, tenant, notice.Notice{Kind: notice.ConnectionRefused, Text: reason, Data: map[string]any{"page_id": page}})
}

// SecretName returns the Secret Manager name of the tenant's key, "" where it has none.
func (s Store) SecretName(ctx context.Context) (name string, err error) {
	err = s.tx.QueryRow(ctx, `SELECT coalesce((SELECT secret FROM gv.lead_keys WHERE tenant_id = gv.tenant()), '')`).Scan(&name)
	if err != nil {
		return "", fmt.Errorf("read the name of the leads' key: %w", err)
	}
	return name, nil
}

// SaveSecretName records the name of the tenant's key; the first one stays.
func (s Store) SaveSecretName(ctx context.Context, name string) error {
	_, err := s.tx.Exec(ctx, `INSERT INTO gv.lead_keys (tenant_id, secret) VALUES (gv.tenant(), $1) ON CONFLICT DO NOTHING`, name)
	if err != nil {
		return fmt.Errorf("record the name of the leads' key: %w", err)
	}
	return nil
}
