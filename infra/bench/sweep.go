package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fatigue"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// The promises of a sweep: how many times the one SELECT's time, how many times
// less than a loop over the ads, and how much memory.
const (
	mostTimes, leastTimes = 3.0, 20.0
	mostMegabytes         = 300.0
)

// sweeping sweeps many ads beside reading their rows in one SELECT, and beside a
// loop that asks for each.
func sweeping(args []string) error {
	flags := flag.NewFlagSet("sweep", flag.ContinueOnError)
	n := flags.Int("ads", 100_000, "number of active ads")
	days := flags.Int("days", 7, "days of metrics of each")
	tired := flags.Float64("tired", 0.05, "share of the ads that tire, all at once")
	runs := flags.Int("runs", 5, "runs of each kind of sweep, of which the median counts")
	child := flags.String("child", "", "only sweep the database of this `URL` and print the report")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *child != "" {
		return sweepChild(*child)
	}
	if *n < 1 || *days < 1 || *runs < 1 || *tired < 0 || *tired > 1 {
		return fmt.Errorf("-ads, -days and -runs must be at least 1, and -tired between 0 and 1")
	}
	db, err := private(context.Background())
	if err != nil {
		return err
	}
	defer db.close()
	if err := db.fillAds(*n, *days); err != nil {
		return err
	}
	return compareSweeps(db, *n, *days, *runs, *tired)
}

// These make the database as it was before a kind of sweep, so that it can be
// measured more than once.
const (
	neverSwept = `TRUNCATE gv.ad_fatigue`
	notTired   = `TRUNCATE gv.fatigue_remedies, gv.pending_ad_changes, gv.change_requests, gv.budget_objects, gv.refreshes, gv.outbox CASCADE;
		UPDATE gv.ad_fatigue SET status = 'HEALTHY' WHERE status <> 'HEALTHY'; VACUUM ANALYZE gv.ad_fatigue`
)

func compareSweeps(db *database, n, days, runs int, share float64) error {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, db.worker)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	m := &sweeps{db: db, conn: conn, days: days, runs: runs}
	if _, err := m.read(ctx); err != nil { // the cache is warm for all of them
		return err
	}
	first, err := m.measure(ctx, neverSwept)
	if err != nil {
		return err
	}
	next, err := m.measure(ctx, "")
	if err != nil {
		return err
	}
	if err := db.tire(share); err != nil {
		return err
	}
	cutting, err := m.measure(ctx, notTired)
	if err != nil {
		return err
	}
	resting, err := m.measure(ctx, "")
	if err != nil {
		return err
	}
	each, err := loopOver(ctx, db.worker, n, days)
	if err != nil {
		return err
	}
	fmt.Printf("A sweep over %d active ads with %d days of metrics (%d rows), 9 tenants: medians of %d, each beside the SELECT just before and after\n\n", n, days, m.rows, runs)
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "\ttime\tbeside the SELECT\tlimit\tbeside the loop\tlimit")
	fmt.Fprintf(out, "the one SELECT\t%s\n", next.beside.Round(time.Millisecond))
	fmt.Fprintf(out, "a loop over the ads, a transaction each\t%s\t(from a sample)\n", each.Round(10*time.Millisecond))
	line := func(name string, l lap) {
		fmt.Fprintf(out, "%s\t%s\t%.2fx\t%.0fx\t1/%.0f\t1/%.0f\n", name, l.took().Round(time.Millisecond), l.times(), mostTimes,
			float64(each)/float64(l.took()), leastTimes)
	}
	line("the first sweep: every status is new", first)
	line("the next: nothing has changed", next)
	line("while those that tire rest", resting)
	fmt.Fprintf(out, "the one that finds them: %d cuts and %d refreshes are queued\t%s\t%.2fx\t%s more for each\n", cutting.Cuts, cutting.Refreshes,
		cutting.took().Round(time.Millisecond), cutting.times(),
		((cutting.took() - next.took()) / time.Duration(max(1, cutting.Remediated))).Round(time.Microsecond))
	if err := out.Flush(); err != nil {
		return err
	}
	fmt.Printf("\nThe first: %v. Where they tire: %v, %d newly fatigued\nPeak memory %.0f MB, limit %.0f\n",
		first.ByStatus, cutting.ByStatus, cutting.NewlyFatigued, max(first.Peak, next.Peak, cutting.Peak, resting.Peak), mostMegabytes)
	for _, s := range cutting.Skipped {
		fmt.Printf("  %d skipped: %s\n", s.Ads, s.Reason)
	}
	return nil
}

