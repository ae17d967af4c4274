package cluster

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// start starts the cluster of dir; test ends without it and its files.
func start(t *testing.T, dir string, change ...func(*Options)) *Cluster {
	t.Helper()
	o := Options{Dir: dir, Files: memory(t), MaxConnections: 20, Throwaway: true} // quickly made
	for _, f := range change {
		f(&o)
	}
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func durable(o *Options) { o.Throwaway, o.Files = false, "" }

// memory is a folder in memory, where the system has one.
func memory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "cluster-test-")
	if err != nil {
		return ""
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// folder is a data folder whose cluster is removed with the test; as root its
// files are not in the folder.
func folder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	t.Cleanup(func() {
		if err := Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func query[T any](t *testing.T, url, sql string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		t.Fatal(err)
	}
	value, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatal(err)
	}
	return value
}

const (
	makeNotes = `CREATE TABLE notes AS SELECT 'kept' AS note`
	readNote  = `SELECT note FROM notes`
)

func run(t *testing.T, url, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatal(err)
	}
}

func TestASecondStartFindsItsDataAtTheSameAddress(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := start(t, dir, durable)
	url, err := first.EnsureDatabase(t.Context(), "geminivideo")
	if err != nil {
		t.Fatal(err)
	}
	run(t, url, makeNotes)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := start(t, dir, durable)
	again, err := second.EnsureDatabase(t.Context(), "geminivideo")
	if err != nil {
		t.Fatal(err)
	}
	if again != url {
		t.Errorf("the address became %s, was %s", again, url)
	}
	if got := query[string](t, url, readNote); got != "kept" {
		t.Errorf("note is %q", got)
	}
}

func TestAClusterIsUTF8AndSortsByCodePointOnTheLoopbackAddressOnly(t *testing.T) {
	t.Parallel()
	c := start(t, folder(t), durable, func(o *Options) { o.Superuser = "boss" })
	for sql, want := range map[string]string{
		`SHOW server_encoding`: "UTF8",
		`SELECT datcollate FROM pg_database WHERE datname = current_database()`: "C",
		`SHOW listen_addresses`:        "127.0.0.1",
		`SHOW unix_socket_directories`: "",
		`SHOW fsync`:                   "on",
		`SHOW max_connections`:         "20",
		`SELECT current_user::text`:    "boss",
	} {
		if got := query[string](t, c.AdminURL(), sql); got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
	without := strings.Replace(c.AdminURL(), ":"+c.password+"@", ":wrong@", 1)
	if conn, err := pgx.Connect(t.Context(), without); err == nil {
		conn.Close(t.Context())
		t.Error("a wrong password was accepted")
	}
	info, err := os.Stat(c.home.password())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("password file: %v %v", info.Mode(), err)
	}
}

func TestTwoClustersInDifferentFoldersDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	a, b := start(t, folder(t)), start(t, folder(t))
	run(t, a.AdminURL(), makeNotes)
	if got := query[int](t, b.AdminURL(), `SELECT count(*)::int FROM pg_tables WHERE tablename = 'notes'`); got != 0 {
		t.Error("one sees the other's table")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if got := query[int](t, b.AdminURL(), `SELECT 1`); got != 1 {
		t.Error("one's end ended the other")
	}
}

func TestAFolderInUseSaysWhoUsesIt(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	start(t, dir)
	_, err := Start(t.Context(), Options{Dir: dir})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "process "+strconv.Itoa(os.Getpid())) {
		t.Errorf("error is %v", err)
	}
	if err := Remove(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("removing it: %v", err)
	}
}

func TestFreshEmptiesOurOwnCluster(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := start(t, dir)
	before := c.Home()
	run(t, c.AdminURL(), makeNotes)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = start(t, dir, func(o *Options) { o.Fresh = true })
	if got := query[int](t, c.AdminURL(), `SELECT count(*)::int FROM pg_tables WHERE tablename = 'notes'`); got != 0 {
		t.Error("the table is still there")
	}
	if c.Home() != before {
		if _, err := os.Stat(before); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", before, err)
		}
	}
}

func TestFreshLeavesWhatWeDidNotMake(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	theirs := filepath.Join(dir, "postgres", "precious")
	if err := os.MkdirAll(theirs, 0o755); err != nil {
		t.Fatal(err)
	}
	if c, err := Start(t.Context(), Options{Dir: dir, Fresh: true}); err == nil {
		c.Close()
		t.Error("a foreign folder was taken")
	}
	if err := Remove(dir); err == nil {
		t.Error("a foreign folder was removed")
	}
	if _, err := os.Stat(theirs); err != nil {
		t.Error(err)
	}
}

func TestATakenPortIsReplaced(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := start(t, dir)
	port := c.home.Port
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if c = start(t, dir); c.home.Port == port {
		t.Error("the port is the taken one")
	}
}

func TestAnErrorHasTheServersOwnWords(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Options{Dir: folder(t), Files: memory(t), Throwaway: true, Settings: map[string]string{"work_mem": "a lot"}})
	if err == nil || !strings.Contains(err.Error(), `invalid value for parameter "work_mem"`) {
		t.Errorf("error is %v", err)
	}
}

func TestAttachJoinsWhatRunsAndLeavesItRunning(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	if _, err := Attach(t.Context(), t.TempDir()); err == nil {
		t.Error("attached to nothing")
	}
	c := start(t, dir)
	guest, err := Attach(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if guest.AdminURL() != c.AdminURL() {
		t.Errorf("address is %s, want %s", guest.AdminURL(), c.AdminURL())
	}
	if err := guest.Close(); err != nil {
		t.Fatal(err)
	}
	if got := query[int](t, c.AdminURL(), `SELECT 1`); got != 1 {
		t.Error("the guest ended it")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Attach(t.Context(), dir); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after its end: %v", err)
	}
}

func TestVersionsCompareByNumber(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		have, want string
		enough     bool
	}{
		{"0.8.0", "0.8.0", true},
		{"0.8.7-1", "0.8.4", true},
		{"0.10", "0.8.0", true},
		{"0.6.0-1", "0.8.0", false},
		{"0.8", "0.8.0", false},
		{"", "0.8.0", false},
		{"1", "0.8.0", true},
	} {
		if got := AtLeast(c.have, c.want); got != c.enough {
			t.Errorf("%q at least %q: %v", c.have, c.want, got)
		}
	}
}
