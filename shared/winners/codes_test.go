package winners

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/embed"
)

// found is what a search of tenantA returns, by its codes where byCodes is true.
func found(t *testing.T, db database, q Query, byCodes bool) (matches []Match) {
	t.Helper()
	in(t, db, tenantA, func(s Store) error {
		if byCodes {
			s.exactUpTo = 0
		} else {
			s.exactUpTo = 1 << 30
		}
		result, err := s.Search(t.Context(), q)
		matches = result.Matches
		return err
	})
	return matches
}

// share is how many of the exact matches are as good as those that were found.
func share(got, exact []Match) float64 {
	if len(exact) == 0 {
		return 1
	}
	n := 0
	for _, m := range got {
		if m.Similarity >= exact[len(exact)-1].Similarity-1e-6 {
			n++
		}
	}
	return min(1, float64(n)/float64(len(exact)))
}

func TestCodesFindWhatAnExactSearchFinds(t *testing.T) {
	t.Parallel()
	db := open(t)
	fill(t, db, tenantA, 3200, 1) // enough for a sample
	fill(t, db, tenantB, 300, 2)
	if _, err := db.admin.Exec(t.Context(), `UPDATE gv.winners SET ctr = (hashtext(ad_id) & 127) / 1000.0 WHERE tenant_id = $1`, tenantA); err != nil {
		t.Fatal(err)
	}
	trust(t, db, embed.LocalModel)
	random := rand.New(rand.NewPCG(3, 3))
	sum, searches := 0.0, 60
	for i := range searches {
		q := Query{Model: embed.LocalModel, Vector: vector(t, words(random)), K: 1 + random.IntN(20)}
		if i%2 == 1 {
			q.MinCTR = random.Float64() * 0.127
		}
		if i%3 == 2 {
			q.MinSimilarity = random.Float64()
		}
		got, exact := found(t, db, q, true), found(t, db, q, false)
		if len(got) != len(exact) {
			t.Errorf("K %d, CTR from %.3f, similarity from %.3f: found %d, of %d", q.K, q.MinCTR, q.MinSimilarity, len(got), len(exact))
		}
		for j, m := range got {
			if m.CTR < q.MinCTR || m.Similarity < q.MinSimilarity || j > 0 && m.Similarity > got[j-1].Similarity {
				t.Errorf("match %d of K %d, CTR from %.3f, similarity from %.3f: %+v", j, q.K, q.MinCTR, q.MinSimilarity, m)
			}
		}
		sum += share(got, exact)
	}
	if recall := sum / float64(searches); recall < 0.99 {
		t.Errorf("codes find %.1f%% of the nearest", recall*100)
	}
}

func TestASearchByCodesReturnsFewerOnlyWhereFewerPass(t *testing.T) {
	t.Parallel()
	db := open(t)
	fill(t, db, tenantA, 600, 1)
	fill(t, db, tenantB, 600, 2)
	if _, err := db.admin.Exec(t.Context(), `UPDATE gv.winners SET ctr = 0.5 WHERE ad_id IN ('ad-3', 'ad-77', 'ad-150')`); err != nil {
		t.Fatal(err)
	}
	trust(t, db, embed.LocalModel)
	probe := vector(t, "alpha beta gamma")
	for name, c := range map[string]struct {
		query Query
		found int
	}{
		"three pass":       {Query{K: 10, MinCTR: 0.4}, 3},
		"fewer than there": {Query{K: 2, MinCTR: 0.4}, 2},
		"more than all":    {Query{K: 1000}, 600},
		"none is so alike": {Query{K: 5, MinSimilarity: 1}, 0},
		"none has the CTR": {Query{K: 5, MinCTR: 0.6}, 0},
	} {
		c.query.Model, c.query.Vector = embed.LocalModel, probe
		if got := found(t, db, c.query, true); len(got) != c.found {
			t.Errorf("%s: found %d, want %d", name, len(got), c.found)
		}
	}
}

// Codes cannot rank a thousand variants of one creative; their recall says so, and all
// vectors are compared.
func TestWhereCodesDoNotFindTheNearestAllVectorsAreCompared(t *testing.T) {
	t.Parallel()
	db := open(t)
	random := rand.New(rand.NewPCG(5, 5))
	centre := vector(t, "one creative in a thousand variants")
	batch := &pgx.Batch{}
	for i := range 1000 {
		batch.Queue(`
			INSERT INTO gv.winners (tenant_id, ad_id, model, embedding, text, creative_dna, pipeline_roas, ctr, content_hash)
			VALUES ($1, $2, $3, $4::text::extensions.vector, 'x', '{}', 4, 0.02, '\x00')`,
			tenantA, fmt.Sprint("ad-", i), embed.LocalModel, vectorText(near(centre, 0.9, random)))
	}
	if err := db.admin.SendBatch(t.Context(), batch).Close(); err != nil {
		t.Fatal(err)
	}
	for i := range leastSampled + 4 {
		q := Query{Model: embed.LocalModel, Vector: near(centre, 0.9, random), K: 10}
		if diff := cmp.Diff(found(t, db, q, false), found(t, db, q, true)); diff != "" {
			t.Errorf("search %d: %s", i, diff)
		}
	}
	in(t, db, tenantA, func(s Store) error {
		s.exactUpTo = 0
		r, err := s.Recall(t.Context(), embed.LocalModel)
		if r.Trusted || r.Sampled != leastSampled+4 || r.Recall >= trusted {
			t.Errorf("%+v", r)
		}
		return err
	})
}

