package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	initWait = 2 * time.Minute
	// readyWait is long because a start after a crash replays the log first.
	readyWait = 3 * time.Minute
	pingWait  = 5 * time.Second
)

var errPortTaken = errors.New("port is taken")

// RandomPort proposes a port below the range that systems hand out to clients,
// which would take it sooner or later.
func RandomPort() int { return 20000 + rand.IntN(12000) }

// server is the running postmaster, our child.
type server struct {
	cmd     *exec.Cmd
	home    *home
	logFrom int64 // where its own lines begin in the log
	done    chan struct{}
	err     error // how it ended, once done is closed
}

// launch starts the postmaster in a session of its own: a Ctrl-C in the
// terminal is for us, and we stop the server when we no longer need it.
func launch(h *home, in Install, o Options) (*server, error) {
	args := []string{"-D", h.data()}
	settings := settings(h, o)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	log, logFrom, err := openLog(h.log())
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd, err := h.command(context.Background(), filepath.Join(in.Bin, "postgres"), args...)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr.Setsid = true
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("run postgres: %w", err)
	}
	s := &server{cmd: cmd, home: h, logFrom: logFrom, done: make(chan struct{})}
	go func() {
		s.err = cmd.Wait()
		close(s.done)
	}()
	return s, nil
}

func settings(h *home, o Options) map[string]string {
	all := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    strconv.Itoa(h.Port),
		"unix_socket_directories": "", // no socket: no path that is too long, nothing to clean up
		"max_connections":         strconv.Itoa(max(o.MaxConnections, 0)),
		"shared_buffers":          "64MB",
		"max_wal_size":            "512MB",
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"logging_collector":       "off",
		"log_destination":         "stderr",
	}
	if o.MaxConnections == 0 {
		all["max_connections"] = "200"
	}
	if h.Throwaway {
		maps.Copy(all, map[string]string{
			"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
			"wal_level": "minimal", "max_wal_senders": "0",
		})
	}
	maps.Copy(all, o.Settings)
	return all
}

// command prepares a program of PostgreSQL to run as the cluster's owner, with
// nothing of our environment: PGDATA, PGPORT and the like would change what it does.
func (h *home) command(ctx context.Context, program string, args ...string) (*exec.Cmd, error) {
	owner, err := h.owner()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.Dir = "/" // ours may be closed to the owner
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
	return cmd, nil
}

// ready waits until the server answers our password, or says why it does not.
func (s *server) ready(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	for {
		err := Ping(ctx, url)
		if err == nil {
			return nil
		}
		var refused *pgconn.PgError
		if errors.As(err, &refused) && strings.HasPrefix(refused.Code, "28") {
			return s.refused(err)
		}
		select {
		case <-s.done:
			return s.ended()
		case <-ctx.Done():
			return fmt.Errorf("the server is not ready: %w\n%s", errors.Join(ctx.Err(), err), s.tail())
		case <-time.After(30 * time.Millisecond):
		}
	}
}

// refused explains a refused password: something else may have taken the port
// an instant before our server could, which then ends.
func (s *server) refused(err error) error {
	select {
	case <-s.done:
		return s.ended()
	case <-time.After(2 * time.Second):
		return fmt.Errorf("the server refuses the password in %s: %w", s.home.password(), err)
	}
}

// ended explains how the server ended, with the last lines of its log.
func (s *server) ended() error {
	<-s.done
	lines := s.tail()
	if strings.Contains(lines, "could not bind") || strings.Contains(lines, "could not create any TCP/IP sockets") {
		return fmt.Errorf("%w: %d", errPortTaken, s.home.Port)
	}
	how := s.err
	if how == nil {
		how = errors.New("it got a signal to stop")
	}
	return fmt.Errorf("the server ended: %w; the end of %s:\n%s", how, s.home.log(), lines)
}

// stop ends the server, gently first. What a dead postmaster has left behind
// ends with it.
func (s *server) stop() error {
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGINT, fastStop}, {syscall.SIGQUIT, immediateStop}, {syscall.SIGKILL, killStop}} {
		_ = s.cmd.Process.Signal(step.signal)
		select {
		case <-s.done:
			_, err := clearOrphans(s.home.data())
			return err
		case <-time.After(step.wait):
		}
	}
	return fmt.Errorf("the server, process %d, does not end", s.cmd.Process.Pid)
}

// Ping connects once, within a few seconds. A server that is full is alive.
func Ping(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, pingWait)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err == nil {
		return conn.Close(ctx)
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "53300" { // too_many_connections
		return nil
	}
	return err
}

// openLog appends to the log, unless it has grown too long to keep.
func openLog(path string) (*os.File, int64, error) {
	log, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("open server's log: %w", err)
	}
	info, err := log.Stat()
	if err == nil && info.Size() < 8<<20 {
		return log, info.Size(), nil
	}
	return log, 0, log.Truncate(0)
}

// tail returns the last lines that this server has logged.
func (s *server) tail() string {
	f, err := os.Open(s.home.log())
	if err != nil {
		return ""
	}
	defer f.Close()
	from := s.logFrom
	if info, err := f.Stat(); err == nil {
		from = max(from, info.Size()-4096)
	}
	text, _ := io.ReadAll(io.NewSectionReader(f, from, 4096))
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-12):], []byte("\n")))
}
