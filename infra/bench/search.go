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
// finds, its time through HTTP beside the same SQL alone, and the time of that.
const (
	leastRecall   = 0.99
	mostOverhead  = 2.0
	mostOfLargest = 10 * time.Millisecond // the median of the tenant of largestTenant winners
	mostOfEven    = 7 * time.Millisecond  // the 99th percentile of fifty tenants of 5,000
	searchK       = 10
	selectiveCTR  = 0.09 // one winner in ten passes
	tenantsOfAll  = 50
	winnersOfAll  = 50_000
	largestTenant = 30_000
	warming       = 10 // searches after which it is known whether a tenant's codes can be trusted
)

// searching fills a memory of many tenants of all sizes and prints what searches
// find in it and what they take.
func searching(args []string) error {
	flags := flag.NewFlagSet("search", flag.ContinueOnError)
	queries := flags.Int("queries", 10, "queries of each tenant")
	even := flags.Int("even", 5000, "winners of each of fifty more tenants")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *queries < 1 || *even < 1 {
		return fmt.Errorf("-queries and -even must be at least 1")
	}
	ctx := context.Background()
	db, err := server(ctx)
	if err != nil {
		return err
	}
	defer db.close()
	owner, err := db.cluster.EnsureDatabase(ctx, "search")
	if err != nil {
		return err
	}
	s, err := startSystem(ctx, "-db", owner)
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
	if m.db, err = pg.Open(ctx, pg.Config{URL: s.env["DATABASE_URL"], MaxConns: 2}); err != nil {
		return err
	}
	defer m.db.Close()
	if err := m.prepare(ctx, s.env["TENANT_ID"], *even, *queries); err != nil {
		return err
	}
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

// prepare fills the memory, and searches until it is known whose codes can be trusted.
// What searches take before the first vacuum is printed.
func (m *memories) prepare(ctx context.Context, largest string, even, queries int) error {
	if err := m.autovacuum(ctx, false); err != nil {
		return err
	}
	began := time.Now()
	if err := m.fill(ctx, largest, even); err != nil {
		return err
	}
	fmt.Printf("%d winners over %d tenants of all sizes and %d over %d of one size, made in %s\n", winnersOfAll, tenantsOfAll,
		even*tenantsOfAll, tenantsOfAll, time.Since(began).Round(time.Second))
	codes := 0
	for _, t := range slices.Concat(m.uneven, m.even) {
		trusted, err := m.learn(ctx, t)
		if err != nil {
			return err
		}
		if trusted {
			codes++
		}
	}
	fmt.Printf("After %d searches each, made both ways where the codes are not trusted yet, %d tenants are searched by codes; the others compare all vectors.\n",
		warming, codes)
	for _, g := range m.groups() {
		times, err := m.alone(ctx, g.tenants, queries)
		if err != nil {
			return err
		}
		if g.most > 0 {
			fmt.Printf("Before the first vacuum, %s winners: the SQL takes %s in the median, %s at the 99th percentile.\n", g.name,
				shown(quantile(times, 0.5)), shown(quantile(times, 0.99)))
		}
	}
	fmt.Println()
	if err := m.autovacuum(ctx, true); err != nil {
		return err
	}
	_, err := m.admin.Exec(ctx, `VACUUM (ANALYZE) gv.winners, gv.winner_codes`)
	return err
}

// learn searches a tenant's memory and reports whether its codes are trusted now.
func (m *memories) learn(ctx context.Context, t tenantSize) (trusted bool, err error) {
	for range warming {
		if _, err := m.search(ctx, t.id, m.query(ctx)); err != nil {
			return false, err
		}
	}
	err = pg.InTenant(ctx, m.db, t.id, func(tx pgx.Tx) error {
		r, err := winners.NewStore(tx).Recall(ctx, embed.LocalModel)
		trusted = r.Trusted
		return err
	})
	return trusted, err
}

func (m *memories) query(ctx context.Context) winners.Query {
	vector, _ := embed.Local{}.Query(ctx, m.words())
	return winners.Query{Model: embed.LocalModel, Vector: vector, K: searchK}
}

// group is tenants that are reported together, and what their SQL alone may take.
type group struct {
	name    string
	tenants []tenantSize
	share   float64 // of the searches that must be done within most
	most    time.Duration
}

// groups are the tenants of all sizes by their size, and those of one size.
func (m *memories) groups() (all []group) {
	for _, band := range []struct{ from, to int }{{1, 10}, {11, 100}, {101, 1000}, {1001, 10_000}} {
		g := group{name: fmt.Sprintf("%d to %d", band.from, band.to)}
		for _, t := range m.uneven {
			if t.size >= band.from && t.size <= band.to {
				g.tenants = append(g.tenants, t)
			}
		}
		all = append(all, g)
	}
	return append(all, group{fmt.Sprint(largestTenant), m.uneven[:1], 0.5, mostOfLargest},
		group{fmt.Sprintf("%d, of %d", m.even[0].size, m.even[0].size*len(m.even)), m.even, 0.99, mostOfEven})
}

// recalls prints what searches find beside an exact search, by size of the tenant.
func (m *memories) recalls(ctx context.Context, queries int) error {
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "winners\ttenants\trecall@10, worst tenant\twith min_ctr, worst tenant\tlimit\tfewer than there are\t")
	for _, g := range m.groups() {
		worst, filtered, short := 1.0, 1.0, 0
		for _, t := range g.tenants {
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
		fmt.Fprintf(out, "%s\t%d\t%.3f\t%.3f\t%.2f\t%d\t\n", g.name, len(g.tenants), worst, filtered, leastRecall, short)
	}
	return out.Flush()
}

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

// alone returns how long searches of tenants take without HTTP, ascending.
func (m *memories) alone(ctx context.Context, tenants []tenantSize, queries int) (times []time.Duration, err error) {
	for _, t := range tenants {
		for i := range queries + 1 {
			q := m.query(ctx)
			began := time.Now()
			if _, err := m.search(ctx, t.id, q); err != nil {
				return nil, err
			}
			if took := time.Since(began); i > 0 { // the first of a tenant finds its pages
				times = append(times, took)
			}
		}
	}
	slices.Sort(times)
	return times, nil
}

// latencies prints the time of a search through HTTP and of its SQL alone.
func (m *memories) latencies(ctx context.Context, base string, queries int, token func(tenant string) string) error {
	fmt.Println()
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "winners\tthrough HTTP, median\tthe SQL alone\tratio\tlimit\tp99 of the SQL\tlimit of the SQL\t")
	for _, g := range m.groups() {
		alone, err := m.alone(ctx, g.tenants, queries)
		if err != nil {
			return err
		}
		var through []time.Duration
		for _, t := range g.tenants {
			for i := range queries + 1 {
				took, err := post(ctx, base+"/api/ml/rag/search-winners", token(t.id), map[string]any{"query": m.words(), "top_k": searchK})
				if err != nil {
					return err
				}
				if i > 0 {
					through = append(through, took)
				}
			}
		}
		limit := ""
		switch g.share {
		case 0.5:
			limit = "median " + g.most.String()
		case 0.99:
			limit = "p99 " + g.most.String()
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%.2f\t%.0f\t%s\t%s\t\n", g.name, shown(median(through)), shown(median(alone)),
			float64(median(through))/float64(median(alone)), mostOverhead, shown(quantile(alone, 0.99)), limit)
	}
	return out.Flush()
}

func shown(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }
