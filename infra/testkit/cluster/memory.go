package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Memory returns a folder in memory for the cluster's files where there is
// plenty of it, else "": a clone then takes a fifth of the time, whatever the disk has to do.
func Memory() string {
	const shm, plenty = "/dev/shm", 2 << 30
	var room unix.Statfs_t
	if runtime.GOOS != "linux" || unix.Statfs(shm, &room) != nil || room.Bavail*uint64(room.Bsize) < plenty {
		return ""
	}
	dir, err := OwnDir(shm, "geminivideo-pgtest-files", 0o711)
	if err != nil {
		return ""
	}
	return dir
}

// OwnDir makes a folder of this user alone in a folder that is everybody's:
// what another user put there is not followed.
func OwnDir(parent, name string, mode fs.FileMode) (string, error) {
	dir := filepath.Join(parent, fmt.Sprintf("%s-%d", name, os.Geteuid()))
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("make folder of the test cluster: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("look at folder of the test cluster: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(st.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return "", fmt.Errorf("%s is not a folder of this user alone: remove it or set TMPDIR", dir)
	}
	return dir, os.Chmod(dir, mode) // whatever the umask
}
