// Package provision makes sure that a PostgreSQL with pgvector is there for a
// local system: one that is installed, one that it installs (as root on Debian
// and Ubuntu), or the pgvector image on a Docker engine. Where all is there it
// takes milliseconds and changes nothing.
package provision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/geminivideo/geminivideo/infra/testkit/cluster"
)

// Source is where private servers come from.
type Source interface {
	// Start makes the server of o.Dir on first use, and starts it.
	Start(ctx context.Context, o cluster.Options) (Server, error)
	// Remove stops and deletes the server of dir and its data, if it is one of ours.
	Remove(ctx context.Context, dir string) error
	// String names the source for people.
	String() string
}

// Server is a running private server.
type Server interface {
	AdminURL() string
	URL(database string) string
	EnsureDatabase(ctx context.Context, name string) (url string, err error)
	// Done is closed when the server has ended; Err then says how.
	Done() <-chan struct{}
	Err() error
	Close() error
}

// Ensure returns a source with pgvector, installing what is missing where it
// can. It says on log, line by line, what it does.
func Ensure(ctx context.Context, log io.Writer) (Source, error) {
	in, err := cluster.Find()
	if err == nil && in.HasVector() {
		return installed{in}, nil
	}
	var failed error
	if os.Geteuid() == 0 && hasApt() {
		in, failed = aptInstall(ctx, log)
		if failed == nil {
			return installed{in}, nil
		}
	}
	if engine, err := dockerEngine(ctx); err == nil {
		say(log, "using the image %s on Docker %s", image, engine)
		return docker{engine: engine}, nil
	}
	return nil, errors.Join(failed, missing(cluster.Installs()))
}

// missing says what to install.
func missing(found []cluster.Install) error {
	have := "no PostgreSQL"
	if len(found) > 0 {
		have = found[0].String()
	}
	return fmt.Errorf(`PostgreSQL %d or newer with pgvector %s or newer is needed; found: %s. To get it:
  Debian 13 and newer  sudo apt-get install postgresql postgresql-17-pgvector
  Debian 12, Ubuntu    run this command once with sudo: it installs PostgreSQL and pgvector
  Fedora               sudo dnf install postgresql-server pgvector
  macOS                brew install postgresql@17 pgvector
  elsewhere            start Docker: the image %s is used then
or pass -db with the URL of a database that has it`, cluster.MinMajor, cluster.MinVector, have, image)
}

// installed is a PostgreSQL on this machine.
type installed struct{ cluster.Install }

func (s installed) Start(ctx context.Context, o cluster.Options) (Server, error) {
	o.Install = s.Install
	c, err := cluster.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	if c.Vector() == "" {
		err := fmt.Errorf("the cluster of %s needs %s: install pgvector for it, or start over with -fresh", o.Dir, c.Install())
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (s installed) Remove(_ context.Context, dir string) error { return cluster.Remove(dir) }

func say(log io.Writer, format string, args ...any) {
	fmt.Fprintf(log, "provision: "+format+"\n", args...)
}
