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
	admin        *pgx.Conn
	db           *pg.DB
	random       *rand.Rand
	uneven, even []tenantSize
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

// fill makes winners of random words: those of the uneven tenants, and then as many for
// each of the even ones, some of every tenant in turn, as they come in a real table.
func (m *memories) fill(ctx context.Context, largest string, even int) error {
	if _, err := m.admin.Exec(ctx, `SET search_path = gv, extensions, public`); err != nil {
		return err
	}
	for i, size := range sizes() {
		t := tenantSize{tenantID(i), size}
		if i == 0 {
			t.id = largest
		} else if err := m.add(ctx, t); err != nil {
			return err
		}
		m.uneven = append(m.uneven, t)
		if err := m.fillSome(ctx, t, 0, t.size); err != nil {
			return err
		}
	}
	for i := range tenantsOfAll {
		t := tenantSize{tenantID(tenantsOfAll + i), even}
		if err := m.add(ctx, t); err != nil {
			return err
		}
		m.even = append(m.even, t)
	}
	const turn = 10
	for from := 0; from < even; from += turn {
		for _, t := range m.even {
			if err := m.fillSome(ctx, t, from, min(turn, even-from)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *memories) add(ctx context.Context, t tenantSize) error {
	_, err := m.admin.Exec(ctx, `INSERT INTO gv.tenants (tenant_id, name) VALUES ($1, 'Tenant ' || right($1::uuid::text, 3))`, t.id)
	return err
}

// fillSome makes n winners of a tenant, from the ad of that number on.
func (m *memories) fillSome(ctx context.Context, t tenantSize, from, n int) error {
	const at = 500
	for done := 0; done < n; done += at {
		n := min(at, n-done)
		ids, texts, vectors, rates := make([]string, n), make([]string, n), make([]string, n), make([]float64, n)
		for i := range n {
			ids[i], texts[i], rates[i] = fmt.Sprintf("ad-%d", from+done+i), m.words(), m.random.Float64()/10
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

// autovacuum switches it on or off for what is filled.
func (m *memories) autovacuum(ctx context.Context, on bool) error {
	for _, table := range []string{"gv.winners", "gv.winner_codes"} {
		if _, err := m.admin.Exec(ctx, fmt.Sprintf(`ALTER TABLE %s SET (autovacuum_enabled = %t)`, table, on)); err != nil {
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
