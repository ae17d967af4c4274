package winners

import (
	"cmp"
	"context"
	"fmt"
	"slices"
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

// Search returns the K active winners most like the query that pass its limits,
// near-copies of each other only where there is nothing else (see diverse). It
// returns fewer only where fewer pass: what the index does not bring, because it
// walks past other tenants' vectors, an exact search does.
func (s Store) Search(ctx context.Context, q Query) (Result, error) {
	for pool := 2 * q.K; ; pool = min(pool*4, maxCandidates) {
		total, found, err := s.nearest(ctx, q, pool)
		if err != nil {
			return Result{}, err
		}
		chosen, copies := diverse(found, q.K)
		if copies == 0 || len(found) < pool || pool == maxCandidates {
			return Result{total, chosen}, nil
		}
	}
}

const (
	// spread is how many candidates, in the index's half precision, are compared in
	// full precision for each one that is asked for.
	spread = 4
	// maxCandidates is the most that pgvector keeps in one round (hnsw.ef_search).
	maxCandidates = 1000
)

// nearest returns the n winners nearest to the query, best first: a small memory's
// in one trip to the database, a large one's through the index where that has been
// seen to find what an exact search finds.
func (s Store) nearest(ctx context.Context, q Query, n int) (total int64, found []candidate, err error) {
	var (
		batch pgx.Batch
		know  measured
	)
	batch.Queue(size, pgx.StrictNamedArgs{"model": q.Model, "fresh": fresh}).QueryRow(func(row pgx.Row) error { return know.scan(row) })
	batch.Queue(exact, s.args(q, n, s.exactUpTo)).Query(func(rows pgx.Rows) error { return collect(rows, &found) })
	if err := s.tx.SendBatch(ctx, &batch).Close(); err != nil {
		return 0, nil, fmt.Errorf("search winners: %w", err)
	}
	if know.total <= s.exactUpTo {
		return know.total, found, nil
	}
	if know.trusted() {
		enough, err := s.approximate(ctx, q, n, &found)
		if err != nil || enough {
			return know.total, found, err
		}
	}
	rows, _ := s.tx.Query(ctx, exact, s.args(q, n, know.total))
	if err := collect(rows, &found); err != nil {
		return 0, nil, fmt.Errorf("search all winners: %w", err)
	}
	if !know.indexed || know.sampled >= mostSampled || len(found) == 0 {
		return know.total, found, nil
	}
	return know.total, found, s.learn(ctx, q, found, know.total)
}

// approximate searches the index, and goes on with it until there are enough
// candidates that pass the filters; enough is false where it ended before.
func (s Store) approximate(ctx context.Context, q Query, n int, found *[]candidate) (enough bool, err error) {
	wanted := min(max(n, q.K*spread), maxCandidates)
	_, err = s.tx.Exec(ctx, `
		SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', $1, true)`,
		strconv.Itoa(max(wanted, leastSearched)))
	if err != nil {
		return false, fmt.Errorf("set up the index's scan: %w", err)
	}
	args := s.args(q, n, 0)
	delete(args, "up_to")
	args["candidates"] = wanted
	rows, _ := s.tx.Query(ctx, approximate, args)
	if err := collect(rows, found); err != nil {
		return false, fmt.Errorf("search the index: %w", err)
	}
	return len(*found) > 0 && (*found)[0].Seen >= int64(wanted), nil
}

// leastSearched is how wide the index is searched for the shortest list: of 30,000
// of 50,000 texts, it finds 99.8% of the ten nearest so, and 94% at pgvector's 40.
const leastSearched = 300

func (s Store) args(q Query, n int, upTo int64) pgx.StrictNamedArgs {
	return pgx.StrictNamedArgs{
		"model": q.Model, "vector": pgvector.NewVector(q.Vector).String(), "n": n, "up_to": upTo,
		"min_ctr": q.MinCTR, "min_similarity": q.MinSimilarity,
	}
}

// size says how much there is, whether the index can be used, for pgvector before
// 0.8 stops its scans before the filters have been passed, and what it is known to
// find.
const size = `
	SELECT mine.total,
	       EXISTS (
	           SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
	           WHERE  i.indrelid = 'gv.winners'::regclass AND i.indisvalid AND a.amname = 'hnsw'
	           AND    strpos(pg_get_expr(i.indpred, i.indrelid), quote_literal(@model::text)) > 0)
	       AND (SELECT string_to_array(substring(extversion FROM '^[0-9.]+'), '.')::int[] >= '{0,8}' FROM pg_extension
	              WHERE extname = 'vector'),
	       coalesce(r.recall, 0), coalesce(r.sampled, 0), coalesce(r.measured_at, 'epoch')
	FROM   (SELECT count(*) AS total FROM gv.winners WHERE tenant_id = gv.tenant() AND model = @model AND active) AS mine
	LEFT   JOIN gv.search_recall r ON r.tenant_id = gv.tenant() AND r.model = @model
	       AND r.measured_at > now() - @fresh::interval AND r.winners * 5 / 4 >= mine.total`

// exact compares all, where there are no more than so many, and else none.
const exact = `
	SELECT   ad_id, least(greatest(1 - distance, 0), 1) AS similarity, creative_dna, pipeline_roas, ctr,
	         vector_send(embedding) AS embedding, 0::bigint AS seen
	FROM (
		SELECT   ad_id, creative_dna, pipeline_roas, ctr, embedding, distance
		FROM     (SELECT *, embedding <=> @vector::text::vector AS distance FROM gv.winners) AS w
		WHERE    tenant_id = gv.tenant() AND model = @model AND active AND ctr >= @min_ctr
		AND      least(greatest(1 - distance, 0), 1) >= @min_similarity
		AND      (SELECT count(*) FROM (SELECT FROM gv.winners WHERE tenant_id = gv.tenant() AND model = @model
		       AND active LIMIT @up_to::bigint + 1) AS few) <= @up_to::bigint
		ORDER BY distance, ad_id
		LIMIT    @n
	) AS best
	ORDER BY distance, ad_id`

const approximate = `
	WITH candidate AS MATERIALIZED (
		SELECT   ad_id, embedding <=> @vector::text::vector AS distance, creative_dna, pipeline_roas, ctr, embedding
		FROM     gv.winners
		WHERE    tenant_id = gv.tenant() AND model = @model AND active AND ctr >= @min_ctr
		ORDER BY embedding::halfvec(768) <=> @vector::text::halfvec(768)
		LIMIT    @candidates
	)
	SELECT   ad_id, least(greatest(1 - distance, 0), 1) AS similarity, creative_dna, pipeline_roas, ctr,
	         vector_send(embedding) AS embedding, seen
	FROM (
		SELECT   *, (SELECT count(*) FROM candidate) AS seen
		FROM     candidate
		WHERE    least(greatest(1 - distance, 0), 1) >= @min_similarity
		ORDER BY distance, ad_id
		LIMIT    @n
	) AS best
	ORDER BY distance, ad_id`

// candidate is a match with its vector, as it comes from the database.
type candidate struct {
	Match
	Embedding []byte
	Seen      int64 // how many candidates there were
}

func collect(rows pgx.Rows, found *[]candidate) (err error) {
	*found, err = pgx.CollectRows(rows, pgx.RowToStructByName[candidate])
	return err
}

// nearCopy is the cosine from which two creatives are near-copies of each other: a
// word or a level apart. Different creatives on one theme are further apart.
const nearCopy = 0.97

// diverse chooses k of the candidates by maximal marginal relevance (Carbonell and
// Goldstein, SIGIR 1998), with equal weights, where only the likeness of
// near-copies counts: a candidate that is a near-copy of one chosen before it comes
// after all that are not, and everything else is left in its order, so that the
// search stays what the nearest are. The best match is always chosen, and near-copies
// fill up where there is nothing else. The chosen are returned best first, and how
// many near-copies are among them.
func diverse(found []candidate, k int) (chosen []Match, copies int) {
	vectors := make([]embed.Vector, 0, min(k, len(found)))
	again := make([]int, 0)
	taken := make([]int, 0, k)
	for i := 0; i < len(found) && len(taken) < k; i++ {
		v := decoded(found[i].Embedding)
		if slices.ContainsFunc(vectors, func(u embed.Vector) bool { return alike(u, v) >= nearCopy }) {
			again = append(again, i)
			continue
		}
		vectors, taken = append(vectors, v), append(taken, i)
	}
	copies = min(k-len(taken), len(again))
	taken = append(taken, again[:copies]...)
	slices.SortFunc(taken, cmp.Compare[int])
	chosen = make([]Match, len(taken))
	for i, at := range taken {
		chosen[i] = found[at].Match
	}
	return chosen, copies
}
