//go:build !linux

package main

import "os/exec"

// cores are all processors: only on Linux can a process be kept to some.
type cores struct{}

func setApart(int) (cores, bool, error) { return cores{}, false, nil }

func (cores) start(cmd *exec.Cmd) error { return cmd.Start() }
