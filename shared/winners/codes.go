package winners

import (
	"context"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"
)

// byCodes compares the query's code with those of all winners that pass the limit of
// the CTR, and the vectors of the winners with the nearest codes. complete is false
// where fewer than n pass and others may pass, too.
func (s Store) byCodes(ctx context.Context, q Query, n int, total int64) (found []candidate, complete bool, err error) {
	rows, _ := s.tx.Query(ctx, `SELECT * FROM gv.winners_by_codes(@model, @vector::real[]::vector, @codes, @n, @min_ctr, @min_similarity, @total)`,
		pgx.StrictNamedArgs{
			"model": q.Model, "vector": []float32(q.Vector), "codes": codes(q.Vector), "n": n,
			"min_ctr": q.MinCTR, "min_similarity": q.MinSimilarity, "total": total,
		})
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[compared])
	if err != nil {
		return nil, false, fmt.Errorf("search the codes of winners: %w", err)
	}
	found, complete = passing(all, q.MinSimilarity, n)
	return found, complete, nil
}

// compared is a candidate with what is known of all of them.
type compared struct {
	candidate
	AllCompared bool     // the vectors of all that pass the limit of the CTR were compared
	Furthest    *float64 // whose code differs in fewer bits from the query's was compared; nil where that is not so
}

// passing returns those that are similar enough, and whether there are no others
// among the n nearest.
func passing(all []compared, similarity float64, n int) (found []candidate, complete bool) {
	for _, c := range all {
		if c.Similarity >= similarity {
			found = append(found, c.candidate)
		}
	}
	complete = len(found) == n || len(all) == 0 || all[0].AllCompared || all[0].Furthest != nil && excluded(*all[0].Furthest, similarity)
	return found, complete
}

// excluded reports whether a winner as similar as that has a code that differs in fewer
// bits. Each bit differs with the probability angle/pi, so the number of bits is
// binomial; four standard deviations leave one in 30,000.
func excluded(furthest, similarity float64) bool {
	p := math.Acos(min(max(similarity, 0), 1)) / math.Pi
	return furthest > codeBits*p+4*math.Sqrt(codeBits*p*(1-p))
}
