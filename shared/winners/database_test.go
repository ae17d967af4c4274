package winners

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pgvector/pgvector-go"

	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/creative"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/pg"
)

type database struct {
	*pg.DB
	admin *pgxpool.Pool
}

func open(t *testing.T) database {
	t.Helper()
	made := pgtest.New(t)
	db, err := pg.Open(t.Context(), pg.Config{URL: made.AppURL, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	admin := made.Admin(t)
	if _, err := admin.Exec(t.Context(), `INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'A'), ($2, 'B')`, tenantA, tenantB); err != nil {
		t.Fatal(err)
	}
	return database{db, admin}
}

func in(t *testing.T, db database, tenant string, fn func(Store) error) {
	t.Helper()
	if err := pg.InTenant(t.Context(), db.DB, tenant, func(tx pgx.Tx) error { return fn(NewStore(tx)) }); err != nil {
		t.Fatal(err)
	}
}

func memory(t *testing.T, ad, dna string) Memory {
	t.Helper()
	d, err := creative.Parse([]byte(dna))
	if err != nil {
		t.Fatal(err)
	}
	return Memory{
		AdID: ad, Model: embed.LocalModel, Vector: vector(t, d.Text()), Text: d.Text(),
		DNA: d, ROAS: 4, CTR: 0.02, Active: true,
	}
}

func putMemory(t *testing.T, db database, m Memory) (got Outcome) {
	t.Helper()
	in(t, db, tenantA, func(s Store) (err error) {
		got, err = s.Put(t.Context(), m)
		return err
	})
	return got
}

func search(t *testing.T, db database, q Query, exactUpTo int64) (ids []string) {
	t.Helper()
	in(t, db, tenantA, func(s Store) error {
		s.exactUpTo = exactUpTo
		result, err := s.Search(t.Context(), q)
		for _, m := range result.Matches {
			ids = append(ids, m.AdID)
		}
		return err
	})
	return ids
}

// trust records that the codes of tenantA's winners find everything.
func trust(t *testing.T, db database, model string) {
	t.Helper()
	_, err := db.admin.Exec(t.Context(), `
		INSERT INTO gv.search_recall (tenant_id, model, recall, sampled, winners) VALUES ($1, $2, 1, $3, 1000000)
		ON CONFLICT (tenant_id, model) DO UPDATE SET recall = 1, sampled = excluded.sampled, measured_at = now()`, tenantA, model, leastSampled)
	if err != nil {
		t.Fatal(err)
	}
}

// fill stores n ads of random words.
func fill(t *testing.T, db database, tenant string, n int, seed uint64) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 7))
	batch := &pgx.Batch{}
	for i := range n {
		text := words(random)
		batch.Queue(`
			INSERT INTO gv.winners (tenant_id, ad_id, model, embedding, text, creative_dna, pipeline_roas, ctr, content_hash)
			VALUES ($1, $2, $3, $4::text::extensions.vector, $5, '{}', 4, 0.02, '\x00')`,
			tenant, fmt.Sprintf("ad-%d", i), embed.LocalModel, vectorText(vector(t, text)), text)
	}
	if err := db.admin.SendBatch(t.Context(), batch).Close(); err != nil {
		t.Fatal(err)
	}
}

func words(random *rand.Rand) string {
	var b strings.Builder
	for range 12 {
		fmt.Fprintf(&b, "w%d ", int(random.ExpFloat64()*40))
	}
	return b.String()
}

func vectorText(v embed.Vector) string { return pgvector.NewVector(v).String() }

func vector(t *testing.T, text string) embed.Vector {
	t.Helper()
	v, err := embed.Local{}.Query(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
