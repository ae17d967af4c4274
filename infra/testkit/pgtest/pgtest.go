// Package pgtest gives each test a database of its own on a real Postgres: a
// clone of a template that holds the migrations, made in some hundredths of a
// second, dropped when the test passes and kept when it fails.
//
// The server is the one of TEST_DATABASE_URL (a superuser's URL), or else one
// throw-away cluster that all test processes of this user share and that stops
// after the last of them. It needs an installed PostgreSQL with pgvector; where
// there is none a test fails and says what provides one. It never skips.
package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// DB is one test's database.
type DB struct {
	Name string
	// AdminURL is the owner's, whom row-level security does not bind.
	AdminURL string
	// AppURL is gv_app's: one tenant at a time, no rows without one.
	AppURL string
	// WorkerURL is gv_worker's: all tenants in the few tables it has grants on.
	WorkerURL string

	mu    sync.Mutex
	admin *pgxpool.Pool
}

// Databases are called gvt_<time made>_<random>, so that the age of forgotten ones is known.
const prefix = "gvt_"

// wait bounds everything that one test asks of the server, on a busy machine too.
const wait = 2 * time.Minute

// New returns a migrated database without rows. It is dropped at the end of a
// test that passes.
func New(t testing.TB) *DB {
	t.Helper()
	return create(t, true)
}

// Empty returns a database without the migrations, for the tests of those.
func Empty(t testing.TB) *DB {
	t.Helper()
	return create(t, false)
}

func create(t testing.TB, migrated bool) *DB {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	srv, err := connect(ctx)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	name := fmt.Sprintf("%s%d_%s", prefix, time.Now().Unix(), strings.ToLower(rand.Text()[:10]))
	if err := srv.create(ctx, name, migrated); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	db := &DB{
		Name:      name,
		AdminURL:  srv.url(name, nil),
		AppURL:    srv.url(name, srv.login("gv_app")),
		WorkerURL: srv.url(name, srv.login("gv_worker")),
	}
	t.Cleanup(func() { db.cleanup(t, srv) })
	return db
}

// Admin returns a pool as the database's owner. It is closed with the test
// that made the database.
func (db *DB) Admin(t testing.TB) *pgxpool.Pool {
	t.Helper()
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.admin == nil {
		pool, err := pgxpool.New(context.Background(), db.AdminURL)
		if err != nil {
			t.Fatalf("pgtest: open database %s: %v", db.Name, err)
		}
		db.admin = pool
	}
	return db.admin
}

func (db *DB) cleanup(t testing.TB, srv *server) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.admin != nil {
		db.admin.Close()
	}
	if t.Failed() {
		t.Logf("pgtest: kept the database of this failure for a day: %s%s", db.AdminURL, srv.hint)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	// FORCE: a pool that the test forgot, or a connection just closing, is no reason to keep it.
	if _, err := srv.pool.Exec(ctx, `DROP DATABASE IF EXISTS `+quote(db.Name)+` WITH (FORCE)`); err != nil {
		t.Errorf("pgtest: drop database %s: %v", db.Name, err)
	}
}

func (s *server) create(ctx context.Context, name string, migrated bool) error {
	template := "template0"
	if migrated {
		template = s.template
	}
	for {
		_, err := s.pool.Exec(ctx, `CREATE DATABASE `+quote(name)+` TEMPLATE `+quote(template)+` STRATEGY `+s.strategy)
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.Code == "55006" && ctx.Err() == nil {
			time.Sleep(100 * time.Millisecond) // somebody, perhaps autovacuum, looks at the template
			continue
		}
		if err != nil {
			return fmt.Errorf("create database from %s: %w", template, err)
		}
		return nil
	}
}

// url is the server's URL with another database and, where given, another user.
func (s *server) url(database string, as *url.Userinfo) string {
	u := *s.admin
	u.Path = "/" + database
	if as != nil {
		u.User = as
	}
	return u.String()
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
