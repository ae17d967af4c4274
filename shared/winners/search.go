package winners

import (
	"cmp"
	"context"
	"fmt"
	"slices"

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
// returns fewer only where fewer pass: where the codes cannot exclude that more do,
// all are compared.
func (s Store) Search(ctx context.Context, q Query) (Result, error) {
	for pool := 2 * q.K; ; pool = min(pool*4, maxPool) {
		total, found, err := s.nearest(ctx, q, pool)
		if err != nil {
			return Result{}, err
		}
		chosen, copies := diverse(found, q.K)
		if copies == 0 || len(found) < pool || pool == maxPool {
			return Result{total, chosen}, nil
		}
	}
}

// maxPool is the most winners that near-copies are looked for in.
const maxPool = 1000

// nearest returns the n winners nearest to the query, best first: of a small memory
// in one trip to the database, of a large one by its codes where they have been seen
// to find what an exact search finds.
func (s Store) nearest(ctx context.Context, q Query, n int) (total int64, found []candidate, err error) {
	var (
		batch pgx.Batch
		know  measured
	)
	batch.Queue(size, pgx.StrictNamedArgs{"model": q.Model, "fresh": fresh}).QueryRow(func(row pgx.Row) error { return know.scan(row) })
	batch.Queue(few, with(q, n, pgx.StrictNamedArgs{"up_to": s.exactUpTo})).Query(func(rows pgx.Rows) error { return collect(rows, &found) })
	if err := s.tx.SendBatch(ctx, &batch).Close(); err != nil {
		return 0, nil, fmt.Errorf("search winners: %w", err)
	}
	if know.total <= s.exactUpTo {
		return know.total, found, nil
	}
	if know.trusted() {
		near, complete, err := s.byCodes(ctx, q, n, know.total)
		if err != nil || complete {
			return know.total, near, err
		}
	}
	rows, _ := s.tx.Query(ctx, exact, with(q, n, pgx.StrictNamedArgs{}))
	if err := collect(rows, &found); err != nil {
		return 0, nil, fmt.Errorf("search all winners: %w", err)
	}
	if know.sampled >= mostSampled || len(found) == 0 {
		return know.total, found, nil
	}
	return know.total, found, s.learn(ctx, q, found, know.total)
}

func with(q Query, n int, args pgx.StrictNamedArgs) pgx.StrictNamedArgs {
	args["model"], args["vector"], args["n"] = q.Model, pgvector.NewVector(q.Vector).String(), n
	args["min_ctr"], args["min_similarity"] = q.MinCTR, q.MinSimilarity
	return args
}

// size says how many winners there are, and how many of the nearest the codes are known
// to find.
const size = `
	SELECT mine.total, coalesce(r.recall, 0), coalesce(r.sampled, 0), coalesce(r.measured_at, 'epoch')
	FROM   (SELECT count(*) AS total FROM gv.winner_codes WHERE tenant_id = gv.tenant() AND model = @model) AS mine
	LEFT   JOIN gv.search_recall r ON r.tenant_id = gv.tenant() AND r.model = @model
	       AND r.measured_at > now() - @fresh::interval AND r.winners * 5 / 4 >= mine.total`

// few compares all where there are no more than so many, and else none. It looks the
// vectors up one by one: a scan of the table would start parallel workers even where there
// is nothing to compare. The ORDER BY makes it count in an index, not in the table, and the
// last limit keeps the estimate too low for a compilation of the plan (jit).
const few = `
	WITH mine AS MATERIALIZED (
		SELECT ad_id FROM gv.winner_codes WHERE tenant_id = gv.tenant() AND model = @model AND ctr >= @min_ctr
		AND   (SELECT count(*) FROM (SELECT ad_id FROM gv.winner_codes WHERE tenant_id = gv.tenant() AND model = @model
		       ORDER BY ad_id LIMIT @up_to::bigint + 1) AS first) <= @up_to::bigint
		LIMIT  @up_to
	)` + matches + `
	FROM (
		SELECT   mine.ad_id, w.distance
		FROM     mine
		CROSS    JOIN LATERAL (SELECT embedding <=> @vector::text::vector AS distance FROM gv.winners
		       WHERE tenant_id = gv.tenant() AND ad_id = mine.ad_id AND model = @model OFFSET 0) AS w
		WHERE    least(greatest(1 - w.distance, 0), 1) >= @min_similarity
		ORDER BY distance, ad_id
		LIMIT    @n
	) AS best` + details

// exact compares all.
const exact = matches + `
	FROM (
		SELECT   ad_id, distance
		FROM     (SELECT *, embedding <=> @vector::text::vector AS distance FROM gv.winners) AS w
		WHERE    tenant_id = gv.tenant() AND model = @model AND active AND ctr >= @min_ctr
		AND      least(greatest(1 - distance, 0), 1) >= @min_similarity
		ORDER BY distance, ad_id
		LIMIT    @n
	) AS best` + details

// matches and details return the best with all that a match has. The sort before has
// only their names: it would copy the vector of every row.
const (
	matches = `
	SELECT   best.ad_id, least(greatest(1 - best.distance, 0), 1) AS similarity, w.creative_dna, w.pipeline_roas, w.ctr,
	         vector_send(w.embedding) AS embedding`
	details = `
	CROSS    JOIN LATERAL (SELECT creative_dna, pipeline_roas, ctr, embedding FROM gv.winners
	       WHERE tenant_id = gv.tenant() AND ad_id = best.ad_id AND model = @model OFFSET 0) AS w
	ORDER BY best.distance, best.ad_id`
)

// candidate is a match with its vector, as it comes from the database.
type candidate struct {
	Match
	Embedding []byte
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
