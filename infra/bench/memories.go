package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pgvector/pgvector-go"

	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// memories are the winner memories of tenants of very uneven sizes.
type memories struct {
	admin   *pgx.Conn
	db      *pg.DB
	random  *rand.Rand
	tenants []tenantSize
}

type tenantSize struct {
	id   string
	size int
}

// sizes are one large tenant, ten with 1 to 10 winners, and the rest in between,
// each a seventh smaller than the one before.
func sizes() []int {
	all := []int{largestTenant}
	left := winnersOfAll - largestTenant
	for i := range 10 {
		all = append(all, i+1)
		left -= i + 1
	}
	for len(all) < tenantsOfAll-1 {
		size := max(11, left/7)
		all, left = append(all, size), left-size
	}
	return append(all, left)
}

// fill makes winners of random words. The index is made once they are there, which
// is quicker.
func (m *memories) fill(ctx context.Context, largest string) error {
	if _, err := m.admin.Exec(ctx, `SET search_path = gv, extensions, public`); err != nil {
		return err
	}
	var index string
	err := m.admin.QueryRow(ctx, `SELECT pg_get_indexdef('gv.winners_local'::regclass)`).Scan(&index)
	if err != nil {
		return err
	}
	if _, err := m.admin.Exec(ctx, `DROP INDEX gv.winners_local`); err != nil {
		return err
	}
	for i, size := range sizes() {
		t := tenantSize{tenantID(i), size}
		if i == 0 {
			t.id = largest
		} else if _, err := m.admin.Exec(ctx, `INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, $2)`, t.id, fmt.Sprint("Tenant ", i)); err != nil {
			return err
		}
		m.tenants = append(m.tenants, t)
		if err := m.fillOne(ctx, t); err != nil {
			return err
		}
	}
	for _, sql := range []string{`SET maintenance_work_mem = '512MB'`, index, `VACUUM (ANALYZE) gv.winners`} {
		if _, err := m.admin.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

func (m *memories) fillOne(ctx context.Context, t tenantSize) error {
	const at = 500
	for done := 0; done < t.size; done += at {
		n := min(at, t.size-done)
		ids, texts, vectors, rates := make([]string, n), make([]string, n), make([]string, n), make([]float64, n)
		for i := range n {
			ids[i], texts[i], rates[i] = fmt.Sprintf("ad-%d", done+i), m.words(), m.random.Float64()/10
		}
		all, err := embed.Local{}.Documents(ctx, texts)
		if err != nil {
			return err
		}
		for i, v := range all {
			vectors[i] = text(v)
		}
		_, err = m.admin.Exec(ctx, `
			INSERT INTO gv.winners (tenant_id, ad_id, model, embedding, text, creative_dna, pipeline_roas, ctr, content_hash)
			SELECT $1, id, $2, vector::vector, text, jsonb_build_object('name', text), 4, rate, '\x00'
			FROM   unnest($3::text[], $4::text[], $5::text[], $6::float8[]) AS n (id, text, vector, rate)`,
			t.id, embed.LocalModel, ids, texts, vectors, rates)
		if err != nil {
			return err
		}
	}
	return nil
}

// words are twelve of some hundreds, the first of them the most frequent.
func (m *memories) words() string {
	var b strings.Builder
	for range 12 {
		fmt.Fprintf(&b, "w%d ", int(m.random.ExpFloat64()*40))
	}
	return b.String()
}

func text(v embed.Vector) string { return pgvector.NewVector(v).String() }

// post sends a request and returns how long its answer took.
func post(ctx context.Context, url, token string, body any) (time.Duration, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(data))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	began := time.Now()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	took := time.Since(began)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answered %d: %s", url, answer.StatusCode, got)
	}
	return took, err
}
