package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// The test binary is also the process that owns a cluster and is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("CLUSTER_TEST_OWNER"); dir != "" {
		own(dir)
	}
	lockWait = 500 * time.Millisecond
	os.Exit(m.Run())
}

func own(dir string) {
	c, err := Start(context.Background(), Options{Dir: dir, MaxConnections: 20})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("ready", c.AdminURL(), c.server.cmd.Process.Pid, c.Home())
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent lets go
	if err := c.Close(); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// owner is another process that runs the cluster of a folder.
type owner struct {
	cmd  *exec.Cmd
	pid  int // the postmaster's
	url  string
	home string
	in   io.Closer
}

func startOwner(t *testing.T, program, dir string, as *syscall.Credential) *owner {
	t.Helper()
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "CLUSTER_TEST_OWNER="+dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	o := &owner{cmd: cmd, in: in}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if _, err := fmt.Sscanf(line, "ready %s %d %s", &o.url, &o.pid, &o.home); err != nil {
		rest, _ := io.ReadAll(out)
		t.Fatalf("the owner said %q %s", line, rest)
	}
	return o
}

func TestAfterTheServerIsKilledTheNextStartHasWhatWasCommitted(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := start(t, dir, durable)
	run(t, c.AdminURL(), makeNotes)
	signal([]int{c.server.cmd.Process.Pid}, syscall.SIGKILL)
	select {
	case <-c.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the server's end was not noticed")
	}
	if err := c.Err(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("its end is reported as %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if got := query[string](t, start(t, dir, durable).AdminURL(), readNote); got != "kept" {
		t.Errorf("note is %q", got)
	}
}

func TestAfterTheOwnerIsKilledTheNextStartTakesOver(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"owner", "owner and server"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t)
			o := startOwner(t, os.Args[0], dir, nil)
			run(t, o.url, makeNotes)
			busy(t, o.url) // a backend that does not end by itself when its server is killed
			if err := o.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = o.cmd.Wait()
			if name == "owner and server" {
				signal([]int{o.pid}, syscall.SIGKILL)
			}
			c := start(t, dir, durable)
			if got := query[string](t, c.AdminURL(), readNote); got != "kept" {
				t.Errorf("note is %q", got)
			}
			if now := c.server.cmd.Process.Pid; now == o.pid {
				t.Error("the orphan is still the server")
			}
			if pids := serversOf(c.home.data(), c.server.cmd.Process.Pid); len(pids) == 0 {
				t.Error("the new server is not seen in its folder")
			}
		})
	}
}

// busy keeps a query running on the server.
func busy(t *testing.T, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = conn.Exec(context.Background(), `SELECT pg_sleep(600)`)
		_ = conn.Close(context.Background())
	}()
}

func TestAnotherProcessIsNamedInTheError(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	o := startOwner(t, os.Args[0], dir, nil)
	_, err := Start(t.Context(), Options{Dir: dir})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "process "+strconv.Itoa(o.cmd.Process.Pid)) {
		t.Errorf("error is %v", err)
	}
	o.in.Close() // it ends by itself and lets go
	if err := o.cmd.Wait(); err != nil {
		t.Error(err)
	}
	start(t, dir, durable)
}

func TestAStalePidOfAnotherLivingProcessDoesNotStopTheStart(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := start(t, dir, durable)
	run(t, c.AdminURL(), makeNotes)
	data := c.home.data()
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n")
	stale := strconv.Itoa(os.Getpid()) + "\n" + rest
	if err := os.WriteFile(filepath.Join(data, "postmaster.pid"), []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := query[string](t, start(t, dir, durable).AdminURL(), readNote); got != "kept" {
		t.Errorf("note is %q", got)
	}
}

func TestAnInterruptedInitIsDoneAgain(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := start(t, dir)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c.home.Complete = false
	if err := c.home.save(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(c.home.data(), "PG_VERSION")); err != nil {
		t.Fatal(err)
	}
	start(t, dir)
}

func TestAThrowawayClusterBeginsEmptyAfterACrash(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := start(t, dir)
	if got := query[string](t, c.AdminURL(), `SHOW fsync`); got != "off" {
		t.Errorf("fsync is %s", got)
	}
	run(t, c.AdminURL(), makeNotes)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = start(t, dir)
	if got := query[string](t, c.AdminURL(), readNote); got != "kept" {
		t.Errorf("after a good end the note is %q", got)
	}
	// A crash of the machine leaves the lock file, and data that nobody has flushed.
	lock := filepath.Join(c.home.data(), "postmaster.pid")
	text, err := os.ReadFile(lock)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(lock, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c = start(t, dir)
	if got := query[int](t, c.AdminURL(), `SELECT count(*)::int FROM pg_tables WHERE tablename = 'notes'`); got != 0 {
		t.Error("it begins with old data")
	}
}

func TestAThrowawayClusterThatIsBrokenBeginsAnew(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"PG_VERSION", "global/pg_control"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			dir := folder(t)
			c := start(t, dir)
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Join(c.home.data(), file)); err != nil {
				t.Fatal(err)
			}
			start(t, dir)
		})
	}
}

func TestWhatADeletedFolderLeavesIsStoppedOrRemoved(t *testing.T) {
	t.Parallel()
	dir, files := folder(t), memory(t)
	if files == "" {
		return // no folder here that every user can pass through
	}
	keep := func(o *Options) { o.Files = files }
	first := start(t, dir, durable, keep)
	orphan := first.server.cmd.Process.Pid
	first.release() // as if its process were gone
	throwaway := folder(t)
	second := start(t, throwaway, keep)
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-2 * time.Hour)
	if err := errors.Join(os.RemoveAll(dir), os.RemoveAll(throwaway), os.Chtimes(second.home.markerAt(), long, long)); err != nil {
		t.Fatal(err)
	}
	third := start(t, dir, durable, keep)
	if third.Home() == first.Home() {
		t.Error("a new folder has the deleted one's cluster")
	}
	select {
	case <-first.Done():
	case <-time.After(10 * time.Second):
		t.Errorf("server %d of the deleted folder still runs", orphan)
	}
	if _, err := os.Stat(first.Home()); err != nil {
		t.Errorf("durable data of a folder that may only have been moved: %v", err)
	}
	if _, err := os.Stat(second.Home()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("throw-away data that nothing points to: %v", err)
	}
}
