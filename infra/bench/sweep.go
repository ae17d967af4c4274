package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fatigue"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/remedy"
	"github.com/geminivideo/geminivideo/shared/sweep"
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
	tired := flags.Float64("tired", 0.05, "share of the ads that tire")
	runs := flags.Int("runs", 5, "runs of the SELECT and of the repeated sweep, of which the median counts")
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
	if err := db.fillAds(*n, *days, *tired); err != nil {
		return err
	}
	return compareSweeps(db, *n, *days, *runs)
}

func compareSweeps(db *database, n, days, runs int) error {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, db.worker)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	read := func() (time.Duration, int, error) { return readAll(ctx, conn, days) }
	if _, _, err := read(); err != nil { // the cache is warm for all of them
		return err
	}
	var selects, again []time.Duration
	rows := 0
	for range runs {
		took, got, err := read()
		if err != nil {
			return err
		}
		selects, rows = append(selects, took), got
	}
	one := median(selects)
	first, err := sweepInChild(db.worker)
	if err != nil {
		return err
	}
	peak := first.Peak
	for range runs {
		r, err := sweepInChild(db.worker)
		if err != nil {
			return err
		}
		again, peak = append(again, r.took()), max(peak, r.Peak)
	}
	each, err := loopOver(ctx, db.worker, n, days)
	if err != nil {
		return err
	}
	fmt.Printf("A sweep over %d active ads with %d days of metrics (%d rows), 9 tenants\n\n", n, days, rows)
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "\ttime\tbeside the SELECT\tlimit\tbeside the loop\tlimit")
	fmt.Fprintf(out, "the one SELECT\t%s\n", one.Round(time.Millisecond))
	fmt.Fprintf(out, "a loop over the ads, a transaction each\t%s\t(from a sample)\n", each.Round(10*time.Millisecond))
	line := func(name string, took time.Duration) {
		fmt.Fprintf(out, "%s\t%s\t%.2fx\t%.0fx\t1/%.0f\t1/%.0f\n", name, took.Round(time.Millisecond),
			float64(took)/float64(one), mostTimes, float64(each)/float64(took), leastTimes)
	}
	line("first sweep: every status is new", first.took())
	line("repeated sweep", median(again))
	if err := out.Flush(); err != nil {
		return err
	}
	fmt.Printf("\nFirst sweep: %d looked at, %v, %d newly fatigued, %d cuts, %d refreshes\nPeak memory %.0f MB, limit %.0f\n",
		first.LookedAt, first.ByStatus, first.NewlyFatigued, first.Cuts, first.Refreshes, peak, mostMegabytes)
	for _, s := range first.Skipped {
		fmt.Printf("  %d skipped: %s\n", s.Ads, s.Reason)
	}
	return nil
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
				k[0], k[1], fatigue.Decide(history, fatigue.Context{}))
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	return time.Since(began) * time.Duration(n) / time.Duration(max(1, len(keys))), nil
}

// swept is what a child process says of its sweep.
type swept struct {
	sweep.Report
	Peak float64 // MB
}

func (s swept) took() time.Duration { return time.Duration(s.Seconds * float64(time.Second)) }

func sweepInChild(url string) (swept, error) {
	cmd := exec.Command(os.Args[0], "sweep", "-child", url)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return swept{}, fmt.Errorf("the sweeping process: %w", err)
	}
	var s swept
	return s, json.Unmarshal(out, &s)
}

func sweepChild(url string) error {
	ctx := context.Background()
	db, err := pg.OpenWorker(ctx, pg.WorkerConfig{URL: url, MaxConns: 2})
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.Ping(ctx); err != nil { // a function's connections stand
		return err
	}
	report, err := sweep.All(db, remedy.Fatigue()).Run(ctx)
	if err != nil {
		return err
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		return fmt.Errorf("the system does not say how much memory was used")
	}
	peak, _ := strconv.ParseFloat(string(found[1]), 64)
	return json.NewEncoder(os.Stdout).Encode(swept{report, peak / 1024})
}
