package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	// MinMajor is the oldest PostgreSQL that the migrations are written for.
	MinMajor = 15
	// MinVector is the oldest pgvector with iterative index scans, which the
	// search of a large tenant's winners needs.
	MinVector = "0.8.0"
)

// ErrNotInstalled is returned where no usable PostgreSQL is on this machine.
var ErrNotInstalled = errors.New("no PostgreSQL " + strconv.Itoa(MinMajor) + " or newer found")

// Install is one installed PostgreSQL.
type Install struct {
	// Bin is the folder of initdb and postgres.
	Bin   string
	Major int
	// Share is the folder whose extension/ holds the control files.
	Share string
	// Vector is the version of pgvector that is installed for it, or empty.
	Vector string
}

// HasVector says whether pgvector is there and new enough.
func (in Install) HasVector() bool { return AtLeast(in.Vector, MinVector) }

// String names the install for people.
func (in Install) String() string {
	if in.Vector == "" {
		return fmt.Sprintf("PostgreSQL %d in %s, without pgvector", in.Major, in.Bin)
	}
	return fmt.Sprintf("PostgreSQL %d in %s, pgvector %s", in.Major, in.Bin, in.Vector)
}

// Find returns the best install: one with pgvector before one without, then the newest.
func Find() (Install, error) {
	found := Installs()
	if len(found) == 0 {
		return Install{}, ErrNotInstalled
	}
	return found[0], nil
}

// Installs returns every usable PostgreSQL of this machine, the best one first.
func Installs() []Install {
	var found []Install
	seen := map[string]bool{}
	for _, bin := range folders() {
		real, err := filepath.EvalSymlinks(filepath.Join(bin, "postgres"))
		if err != nil || seen[real] {
			continue
		}
		seen[real] = true
		in, ok := inspect(filepath.Dir(real))
		if !ok {
			in, ok = inspect(bin)
		}
		if ok {
			found = append(found, in)
		}
	}
	slices.SortStableFunc(found, func(a, b Install) int {
		if a.HasVector() != b.HasVector() {
			if a.HasVector() {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.Major, a.Major)
	})
	return found
}

// folders lists where the server's programs usually are. Debian and Fedora keep
// them out of PATH, which therefore is only the first place to look.
func folders() []string {
	list := filepath.SplitList(os.Getenv("PATH"))
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
		"/Library/PostgreSQL/*/bin",
		"/opt/local/lib/postgresql*/bin",
		"/usr/local/pgsql/bin",
		"/usr/libexec/postgresql*",
	} {
		match, _ := filepath.Glob(pattern)
		list = append(list, match...)
	}
	return list
}

var version = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

func inspect(bin string) (Install, bool) {
	in := Install{Bin: bin}
	if _, err := os.Stat(filepath.Join(bin, "initdb")); err != nil {
		return in, false
	}
	out, err := exec.Command(filepath.Join(bin, "postgres"), "--version").Output()
	m := version.FindSubmatch(out)
	if err != nil || m == nil {
		return in, false
	}
	in.Major, _ = strconv.Atoi(string(m[1]))
	if in.Major < MinMajor {
		return in, false
	}
	in.Share = shareFolder(bin, in.Major)
	in.Vector = controlVersion(filepath.Join(in.Share, "extension", "vector.control"))
	return in, true
}

func shareFolder(bin string, major int) string {
	if out, err := exec.Command(filepath.Join(bin, "pg_config"), "--sharedir").Output(); err == nil {
		return strings.TrimSpace(string(out))
	}
	// pg_config is in a development package on some systems.
	n := strconv.Itoa(major)
	for _, dir := range []string{
		"/usr/share/postgresql/" + n,
		filepath.Join(bin, "../share/postgresql@"+n),
		filepath.Join(bin, "../share/postgresql"),
		filepath.Join(bin, "../share"),
		"/usr/share/pgsql",
	} {
		if _, err := os.Stat(filepath.Join(dir, "extension", "plpgsql.control")); err == nil {
			return dir
		}
	}
	return ""
}

var defaultVersion = regexp.MustCompile(`(?m)^\s*default_version\s*=\s*'([^']+)'`)

func controlVersion(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	if m := defaultVersion.FindSubmatch(text); m != nil {
		return string(m[1])
	}
	return ""
}

// AtLeast compares dotted versions by their leading numbers; an empty one is older than all.
func AtLeast(have, want string) bool {
	return have != "" && slices.Compare(numbers(have), numbers(want)) >= 0
}

var digits = regexp.MustCompile(`\d+`)

func numbers(v string) []int {
	v, _, _ = strings.Cut(v, "-") // Debian's revision says nothing about features
	var out []int
	for _, d := range digits.FindAllString(v, -1) {
		n, _ := strconv.Atoi(d)
		out = append(out, n)
	}
	return out
}

// installFor returns the install that serves the cluster's data: only the
// major version that made it can.
func installFor(h *home, want Install) (Install, error) {
	major, err := h.major()
	if err != nil {
		return Install{}, err
	}
	if want.Bin != "" && want.Major == major {
		return want, nil
	}
	for _, in := range Installs() {
		if in.Major == major {
			return in, nil
		}
	}
	return Install{}, fmt.Errorf("the data in %s was made by PostgreSQL %d, which is not installed any more: install it, or start over with an empty cluster: %w",
		h.data(), major, fs.ErrNotExist)
}

// major is the version that made the data.
func (h *home) major() (int, error) {
	text, err := os.ReadFile(filepath.Join(h.data(), "PG_VERSION"))
	if err != nil {
		return 0, fmt.Errorf("read version of the data: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("read version of the data: %w", err)
	}
	return major, nil
}

// servedBy says whether the data is what in, if that is given, can serve.
func (h *home) servedBy(in Install) bool {
	major, err := h.major()
	return err == nil && (in.Bin == "" || in.Major == major)
}
