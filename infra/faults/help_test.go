package faults

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/auth"
)

func (f *flow) exec(sql string, args ...any) {
	f.t.Helper()
	if _, err := f.admin.Exec(context.Background(), sql, args...); err != nil {
		f.t.Fatalf("%s: %v", sql, err)
	}
}

func one[T any](f *flow, sql string, args ...any) T {
	f.t.Helper()
	rows, _ := f.admin.Query(context.Background(), sql, args...)
	value, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	if err != nil {
		f.t.Fatalf("%s: %v", sql, err)
	}
	return value
}

// clock is the wall's, and how far off it is.
type clock struct {
	mu  sync.Mutex
	off time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

func (c *clock) jump(off time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = off
}

func cents(minor int64) string {
	return strconv.FormatInt(minor/100, 10) + "." + strconv.FormatInt(100+minor%100, 10)[1:]
}

func (f *flow) setSecret(name, value string) {
	f.t.Helper()
	if err := f.vault.Set(secretsDir+name, value); err != nil {
		f.t.Fatal(err)
	}
}

func (f *flow) eventually(what string, ok func() bool) {
	f.t.Helper()
	for began := time.Now(); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > patience {
			f.t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// replay is an admin who sends every message again that was given up.
func (f *flow) replay() {
	f.t.Helper()
	f.rest()
	token := f.issuer.Token(tenant, "admin@northside.example", auth.Admin, time.Hour)
	status, answer := f.post(context.Background(), "/api/dead-letters/replay", []byte(`{"dry_run": false}`),
		http.Header{"Authorization": {"Bearer " + token}})
	if status != http.StatusOK {
		f.t.Fatalf("replay: %d %s", status, answer)
	}
}
