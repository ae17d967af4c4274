package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/pg"
)

// loaded is what a closed loop of callers saw.
type loaded struct {
	took   []time.Duration
	failed int
	wall   time.Duration
}

func (l loaded) rate() float64 { return float64(len(l.took)) / l.wall.Seconds() }

func (l loaded) at(share float64) time.Duration { return quantile(l.took, share) }

// quantile is the one of ascending durations that so large a share is below; 0 of none.
func quantile(ascending []time.Duration, share float64) time.Duration {
	if len(ascending) == 0 {
		return 0
	}
	return ascending[min(int(share*float64(len(ascending))), len(ascending)-1)]
}

// loop keeps so many requests in flight for a time. request returns the n-th one.
func loop(inFlight int, lasting time.Duration, request func(n int64) (*http.Request, error)) loaded {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: inFlight}, Timeout: 30 * time.Second}
	var (
		next  atomic.Int64
		mu    sync.Mutex
		all   loaded
		group sync.WaitGroup
	)
	began := time.Now()
	for range inFlight {
		group.Go(func() {
			for time.Since(began) < lasting {
				r, err := request(next.Add(1))
				sent := time.Now()
				ok := false
				if err == nil {
					var answer *http.Response
					if answer, err = client.Do(r); err == nil {
						_, _ = io.Copy(io.Discard, answer.Body)
						_ = answer.Body.Close()
						ok = answer.StatusCode == http.StatusOK
					}
				}
				took := time.Since(sent)
				mu.Lock()
				all.took = append(all.took, took)
				if !ok {
					all.failed++
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	all.wall = time.Since(began)
	slices.Sort(all.took)
	return all
}

// loading prints what strangers' doors and the ledger carry beside their floors, and looks
// up what was sent afterwards. Everything is on loopback, and bounded by -seconds.
func loading(args []string) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	seconds := flags.Int("seconds", 10, "how long each load lasts")
	inFlight := flags.Int("inflight", 10, "requests in flight")
	only := flags.String("only", "", "the one load to run: intake, clicks, ledger, mixed or steady")
	named := flags.Bool("named", false, "prepare statements by name, as with DATABASE_NAMED_STATEMENTS")
	rate := flags.Int("rate", 100, "how many events a second the steady load sends")
	deals := flags.Int("deals", 40, "how many deals the ledger's load makes and moves")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *seconds < 1 || *seconds > 600 || *inFlight < 1 || *inFlight > 200 || *deals < 1 || *deals > 10_000 || *rate < 1 || *rate > 1000 {
		return fmt.Errorf("-seconds must be 1 to 600, -inflight 1 to 200, -deals 1 to 10000 and -rate 1 to 1000")
	}
	ctx := context.Background()
	slog.SetDefault(slog.New(slog.NewJSONHandler(io.Discard, nil))) // its lines are written, and read by nobody
	lasting := time.Duration(*seconds) * time.Second
	var errs []error
	for _, part := range []struct {
		name string
		run  func() error
	}{
		{"intake", func() error { return loadIntake(ctx, lasting, *inFlight) }},
		{"clicks", func() error { return loadClicks(ctx, lasting, *inFlight) }},
		{"ledger", func() error { return loadLedger(ctx, *deals, *named) }},
		{"mixed", func() error { return loadMixed(ctx, lasting) }},
		{"steady", func() error { return loadSteady(ctx, *rate, lasting, *named) }},
	} {
		if *only == "" || *only == part.name {
			errs = append(errs, part.run())
		}
	}
	return errors.Join(errs...)
}

// openDoor starts a private cluster with a tenant that has connected a portal, and opens
// the functions' pool of two connections on it.
func openDoor(ctx context.Context) (*database, *pg.DB, error) {
	db, err := private(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, sql := range []string{
		`INSERT INTO gv.tenants (tenant_id, name) VALUES (@tenant, 'Bench')`,
		`INSERT INTO gv.hubspot_connections (tenant_id, portal_id, access_token, connected_by) VALUES (@tenant, @portal, 'x', 'bench')`,
	} {
		if _, err := db.admin.Exec(ctx, sql, pgx.NamedArgs{"tenant": tenantID(0), "portal": portal}); err != nil {
			db.close()
			return nil, nil, err
		}
	}
	app, err := pg.Open(ctx, pg.Config{URL: db.app, MaxConns: 2})
	if err != nil {
		db.close()
		return nil, nil, err
	}
	return db, app, nil
}

func printLoad(what string, l loaded, more string) {
	round := func(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
	fmt.Printf("%-34s %8.0f a second   p50 %v  p95 %v  p99 %v  errors %d   %s\n",
		what, l.rate(), round(l.at(0.5)), round(l.at(0.95)), round(l.at(0.99)), l.failed, more)
}

// cpu is the processor time that the database's processes have used so far; 0 where the
// system does not say.
func (db *database) cpu(ctx context.Context) (total time.Duration) {
	rows, err := db.admin.Query(ctx, `SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()`)
	if err != nil || runtime.GOOS != "linux" {
		return 0
	}
	defer rows.Close()
	for rows.Next() {
		var pid int
		if rows.Scan(&pid) != nil {
			return 0
		}
		data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		const user, system, tick = 11, 12, 10 * time.Millisecond
		for _, at := range []int{user, system} {
			ticks, err := strconv.ParseInt(fields[at], 10, 64)
			if err == nil {
				total += time.Duration(ticks) * tick
			}
		}
	}
	return total
}
