package provision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/cluster"
)

const (
	image      = "pgvector/pgvector:pg17"
	label      = "geminivideo.dir"
	dockerWait = time.Minute
	// pullWait covers the image's download and the first start in it.
	pullWait  = 10 * time.Minute
	readyWait = 3 * time.Minute
)

// dockerEngine returns the engine's version if one answers.
func dockerEngine(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := dockerRun(ctx, nil, "version", "--format", "{{.Server.Version}}")
	if err == nil && out == "" {
		err = errors.New("no engine answers")
	}
	return out, err
}

// docker makes servers as containers of the pgvector image. The data is in a
// volume; container and volume carry the folder's name as a label, and nothing
// without that label is touched.
type docker struct{ engine string }

func (docker) String() string { return "Docker image " + image }

func (docker) Start(ctx context.Context, o cluster.Options) (Server, error) {
	dir, lock, err := lockFolder(o.Dir)
	if err != nil {
		return nil, err
	}
	c := &container{dir: dir, lock: lock, done: make(chan struct{})}
	if err := c.start(ctx, o); err != nil {
		lock.Close()
		return nil, fmt.Errorf("start PostgreSQL in Docker for %s: %w", o.Dir, err)
	}
	return c, nil
}

func (docker) Remove(ctx context.Context, dir string) error {
	dir, lock, err := lockFolder(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	return (&container{dir: dir}).remove(ctx)
}

func lockFolder(dir string) (string, *os.File, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", nil, fmt.Errorf("make data folder: %w", err)
	}
	lock, err := cluster.Lock(filepath.Join(dir, "postgres.lock"), 3*time.Second)
	if err != nil {
		return "", nil, fmt.Errorf("another process runs the server of %s: stop it or use another folder: %w", dir, err)
	}
	return dir, lock, nil
}

func dockerDo(ctx context.Context, within time.Duration, env []string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return dockerRun(ctx, env, args...)
}

// dockerRun returns what docker printed, and as its error what it complained about.
func dockerRun(ctx context.Context, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = 5 * time.Second
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if args[0] == "logs" {
		cmd.Stderr = &out
	}
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(complaint.String()))
	}
	return strings.TrimSpace(out.String()), err
}
