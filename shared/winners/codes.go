package winners

import (
	"context"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"
	"github.com/pgvector/pgvector-go"
)

const (
	// leastCandidates are compared by their vectors, or one winner in a hundred where
	// that is more: of 30,000 texts that includes 99.9% of the ten nearest.
	leastCandidates = 300
	candidateShare  = 100
	// spread is how many candidates are compared for each winner that is asked for.
	spread = 5
)

// candidates returns how many winners are compared by their vectors to find the n nearest.
func candidates(n int, total int64) int64 {
	return max(leastCandidates, total/candidateShare, int64(n)*spread)
}

// byCodes compares the query's code with those of all winners that pass the limit of
// the CTR, and the vectors of the winners with the nearest codes. complete is false
// where fewer than n pass and others may pass, too.
func (s Store) byCodes(ctx context.Context, q Query, n int, total int64) (found []candidate, complete bool, err error) {
	wanted := candidates(n, total)
	rows, _ := s.tx.Query(ctx, coded, pgx.StrictNamedArgs{
		"model": q.Model, "vector": pgvector.NewVector(q.Vector).String(), "n": n, "min_ctr": q.MinCTR, "candidates": wanted,
	})
	type compared struct {
		candidate
		Compared int64   // how many candidates there were
		Furthest float64 // in how many bits the last candidate's code differs from the query's
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[compared])
	if err != nil {
		return nil, false, fmt.Errorf("search the codes of winners: %w", err)
	}
	for _, c := range all {
		if c.Similarity >= q.MinSimilarity {
			found = append(found, c.candidate)
		}
	}
	complete = len(found) == n || len(all) == 0 || all[0].Compared < wanted || excluded(all[0].Furthest, q.MinSimilarity)
	return found, complete, nil
}

// codeBits is the length of a code.
const codeBits = 1024

// excluded reports whether a winner as similar as that has a code that differs in fewer
// bits. Each bit differs with the probability angle/pi, so the number of bits is
// binomial; four standard deviations leave one in 30,000.
func excluded(furthest, similarity float64) bool {
	p := math.Acos(min(max(similarity, 0), 1)) / math.Pi
	return furthest > codeBits*p+4*math.Sqrt(codeBits*p*(1-p))
}

// coded ranks the winners with the nearest codes by their vectors. OFFSET 0 keeps the
// planner from joining all vectors where it has no statistics.
const coded = `
	WITH candidate AS MATERIALIZED (
		SELECT   ad_id, code <~> (SELECT gv.winner_code(@vector::text::vector)) AS bits
		FROM     gv.winner_codes
		WHERE    tenant_id = gv.tenant() AND model = @model AND ctr >= @min_ctr
		ORDER BY bits
		LIMIT    @candidates
	)` + matches + `, (SELECT count(*) FROM candidate) AS compared, (SELECT max(bits) FROM candidate) AS furthest
	FROM (
		SELECT   candidate.ad_id, w.distance
		FROM     candidate
		CROSS    JOIN LATERAL (SELECT embedding <=> @vector::text::vector AS distance FROM gv.winners
		       WHERE tenant_id = gv.tenant() AND ad_id = candidate.ad_id AND model = @model OFFSET 0) AS w
		ORDER BY distance, ad_id
		LIMIT    @n
	) AS best` + details
