package provision

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/cluster"
)

// container is a running server.
type container struct {
	dir  string
	lock *os.File
	access
	done chan struct{}
	once sync.Once
	err  error
}

// access is what DIR/docker.json keeps.
type access struct {
	Name     string `json:"container_and_volume"`
	Port     int    `json:"port"`
	User     string `json:"user"`
	Password string `json:"password"`
}

func (c *container) start(ctx context.Context, o cluster.Options) error {
	if o.Fresh {
		if err := c.remove(ctx); err != nil {
			return err
		}
	}
	if err := c.load(o); err != nil {
		return err
	}
	// A container that outlived its process, or was killed: the data is in the volume.
	if err := c.end(ctx); err != nil {
		return err
	}
	if _, err := dockerDo(ctx, dockerWait, nil, "volume", "create", "--label", label+"="+c.dir, c.Name); err != nil {
		return err
	}
	for try := 1; ; try++ {
		_, err := dockerDo(ctx, pullWait, []string{"POSTGRES_PASSWORD=" + c.Password}, c.arguments(o)...)
		if err == nil {
			break
		}
		if err := c.end(ctx); err != nil {
			return err
		}
		if try == 5 || !portTaken(err) {
			return err
		}
		c.Port = cluster.RandomPort()
		if err := c.save(); err != nil {
			return err
		}
	}
	if err := c.ready(ctx); err != nil {
		return errors.Join(err, c.end(ctx))
	}
	go func() {
		_, err := dockerRun(context.Background(), nil, "wait", c.Name)
		c.err = err
		close(c.done)
	}()
	return nil
}

func (c *container) arguments(o cluster.Options) []string {
	args := []string{
		"run", "--detach", "--name", c.Name, "--label", label + "=" + c.dir,
		"--publish", net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port)) + ":5432",
		"--volume", c.Name + ":/var/lib/postgresql/data", "--shm-size", "256m",
		// Without a value the password comes from our environment and is in no process list.
		"--env", "POSTGRES_PASSWORD", "--env", "POSTGRES_USER=" + c.User, "--env", "POSTGRES_DB=postgres",
		"--env", "POSTGRES_INITDB_ARGS=--encoding=UTF8 --lc-collate=C --lc-ctype=C.UTF-8",
		image, "postgres",
	}
	settings := map[string]string{"max_connections": "200", "timezone": "UTC"}
	if o.MaxConnections != 0 {
		settings["max_connections"] = strconv.Itoa(o.MaxConnections)
	}
	if o.Throwaway {
		maps.Copy(settings, map[string]string{"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"})
	}
	maps.Copy(settings, o.Settings)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

func portTaken(err error) bool {
	return strings.Contains(err.Error(), "port is already allocated") || strings.Contains(err.Error(), "address already in use")
}

// ready waits for the server. During its first start the image listens on no
// port until the database is made, so an answer means that all is there.
func (c *container) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	for {
		err := cluster.Ping(ctx, c.AdminURL())
		if err == nil {
			return nil
		}
		state, stateErr := dockerRun(ctx, nil, "inspect", "--format", "{{.State.Running}}", c.Name)
		if ctx.Err() != nil || stateErr != nil || state != "true" {
			logs, _ := dockerDo(context.WithoutCancel(ctx), dockerWait, nil, "logs", "--tail", "12", c.Name)
			return fmt.Errorf("the server is not ready: %w\n%s", errors.Join(ctx.Err(), stateErr, err), logs)
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// end stops and removes the folder's container, whoever started it.
func (c *container) end(ctx context.Context) error {
	found, err := dockerDo(ctx, dockerWait, nil, "ps", "--all", "--quiet", "--filter", "label="+label+"="+c.dir)
	if err != nil {
		return err
	}
	for _, id := range strings.Fields(found) {
		// SIGINT is PostgreSQL's fast shutdown; it is the image's own stop signal.
		if _, err := dockerDo(ctx, dockerWait, nil, "stop", "--time", "30", id); err != nil {
			return err
		}
		if _, err := dockerDo(ctx, dockerWait, nil, "rm", "--force", id); err != nil {
			return err
		}
	}
	return nil
}

func (c *container) remove(ctx context.Context) error {
	if err := c.end(ctx); err != nil {
		return err
	}
	found, err := dockerDo(ctx, dockerWait, nil, "volume", "ls", "--quiet", "--filter", "label="+label+"="+c.dir)
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(found) {
		if _, err := dockerDo(ctx, dockerWait, nil, "volume", "rm", name); err != nil {
			return err
		}
	}
	if err := os.Remove(c.file()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (c *container) file() string { return filepath.Join(c.dir, "docker.json") }

// load reads how to reach the folder's server, or decides it.
func (c *container) load(o cluster.Options) error {
	text, err := os.ReadFile(c.file())
	if err == nil {
		if err := json.Unmarshal(text, &c.access); err != nil {
			return fmt.Errorf("read %s: %w", c.file(), err)
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// The random part keeps a volume whose folder was deleted, and with it the
	// password, out of the way.
	sum := sha256.Sum256([]byte(c.dir))
	c.access = access{
		Name: "geminivideo-" + hex.EncodeToString(sum[:6]) + "-" + strings.ToLower(rand.Text()[:6]),
		Port: cluster.RandomPort(), User: "postgres", Password: rand.Text(),
	}
	if o.Superuser != "" {
		c.User = o.Superuser
	}
	return c.save()
}

func (c *container) save() error {
	text, err := json.MarshalIndent(c.access, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(c.file(), append(text, '\n'), 0o600)
}

func (c *container) AdminURL() string { return c.URL("postgres") }

func (c *container) URL(database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(c.User, c.Password),
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port)), Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return u.String()
}

func (c *container) EnsureDatabase(ctx context.Context, name string) (string, error) {
	return c.URL(name), cluster.EnsureDatabase(ctx, c.AdminURL(), name)
}

func (c *container) Done() <-chan struct{} { return c.done }

func (c *container) Err() error {
	<-c.done
	return c.err
}

// Close stops and removes the container; the volume keeps the data.
func (c *container) Close() error {
	var err error
	c.once.Do(func() {
		err = c.end(context.Background())
		c.lock.Close()
	})
	return err
}
