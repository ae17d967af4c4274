package dealsource

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// Store reads and writes a tenant's sources in its transaction.
type Store struct{ tx pgx.Tx }

// NewStore returns the store of tx.
func NewStore(tx pgx.Tx) Store { return Store{tx} }

const columns = `tenant_id::text, source, portal_id, name, secret, previous_secret, previous_until, contact_salt, created_by, created_at,
	revoked_at, last_at, now() AS now`

// Find returns the source that is open under this address, false where none is.
func Find(ctx context.Context, db *pg.DB, source string) (found Source, ok bool, err error) {
	var tenant *string
	err = pg.WithoutTenant(ctx, db, func(ask pg.Asker) error {
		return ask.QueryRow(ctx, `SELECT gv.source_tenant($1)::text`, source).Scan(&tenant)
	})
	if err != nil {
		return found, false, fmt.Errorf("look up a source of deals: %w", err)
	}
	if tenant == nil {
		return found, false, nil
	}
	err = pg.InTenant(ctx, db, *tenant, func(tx pgx.Tx) error {
		found, err = NewStore(tx).Get(ctx, source)
		return err
	})
	if fault.Of(err) == fault.NotFound {
		return found, false, nil
	}
	return found, err == nil, err
}

// Get returns an open source of the tenant.
func (s Store) Get(ctx context.Context, source string) (Source, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT `+columns+` FROM gv.deal_sources WHERE tenant_id = gv.tenant() AND source = $1 AND revoked_at IS NULL FOR UPDATE`, source)
	one, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Source])
	if errors.Is(err, pgx.ErrNoRows) {
		return one, fault.NotFoundf("you have no such source of deals")
	}
	if err != nil {
		return one, fmt.Errorf("read source %s: %w", source, err)
	}
	return one, nil
}

// List returns the tenant's sources, the open ones first.
func (s Store) List(ctx context.Context) ([]Source, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT `+columns+` FROM gv.deal_sources WHERE tenant_id = gv.tenant() ORDER BY (revoked_at IS NOT NULL), created_at, source`)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[Source])
	if err != nil {
		return nil, fmt.Errorf("list sources of deals: %w", err)
	}
	return all, nil
}

// Create stores a new source and returns it.
func (s Store) Create(ctx context.Context, source, name, secret, salt, who string) (Source, error) {
	_, err := s.tx.Exec(ctx, `
		INSERT INTO gv.deal_sources (tenant_id, source, name, secret, contact_salt, created_by)
		VALUES (gv.tenant(), @source, @name, @secret, @salt, @who)`,
		pgx.StrictNamedArgs{"source": source, "name": name, "secret": secret, "salt": salt, "who": who})
	if err != nil {
		return Source{}, fmt.Errorf("make source %s: %w", source, err)
	}
	return s.Get(ctx, source)
}

// Rotate has a new secret sign; the one before signs beside it for overlap.
func (s Store) Rotate(ctx context.Context, source, secret string, overlap time.Duration) (Source, error) {
	_, err := s.tx.Exec(ctx, `
		UPDATE gv.deal_sources SET previous_secret = secret, previous_until = now() + @overlap::interval, secret = @secret
		WHERE  tenant_id = gv.tenant() AND source = @source AND revoked_at IS NULL`,
		pgx.StrictNamedArgs{"source": source, "secret": secret, "overlap": overlap})
	if err != nil {
		return Source{}, fmt.Errorf("rotate the secret of source %s: %w", source, err)
	}
	return s.Get(ctx, source)
}

// Revoke closes a source; its deals stay.
func (s Store) Revoke(ctx context.Context, source, who string) error {
	_, err := s.tx.Exec(ctx, `
		UPDATE gv.deal_sources SET revoked_at = now(), revoked_by = @who, previous_until = NULL
		WHERE  tenant_id = gv.tenant() AND source = @source`, pgx.StrictNamedArgs{"source": source, "who": who})
	if err != nil {
		return fmt.Errorf("revoke source %s: %w", source, err)
	}
	return nil
}

// Number returns the ledger's number of a source's deal or contact.
func (s Store) Number(ctx context.Context, portal int64, kind, external string) (id int64, err error) {
	args := pgx.StrictNamedArgs{"portal": portal, "kind": kind, "external": external}
	err = s.tx.QueryRow(ctx, `
		WITH made AS (
			INSERT INTO gv.source_ids (tenant_id, portal_id, kind, external_id) VALUES (gv.tenant(), @portal, @kind, @external)
			ON CONFLICT DO NOTHING RETURNING id
		)
		SELECT id FROM made
		UNION ALL
		SELECT id FROM gv.source_ids
		WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND kind = @kind AND external_id = @external
		LIMIT  1`, args).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) { // a twin has made it since the statement began
		err = s.tx.QueryRow(ctx, `
			SELECT id FROM gv.source_ids
			WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND kind = @kind AND external_id = @external`, args).Scan(&id)
	}
	if err != nil {
		return 0, fmt.Errorf("number a %s of source %d: %w", kind, portal, err)
	}
	return id, nil
}

