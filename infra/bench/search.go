package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/issuer"
	"github.com/geminivideo/geminivideo/shared/auth"
	"github.com/geminivideo/geminivideo/shared/embed"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/winners"
)

// The promises of the winner memory: the share of the ten nearest that a search
// finds, and its time through HTTP beside the same SQL alone.
const (
	leastRecall   = 0.99
	mostOverhead  = 2.0
	searchK       = 10
	selectiveCTR  = 0.09 // one winner in ten passes
	tenantsOfAll  = 50
	winnersOfAll  = 50_000
	largestTenant = 30_000
)

// searching fills a memory of many tenants of all sizes and prints what searches
// find in it and what they take.
func searching(args []string) error {
	flags := flag.NewFlagSet("search", flag.ContinueOnError)
	queries := flags.Int("queries", 10, "queries of each tenant")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *queries < 1 {
		return fmt.Errorf("-queries must be at least 1")
	}
	ctx := context.Background()
	s, err := startSystem(ctx)
	if err != nil {
		return err
	}
	defer s.stop()
	admin, err := pgx.Connect(ctx, s.env["ADMIN_DATABASE_URL"])
	if err != nil {
		return err
	}
	defer admin.Close(ctx)
	m := &memories{admin: admin, random: rand.New(rand.NewPCG(1, 2))}
	began := time.Now()
	if err := m.fill(ctx, s.env["TENANT_ID"]); err != nil {
		return err
	}
	fmt.Printf("%d winners over %d tenants, made in %s\n\n", winnersOfAll, tenantsOfAll, time.Since(began).Round(time.Second))
	if m.db, err = pg.Open(ctx, pg.Config{URL: s.env["DATABASE_URL"], MaxConns: 2}); err != nil {
		return err
	}
	defer m.db.Close()
	if err := m.recalls(ctx, *queries); err != nil {
		return err
	}
	keys, err := issuer.Open(s.env["BASE_URL"], filepath.Join(s.dir, "data", "token.key"))
	if err != nil {
		return err
	}
	return m.latencies(ctx, s.env["BASE_URL"], *queries, func(tenant string) string {
		return keys.Token(tenant, "bench@example.com", auth.Viewer, time.Hour)
	})
}

// recalls prints what searches find beside an exact search, by size of the tenant.
func (m *memories) recalls(ctx context.Context, queries int) error {
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "winners\ttenants\trecall@10, worst tenant\twith min_ctr, worst tenant\tlimit\tfewer than there are\t")
	for _, band := range bands {
		worst, filtered, tenants, short := 1.0, 1.0, 0, 0
		for _, t := range m.tenants {
			if t.size < band.from || t.size > band.to {
				continue
			}
			tenants++
			all, few, err := m.recall(ctx, t, queries, 0)
			if err != nil {
				return err
			}
			some, less, err := m.recall(ctx, t, queries, selectiveCTR)
			if err != nil {
				return err
			}
			worst, filtered, short = min(worst, all), min(filtered, some), short+few+less
		}
		fmt.Fprintf(out, "%d to %d\t%d\t%.3f\t%.3f\t%.2f\t%d\t\n", band.from, band.to, tenants, worst, filtered, leastRecall, short)
	}
	return out.Flush()
}

// bands are the sizes of tenants that are reported apart.
var bands = []struct{ from, to int }{{1, 10}, {11, 100}, {101, 1000}, {1001, 10_000}, {10_001, largestTenant}}

// recall is the share of the nearest that a tenant's searches find, and how many of
// them returned fewer than there are.
func (m *memories) recall(ctx context.Context, t tenantSize, queries int, minCTR float64) (share float64, short int, err error) {
	found, wanted := 0, 0
	for range queries {
		vector, _ := embed.Local{}.Query(ctx, m.words())
		rows, _ := m.admin.Query(ctx, `
			SELECT 1 - (embedding <=> $2::text::vector) FROM gv.winners
			WHERE  tenant_id = $1 AND model = $3 AND active AND ctr >= $4 ORDER BY embedding <=> $2::text::vector LIMIT $5`,
			t.id, text(vector), embed.LocalModel, minCTR, searchK)
		near, err := pgx.CollectRows(rows, pgx.RowTo[float64])
		if err != nil {
			return 0, 0, err
		}
		result, err := m.search(ctx, t.id, winners.Query{Model: embed.LocalModel, Vector: vector, K: searchK, MinCTR: minCTR})
		if err != nil {
			return 0, 0, err
		}
		if len(result.Matches) != len(near) {
			short++
		}
		wanted += len(near)
		for _, match := range result.Matches {
			if match.Similarity >= near[len(near)-1]-1e-6 { // who is as near is as good
				found++
			}
		}
	}
	if wanted == 0 {
		return 1, short, nil
	}
	return float64(found) / float64(wanted), short, nil
}

func (m *memories) search(ctx context.Context, tenant string, q winners.Query) (result winners.Result, err error) {
	err = pg.InTenant(ctx, m.db, tenant, func(tx pgx.Tx) error {
		result, err = winners.NewStore(tx).Search(ctx, q)
		return err
	})
	return result, err
}

// latencies prints the median time of a search through HTTP and of its SQL alone.
func (m *memories) latencies(ctx context.Context, base string, queries int, token func(tenant string) string) error {
	type times struct{ http, sql []time.Duration }
	by := make([]times, len(bands)+1)
	for _, t := range m.tenants {
		bearer := token(t.id)
		for i := range queries + 1 {
			said := m.words()
			vector, _ := embed.Local{}.Query(ctx, said)
			began := time.Now()
			_, err := m.search(ctx, t.id, winners.Query{Model: embed.LocalModel, Vector: vector, K: searchK})
			alone := time.Since(began)
			if err != nil {
				return err
			}
			through, err := post(ctx, base+"/api/ml/rag/search-winners", bearer, map[string]any{"query": said, "top_k": searchK})
			if err != nil {
				return err
			}
			if i == 0 {
				continue // the first of a tenant finds its pages
			}
			for b, band := range bands {
				if t.size >= band.from && t.size <= band.to {
					by[b].http, by[b].sql = append(by[b].http, through), append(by[b].sql, alone)
				}
			}
			all := &by[len(bands)]
			all.http, all.sql = append(all.http, through), append(all.sql, alone)
		}
	}
	fmt.Println()
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "winners\tthrough HTTP, median\tthe SQL alone\tratio\tlimit\t")
	for b, t := range slices.All(by) {
		name := "all searches"
		if b < len(bands) {
			name = fmt.Sprintf("%d to %d", bands[b].from, bands[b].to)
		}
		if len(t.http) == 0 {
			continue
		}
		through, alone := median(t.http), median(t.sql)
		fmt.Fprintf(out, "%s\t%s\t%s\t%.2f\t%.0f\t\n", name, through.Round(10*time.Microsecond), alone.Round(10*time.Microsecond),
			float64(through)/float64(alone), mostOverhead)
	}
	return out.Flush()
}
