// Package cluster runs a private PostgreSQL cluster as a value: made on first
// use, started on a port of its own on the loopback address, and stopped by
// Close. After a hard kill of this process or of the server the next Start
// finds what is left, ends it and begins again on the same data.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Options say which cluster to run and how.
type Options struct {
	// Dir is the folder that people name. The files are in it, or, as root,
	// where the postgres user can reach them, with a pointer in Dir.
	Dir string
	// Superuser is the cluster's owner; "postgres" if empty. It counts when the cluster is made.
	Superuser string
	// Files is a folder to keep the files in instead, with a pointer in Dir; the
	// user that the server runs as must be able to pass through it. It counts
	// when the cluster is made.
	Files string
	// MaxConnections is 200 if zero.
	MaxConnections int
	// Settings are further settings of the server, such as {"work_mem": "8MB"}.
	Settings map[string]string
	// Throwaway trades every promise of durability for speed, and begins empty
	// after a hard stop. It counts when the cluster is made.
	Throwaway bool
	// Fresh removes the cluster that Dir has before it starts a new one.
	Fresh bool
	// Install is the PostgreSQL for a new cluster; the zero value finds one.
	// Data that exists is always served by the major version that made it.
	Install Install
}

// Cluster is a running cluster.
type Cluster struct {
	home     *home
	install  Install
	password string
	server   *server // nil if attached
	lock     *os.File
	close    sync.Once
	closeErr error
}

// lockWait lets a process that is just ending let go of its folder.
var lockWait = 3 * time.Second

// Start makes the cluster of o.Dir if there is none, and starts it. The error
// of a folder whose cluster another process runs wraps ErrInUse and says who.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	dir, lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	c := &Cluster{lock: lock}
	if err := c.start(ctx, dir, o); err != nil {
		lock.Close()
		return nil, fmt.Errorf("start PostgreSQL for %s: %w", o.Dir, err)
	}
	return c, nil
}

func lockDir(dir string) (string, *os.File, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", nil, fmt.Errorf("make data folder: %w", err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", nil, fmt.Errorf("find data folder: %w", err)
	}
	lock, err := Lock(filepath.Join(dir, lockName), lockWait)
	if err != nil {
		return "", nil, fmt.Errorf("another process runs the cluster of %s: stop it or use another folder: %w", dir, err)
	}
	return dir, lock, nil
}

func (c *Cluster) start(ctx context.Context, dir string, o Options) error {
	if o.Superuser == "" {
		o.Superuser = "postgres"
	}
	h, err := findHome(dir)
	if err == nil && o.Fresh {
		if err := destroy(h); err != nil {
			return err
		}
		err = errNoCluster
	}
	if errors.Is(err, errNoCluster) {
		h, err = makeHome(dir, o)
	}
	if err != nil {
		return err
	}
	c.home = h

	clean, err := clearOrphans(h.data())
	if err != nil {
		return err
	}
	made := !h.Complete || h.Throwaway && (!clean || !h.servedBy(o.Install))
	if made {
		if err := c.initialise(ctx, o); err != nil {
			return err
		}
	}
	err = c.run(ctx, o)
	if err != nil && h.Throwaway && !made && ctx.Err() == nil {
		// Data that nobody flushed may be broken in any way, and is of no worth.
		if err = c.initialise(ctx, o); err == nil {
			err = c.run(ctx, o)
		}
	}
	return err
}

// run starts the server on data that is there.
func (c *Cluster) run(ctx context.Context, o Options) error {
	var err error
	if c.install, err = installFor(c.home, o.Install); err != nil {
		return err
	}
	text, err := os.ReadFile(c.home.password())
	if err != nil {
		return fmt.Errorf("read superuser's password: %w", err)
	}
	c.password = strings.TrimSpace(string(text))
	return c.serve(ctx, o)
}

// serve starts the server on the cluster's port, or on a new one where
// something else has taken that.
func (c *Cluster) serve(ctx context.Context, o Options) error {
	for try := 1; ; try++ {
		if err := c.choosePort(); err != nil {
			return err
		}
		s, err := launch(c.home, c.install, o)
		if err != nil {
			return err
		}
		err = s.ready(ctx, c.AdminURL())
		if err == nil {
			c.server = s
			return nil
		}
		s.stop()
		if try == 5 || !errors.Is(err, errPortTaken) {
			return err
		}
	}
}

// choosePort keeps the port of the last time if it is free, so that URLs stay good.
func (c *Cluster) choosePort() error {
	for range 200 {
		if p := c.home.Port; p != 0 {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
			if err == nil {
				l.Close()
				return c.home.save()
			}
		}
		c.home.Port = RandomPort()
	}
	return errors.New("no free port found on 127.0.0.1")
}

// AdminURL is the superuser's, to the database "postgres".
func (c *Cluster) AdminURL() string { return c.URL("postgres") }

// URL is the superuser's, to the named database.
func (c *Cluster) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(c.home.Superuser, c.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(c.home.Port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Vector is the version of pgvector that CREATE EXTENSION would install, empty for none.
func (c *Cluster) Vector() string { return c.install.Vector }

// Port is the server's, on 127.0.0.1.
func (c *Cluster) Port() int { return c.home.Port }

// Home is the folder that holds the cluster's files and its server.log.
func (c *Cluster) Home() string { return c.home.path }

// Install is the PostgreSQL that serves the cluster.
func (c *Cluster) Install() Install { return c.install }

// EnsureDatabase makes the database if it is not there, and returns its URL.
func (c *Cluster) EnsureDatabase(ctx context.Context, name string) (string, error) {
	return c.URL(name), EnsureDatabase(ctx, c.AdminURL(), name)
}

// EnsureDatabase makes the database on adminURL's server if it is not there.
func EnsureDatabase(ctx context.Context, adminURL, name string) error {
	ctx, cancel := context.WithTimeout(ctx, initWait)
	defer cancel()
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return fmt.Errorf("make database %s: %w", name, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var there bool
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&there)
	if err == nil && !there {
		_, err = conn.Exec(ctx, `CREATE DATABASE `+pgx.Identifier{name}.Sanitize())
	}
	if err != nil {
		return fmt.Errorf("make database %s: %w", name, err)
	}
	return nil
}

// Done is closed when the server has ended, whether by Close or on its own;
// never for an attached cluster.
func (c *Cluster) Done() <-chan struct{} {
	if c.server == nil {
		return nil
	}
	return c.server.done
}

// Err says how the server ended; it is for after Done.
func (c *Cluster) Err() error {
	if c.server == nil {
		return nil
	}
	return c.server.ended()
}

// Close stops the server and lets go of the folder; an attached cluster lives on.
func (c *Cluster) Close() error {
	c.close.Do(func() {
		if c.server != nil {
			c.closeErr = c.server.stop()
		}
		c.release()
	})
	return c.closeErr
}

// Detach lets go of a cluster that is to outlive this process. Whoever Starts
// it next restarts it; Attach joins it.
func (c *Cluster) Detach() { c.close.Do(c.release) }

func (c *Cluster) release() {
	if c.lock != nil {
		c.lock.Close()
	}
}
