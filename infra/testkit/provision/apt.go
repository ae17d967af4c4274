package provision

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/cluster"
)

const (
	stateDir = "/var/lib/geminivideo"
	// aptWait bounds one step, and the wait for another process's installation.
	aptWait = 10 * time.Minute
)

func hasApt() bool {
	_, err := exec.LookPath("apt-get")
	release := osRelease("/etc/os-release")
	return err == nil && strings.Contains(" "+release["ID"]+" "+release["ID_LIKE"]+" ", " debian ") ||
		err == nil && release["ID"] == "ubuntu"
}

// aptInstall installs what is missing, one process at a time.
func aptInstall(ctx context.Context, log io.Writer) (cluster.Install, error) {
	none := cluster.Install{}
	if err := os.MkdirAll(stateDir, 0o755); err != nil {
		return none, fmt.Errorf("make %s: %w", stateDir, err)
	}
	lock, err := cluster.Lock(filepath.Join(stateDir, "provision.lock"), 0)
	if errors.Is(err, cluster.ErrInUse) {
		say(log, "waiting: %v", err)
		lock, err = cluster.Lock(filepath.Join(stateDir, "provision.lock"), aptWait)
	}
	if err != nil {
		return none, err
	}
	defer lock.Close()
	in, absent := cluster.Find()
	if absent == nil && in.HasVector() {
		return in, nil // the other process has done it
	}

	say(log, "apt-get update")
	if err := apt(ctx, "update"); err != nil {
		// One broken repository of many is no reason to stop: what is needed may be known already.
		say(log, "apt-get update: %v", err)
	}
	if absent != nil {
		if in, err = installPostgres(ctx, log); err != nil || in.HasVector() {
			return in, err
		}
	}
	return installVector(ctx, log, in)
}

func installPostgres(ctx context.Context, log io.Writer) (cluster.Install, error) {
	say(log, "apt-get install postgresql")
	if err := apt(ctx, "install", "--no-install-recommends", "postgresql"); err != nil {
		return cluster.Install{}, fmt.Errorf("install PostgreSQL: %w", err)
	}
	in, err := cluster.Find()
	if err != nil {
		return in, fmt.Errorf("the distribution's PostgreSQL does not do: %w", err)
	}
	return in, nil
}

// installVector takes pgvector from the distribution, or builds it where the
// distribution has none or one that is too old.
func installVector(ctx context.Context, log io.Writer, in cluster.Install) (cluster.Install, error) {
	packaged := strings.HasPrefix(in.Bin, "/usr/lib/postgresql/")
	if name := fmt.Sprintf("postgresql-%d-pgvector", in.Major); packaged {
		offered := candidate(ctx, name)
		switch {
		case cluster.AtLeast(offered, cluster.MinVector):
			say(log, "apt-get install %s (%s)", name, offered)
			if err := apt(ctx, "install", "--no-install-recommends", name); err != nil {
				return in, fmt.Errorf("install pgvector: %w", err)
			}
			return verify(log, in)
		case offered == "":
			say(log, "the distribution has no %s: building pgvector from source", name)
		default:
			say(log, "%s is %s, %s is needed: building pgvector from source", name, offered, cluster.MinVector)
		}
	}
	tools := []string{"install", "--no-install-recommends", "make", "gcc", "libc6-dev"}
	if packaged {
		tools = append(tools, "postgresql-server-dev-"+strconv.Itoa(in.Major))
	}
	say(log, "apt-get %s", strings.Join(tools, " "))
	if err := apt(ctx, tools...); err != nil {
		return in, fmt.Errorf("install build tools: %w", err)
	}
	if err := buildVector(ctx, log, in); err != nil {
		return in, fmt.Errorf("build pgvector: %w", err)
	}
	return verify(log, in)
}

// verify finds what was just installed.
func verify(log io.Writer, in cluster.Install) (cluster.Install, error) {
	for _, now := range cluster.Installs() {
		if now.Bin == in.Bin && now.HasVector() {
			say(log, "ready: %s", now)
			return now, nil
		}
	}
	return in, fmt.Errorf("pgvector was installed, but %s does not have it", in.Bin)
}

// candidate is the version that apt would install, empty if it knows none.
func candidate(ctx context.Context, name string) string {
	out, err := run(ctx, "", "apt-cache", "policy", name)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(out) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "Candidate:"); ok {
			if v = strings.TrimSpace(v); v != "(none)" {
				return v
			}
		}
	}
	return ""
}

// apt runs apt-get without questions, waiting for others who use it. Its own
// timeout covers the packages' lock, not the lists'.
func apt(ctx context.Context, args ...string) error {
	args = append([]string{"-y", "-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"}, args...)
	for try := 0; ; try++ {
		out, err := run(ctx, "", "apt-get", args...)
		if err == nil || try == 60 || !strings.Contains(out, "Could not get lock") {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Second):
		}
	}
}

// run runs a program to its end and returns what it printed; the error has the last lines.
func run(ctx context.Context, dir, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, aptWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_MODE=l", "LC_ALL=C")
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
		err = fmt.Errorf("%s: %w\n%s", name, err, bytes.Join(lines[max(0, len(lines)-8):], []byte("\n")))
	}
	return string(out), err
}

// osRelease reads the file that names the distribution.
func osRelease(path string) map[string]string {
	values := map[string]string{}
	f, err := os.Open(path)
	if err != nil {
		return values
	}
	defer f.Close()
	for scan := bufio.NewScanner(f); scan.Scan(); {
		if name, value, ok := strings.Cut(scan.Text(), "="); ok {
			values[name] = strings.Trim(value, `"'`)
		}
	}
	return values
}
