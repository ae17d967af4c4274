// Package migrations holds the database's schema as numbered SQL files, forward
// only, and applies them. Its history is the Supabase CLI's own table, so both
// tools can be used on one database.
package migrations

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Files holds the migrations, NNN_name.sql at its root.
//
//go:embed *.sql
var Files embed.FS

// Migration is one file.
type Migration struct {
	Version string // as in the file's name, such as "007"
	Name    string // such as "accounts_and_ads"
	SQL     string
}

var pattern = regexp.MustCompile(`^([0-9]+)_(.*)\.sql$`)

// lockKey keeps two runners from applying at once. Session locks need a direct
// or session-mode connection, which is what migrations use.
const lockKey = 0x67656d696e69 // "gemini"

// All returns the migrations in order.
func All() ([]Migration, error) {
	names, err := fs.Glob(Files, "*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	all := make([]Migration, 0, len(names))
	for _, name := range names {
		m := pattern.FindStringSubmatch(name)
		if m == nil {
			return nil, fmt.Errorf("migration %s: its name is not NNN_name.sql", name)
		}
		sql, err := Files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		all = append(all, Migration{Version: m[1], Name: m[2], SQL: string(sql)})
	}
	return all, nil
}

// Apply applies what is pending, each file with its history row in one
// transaction, and returns what it applied. Concurrent callers wait for each
// other. conn must be a direct or session-mode connection. What functions need and
// a migration may fail to give without an error is checked afterwards.
func Apply(ctx context.Context, conn *pgx.Conn) ([]Migration, error) {
	done, err := run(ctx, conn, func(ctx context.Context, m Migration) (bool, error) {
		return true, apply(ctx, conn, m)
	})
	if err != nil {
		return done, err
	}
	return done, extensionUsable(ctx, conn)
}

// Baseline records every migration up to and including version as applied,
// without running it: for a database that psql has brought that far.
func Baseline(ctx context.Context, conn *pgx.Conn, version string) ([]Migration, error) {
	all, err := All()
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(all, func(m Migration) bool { return m.Version == version }) {
		return nil, fmt.Errorf("there is no migration %s: the last one is %s", version, all[len(all)-1].Version)
	}
	return run(ctx, conn, func(ctx context.Context, m Migration) (bool, error) {
		if m.Version > version {
			return false, nil
		}
		return true, record(ctx, conn, m)
	})
}

// run calls do for every migration that the history does not have, under the lock.
func run(ctx context.Context, conn *pgx.Conn, do func(context.Context, Migration) (bool, error)) (done []Migration, err error) {
	all, err := All()
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, waitForOthers, pgx.QueryExecModeSimpleProtocol); err != nil {
		return nil, fmt.Errorf("set time-outs: %w", err)
	}
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(lockKey)); err != nil {
		return nil, fmt.Errorf("lock migrations, which another runner holds: %w", err)
	}
	defer func() {
		_, unlockErr := conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, int64(lockKey))
		err = errors.Join(err, unlockErr)
	}()
	if _, err := conn.Exec(ctx, historyTable, pgx.QueryExecModeSimpleProtocol); err != nil {
		return nil, fmt.Errorf("create the history of migrations: %w", err)
	}
	rows, _ := conn.Query(ctx, `SELECT version FROM supabase_migrations.schema_migrations`)
	applied, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read the history of migrations: %w", err)
	}
	for _, m := range all {
		if slices.Contains(applied, m.Version) {
			continue
		}
		did, err := do(ctx, m)
		if err != nil {
			return done, fmt.Errorf("migration %s_%s: %w", m.Version, m.Name, err)
		}
		if did {
			done = append(done, m)
		}
	}
	return done, nil
}

const historyTable = `
	CREATE SCHEMA IF NOT EXISTS supabase_migrations;
	CREATE TABLE IF NOT EXISTS supabase_migrations.schema_migrations (version text NOT NULL PRIMARY KEY);
	ALTER TABLE supabase_migrations.schema_migrations ADD COLUMN IF NOT EXISTS statements text[];
	ALTER TABLE supabase_migrations.schema_migrations ADD COLUMN IF NOT EXISTS name text;`

const (
	// waitForOthers bounds the wait for another runner. Supabase ends any statement
	// of its own roles after 2 minutes otherwise.
	waitForOthers = `SET statement_timeout = 0; SET lock_timeout = '10min'`

	// impatient begins each migration. A statement that waits for a lock makes every
	// later reader of the table wait behind it, so it gives up soon and is tried again;
	// and none runs into Supabase's own limit of 2 minutes.
	impatient = `SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '110s'`

	lockTries = 20
	lockPause = time.Second
)

// apply applies one migration. Where a lock cannot be had, it is tried again: readers
// and writers come through between two tries.
func apply(ctx context.Context, conn *pgx.Conn, m Migration) error {
	for try := 1; ; try++ {
		err := applyOnce(ctx, conn, m)
		if code := new(pgconn.PgError); !errors.As(err, &code) || code.Code != lockNotAvailable || try == lockTries {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(lockPause):
		}
	}
}

const lockNotAvailable = "55P03"

func applyOnce(ctx context.Context, conn *pgx.Conn, m Migration) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, impatient, pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, m.SQL, pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
		return record(ctx, tx, m)
	})
}

type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

func record(ctx context.Context, db execer, m Migration) error {
	_, err := db.Exec(ctx, `
		INSERT INTO supabase_migrations.schema_migrations (version, statements, name) VALUES ($1, $2, $3)`,
		m.Version, []string{strings.TrimSpace(m.SQL)}, m.Name)
	return err
}
