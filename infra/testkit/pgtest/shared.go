package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/geminivideo/geminivideo/infra/testkit/cluster"
)

// errNoPostgres is what a newcomer sees first, so it says what to do.
var errNoPostgres = errors.New("no PostgreSQL with pgvector " + cluster.MinVector + " or newer on this machine: " +
	"`go run ./infra/local test` provides one and runs the tests; " +
	"or install it, or set TEST_DATABASE_URL to a superuser's URL of one")

var find = cluster.Find // replaced in a test

// shared returns the URL of the throw-away cluster of this user, which it
// starts if no test process has.
func shared(ctx context.Context) (url, hint string, err error) {
	in, err := find()
	if err != nil || !in.HasVector() {
		return "", "", errNoPostgres
	}
	dir, err := cluster.OwnDir(os.TempDir(), "geminivideo-pgtest", 0o700)
	if err != nil {
		return "", "", err
	}
	if err := join(ctx, filepath.Join(dir, "users.lock")); err != nil {
		return "", "", err
	}
	start, err := cluster.Lock(filepath.Join(dir, "start.lock"), wait)
	if err != nil {
		return "", "", fmt.Errorf("wait for another test process to start PostgreSQL: %w", err)
	}
	defer start.Close()
	c, err := attach(ctx, dir)
	if err != nil {
		if c, err = cluster.Start(ctx, cluster.Options{
			Dir: dir, Files: cluster.Memory(), Install: in, Throwaway: true, MaxConnections: 300,
			Settings: map[string]string{"shared_buffers": "128MB", "max_wal_size": "128MB", "jit": "off"},
		}); err != nil {
			return "", "", err
		}
		c.Detach()
	}
	if err := supervise(dir, c); err != nil {
		return "", "", err
	}
	return c.AdminURL(), revive(c), nil
}

// revive says how to look at a kept database after the server has stopped.
func revive(c *cluster.Cluster) string {
	command := fmt.Sprintf("%s/postgres -D %s/data -p %d -k ''", c.Install().Bin, c.Home(), c.Port())
	if os.Geteuid() == 0 {
		command = fmt.Sprintf("su postgres -c %q", command)
	}
	return "\n(the server stops after the last test; to look at it later: " + command + ")"
}

// join takes a share in the server: a shared lock that lasts as long as this
// process, which is how the supervisor knows that a test still runs. It waits
// while the supervisor, which then holds the lock alone, is stopping the server.
func join(ctx context.Context, path string) error {
	// A bare descriptor, since nothing is to close it, the garbage collector least of all.
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("join the test cluster: %w", err)
	}
	for {
		err := unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("join the test cluster: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("join the test cluster: %w", errors.Join(ctx.Err(), err))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// attach joins a server that runs. One that is only slow to answer is not
// given up soon: a new start would end it under other processes' tests.
func attach(ctx context.Context, dir string) (*cluster.Cluster, error) {
	deadline := time.Now().Add(30 * time.Second)
	for {
		c, err := cluster.Attach(ctx, dir)
		if err == nil || !errors.Is(err, context.DeadlineExceeded) || time.Now().After(deadline) {
			return c, err
		}
	}
}