func TestTheLimitOfTheSimilarityIsExcludedByTheFurthestCode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		furthest, similarity float64
		want                 bool
	}{
		{1, 1, true}, {0, 1, false}, // equal vectors have equal codes
		{512, 0, false}, {577, 0, true}, {576, 0, false}, // a right angle: 512 bits and four times 16
		{341, 0.5, false}, {402, 0.5, true}, {401, 0.5, false},
	} {
		if got := excluded(c.furthest, c.similarity); got != c.want {
			t.Errorf("a similarity of %.1f, all codes up to %.0f bits compared: %v", c.similarity, c.furthest, got)
		}
	}
}

func TestACodeDiffersByTheAngle(t *testing.T) {
	t.Parallel()
	db := open(t)
	random := rand.New(rand.NewPCG(9, 9))
	dense := near(vector(t, "x"), 0, random)
	for kind, v := range map[string]embed.Vector{"few words": vector(t, words(random)), "every dimension": dense} {
		for range 40 {
			cosine := random.Float64()
			u := near(v, cosine, random)
			var differ float64
			err := db.admin.QueryRow(t.Context(), `
				SELECT bit_count((gv.winner_code($1::text::extensions.vector) # gv.winner_code($2::text::extensions.vector))::bit(1024))`,
				vectorText(v), vectorText(u)).Scan(&differ)
			if err != nil {
				t.Fatal(err)
			}
			p := math.Acos(alike(u, v)) / math.Pi
			if far := math.Abs(differ-codeBits*p) / math.Sqrt(codeBits*p*(1-p)); far > 5 {
				t.Errorf("%s: a cosine of %.3f makes codes differ in %.0f bits, %.1f standard deviations from %.0f", kind, cosine, differ, far, codeBits*p)
			}
		}
	}
}

// Right after an import there are no statistics.
func TestASearchByCodesReadsNoVectorButTheCandidates(t *testing.T) {
	t.Parallel()
	db := open(t)
	fill(t, db, tenantA, 1500, 1)
	trust(t, db, embed.LocalModel)
	for _, statistics := range []string{"none", "fresh"} {
		if statistics == "fresh" {
			if _, err := db.admin.Exec(t.Context(), `VACUUM (ANALYZE) gv.winners, gv.winner_codes`); err != nil {
				t.Fatal(err)
			}
		}
		for limit, want := range map[float64]int{0: 115 + 10, 0.001: 360 + 10} {
			in(t, db, tenantA, func(s Store) error {
				before := vectorsRead(t, s)
				if _, err := s.Search(t.Context(), Query{Model: embed.LocalModel, Vector: vector(t, "w1 w2 w3"), K: 5, MinSimilarity: limit}); err != nil {
					return err
				}
				if read := vectorsRead(t, s) - before; read != want {
					t.Errorf("statistics %s, a similarity of %v: %d rows of gv.winners are read, not %d", statistics, limit, read, want)
				}
				return nil
			})
		}
	}
}

// vectorsRead is how many rows of gv.winners the connection has read and not reported yet.
func vectorsRead(t *testing.T, s Store) (n int) {
	t.Helper()
	err := s.tx.QueryRow(t.Context(), `
		SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relid = 'gv.winners'::regclass`).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A memory that is taken for a much larger one is sampled for the farthest code that may
// pass; where too few do, all codes are sorted.
func TestASampleThatIsUnlikeTheRestLosesNothing(t *testing.T) {
	t.Parallel()
	db := open(t)
	fill(t, db, tenantA, 900, 1)
	in(t, db, tenantA, func(s Store) error {
		q := Query{Model: embed.LocalModel, Vector: vector(t, "w1 w2 w3 w4"), K: 20}
		fair, _, err := s.byCodes(t.Context(), q, 20, 900)
		if err != nil {
			return err
		}
		sampled, complete, err := s.byCodes(t.Context(), q, 20, 30_000)
		if diff := cmp.Diff(fair, sampled); diff != "" || !complete {
			t.Errorf("complete %v: %s", complete, diff)
		}
		return err
	})
}

func TestAnotherTenantsCodesAreOutOfReach(t *testing.T) {
	t.Parallel()
	db := open(t)
	fill(t, db, tenantA, 20, 1)
	fill(t, db, tenantB, 40, 2)
	trust(t, db, embed.LocalModel)
	q := Query{Model: embed.LocalModel, Vector: vector(t, "w1 w2"), K: 100}
	mine := found(t, db, q, true)
	if len(mine) != 20 || !slices.ContainsFunc(mine, func(m Match) bool { return m.AdID == "ad-19" }) {
		t.Errorf("found %d of 20", len(mine))
	}
	in(t, db, tenantA, func(s Store) error {
		var seen int
		if err := s.tx.QueryRow(t.Context(), `SELECT count(*) FROM gv.winner_codes`).Scan(&seen); err != nil || seen != 20 {
			t.Errorf("sees %d codes: %v", seen, err)
		}
		if _, err := s.tx.Exec(t.Context(), `SAVEPOINT before`); err != nil {
			return err
		}
		_, err := s.tx.Exec(t.Context(), `
			INSERT INTO gv.winner_codes SELECT $1, ctr, code, model, 'theirs' FROM gv.winner_codes LIMIT 1`, tenantB)
		if err == nil {
			t.Error("it writes another tenant's code")
		}
		_, err = s.tx.Exec(t.Context(), `ROLLBACK TO before`)
		return err
	})
}
