package execute_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/geminivideo/geminivideo/functions/execute"
	"github.com/geminivideo/geminivideo/infra/testkit/fakemeta"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/changes/queue"
	"github.com/geminivideo/geminivideo/shared/meta"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/serve"
)

const (
	crashAds      = 500
	crashAccounts = 20
	crashToken    = "EAAcrash"

	childRole  = "EXECUTE_TEST_ROLE"
	childDB    = "EXECUTE_TEST_DB"
	childMeta  = "EXECUTE_TEST_META"
	childStart = "EXECUTE_TEST_START"
	childSpeed = "EXECUTE_TEST_SPEED"
)

// clock runs faster than the world's, for all processes alike.
type clock struct {
	start time.Time
	speed float64
}

func (c clock) at(real time.Time) time.Time {
	return c.start.Add(time.Duration(float64(real.Sub(c.start)) * c.speed)).Round(0)
}

func (c clock) now() time.Time { return c.at(time.Now()) }

// crash is the world of TestKilledAtRandom.
type crash struct {
	t         *testing.T
	clock     clock
	fake      *fakemeta.Fake
	url       string
	admin     *pgxpool.Pool
	workerURL string
}

func (c *crash) open() {
	made := pgtest.New(c.t)
	c.admin, c.workerURL = made.Admin(c.t), made.WorkerURL
}

func (c *crash) worker(url string, conns int32) *pg.Worker {
	db, err := pg.OpenWorker(context.Background(), pg.WorkerConfig{URL: url, MaxConns: conns})
	if err != nil {
		panic(err)
	}
	if c.t != nil {
		c.t.Cleanup(db.Close)
	}
	return db
}

func (c *crash) exec(sql string, args ...any) {
	c.t.Helper()
	if _, err := c.admin.Exec(context.Background(), sql, args...); err != nil {
		c.t.Fatalf("%s: %v", sql, err)
	}
}

func (c *crash) text(sql string, args ...any) string {
	c.t.Helper()
	var v any
	if err := c.admin.QueryRow(context.Background(), sql, args...).Scan(&v); err != nil {
		c.t.Fatalf("%s: %v", sql, err)
	}
	return fmt.Sprint(v)
}

func (c *crash) count(sql string, args ...any) int {
	c.t.Helper()
	n, err := strconv.Atoi(c.text(sql, args...))
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

func (c *crash) environment(role string) []string {
	return []string{
		childRole + "=" + role, childDB + "=" + c.workerURL, childMeta + "=" + c.url,
		childStart + "=" + strconv.FormatInt(c.clock.start.UnixNano(), 10), childSpeed + "=" + strconv.FormatFloat(c.clock.speed, 'g', -1, 64),
	}
}

// child is what a process does until it is killed.
func child(role string) {
	start, err := strconv.ParseInt(os.Getenv(childStart), 10, 64)
	if err != nil {
		panic(err)
	}
	speed, err := strconv.ParseFloat(os.Getenv(childSpeed), 64)
	if err != nil {
		panic(err)
	}
	at := clock{start: time.Unix(0, start), speed: speed}
	db := (&crash{}).worker(os.Getenv(childDB), 4)
	for {
		if role == "sweep" {
			sweepSome(context.Background(), db, at)
			continue
		}
		_, _ = executor(db, os.Getenv(childMeta), at).Run(context.Background())
	}
}

// always is a token that is good for all accounts.
type always struct{}

func (always) Get(context.Context, string) (string, error) { return crashToken, nil }
func (always) Forget(string)                               {}

// executor has times of its own that fit lives of a second; the rules are the
// real ones, by the fast clock.
func executor(db *pg.Worker, url string, at clock) serve.Job {
	client := meta.New(meta.Config{BaseURL: url, Version: "v26.0"}, meta.Options{
		Timeout: 700 * time.Millisecond, Budget: 700 * time.Millisecond, Attempts: 2, FirstWait: 10 * time.Millisecond, Now: at.now,
	})
	return execute.New(db, client, always{}, execute.Options{
		Tick: 500 * time.Millisecond, Poll: 20 * time.Millisecond, ChangeLease: 2500 * time.Millisecond, AccountLease: 1200 * time.Millisecond,
		ReadAfter: time.Duration(float64(1500*time.Millisecond) * at.speed), Accounts: 8,
		Clock: func(t time.Time) time.Time { return at.at(t) },
	})
}

// crashIntent is what is wanted of an ad: a fatigue cut, or of every tenth a
// larger move in two steps. Every sweep wants the same.
func crashIntent(n int) changes.Intent {
	in := changes.Intent{Key: "crash/" + crashAd(n), AdID: crashAd(n), Cut: 0.2, Reason: "tired", Source: changes.Fatigue, By: "sweep"}
	if n%10 == 0 {
		target := int64(6_500)
		in.Cut, in.Target, in.Source = 0, &target, changes.Allocate
	}
	return in
}

func crashAd(n int) string { return fmt.Sprint(10_000 + n) }

// sweepSome queues what is wanted of some ads; whether others did so already it
// does not know.
func sweepSome(ctx context.Context, db *pg.Worker, at clock) {
	picked := rand.Perm(crashAds)[:20]
	slices.Sort(picked)
	_ = sweep(ctx, db, at, picked)
	time.Sleep(30 * time.Millisecond)
}

func sweepAll(ctx context.Context, db *pg.Worker, at clock) {
	all := make([]int, crashAds)
	for i := range all {
		all[i] = i
	}
	if err := sweep(ctx, db, at, all); err != nil {
		panic(err)
	}
}

func sweep(ctx context.Context, db *pg.Worker, at clock, ads []int) error {
	intents := make([]changes.Intent, len(ads))
	for i, n := range ads {
		intents[i] = crashIntent(n)
	}
	return pg.Across(ctx, db, func(tx pgx.Tx) error {
		_, err := queue.NewStore(tx).WithClock(func(t time.Time) time.Time { return at.at(t) }).Enqueue(ctx, tenant, intents)
		return err
	})
}
