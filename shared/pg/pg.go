// Package pg opens Postgres for functions that reach it through a transaction
// pooler, and runs transactions for one tenant or across tenants under
// row-level security.
//
// A transaction pooler keeps no session: no SET but SET LOCAL, no session locks,
// and no named prepared statements unless a setting says that the pooler keeps
// track of them. Nothing inside a transaction uses the network, because it may run again.
package pg

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/geminivideo/geminivideo/shared/fair"
	"github.com/geminivideo/geminivideo/shared/fault"
)

// Config is how a function reaches Postgres as gv_app, the role that sees one
// tenant at a time and nothing without one.
type Config struct {
	URL      string `env:"DATABASE_URL, required"`
	MaxConns int32  `env:"DATABASE_MAX_CONNS, default=2"`
	// Named keeps statements prepared by name, so that Postgres plans each once a
	// connection: most of a small statement's cost is its plan.
	Named bool `env:"DATABASE_NAMED_STATEMENTS, default=false"`
}

// WorkerConfig is how a function that strangers do not reach uses Postgres as
// gv_worker, the role that sees all tenants in the few tables it has grants on.
type WorkerConfig struct {
	URL      string `env:"WORKER_DATABASE_URL, required"`
	MaxConns int32  `env:"DATABASE_MAX_CONNS, default=2"`
	Named    bool   `env:"DATABASE_NAMED_STATEMENTS, default=false"`
}

// DB is a pool of connections as gv_app. Tenants take turns at them: one tenant's burst
// delays another by no more than the transaction that is under way.
type DB struct {
	pool    *pgxpool.Pool
	turns   *fair.Queue
	unwatch func()
}

// Worker is a pool of connections as gv_worker.
type Worker struct {
	pool    *pgxpool.Pool
	unwatch func()
}

// Open makes a pool; it connects when first used.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	pool, err := open(ctx, "DATABASE_URL", cfg.URL, cfg.MaxConns, cfg.Named)
	if err != nil {
		return nil, err
	}
	turns := fair.New(int(pool.Config().MaxConns))
	return &DB{pool, turns, watch(ctx, pool, turns, "app")}, nil
}

// OpenWorker makes a worker's pool; it connects when first used.
func OpenWorker(ctx context.Context, cfg WorkerConfig) (*Worker, error) {
	pool, err := open(ctx, "WORKER_DATABASE_URL", cfg.URL, cfg.MaxConns, cfg.Named)
	if err != nil {
		return nil, err
	}
	return &Worker{pool, watch(ctx, pool, nil, "worker")}, nil
}

// Conns is how many connections the pool opens at most.
func (db *DB) Conns() int { return int(db.pool.Config().MaxConns) }

// Close closes the pool's connections.
func (db *DB) Close() {
	db.unwatch()
	db.pool.Close()
}

// Close closes the pool's connections.
func (w *Worker) Close() {
	w.unwatch()
	w.pool.Close()
}

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error { return ping(ctx, db.pool) }

// Ping reports whether the database answers.
func (w *Worker) Ping(ctx context.Context) error { return ping(ctx, w.pool) }

func ping(ctx context.Context, pool *pgxpool.Pool) error {
	if err := pool.Ping(ctx); err != nil {
		return classify(&unreachable{err}) // a wrong name or password is no less down
	}
	return nil
}

// connectTimeout is shorter than the pooler's own 60 s, so that a full pooler
// fails loudly while the caller still listens.
const connectTimeout = 10 * time.Second

func open(ctx context.Context, setting, url string, maxConns int32, named bool) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New(setting + " is not a Postgres connection string") // pgx's text may hold the password
	}
	if err := DemandTLS(&cfg.ConnConfig.Config); err != nil {
		return nil, err
	}
	cfg.MaxConns = max(maxConns, 1)
	cfg.MinConns = 0
	cfg.MaxConnIdleTime = 30 * time.Second
	cfg.ConnConfig.ConnectTimeout = connectTimeout
	cfg.ConnConfig.Tracer = tracer{}
	cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	if named {
		cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	}
	return pgxpool.NewWithConfig(ctx, cfg)
}

// InTenant runs fn in a transaction that sees and writes tenant's rows only. It
// runs fn again after a deadlock or a serialization failure. An unreachable
// database is a fault of the kind Unavailable.
func InTenant(ctx context.Context, db *DB, tenant string, fn func(tx pgx.Tx) error) error {
	id, err := uuid.Parse(tenant)
	if err != nil {
		return fmt.Errorf("tenant %q is not a UUID", tenant)
	}
	// One trip to the server begins the transaction and says whose it is. The
	// parsed form holds nothing but hexadecimal digits and dashes.
	return run(ctx, db.acquire(id.String()), transaction(ctx, `SELECT set_config('gv.tenant_id', '`+id.String()+`', true), `+path, fn))
}

