package provision

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/geminivideo/geminivideo/infra/testkit/cluster"
)

// fakeDocker behaves like docker with an engine for what we ask of it. Its
// container is this test binary, which answers as a Postgres that anybody may enter.
const fakeDocker = `
echo "$@" >> "$FAKE/calls"
case "$1" in
version) [ -e "$FAKE/no-engine" ] && { echo "Cannot connect to the Docker daemon" >&2; exit 1; }; echo 27.0.1 ;;
ps) cat "$FAKE/container" 2>/dev/null ;;
volume)
	case "$2" in
	create) for name; do :; done; echo "$name" > "$FAKE/volume" ;;
	ls) cat "$FAKE/volume" 2>/dev/null ;;
	rm) rm "$FAKE/volume" ;;
	esac ;;
run)
	[ -e "$FAKE/port-taken" ] && { rm "$FAKE/port-taken"; echo "Bind failed: port is already allocated" >&2; exit 125; }
	port=""
	for a; do case "$a" in 127.0.0.1:*:5432) port=${a#*:}; port=${port%%:*} ;; esac; done
	printf %s "$POSTGRES_PASSWORD" > "$FAKE/password"
	echo c0ffee > "$FAKE/container"
	[ -e "$FAKE/dies" ] || FAKE_POSTGRES=$port "$SELF" > /dev/null 2>&1 < /dev/null & ;;
inspect) [ -e "$FAKE/dies" ] && echo false || echo true ;;
stop | rm) rm -f "$FAKE/container" ;;
logs) echo "FATAL: the image's last words" ;;
wait) while [ -e "$FAKE/container" ]; do sleep 0.05; done; echo 0 ;;
esac
exit 0
`

func TestMain(m *testing.M) {
	if port := os.Getenv("FAKE_POSTGRES"); port != "" {
		fakePostgres(port)
	}
	os.Exit(m.Run())
}

// fakePostgres lets everybody in until its container is gone.
func fakePostgres(port string) {
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		os.Exit(1)
	}
	go func() {
		for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(20 * time.Millisecond) {
			if _, err := os.Stat(filepath.Join(os.Getenv("FAKE"), "container")); err != nil {
				break
			}
		}
		os.Exit(0)
	}()
	for {
		conn, err := l.Accept()
		if err != nil {
			os.Exit(1)
		}
		go func() {
			defer conn.Close()
			server := pgproto3.NewBackend(conn, conn)
			if _, err := server.ReceiveStartupMessage(); err != nil {
				return
			}
			server.Send(&pgproto3.AuthenticationOk{})
			server.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
			_ = server.Flush()
			_, _ = server.Receive() // the client's goodbye
		}()
	}
}

func dockerHere(t *testing.T) (fake string) {
	t.Helper()
	fake = t.TempDir()
	programs := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("FAKE", fake)
	t.Setenv("SELF", self)
	t.Setenv("PATH", programs+":"+os.Getenv("PATH"))
	program(t, programs, "docker", fakeDocker)
	return fake
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

func startDocker(t *testing.T, o cluster.Options) *container {
	t.Helper()
	s, err := docker{}.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.(*container)
}

func TestADockerServerKeepsItsVolumeAndAddressOverStarts(t *testing.T) {
	fake, dir := dockerHere(t), t.TempDir()
	first := startDocker(t, cluster.Options{Dir: dir, MaxConnections: 77})
	url := first.AdminURL()
	password, _ := os.ReadFile(filepath.Join(fake, "password"))
	if !strings.Contains(url, ":"+string(password)+"@127.0.0.1:") {
		t.Errorf("the container's password is not the one of %s", url)
	}
	calls, _ := os.ReadFile(filepath.Join(fake, "calls"))
	if strings.Contains(string(calls), string(password)) {
		t.Error("the password is on a command line")
	}
	if !strings.Contains(string(calls), "max_connections=77") || !strings.Contains(string(calls), "--publish 127.0.0.1:") {
		t.Errorf("docker was asked:\n%s", calls)
	}
	if _, err := (docker{}).Start(t.Context(), cluster.Options{Dir: dir}); !errors.Is(err, cluster.ErrInUse) {
		t.Errorf("a second one: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-first.Done():
	case <-time.After(10 * time.Second):
		t.Error("its end was not noticed")
	}
	// As after a kill: a container that nobody owns is in the way.
	touch(t, filepath.Join(fake, "container"))
	if second := startDocker(t, cluster.Options{Dir: dir}); second.AdminURL() != url {
		t.Errorf("the address became %s, was %s", second.AdminURL(), url)
	}
}

func TestAPortThatDockerCannotHaveIsReplaced(t *testing.T) {
	fake, dir := dockerHere(t), t.TempDir()
	touch(t, filepath.Join(fake, "port-taken"))
	c := startDocker(t, cluster.Options{Dir: dir})
	calls, _ := os.ReadFile(filepath.Join(fake, "calls"))
	if strings.Count(string(calls), "\nrun ") != 2 {
		t.Errorf("docker was asked:\n%s", calls)
	}
	if kept, _ := os.ReadFile(c.file()); !strings.Contains(string(kept), strings.Split(c.AdminURL(), ":")[3][:5]) {
		t.Errorf("%s is not in %s", c.AdminURL(), kept)
	}
}

func TestFreshRemovesTheVolume(t *testing.T) {
	fake, dir := dockerHere(t), t.TempDir()
	if err := startDocker(t, cluster.Options{Dir: dir}).Close(); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(filepath.Join(fake, "volume"))
	startDocker(t, cluster.Options{Dir: dir, Fresh: true}).Close()
	after, _ := os.ReadFile(filepath.Join(fake, "volume"))
	if len(after) == 0 || string(after) == string(before) {
		t.Errorf("the volume was %s and is %s", before, after)
	}
	if err := (docker{}).Remove(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(fake, "volume")); err == nil {
		t.Error("the volume is still there")
	}
}

func TestAContainerThatDiesIsExplainedByItsLog(t *testing.T) {
	fake := dockerHere(t)
	touch(t, filepath.Join(fake, "dies"))
	_, err := docker{}.Start(t.Context(), cluster.Options{Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "the image's last words") {
		t.Errorf("error is %v", err)
	}
	if _, err := os.Stat(filepath.Join(fake, "container")); err == nil {
		t.Error("its container is still there")
	}
}

func TestAnEngineThatDoesNotAnswerIsNone(t *testing.T) {
	fake := dockerHere(t)
	if got, err := dockerEngine(t.Context()); err != nil || got != "27.0.1" {
		t.Errorf("engine is %q, %v", got, err)
	}
	touch(t, filepath.Join(fake, "no-engine"))
	if got, err := dockerEngine(t.Context()); err == nil {
		t.Errorf("engine is %q", got)
	}
}
