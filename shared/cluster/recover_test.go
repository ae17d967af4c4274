package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
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
		t.Errorf("its end is told as %v", err)
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

func TestAsRootAFolderBehindClosedParentsDoes(t *testing.T) {
	t.Parallel()
	closed := filepath.Join(t.TempDir(), "closed")
	dir := filepath.Join(closed, "data")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Remove(dir); err != nil {
			t.Error(err)
		}
	})
	c := start(t, dir)
	if os.Geteuid() != 0 {
		return // as oneself the files are simply in the folder
	}
	if strings.HasPrefix(c.Home(), dir) {
		t.Errorf("the files are in %s, where the postgres user cannot go", c.Home())
	}
	pointer, err := os.ReadFile(filepath.Join(dir, pointerName))
	if err != nil || strings.TrimSpace(string(pointer)) != c.Home() {
		t.Errorf("the pointer says %q (%v), the files are in %s", pointer, err, c.Home())
	}
}

func TestAMovedFolderKeepsItsClusterAndACopiedOneDoesNotShareIt(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		return // only root's folders have a pointer
	}
	base := t.TempDir()
	old, moved, copied := filepath.Join(base, "old"), filepath.Join(base, "moved"), filepath.Join(base, "copied")
	c := start(t, old)
	run(t, c.AdminURL(), makeNotes)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(old, moved); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Remove(moved); err != nil {
			t.Error(err)
		}
	})
	c = start(t, moved)
	if got := query[string](t, c.AdminURL(), readNote); got != "kept" {
		t.Errorf("note is %q", got)
	}
	if err := os.CopyFS(copied, os.DirFS(moved)); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), Options{Dir: copied}); err == nil || !strings.Contains(err.Error(), "is a copy of") {
		t.Errorf("error is %v", err)
	}
}

// As root this runs a process as the postgres user, which then is "oneself".
func TestAsOneselfTheFilesAreInTheFolder(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		dir := folder(t)
		if c := start(t, dir); !strings.HasSuffix(c.Home(), "data/postgres") {
			t.Errorf("the files are in %s", c.Home())
		}
		return
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	base, err := os.MkdirTemp("", "cluster-oneself-") // t.TempDir is closed to others
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(base)
	program := filepath.Join(base, "owner")
	text, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(base, "data")
	for _, err := range []error{
		os.Chmod(base, 0o755), os.WriteFile(program, text, 0o755), os.Mkdir(dir, 0o700), os.Chown(dir, uid, gid),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	as := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	o := startOwner(t, program, dir, as)
	if o.home != filepath.Join(dir, "postgres") {
		t.Errorf("the files are in %s", o.home)
	}
	run(t, o.url, makeNotes)
	_ = o.cmd.Process.Kill()
	_ = o.cmd.Wait()
	o = startOwner(t, program, dir, as)
	if got := query[string](t, o.url, readNote); got != "kept" {
		t.Errorf("note is %q", got)
	}
	o.in.Close()
	if err := o.cmd.Wait(); err != nil {
		t.Error(err)
	}
}