// Asker asks statements one by one.
type Asker interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// WithoutTenant runs ask, which sees no rows: for the look-ups that find out which tenant
// a portal or a key belongs to. There is no transaction round it, so that one statement
// is one trip to the server.
func WithoutTenant(ctx context.Context, db *DB, ask func(Asker) error) error {
	return run(ctx, db.acquire(""), func(conn *pgxpool.Conn) error { return ask(conn) })
}

// Across runs fn in a transaction that sees every tenant's rows in the tables
// that gv_worker has grants on.
func Across(ctx context.Context, w *Worker, fn func(tx pgx.Tx) error) error {
	return run(ctx, w.acquire, transaction(ctx, `SELECT `+path, fn))
}

func transaction(ctx context.Context, first string, fn func(tx pgx.Tx) error) func(*pgxpool.Conn) error {
	return func(conn *pgxpool.Conn) error {
		return pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{BeginQuery: `BEGIN; ` + plansAnew(conn.Conn()) + first}, fn)
	}
}

// path finds pgvector's types and operators wherever the extension stands.
const path = `set_config('search_path', 'gv, extensions, public', true)`

const maxAttempts = 5

// acquirer takes a connection; release gives it back.
type acquirer func(context.Context) (conn *pgxpool.Conn, release func(), err error)

// acquire takes a connection for tenant when its turn comes.
func (db *DB) acquire(tenant string) acquirer {
	return func(ctx context.Context) (*pgxpool.Conn, func(), error) {
		leave, err := db.turns.Enter(ctx, tenant)
		if err != nil {
			return nil, nil, err
		}
		conn, err := db.pool.Acquire(ctx)
		if err != nil {
			leave()
			return nil, nil, err
		}
		return conn, func() { conn.Release(); leave() }, nil
	}
}

func (w *Worker) acquire(ctx context.Context) (*pgxpool.Conn, func(), error) {
	conn, err := w.pool.Acquire(ctx)
	if err != nil {
		return nil, nil, err
	}
	return conn, conn.Release, nil
}

// run does do on a connection of its own, again after a deadlock or a serialization failure.
func run(ctx context.Context, acquire acquirer, do func(*pgxpool.Conn) error) error {
	for attempt := 1; ; attempt++ {
		err := once(ctx, acquire, do)
		if attempt == maxAttempts || !again(err) {
			return fault.Here(classify(err))
		}
		select {
		case <-ctx.Done():
			return fault.Here(classify(err))
		case <-time.After(time.Duration(attempt*attempt) * 10 * time.Millisecond):
		}
	}
}

func once(ctx context.Context, acquire acquirer, do func(*pgxpool.Conn) error) error {
	within, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, release, err := acquire(within)
	if err != nil {
		return &unreachable{err}
	}
	defer release()
	return do(conn)
}

type unreachable struct{ cause error }

func (u *unreachable) Error() string { return u.cause.Error() }
func (u *unreachable) Unwrap() error { return u.cause }

// again reports whether the whole transaction may succeed if run once more.
func again(err error) bool {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return false
	}
	// The last is a named statement whose table has another column since: pgx prepares it anew.
	return pgErr.Code == "40001" || pgErr.Code == "40P01" || pgErr.Code == "0A000" && pgErr.Routine == "RevalidateCachedQuery"
}

// classify gives the kind Unavailable to what is the database's trouble rather
// than the statement's, and leaves every other error as it is.
func classify(err error) error {
	if err == nil {
		return nil
	}
	var f *fault.Error
	if errors.As(err, &f) {
		return err
	}
	var (
		down   *unreachable
		netErr net.Error
		pgErr  *pgconn.PgError
	)
	switch {
	case errors.As(err, &down): // whatever the reason, such as a pooler that is full
	case errors.As(err, &pgErr):
		switch {
		case unstorable(pgErr.Code):
			return &fault.Error{Kind: fault.Invalid, Message: "a text holds a character that cannot be stored, such as U+0000", Cause: err}
		case !outage(pgErr.Code):
			return err
		}
	case errors.As(err, &netErr), pgconn.Timeout(err),
		errors.Is(err, net.ErrClosed), pgconn.SafeToRetry(err), errors.Is(err, context.DeadlineExceeded), closed(err):
	default:
		return err
	}
	return fault.Down("the database does not answer", fmt.Errorf("postgres: %w", err))
}

// unstorable reports a text that Postgres has no way to hold: the edge refuses
// such bodies, but a text also comes in a path, a file or a message.
func unstorable(code string) bool { return code == "22021" || code == "22P05" }

// outage reports a server that is going down, starting, full, or only to be read
// while another takes over.
func outage(code string) bool {
	switch code {
	case "57P01", "57P02", "57P03", "25006", "58000", "58030":
		return true
	}
	return strings.HasPrefix(code, "08") || strings.HasPrefix(code, "53")
}

// closed reports a connection that broke under a statement: pgx says so in
// words only.
func closed(err error) bool {
	switch err.Error() {
	case "conn closed", "unexpected EOF", "EOF":
		return true
	}
	if inner := errors.Unwrap(err); inner != nil {
		return closed(inner)
	}
	return false
}
