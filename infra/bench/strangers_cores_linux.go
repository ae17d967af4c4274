package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// cores are the processors that a measured function has for itself, and those of all else:
// its callers, its database and this program.
type cores struct{ own, others *unix.CPUSet }

// setApart gives a function's processes the first n of the processors that there are, and
// this process, and what it starts from now on, the rest. Where none would be left, all
// share all, and it reports false.
func setApart(n int) (cores, bool, error) {
	var all, own, others unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return cores{}, false, fmt.Errorf("ask for the processors: %w", err)
	}
	if all.Count() <= n {
		return cores{}, false, nil
	}
	for cpu, left := 0, n; own.Count()+others.Count() < all.Count(); cpu++ {
		switch {
		case !all.IsSet(cpu):
		case left > 0:
			own.Set(cpu)
			left--
		default:
			others.Set(cpu)
		}
	}
	for range 2 { // a thread that began meanwhile
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return cores{}, false, err
		}
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil {
				return cores{}, false, err
			}
			if err := unix.SchedSetaffinity(id, &others); err != nil && err != unix.ESRCH {
				return cores{}, false, fmt.Errorf("choose the processors of a thread: %w", err)
			}
		}
	}
	return cores{&own, &others}, true, nil
}

// start starts cmd on its own processors.
func (c cores) start(cmd *exec.Cmd) error {
	if c.own == nil {
		return cmd.Start()
	}
	// A process begins with the processors of the thread that starts it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.SchedSetaffinity(0, c.own); err != nil {
		return fmt.Errorf("choose the processors of a function: %w", err)
	}
	started := cmd.Start()
	if err := unix.SchedSetaffinity(0, c.others); err != nil {
		return fmt.Errorf("choose the processors of a thread: %w", err)
	}
	return started
}
