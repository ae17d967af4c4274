package winners

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

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

// nearest returns the n winners nearest to the query, best first: in one trip to the
// database of a small memory, and of a large one whose codes have been seen to find what
// an exact search finds.
func (s Store) nearest(ctx context.Context, q Query, n int) (total int64, found []candidate, err error) {
	know, all, err := s.search(ctx, q, n)
	if err != nil {
		return 0, nil, err
	}
	if know.total <= s.exactUpTo || know.trusted() {
		if near, complete := passing(all, q.MinSimilarity, n); complete {
			return know.total, near, nil
		}
	}
	rows, _ := s.tx.Query(ctx, exact, pgx.StrictNamedArgs{
		"model": q.Model, "vector": []float32(q.Vector), "n": n, "min_ctr": q.MinCTR, "min_similarity": q.MinSimilarity,
	})
	if found, err = pgx.CollectRows(rows, pgx.RowToStructByName[candidate]); err != nil {
		return 0, nil, fmt.Errorf("search all winners: %w", err)
	}
	if know.sampled >= mostSampled || len(found) == 0 {
		return know.total, found, nil
	}
	return know.total, found, s.learn(ctx, q, found, know.total)
}

// search asks what is known of the memory, and for the nearest of a small one, or of one
// whose codes can be trusted.
func (s Store) search(ctx context.Context, q Query, n int) (know measured, all []compared, err error) {
	rows, _ := s.tx.Query(ctx, `
		SELECT winners, recall, sampled, measured_at, all_compared, furthest, ad_id, similarity, creative_dna, pipeline_roas, ctr, embedding
		FROM   gv.search_winners(@model, @vector, @codes, @n, @min_ctr, @min_similarity, @up_to, @fresh, @least_sampled, @trusted)`,
		pgx.StrictNamedArgs{
			"model": q.Model, "vector": []float32(q.Vector), "codes": codes(q.Vector), "n": n,
			"min_ctr": q.MinCTR, "min_similarity": q.MinSimilarity, "up_to": s.exactUpTo,
			"fresh": fresh, "least_sampled": leastSampled, "trusted": trusted,
		})
	first := true
	all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c compared, err error) {
		if first {
			first = false
			return c, row.Scan(&know.total, &know.recall, &know.sampled, &know.at, nil, nil, nil, nil, nil, nil, nil, nil)
		}
		return c, row.Scan(nil, nil, nil, nil, &c.AllCompared, &c.Furthest, &c.AdID, &c.Similarity, &c.DNA, &c.ROAS, &c.CTR, &c.Embedding)
	})
	if err != nil {
		return know, nil, fmt.Errorf("search winners: %w", err)
	}
	return know, all[1:], nil
}

// exact compares all. The sort before the last join has only names: it would copy the
// vector of every row.
const exact = `
	SELECT   best.ad_id, least(greatest(1 - best.distance, 0), 1) AS similarity, w.creative_dna, w.pipeline_roas, w.ctr,
	         vector_send(w.embedding) AS embedding
	FROM (
		SELECT   ad_id, distance
		FROM     (SELECT *, embedding <=> @vector::real[]::vector AS distance FROM gv.winners) AS w
		WHERE    tenant_id = gv.tenant() AND model = @model AND active AND ctr >= @min_ctr
		AND      least(greatest(1 - distance, 0), 1) >= @min_similarity
		ORDER BY distance, ad_id
		LIMIT    @n
	) AS best
	CROSS    JOIN LATERAL (SELECT creative_dna, pipeline_roas, ctr, embedding FROM gv.winners
	       WHERE tenant_id = gv.tenant() AND ad_id = best.ad_id AND model = @model OFFSET 0) AS w
	ORDER BY best.distance, best.ad_id`

// candidate is a match with its vector, as it comes from the database.
type candidate struct {
	Match
	Embedding []byte
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
