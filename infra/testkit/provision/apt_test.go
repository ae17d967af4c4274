package provision

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/infra/testkit/cluster"
)

// program puts a shell script on PATH, before or instead of what is there.
func program(t *testing.T, dir, name, script string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
}

// fakeApt answers as apt does, from folders of suites, and keeps what it was asked.
const fakeApt = `
echo "$@" >> "$FAKE/calls"
list=""
for a; do case "$a" in Dir::Etc::SourceList=*) list=${a#*=} ;; esac; done
case "$*" in
*"source --download-only pgvector") ;;
*) exit 0 ;;
esac
suite=$(awk '{ print $(NF-1) }' "$list")
ls "$FAKE/$suite"/pgvector_* > /dev/null 2>&1 || { echo "E: Failed to fetch pgvector  404  Not Found"; exit 100; }
cp "$FAKE/$suite"/pgvector_* .
`

func TestTheNewestGoodSourceIsTaken(t *testing.T) {
	for name, c := range map[string]struct {
		sid, trixie, want string
		calls             int // of apt-get update
	}{
		"the newest suite does":                  {"0.8.7", "0.8.0", "0.8.7", 1},
		"the newest suite's files are not there": {"", "0.8.0", "0.8.0", 2},
		"both are old, the better one is taken":  {"0.8.2", "0.8.0", "0.8.2", 2},
		"none is new enough":                     {"0.7.4", "", "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			fake, programs := t.TempDir(), t.TempDir()
			t.Setenv("FAKE", fake)
			t.Setenv("PATH", programs+":"+os.Getenv("PATH"))
			program(t, programs, "apt-get", fakeApt)
			for suite, version := range map[string]string{"sid": c.sid, "trixie": c.trixie} {
				if version == "" {
					continue
				}
				dir := filepath.Join(fake, suite)
				if err := os.Mkdir(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				for _, file := range []string{"pgvector_" + version + ".orig.tar.gz", "pgvector_" + version + ".orig.tar.gz.asc", "pgvector_" + version + "-1.dsc"} {
					if err := os.WriteFile(filepath.Join(dir, file), nil, 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			mirror := aptSource{URIs: []string{"http://mirror.example/debian"}}
			var log strings.Builder
			tarball, err := newest(t.Context(), &log, t.TempDir(), mirror, "debian")
			if c.want == "" {
				if err == nil {
					t.Errorf("took %s", tarball)
				}
			} else if err != nil || versionOf(tarball) != c.want {
				t.Errorf("took %q, %v; want %s\n%s", tarball, err, c.want, log.String())
			}
			calls, err := os.ReadFile(filepath.Join(fake, "calls"))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Count(string(calls), " update\n"); got != c.calls {
				t.Errorf("%d updates, want %d", got, c.calls)
			}
			for line := range strings.Lines(string(calls)) {
				if !strings.Contains(line, "Dir::State::Lists=") || !strings.Contains(line, "Dir::Etc::SourceParts=-") {
					t.Errorf("the machine's own apt is touched: %s", line)
				}
			}
		})
	}
}

func TestAptIsTriedAgainWhileAnotherHoldsItsLock(t *testing.T) {
	fake, programs := t.TempDir(), t.TempDir()
	t.Setenv("FAKE", fake)
	t.Setenv("PATH", programs+":"+os.Getenv("PATH"))
	program(t, programs, "apt-get", `
if [ ! -e "$FAKE/second" ]; then : > "$FAKE/second"; echo "E: Could not get lock /var/lib/apt/lists/lock"; exit 100; fi
echo "$DEBIAN_FRONTEND" "$@" > "$FAKE/calls"`)
	if err := apt(t.Context(), "update"); err != nil {
		t.Fatal(err)
	}
	calls, _ := os.ReadFile(filepath.Join(fake, "calls"))
	if !strings.HasPrefix(string(calls), "noninteractive -y ") {
		t.Errorf("apt-get was asked %q", calls)
	}
	program(t, programs, "apt-get", "echo 'E: Unable to locate package x'; exit 100")
	if err := apt(t.Context(), "install", "x"); err == nil || !strings.Contains(err.Error(), "Unable to locate package x") {
		t.Errorf("error is %v", err)
	}
}

func TestTheErrorSaysWhatToInstall(t *testing.T) {
	t.Parallel()
	text := missing([]cluster.Install{{Bin: "/opt/pg/bin", Major: 16, Vector: "0.6.0"}}).Error()
	for _, want := range []string{"PostgreSQL 16 in /opt/pg/bin, pgvector 0.6.0", "apt-get install", "dnf install", "brew install", "Docker", "-db"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
}
