package winners

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/embed"
)

// near is v turned a little, so that the cosine between them is that.
func near(v embed.Vector, cosine float64, random *rand.Rand) embed.Vector {
	side := make([]float64, len(v))
	along := 0.0
	for i := range side {
		side[i] = random.NormFloat64()
		along += side[i] * float64(v[i])
	}
	length := 0.0
	for i := range side {
		side[i] -= along * float64(v[i])
		length += side[i] * side[i]
	}
	out := make(embed.Vector, len(v))
	for i := range out {
		out[i] = float32(cosine*float64(v[i]) + math.Sqrt(1-cosine*cosine)*side[i]/math.Sqrt(length))
	}
	return out
}

// put stores ads with vectors of that cosine to v.
func put(t *testing.T, db database, prefix string, n int, v embed.Vector, cosine float64, random *rand.Rand) {
	t.Helper()
	batch := &pgx.Batch{}
	for i := range n {
		batch.Queue(`
			INSERT INTO gv.winners (tenant_id, ad_id, model, embedding, text, creative_dna, pipeline_roas, ctr, content_hash)
			VALUES ($1, $2, $3, $4::text::extensions.vector, 't', '{}', 4, 0.02, '\x00')`,
			tenantA, fmt.Sprintf("%s-%03d", prefix, i), embed.LocalModel, vectorText(near(v, cosine, random)))
	}
	if err := db.admin.SendBatch(t.Context(), batch).Close(); err != nil {
		t.Fatal(err)
	}
}

func kinds(ids []string) (of map[string]int) {
	of = map[string]int{}
	for _, id := range ids {
		of[strings.Split(id, "-")[0]]++
	}
	return of
}

func TestFiveWinnersAreNotFiveCopies(t *testing.T) {
	t.Parallel()
	db := open(t)
	random := rand.New(rand.NewPCG(1, 2))
	query := vector(t, "a question as the hook, fast cuts")
	best := near(query, 0.95, random)
	put(t, db, "copy", 60, best, 0.999, random)
	put(t, db, "other", 6, query, 0.6, random)
	for _, exactUpTo := range []int64{1000, 0} {
		got := search(t, db, Query{Model: embed.LocalModel, Vector: query, K: 5}, exactUpTo)
		if of := kinds(got); len(got) != 5 || of["copy"] != 1 || of["other"] != 4 || !strings.HasPrefix(got[0], "copy") {
			t.Errorf("found %v", got)
		}
		// Where there is nothing else, copies fill up: all that there are come back.
		got = search(t, db, Query{Model: embed.LocalModel, Vector: query, K: 20}, exactUpTo)
		if of := kinds(got); len(got) != 20 || of["other"] != 6 || !strings.HasPrefix(got[0], "copy") {
			t.Errorf("found %d: %v", len(got), of)
		}
		got = search(t, db, Query{Model: embed.LocalModel, Vector: query, K: 5, MinSimilarity: 0.9}, exactUpTo)
		if of := kinds(got); len(got) != 5 || of["copy"] != 5 {
			t.Errorf("above 0.9: %v", got)
		}
	}
}

func TestWhatIsNoNearCopyIsFoundAsTheNearestAre(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	query := vector(t, "anything")
	centre := near(query, 0.5, random)
	var found []candidate
	for i := range 40 { // a tight cluster, but not of copies
		found = append(found, candidate{Match: Match{AdID: fmt.Sprint(i)}, Embedding: sent(near(centre, 0.97, random))})
	}
	chosen, copies := diverse(found, 10)
	if copies != 0 || len(chosen) != 10 {
		t.Fatalf("%d chosen, %d copies", len(chosen), copies)
	}
	for i, m := range chosen {
		if m.AdID != fmt.Sprint(i) {
			t.Errorf("place %d has %s", i, m.AdID)
		}
	}
	if chosen, copies := diverse(nil, 10); len(chosen) != 0 || copies != 0 || chosen == nil {
		t.Errorf("of nothing: %v, %d", chosen, copies)
	}
	same := slices.Repeat(found[:1], 3)
	if chosen, copies := diverse(same, 2); len(chosen) != 2 || copies != 1 {
		t.Errorf("of three copies: %v, %d", chosen, copies)
	}
}

// sent is a vector as pgvector sends it.
func sent(v embed.Vector) []byte {
	raw := []byte{byte(len(v) >> 8), byte(len(v)), 0, 0}
	for _, x := range v {
		bits := math.Float32bits(x)
		raw = append(raw, byte(bits>>24), byte(bits>>16), byte(bits>>8), byte(bits))
	}
	return raw
}