// Add stores a report of a deal, once.
func (s Store) Add(ctx context.Context, r Report, deal int64, contact *int64) error {
	_, err := s.tx.Exec(ctx, `
		INSERT INTO gv.source_reports (tenant_id, portal_id, deal_id, report_key, occurred_at, stage, amount, currency, deleted, contact_id, keys)
		VALUES (gv.tenant(), @portal, @deal, @key, @at, @stage, @amount::float8::numeric, nullif(@currency, ''), @deleted, @contact,
		       coalesce(@keys::jsonb, '[]'))
		ON CONFLICT DO NOTHING`,
		pgx.StrictNamedArgs{
			"portal": r.PortalID, "deal": deal, "key": r.Key, "at": r.OccurredAt, "stage": r.Stage, "amount": r.Amount,
			"currency": r.Currency, "deleted": r.Deleted, "contact": contact, "keys": r.Keys,
		})
	if err != nil {
		return fmt.Errorf("store a report of deal %d: %w", deal, err)
	}
	_, err = s.tx.Exec(ctx, `
		UPDATE gv.deal_sources SET last_at = now()
		WHERE  tenant_id = gv.tenant() AND portal_id = $1 AND (last_at IS NULL OR last_at < now() - interval '1 minute')`, r.PortalID)
	if err != nil {
		return fmt.Errorf("note the last report of source %d: %w", r.PortalID, err)
	}
	return nil
}

// Deal returns the deal's state by all of its reports.
func (s Store) Deal(ctx context.Context, portal, deal int64) (Deal, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT occurred_at, stage, trim_scale(amount)::text, coalesce(currency, ''), deleted, contact_id
		FROM   gv.source_reports
		WHERE  tenant_id = gv.tenant() AND portal_id = @portal AND deal_id = @deal
		ORDER  BY occurred_at, report_key COLLATE "C"`, pgx.StrictNamedArgs{"portal": portal, "deal": deal})
	var (
		d        Deal
		at       time.Time
		stage    string
		amount   *string
		currency string
		deleted  bool
		contact  *int64
	)
	_, err := pgx.ForEachRow(rows, []any{&at, &stage, &amount, &currency, &deleted, &contact}, func() error {
		if d.CreatedAt.IsZero() {
			d.CreatedAt = at
		}
		d.Stage, d.Deleted = stage, deleted
		d.Moves = append(d.Moves, Move{stage, at})
		if amount != nil {
			value := *amount
			d.Amount, d.Currency = &value, currency
		}
		if contact != nil {
			id := *contact
			d.ContactID = &id
		}
		return nil
	})
	if err != nil {
		return d, fmt.Errorf("read the reports of deal %d: %w", deal, err)
	}
	return d, nil
}

// Contact returns when a contact was first named, which counts as its first
// conversion, and all that any report has said it is known by.
func (s Store) Contact(ctx context.Context, portal, contact int64) (first time.Time, keys []Key, err error) {
	args := pgx.StrictNamedArgs{"portal": portal, "contact": contact}
	err = s.tx.QueryRow(ctx, `
		SELECT min(occurred_at) FROM gv.source_reports WHERE tenant_id = gv.tenant() AND portal_id = @portal AND contact_id = @contact`,
		args).Scan(&first)
	if err != nil {
		return first, nil, fmt.Errorf("read when contact %d was first named: %w", contact, err)
	}
	rows, _ := s.tx.Query(ctx, `
		SELECT DISTINCT k.kind, k.value
		FROM   gv.source_reports r, jsonb_to_recordset(r.keys) AS k (kind text, value text)
		WHERE  r.tenant_id = gv.tenant() AND r.portal_id = @portal AND r.contact_id = @contact
		ORDER  BY k.kind, k.value`, args)
	if keys, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Key]); err != nil {
		return first, nil, fmt.Errorf("read what contact %d is known by: %w", contact, err)
	}
	return first, keys, nil
}

// Stages returns the stages that the source has named or that are mapped, by name.
func (s Store) Stages(ctx context.Context, portal int64) ([]string, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT stage FROM gv.source_reports WHERE tenant_id = gv.tenant() AND portal_id = $1
		UNION
		SELECT stage_id FROM gv.stage_maps WHERE tenant_id = gv.tenant() AND portal_id = $1
		ORDER BY stage`, portal)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list the stages of source %d: %w", portal, err)
	}
	return names, nil
}
