package pgtest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/cluster"
)

// TestGuest is what the other test processes of these tests run: it takes a
// database, says where it is, waits until it may end, and fails if the parent says so.
func TestGuest(t *testing.T) {
	order := os.Getenv("PGTEST_GUEST")
	if order == "" {
		return // this process is not a guest
	}
	db := New(t)
	fmt.Println("guest", db.AdminURL)
	_, _ = io.Copy(io.Discard, os.Stdin)
	if order == "fail" {
		t.Error("the parent asked for a failure")
	}
}

// guest is another test process.
type guest struct {
	cmd *exec.Cmd
	url string
	end func() string // lets it end, and returns the rest of what it said
}

func startGuest(t *testing.T, temp, order string, env ...string) *guest {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestGuest$", "-test.v", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), append([]string{"PGTEST_GUEST=" + order, "TMPDIR=" + temp, "TEST_DATABASE_URL="}, env...)...)
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
	g := &guest{cmd: cmd}
	lines := bufio.NewReader(out)
	said := ""
	for g.url == "" {
		line, err := lines.ReadString('\n')
		said += line
		if err != nil {
			t.Errorf("a test process says %s", said)
			g.end = func() string { return said }
			return g
		}
		g.url, _ = strings.CutPrefix(strings.TrimSpace(line), "guest ")
		if !strings.HasPrefix(line, "guest ") {
			g.url = ""
		}
	}
	g.end = func() string {
		in.Close()
		rest, _ := io.ReadAll(lines)
		_ = cmd.Wait()
		return string(rest)
	}
	return g
}

// apart is a temp folder, and so a shared cluster, of this test alone.
func apart(t *testing.T) string {
	t.Helper()
	temp := t.TempDir()
	t.Cleanup(func() {
		dirs, _ := filepath.Glob(filepath.Join(temp, "geminivideo-pgtest-*"))
		for _, dir := range dirs {
			if err := cluster.Remove(dir); err != nil {
				t.Error(err)
			}
		}
	})
	return temp
}

var address = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// awaitEnd waits until nothing listens at the URL's address any more.
func awaitEnd(t *testing.T, url string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		conn, err := net.DialTimeout("tcp", address.FindString(url), time.Second)
		if err != nil {
			return
		}
		conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("the server is still there")
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func TestProcessesShareOneServerThatEndsAfterTheLast(t *testing.T) {
	t.Parallel()
	temp := apart(t)
	guests := make([]*guest, 5)
	var all sync.WaitGroup
	for i := range guests {
		all.Go(func() { guests[i] = startGuest(t, temp, "pass") })
	}
	all.Wait()
	for _, g := range guests {
		if address.FindString(g.url) != address.FindString(guests[0].url) {
			t.Errorf("servers are at %s and %s", g.url, guests[0].url)
		}
	}
	for _, g := range guests[1:] {
		g.end()
	}
	time.Sleep(4 * time.Second) // longer than the supervisor's patience
	if got := scan[int](t, guests[0].url, `SELECT 1`); got != 1 {
		t.Error("the server ended before the last process")
	}
	// Killed, a process cannot say goodbye.
	_ = guests[0].cmd.Process.Kill()
	guests[0].end()
	awaitEnd(t, guests[0].url)

	again := startGuest(t, temp, "pass")
	if again.url == "" {
		t.Fatal("a process after the end does not get a server")
	}
	again.end()
	awaitEnd(t, again.url)
}

func TestAFailingTestKeepsItsDatabaseAndSaysWhereItIs(t *testing.T) {
	t.Parallel()
	temp := apart(t)
	watcher := startGuest(t, temp, "pass") // keeps the server
	g := startGuest(t, temp, "fail")
	said := g.end()
	if !strings.Contains(said, "kept the database of this failure for a day: "+g.url) {
		t.Errorf("it said %s", said)
	}
	if got := scan[int](t, g.url, `SELECT 1`); got != 1 {
		t.Error("the database is not there")
	}
	watcher.end()
}

func TestWithoutFlockPerlSupervises(t *testing.T) {
	t.Parallel()
	found, err := exec.LookPath("perl")
	if err != nil {
		return // this system supervises with flock, or not at all
	}
	temp, programs := apart(t), t.TempDir()
	if err := os.Symlink(found, filepath.Join(programs, "perl")); err != nil {
		t.Fatal(err)
	}
	g := startGuest(t, temp, "pass", "PATH="+programs)
	g.end()
	awaitEnd(t, g.url)
}

func TestTheServerOfTheEnvironmentIsUsedWhereThereIsOne(t *testing.T) {
	t.Parallel()
	srv, err := connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	g := startGuest(t, temp, "pass", "TEST_DATABASE_URL="+srv.admin.String())
	if address.FindString(g.url) != srv.admin.Host {
		t.Errorf("its database is at %s, want %s", g.url, srv.admin.Host)
	}
	g.end()
	if made, _ := os.ReadDir(temp); len(made) > 0 {
		t.Errorf("it made %v", made)
	}
}
