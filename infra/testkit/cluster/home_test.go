package cluster

import (
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

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
	c := start(t, dir, durable)
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
	c := start(t, old, durable)
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
	c = start(t, moved, durable)
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
		if c := start(t, dir, durable); !strings.HasSuffix(c.Home(), "data/postgres") {
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
