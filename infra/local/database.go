package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/geminivideo/geminivideo/infra/testkit/cluster"
	"github.com/geminivideo/geminivideo/infra/testkit/provision"
	"github.com/geminivideo/geminivideo/migrations"
)

// database is where the system's data is: an own cluster, or the one of -db.
type database struct {
	server    provision.Server // nil with -db
	adminURL  string
	appURL    string
	workerURL string
	empty     bool // whether this start made the schema
}

// maxConnections covers two pools of two connections for each function, the
// queue's, and people's.
const maxConnections = "250"

// openDatabase starts the database, migrates it and lets the two roles log in.
func (s *system) openDatabase(ctx context.Context, keep state) (*database, error) {
	db := &database{adminURL: s.db}
	if s.db == "" {
		if err := s.startServer(ctx, db); err != nil {
			return nil, err
		}
	}
	admin, err := url.Parse(db.adminURL)
	if err != nil || admin.Scheme != "postgres" && admin.Scheme != "postgresql" || admin.Path == "" {
		return nil, errors.New("-db must be a URL such as postgres://owner:password@host:5432/database")
	}
	conn, err := pgx.Connect(ctx, db.adminURL)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", plain(err))
	}
	defer conn.Close(context.WithoutCancel(ctx))
	applied, err := migrations.Apply(ctx, conn)
	if err != nil {
		return nil, err
	}
	if len(applied) > 0 {
		db.empty = applied[0].Version == "001"
		s.say("migrations: %d applied, the last one %s_%s", len(applied), applied[len(applied)-1].Version, applied[len(applied)-1].Name)
	}
	if db.appURL, err = s.login(ctx, conn, admin, "gv_app", keep.AppPassword, keep.RoleSuffix); err != nil {
		return nil, err
	}
	db.workerURL, err = s.login(ctx, conn, admin, "gv_worker", keep.WorkerPassword, keep.RoleSuffix)
	return db, err
}

func (s *system) startServer(ctx context.Context, db *database) error {
	source, err := provision.Ensure(ctx, s.terminal)
	if err != nil {
		return err
	}
	db.server, err = source.Start(ctx, cluster.Options{
		Dir: s.dir, Fresh: s.fresh, Settings: map[string]string{"max_connections": maxConnections},
	})
	if err != nil {
		return err
	}
	s.onStop("PostgreSQL", db.server.Close)
	db.adminURL, err = db.server.EnsureDatabase(ctx, "geminivideo")
	return err
}

// login lets a role log in with our password and returns its URL. A cluster of
// our own has the roles to itself; on the server of -db the passwords of gv_app
// and gv_worker are somebody else's, so members of them are made for us.
func (s *system) login(ctx context.Context, conn *pgx.Conn, admin *url.URL, role, password, suffix string) (string, error) {
	name := role
	if s.db != "" {
		name = role + "_local_" + suffix[:8]
		var there bool
		if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)`, name).Scan(&there); err != nil {
			return "", fmt.Errorf("look for role %s: %w", name, err)
		}
		if !there {
			if _, err := conn.Exec(ctx, `CREATE ROLE `+pgx.Identifier{name}.Sanitize()+` IN ROLE `+role); err != nil {
				return "", fmt.Errorf("make role %s: %w", name, err)
			}
		}
	}
	// The password is hexadecimal digits of our own: it needs no quoting.
	if _, err := conn.Exec(ctx, `ALTER ROLE `+pgx.Identifier{name}.Sanitize()+` LOGIN PASSWORD '`+password+`'`); err != nil {
		return "", fmt.Errorf("let role %s log in: %w", name, err)
	}
	u := *admin
	u.User = url.UserPassword(name, password)
	return u.String(), nil
}

// plain is what kept a connection from being made, without pgx's own text, which
// holds the connection string.
func plain(err error) error {
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) && connect.Unwrap() != nil {
		return connect.Unwrap()
	}
	return err
}

// withDatabase is the URL with another database.
func withDatabase(raw, name string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", errors.New("-db is not a URL such as postgres://owner:password@host:5432/database")
	}
	u.Path = "/" + name
	return u.String(), nil
}
