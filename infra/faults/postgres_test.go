package faults

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/cluster"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
	"github.com/geminivideo/geminivideo/migrations"
)

// Each piece takes 10 ms more in each direction, and 64 kB a second pass.
func TestTheMainFlowSurvivesConnectionsThatAreSlow(t *testing.T) {
	t.Parallel()
	f := onPostgres(t)
	f.proxy.set(10*time.Millisecond, 64<<10)
	f.play(nil)
	f.holds()
	if n := f.proxy.passedSlowly(); n < 500 {
		t.Errorf("%d pieces passed slowly: the test proves little", n)
	}
}

func TestTheMainFlowSurvivesConnectionsThatAreCut(t *testing.T) {
	t.Parallel()
	f := onPostgres(t)
	f.play(nil)
	for cut := 0; cut < 30; time.Sleep(20 * time.Millisecond) {
		cut += f.proxy.cut()
	}
	f.holds()
}

func TestTheMainFlowSurvivesAPostgresThatIsKilledAndStartedAgain(t *testing.T) {
	t.Parallel()
	s := newServer(t, t.TempDir())
	f := open(t, s.urls)
	f.play(func(n int) {
		switch n {
		case deals / 3:
			pid, err := strconv.Atoi(one[string](f, `SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)`))
			if err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			<-s.running.Done()
		case 2 * deals / 3:
			s.start()
		}
	})
	f.holds()
}

// The disk is full from a third of the story on, and the log that Postgres writes ahead is
// then made to grow until the server fails. Somebody makes room in the last third.
func TestTheMainFlowSurvivesADiskThatIsFullForPostgres(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 224<<20)
	s := newServer(t, disk)
	f := open(t, s.urls)
	rest := filepath.Join(disk, "the-rest")
	full := ""
	f.play(func(n int) {
		switch n {
		case deals / 3:
			fill(t, rest)
			for i := 0; full == "" && i < 1000; i++ {
				_, err := f.admin.Exec(context.Background(), `CREATE TABLE IF NOT EXISTS public.growing AS SELECT repeat(md5(i::text), 30) AS text FROM generate_series(1, 20000) i`)
				if err == nil {
					_, err = f.admin.Exec(context.Background(), `INSERT INTO public.growing SELECT text FROM public.growing`)
				}
				if err != nil {
					full = err.Error()
				}
			}
		case 2 * deals / 3:
			f.eventually("Postgres logs that its disk is full", func() bool { return s.logged("No space left on device") })
			if err := os.Remove(rest); err != nil {
				t.Fatal(err)
			}
			s.start()
		}
	})
	f.holds()
	t.Logf("the disk was full: %s", full)
}

// The functions run before the newest migrations are there, which then come while they work.
func TestTheMainFlowSurvivesMigrationsUnderTraffic(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	conn, err := pgx.Connect(t.Context(), db.AdminURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	all, err := migrations.All()
	if err != nil {
		t.Fatal(err)
	}
	const newest = 5
	for _, m := range all[:len(all)-newest] {
		if _, err := conn.Exec(t.Context(), m.SQL); err != nil {
			t.Fatalf("%s: %v", m.Version, err)
		}
	}
	if _, err := migrations.Baseline(t.Context(), conn, all[len(all)-newest-1].Version); err != nil {
		t.Fatal(err)
	}
	f := open(t, urls{db.AppURL, db.WorkerURL, db.AdminURL})
	migrated := make(chan error, 1)
	f.play(func(n int) {
		if n != deals/3 {
			return
		}
		go func() {
			applied, err := migrations.Apply(context.Background(), conn)
			if err == nil && len(applied) != newest {
				err = fmt.Errorf("applied %d migrations, want %d", len(applied), newest)
			}
			migrated <- err
		}()
	})
	if err := <-migrated; err != nil {
		t.Fatal(err)
	}
	f.holds()
}

// server is a Postgres of a test's own, which keeps its promises of durability.
type server struct {
	t       *testing.T
	options cluster.Options
	running *cluster.Cluster
	urls    urls
}

func newServer(t *testing.T, folder string) *server {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "cluster")
	s := &server{t: t, options: cluster.Options{Dir: dir, MaxConnections: 60, Settings: map[string]string{
		"max_wal_size": "64MB", "min_wal_size": "32MB", "shared_buffers": "32MB", "jit": "off",
	}}}
	if strings.HasPrefix(folder, diskPrefix) {
		s.options.Files = folder
	}
	t.Cleanup(func() {
		if s.running != nil {
			_ = s.running.Close()
		}
		if err := cluster.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	s.start()
	conn, err := pgx.Connect(t.Context(), s.running.AdminURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := migrations.Apply(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	as := func(role string) string {
		if _, err := conn.Exec(t.Context(), `ALTER ROLE `+role+` LOGIN PASSWORD 'of-the-test'`); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("postgres://%s:of-the-test@127.0.0.1:%d/postgres?sslmode=disable", role, s.running.Port())
	}
	s.urls = urls{as("gv_app"), as("gv_worker"), s.running.AdminURL()}
	return s
}

// start starts the server, anew where it has ended.
func (s *server) start() {
	s.t.Helper()
	if s.running != nil {
		if err := cluster.Ping(s.t.Context(), s.urls.admin); err == nil {
			return // it came back by itself
		}
		_ = s.running.Close()
	}
	var err error
	if s.running, err = cluster.Start(s.t.Context(), s.options); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) logged(text string) bool {
	log, err := os.ReadFile(filepath.Join(s.running.Home(), "server.log"))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Contains(string(log), text)
}

var diskPrefix = filepath.Join(os.TempDir(), "small-disk-")

// smallDisk mounts a file system of that size, for which a process needs to be root or to
// have sudo without a password. Where neither is, the test fails in CI; on somebody's own
// machine it is left out, in so many words.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	dir, err := os.MkdirTemp(filepath.Dir(diskPrefix), filepath.Base(diskPrefix))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	mount := []string{"mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d,mode=1777", size), "tmpfs", dir}
	said := ""
	for _, sudo := range [][]string{nil, {"sudo", "-n"}} {
		command := append(append([]string{}, sudo...), mount...)
		text, err := exec.Command(command[0], command[1:]...).CombinedOutput() //nolint:gosec // the test's own words
		if err == nil {
			t.Cleanup(func() {
				end := append(append([]string{}, sudo...), "umount", "-l", dir)
				if text, err := exec.Command(end[0], end[1:]...).CombinedOutput(); err != nil { //nolint:gosec // as above
					t.Errorf("umount: %v: %s", err, text)
				}
			})
			return dir
		}
		said += fmt.Sprintf("%s: %v %s\n", strings.Join(command, " "), err, text)
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("THE FULL DISK IS NOT TESTED, for nobody may mount a small one here:\n%s", said)
	}
	t.Skipf("THE FULL DISK IS NOT TESTED, for nobody may mount a small one here:\n%s", said)
	return ""
}

// fill writes a file until the disk has no room left.
func fill(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	piece := make([]byte, 64<<10)
	for {
		if _, err := file.Write(piece); err != nil {
			if !strings.Contains(err.Error(), syscall.ENOSPC.Error()) {
				t.Fatal(err)
			}
			if len(piece) == 1 {
				return
			}
			piece = piece[:max(1, len(piece)/16)]
		}
	}
}