// sweeps measures sweeps beside the SELECT.
type sweeps struct {
	db         *database
	conn       *pgx.Conn
	days, runs int
	rows       int
}

// lap is one sweep, and the SELECT about the same time.
type lap struct {
	swept
	beside time.Duration
}

func (l lap) times() float64 { return float64(l.took()) / float64(l.beside) }

// measure returns the median lap by its ratio, with the highest peak of all. Before
// each, reset is run.
func (m *sweeps) measure(ctx context.Context, reset string) (lap, error) {
	var laps []lap
	peak := 0.0
	for range m.runs {
		for _, sql := range strings.Split(reset, ";") {
			if _, err := m.db.admin.Exec(ctx, sql); err != nil {
				return lap{}, err
			}
		}
		before, err := m.read(ctx)
		if err != nil {
			return lap{}, err
		}
		s, err := sweepInChild(m.db.worker)
		if err != nil {
			return lap{}, err
		}
		after, err := m.read(ctx)
		if err != nil {
			return lap{}, err
		}
		laps, peak = append(laps, lap{s, (before + after) / 2}), max(peak, s.Peak)
	}
	slices.SortFunc(laps, func(a, b lap) int { return cmp.Compare(a.times(), b.times()) })
	middle := laps[len(laps)/2]
	middle.Peak = peak
	return middle, nil
}

func (m *sweeps) read(ctx context.Context) (took time.Duration, err error) {
	took, m.rows, err = readAll(ctx, m.conn, m.days)
	return took, err
}

// readAll is the one SELECT: the rows that a sweep reads, to their end.
func readAll(ctx context.Context, conn *pgx.Conn, days int) (time.Duration, int, error) {
	began, n := time.Now(), 0
	rows, _ := conn.Query(ctx, `
		SELECT m.tenant_id, m.ad_id, m.day, m.impressions, m.clicks, m.spend_minor, m.frequency
		FROM   gv.ads a JOIN gv.ad_metrics m USING (tenant_id, ad_id)
		WHERE  a.status = 'ACTIVE' AND m.day > current_date - $1::int`, days+1)
	var (
		tenant                     [16]byte
		ad                         string
		day                        time.Time
		impressions, clicks, spend int64
		frequency                  float32
	)
	_, err := pgx.ForEachRow(rows, []any{&tenant, &ad, &day, &impressions, &clicks, &spend, &frequency}, func() error { n++; return nil })
	return time.Since(began), n, err
}

// loopOver is what a loop over the ads takes for all of them, from a sample: a
// transaction each that reads the ad's days, judges them and writes its status.
func loopOver(ctx context.Context, url string, n, days int) (time.Duration, error) {
	const sample = 1000
	db, err := pg.OpenWorker(ctx, pg.WorkerConfig{URL: url, MaxConns: 1})
	if err != nil {
		return 0, err
	}
	defer db.Close()
	var keys [][2]string
	err = pg.Across(ctx, db, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `SELECT tenant_id::text, ad_id FROM gv.ads ORDER BY md5(ad_id) LIMIT $1`, sample)
		keys, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (k [2]string, err error) { return k, row.Scan(&k[0], &k[1]) })
		return err
	})
	if err != nil {
		return 0, err
	}
	began := time.Now()
	for _, k := range keys {
		err := pg.Across(ctx, db, func(tx pgx.Tx) error {
			var history []fatigue.Day
			var d fatigue.Day
			rows, _ := tx.Query(ctx, `
				SELECT day, impressions, clicks::float8 / impressions, 10.0::float8 * spend_minor / impressions, frequency::float8 FROM gv.ad_metrics
				WHERE  tenant_id = $1 AND ad_id = $2 AND day > current_date - $3::int ORDER BY day`, k[0], k[1], days+1)
			_, err := pgx.ForEachRow(rows, []any{&d.Date, &d.Impressions, &d.CTR, &d.CPM, &d.Frequency}, func() error {
				history = append(history, d)
				return nil
			})
			if err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `
				INSERT INTO gv.ad_fatigue AS f (tenant_id, ad_id, status, changed_at) VALUES ($1, $2, $3, now())
				ON CONFLICT (tenant_id, ad_id) DO UPDATE SET status = excluded.status, changed_at = now() WHERE f.status <> excluded.status`,
				k[0], k[1], new(fatigue.Decider).Decide(history, fatigue.Context{}).Status)
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	return time.Since(began) * time.Duration(n) / time.Duration(max(1, len(keys))), nil
}
