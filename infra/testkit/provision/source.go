package provision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/geminivideo/geminivideo/infra/testkit/cluster"
)

// wantVector is the version that is looked for; older ones do where it cannot be had.
const wantVector = "0.8.4"

// newer lists, by distribution, the suites whose source package is tried, and
// the component that has it. "sid" and "devel" are always the newest.
var newer = map[string]struct {
	suites    []string
	component string
}{
	"debian": {[]string{"sid", "trixie"}, "main"},
	"ubuntu": {[]string{"devel", "resolute"}, "universe"},
}

// buildVector builds pgvector for in from the distribution's own source package
// of a newer suite, which apt checks against the distribution's key. apt's own
// lists and sources stay as they are: all of it happens in a scratch folder.
func buildVector(ctx context.Context, log io.Writer, in cluster.Install) error {
	release := osRelease("/etc/os-release")
	id := release["ID"]
	if _, known := newer[id]; !known {
		id = "debian"
		if strings.Contains(release["ID_LIKE"], "ubuntu") {
			id = "ubuntu"
		}
	}
	mirror, err := archive(id, release["VERSION_CODENAME"])
	if err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "pgvector-")
	if err != nil {
		return fmt.Errorf("make scratch folder: %w", err)
	}
	defer os.RemoveAll(scratch)

	tarball, err := newest(ctx, log, scratch, mirror, id)
	if err != nil {
		return err
	}
	if _, err := run(ctx, scratch, "tar", "-xf", tarball); err != nil {
		return err
	}
	folders, _ := filepath.Glob(filepath.Join(scratch, "pgvector-*/Makefile"))
	if len(folders) != 1 {
		return fmt.Errorf("%s is not as expected: %d folders with a Makefile", filepath.Base(tarball), len(folders))
	}
	say(log, "make, make install for PostgreSQL %d", in.Major)
	// OPTFLAGS="": not -march=native, since an image may move to another machine.
	config := []string{"PG_CONFIG=" + filepath.Join(in.Bin, "pg_config"), "with_llvm=no", "OPTFLAGS="}
	if _, err := run(ctx, filepath.Dir(folders[0]), "make", append(config, "-j"+strconv.Itoa(runtime.NumCPU()))...); err != nil {
		return err
	}
	_, err = run(ctx, filepath.Dir(folders[0]), "make", append(config, "install")...)
	return err
}

// newest downloads the source package of the first suite that has a good one.
// A mirror's index and its pool may be out of step, so a suite may fail and the
// next one do.
func newest(ctx context.Context, log io.Writer, scratch string, mirror aptSource, id string) (string, error) {
	var best string
	var errs []error
	for _, suite := range newer[id].suites {
		dir := filepath.Join(scratch, suite)
		tarball, err := download(ctx, log, dir, mirror, suite, newer[id].component)
		if err != nil {
			say(log, "%s does not do, the next one may: %v", suite, firstLine(err))
			errs = append(errs, fmt.Errorf("%s: %w", suite, err))
			continue
		}
		have := versionOf(tarball)
		say(log, "%s: pgvector %s", suite, have)
		if cluster.AtLeast(have, cluster.MinVector) && (best == "" || cluster.AtLeast(have, versionOf(best))) {
			best = tarball
		}
		if cluster.AtLeast(have, wantVector) {
			break
		}
	}
	if best == "" {
		return "", errors.Join(append(errs, errors.New("no suite has a pgvector that does"))...)
	}
	if !cluster.AtLeast(versionOf(best), wantVector) {
		say(log, "taking pgvector %s, the newest that can be had instead of %s", versionOf(best), wantVector)
	}
	return best, nil
}

func download(ctx context.Context, log io.Writer, dir string, mirror aptSource, suite, component string) (string, error) {
	if err := os.MkdirAll(filepath.Join(dir, "lists", "partial"), 0o755); err != nil {
		return "", err
	}
	list := filepath.Join(dir, "sources.list")
	if err := os.WriteFile(list, []byte(mirror.line(suite, component)), 0o644); err != nil {
		return "", err
	}
	own := []string{
		"-q",
		"-o", "Dir::Etc::SourceList=" + list, "-o", "Dir::Etc::SourceParts=-",
		"-o", "Dir::State::Lists=" + filepath.Join(dir, "lists"),
		"-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=",
		"-o", "APT::Sandbox::User=root", // the scratch folder is closed to apt's own user
		"-o", "Acquire::Retries=2",
	}
	say(log, "apt-get update, apt-get source pgvector from %s", suite)
	if _, err := run(ctx, dir, "apt-get", append(own, "update")...); err != nil {
		return "", err
	}
	if _, err := run(ctx, dir, "apt-get", append(own, "source", "--download-only", "pgvector")...); err != nil {
		return "", err
	}
	found, _ := filepath.Glob(filepath.Join(dir, "pgvector_*.orig.tar.*"))
	found = slices.DeleteFunc(found, func(name string) bool { return strings.HasSuffix(name, ".asc") })
	if len(found) != 1 {
		return "", fmt.Errorf("the source package has %d tarballs", len(found))
	}
	return found[0], nil
}

// versionOf reads "0.8.0" out of "pgvector_0.8.0.orig.tar.gz".
func versionOf(tarball string) string {
	_, version, _ := strings.Cut(filepath.Base(tarball), "_")
	version, _, _ = strings.Cut(version, ".orig")
	return version
}

func firstLine(err error) string {
	for line := range strings.Lines(err.Error()) {
		if strings.HasPrefix(line, "E: ") {
			return strings.TrimSpace(line)
		}
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
