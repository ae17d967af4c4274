package winners

import (
	"context"
	"fmt"
	"maps"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/pgvector/pgvector-go"

	"github.com/geminivideo/geminivideo/shared/embed"
)

// Query is what to look for.
type Query struct {
	Model         string
	Vector        embed.Vector
	K             int     // how many at most
	MinCTR        float64 // 0 to 1
	MinSimilarity float64 // 0 to 1
}

// Result is what a search found, best first, among how many.
type Result struct {
	Total   int64
	Matches []Match
}

// Search returns the K active winners most like the query that pass its limits.
// It returns fewer only where fewer pass: what the index does not bring, because
// it walks past other tenants' vectors, an exact search does.
func (s Store) Search(ctx context.Context, q Query) (Result, error) {
	total, err := s.Count(ctx, q.Model)
	if err != nil {
		return Result{}, err
	}
	if total > s.exactUpTo {
		found, err := s.approximate(ctx, q)
		if err != nil || len(found) == q.K {
			return Result{total, found}, err
		}
	}
	found, err := s.matches(ctx, exact, q, pgx.StrictNamedArgs{})
	return Result{total, found}, err
}

// spread is how many candidates, in the index's half precision, are compared in
// full precision for each one that is asked for.
const spread = 4

// approximate searches the index, and goes on with it until there are enough
// candidates that pass. It finds nothing where the model has no index, or where
// pgvector is older than 0.8, whose scans stop before the filters have been passed.
func (s Store) approximate(ctx context.Context, q Query) ([]Match, error) {
	var iterative bool
	err := s.tx.QueryRow(ctx, `
		SELECT string_to_array(substring(extversion FROM '^[0-9.]+'), '.')::int[] >= '{0,8}' FROM pg_extension WHERE extname = 'vector'`).
		Scan(&iterative)
	if err != nil {
		return nil, fmt.Errorf("ask pgvector for its version: %w", err)
	}
	if indexed, err := s.Indexed(ctx, q.Model); err != nil || !indexed || !iterative {
		return nil, err
	}
	candidates := min(q.K*spread, maxCandidates)
	_, err = s.tx.Exec(ctx, `
		SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', $1, true)`,
		strconv.Itoa(max(candidates, 40)))
	if err != nil {
		return nil, fmt.Errorf("set up the index's scan: %w", err)
	}
	return s.matches(ctx, nearest, q, pgx.StrictNamedArgs{"candidates": candidates})
}

// maxCandidates is the most that pgvector keeps in one round (hnsw.ef_search).
const maxCandidates = 1000

const nearest = `
	WITH candidate AS MATERIALIZED (
		SELECT   ad_id, embedding <=> @vector::text::vector AS distance, creative_dna, pipeline_roas, ctr
		FROM     gv.winners
		WHERE    tenant_id = gv.tenant() AND model = @model AND active AND ctr >= @min_ctr
		ORDER BY embedding::halfvec(768) <=> @vector::text::halfvec(768)
		LIMIT    @candidates
	)
	SELECT   ad_id, least(greatest(1 - distance, 0), 1) AS similarity, creative_dna, pipeline_roas, ctr
	FROM     candidate
	WHERE    least(greatest(1 - distance, 0), 1) >= @min_similarity
	ORDER BY distance, ad_id
	LIMIT    @k`

const exact = `
	SELECT   ad_id, least(greatest(1 - distance, 0), 1) AS similarity, creative_dna, pipeline_roas, ctr
	FROM     (SELECT *, embedding <=> @vector::text::vector AS distance FROM gv.winners) AS w
	WHERE    tenant_id = gv.tenant() AND model = @model AND active AND ctr >= @min_ctr
	AND      least(greatest(1 - distance, 0), 1) >= @min_similarity
	ORDER BY distance, ad_id
	LIMIT    @k`

func (s Store) matches(ctx context.Context, sql string, q Query, args pgx.StrictNamedArgs) ([]Match, error) {
	maps.Copy(args, pgx.StrictNamedArgs{
		"model": q.Model, "vector": pgvector.NewVector(q.Vector).String(), "k": q.K,
		"min_ctr": q.MinCTR, "min_similarity": q.MinSimilarity,
	})
	rows, _ := s.tx.Query(ctx, sql, args)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[Match])
	if err != nil {
		return nil, fmt.Errorf("search winners: %w", err)
	}
	return found, nil
}
