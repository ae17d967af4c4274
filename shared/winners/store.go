package winners

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/pgvector/pgvector-go"

	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/fault"
)

// Store is the memory on a transaction of one tenant.
type Store struct {
	tx pgx.Tx
	// exactUpTo is how many winners are compared one by one; more are searched
	// by their codes.
	exactUpTo int64
}

// exactUpTo is where comparing all vectors, which loses nothing, comes to take as
// long as comparing codes and then some hundred vectors.
const exactUpTo = 1_000

// NewStore returns the memory of tx's tenant.
func NewStore(tx pgx.Tx) Store { return Store{tx, exactUpTo} }

// Vector returns the embedding that is kept of an ad's text, so that the same
// content is not embedded twice.
func (s Store) Vector(ctx context.Context, adID, model, text string) (embed.Vector, bool, error) {
	var kept pgvector.Vector
	err := s.tx.QueryRow(ctx, `
		SELECT embedding::text FROM gv.winners
		WHERE  tenant_id = gv.tenant() AND ad_id = @ad AND model = @model AND content_hash = @hash`,
		pgx.StrictNamedArgs{"ad": adID, "model": model, "hash": hash(model, text)}).Scan(&kept)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("look up embedding of %s: %w", adID, err)
	}
	return kept.Slice(), true, nil
}

// Put stores m, in place of what was stored of the ad with this model.
// Where m has no Data, what there was of it stays.
func (s Store) Put(ctx context.Context, m Memory) (Outcome, error) {
	var (
		inserted, same bool
		data           []byte
	)
	if m.Data != nil {
		data = m.Data.JSON()
	}
	err := s.tx.QueryRow(ctx, `
		WITH before AS (
			SELECT content_hash = @hash AND active = @active AS same
			FROM   gv.winners WHERE tenant_id = gv.tenant() AND ad_id = @ad AND model = @model
		)
		INSERT INTO gv.winners AS w (tenant_id, ad_id, model, embedding, text, creative_dna, ad_data, pipeline_roas, ctr, active, content_hash)
		VALUES (gv.tenant(), @ad, @model, @vector::text::vector, @text, @dna, coalesce(@data::jsonb, '{}'), @roas, @ctr, @active, @hash)
		ON CONFLICT (tenant_id, ad_id, model) DO UPDATE
		SET embedding = excluded.embedding, text = excluded.text, creative_dna = excluded.creative_dna,
		       ad_data = coalesce(@data::jsonb, w.ad_data),
		    pipeline_roas = excluded.pipeline_roas, ctr = excluded.ctr, active = excluded.active,
		    indexed_at = CASE WHEN w.content_hash = excluded.content_hash THEN w.indexed_at ELSE now() END,
		    content_hash = excluded.content_hash, updated_at = now()
		RETURNING xmax = 0, coalesce((SELECT same FROM before), true)`,
		pgx.StrictNamedArgs{
			"ad": m.AdID, "model": m.Model, "vector": pgvector.NewVector(m.Vector).String(), "text": m.Text,
			"dna": m.DNA.JSON(), "data": data, "roas": m.ROAS, "ctr": m.CTR, "active": m.Active,
			"hash": hash(m.Model, m.Text),
		}).Scan(&inserted, &same) // not inserted, and nothing before: a twin has just done it
	if err != nil {
		return 0, fmt.Errorf("store winner %s: %w", m.AdID, err)
	}
	if inserted || !same {
		return Indexed, nil
	}
	return Already, nil
}

// Forget takes an ad out of every search; what is known of it is kept for when
// it wins again.
func (s Store) Forget(ctx context.Context, adID string) error {
	_, err := s.tx.Exec(ctx, `
		UPDATE gv.winners SET active = false, updated_at = now()
		WHERE  tenant_id = gv.tenant() AND ad_id = $1 AND active`, adID)
	if err != nil {
		return fmt.Errorf("forget %s: %w", adID, err)
	}
	return nil
}

// Get returns what is stored of an ad with model, in a search or not.
func (s Store) Get(ctx context.Context, adID, model string) (Winner, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT ad_id, model, creative_dna, ad_data, pipeline_roas, ctr, active, indexed_at, updated_at
		FROM   gv.winners WHERE tenant_id = gv.tenant() AND ad_id = @ad AND model = @model`,
		pgx.StrictNamedArgs{"ad": adID, "model": model})
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Winner])
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Winner{}, fault.NotFoundf("no winner with this ad_id is stored")
	case err != nil:
		return Winner{}, fmt.Errorf("read winner %s: %w", adID, err)
	}
	return found, nil
}

// Count returns how many winners a search with model can find.
func (s Store) Count(ctx context.Context, model string) (n int64, err error) {
	err = s.tx.QueryRow(ctx, `SELECT count(*) FROM gv.winner_codes WHERE tenant_id = gv.tenant() AND model = $1`, model).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count winners: %w", err)
	}
	return n, nil
}

// Stats counts the winners that are stored with model.
func (s Store) Stats(ctx context.Context, model string) (Stats, error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT mine.active, mine.stored,
		       (SELECT pg_total_relation_size(oid) * mine.active / greatest(reltuples, mine.active, 1)
		        FROM pg_class WHERE oid = 'gv.winner_codes'::regclass)::bigint AS index_bytes
		FROM   (SELECT count(*) FILTER (WHERE active) AS active, count(*) AS stored
		        FROM gv.winners WHERE tenant_id = gv.tenant() AND model = @model) AS mine`,
		pgx.StrictNamedArgs{"model": model})
	stats, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Stats])
	if err != nil {
		return Stats{}, fmt.Errorf("measure winners: %w", err)
	}
	return stats, nil
}
