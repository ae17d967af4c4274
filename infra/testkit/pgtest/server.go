package pgtest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// server is the Postgres that this process's tests run on.
type server struct {
	admin    *url.URL
	pool     *pgxpool.Pool // creates and drops databases
	template string
	strategy string // how CREATE DATABASE copies
	hint     string // how to reach a kept database later
}

// lockKey serialises, over all test processes on a server, what changes things
// that belong to the whole of it: templates, roles, leftovers.
const lockKey = 0x67767465_7374 // "gvtest"

// connect finds the server once per process. A failure is final: every test
// says the same, at once.
var connect = func() func(context.Context) (*server, error) {
	var once sync.Once
	var srv *server
	var err error
	return func(context.Context) (*server, error) {
		once.Do(func() {
			// Not the first test's context: its end must not be everybody's.
			ctx, cancel := context.WithTimeout(context.Background(), 2*wait)
			defer cancel()
			srv, err = open(ctx)
		})
		return srv, err
	}
}()

func open(ctx context.Context) (*server, error) {
	s := &server{}
	raw := os.Getenv("TEST_DATABASE_URL")
	if raw == "" {
		var err error
		if raw, s.hint, err = shared(ctx); err != nil {
			return nil, err
		}
	}
	var err error
	if s.admin, err = url.Parse(raw); err != nil || s.admin.Scheme == "" {
		return nil, errors.New("TEST_DATABASE_URL is not a URL such as postgres://user:password@host:port/postgres")
	}
	cfg, err := pgxpool.ParseConfig(raw)
	if err != nil {
		return nil, errors.New("TEST_DATABASE_URL is not a Postgres URL") // pgx's text may hold the password
	}
	cfg.MaxConns = 4
	cfg.MaxConnIdleTime = 10 * time.Second
	cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	if s.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		s.pool.Close()
		return nil, err
	}
	return s, nil
}

// prepare makes the template and the roles' passwords, one process at a time.
func (s *server) prepare(ctx context.Context) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect to the test server: %w", err)
	}
	defer conn.Release()
	// Copying files is the faster way where nothing is flushed to a disk, and
	// the much slower one where everything is.
	if err := conn.QueryRow(ctx, `SELECT CASE current_setting('fsync') WHEN 'off' THEN 'file_copy' ELSE 'wal_log' END`).Scan(&s.strategy); err != nil {
		return fmt.Errorf("look at the test server: %w", err)
	}
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(lockKey)); err != nil {
		return fmt.Errorf("lock the test server: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if _, err := conn.Exec(ctx, `SELECT pg_advisory_unlock($1)`, int64(lockKey)); err != nil {
			_ = conn.Conn().Close(ctx) // the lock goes with its session
		}
	}()
	if err := s.sweep(ctx, conn.Conn()); err != nil {
		return err
	}
	if err := s.ensureTemplate(ctx, conn.Conn()); err != nil {
		return err
	}
	for _, role := range []string{"gv_app", "gv_worker"} {
		if err := s.ensureLogin(ctx, conn.Conn(), role); err != nil {
			return err
		}
	}
	return nil
}

// login derives the role's password from the administrator's: every process
// comes to the same one, and nobody without the administrator's knows it.
func (s *server) login(role string) *url.Userinfo {
	secret, _ := s.admin.User.Password()
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("pgtest " + role))
	return url.UserPassword(role, hex.EncodeToString(mac.Sum(nil)[:16]))
}

// ensureLogin sets the role's password unless it is the right one already:
// roles belong to the whole server, and a change would meet other processes' changes.
func (s *server) ensureLogin(ctx context.Context, conn *pgx.Conn, role string) error {
	as := s.login(role)
	try, err := pgx.Connect(ctx, s.url(s.admin.Path[min(1, len(s.admin.Path)):], as))
	if err == nil {
		return try.Close(ctx)
	}
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "28P01" {
		return fmt.Errorf("log in as %s: %w", role, err)
	}
	password, _ := as.Password()
	// The password is hexadecimal digits of our own: it needs no quoting.
	if _, err := conn.Exec(ctx, `ALTER ROLE `+quote(role)+` LOGIN PASSWORD '`+password+`'`); err != nil {
		return fmt.Errorf("set password of %s: %w", role, err)
	}
	return nil
}
