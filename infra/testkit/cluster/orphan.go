package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// How long a server may take for each way of being stopped. Fast shutdown
// (SIGINT) writes a checkpoint; immediate (SIGQUIT) leaves recovery to the next start.
const (
	fastStop      = 30 * time.Second
	immediateStop = 10 * time.Second
	killStop      = 5 * time.Second
)

// clearOrphans ends whatever still runs in the data folder from a process that
// was killed, and removes a stale postmaster.pid whose number by now belongs to
// some other process. It reports whether the last server ended cleanly.
func clearOrphans(data string) (clean bool, err error) {
	pid, err := postmaster(data)
	if err != nil {
		return false, err
	}
	running := func() []int { return serversOf(data, pid) }
	if pids := running(); len(pids) > 0 {
		if slices.Contains(pids, pid) {
			signal([]int{pid}, syscall.SIGINT)
		}
		// Without its postmaster a backend ends by itself; one that does not is asked.
		if !gone(running, fastStop) {
			signal(running(), syscall.SIGQUIT)
			if !gone(running, immediateStop) {
				signal(running(), syscall.SIGKILL)
				if !gone(running, killStop) {
					return false, fmt.Errorf("processes %v of an earlier start in %s do not end", running(), data)
				}
			}
		}
	}
	lockFile := filepath.Join(data, "postmaster.pid")
	if _, err := os.Stat(lockFile); errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	// Left alone, PostgreSQL would take a reused number for a living postmaster.
	// Where /proc has shown that nobody is in the folder, the file says nothing
	// more; elsewhere only a number that is in use by something else is cleared.
	if runtime.GOOS == "linux" || alive(pid) {
		// a postmaster that was ending may have removed it meanwhile
		if err := os.Remove(lockFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("remove stale postmaster.pid: %w", err)
		}
	}
	return false, nil
}

// postmaster reads the pid of the data folder's lock file, 0 where there is none.
func postmaster(data string) (int, error) {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read postmaster.pid: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || pid < 2 {
		return 0, nil // torn by a crash of the machine
	}
	return pid, nil
}

// serversOf lists the PostgreSQL processes that work in the data folder. On
// Linux that is known for certain, since every one of them has it as its
// working folder and a zombie has none; elsewhere the postmaster's command line
// is asked.
func serversOf(data string, pid int) []int {
	if runtime.GOOS != "linux" {
		if pid == 0 {
			return nil
		}
		out, err := exec.Command("ps", "-o", "state=,command=", "-p", strconv.Itoa(pid)).Output()
		if err == nil && !bytes.HasPrefix(bytes.TrimSpace(out), []byte("Z")) && bytes.Contains(out, []byte(data)) {
			return []int{pid}
		}
		return nil
	}
	real, err := filepath.EvalSymlinks(data)
	if err != nil {
		real = data
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if cwd, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd")); err != nil || cwd != real {
			continue
		}
		comm, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "comm"))
		if bytes.HasPrefix(comm, []byte("postgres")) {
			pids = append(pids, n)
		}
	}
	return pids
}

func signal(pids []int, s syscall.Signal) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, s) // gone already is what we want
	}
}

func alive(pid int) bool {
	if pid == 0 {
		return false
	}
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

func gone(running func() []int, within time.Duration) bool {
	deadline := time.Now().Add(within)
	for len(running()) > 0 {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(50 * time.Millisecond)
	}
	return true
}
