package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// notRun says why a check was left out. The summary shows it; it fails nothing.
type notRun string

func (n notRun) Error() string { return "NOT RUN: " + string(n) }

// browsers are where Chromium is looked for; CHROMIUM names another.
var browsers = []string{"chromium", "chromium-browser", "google-chrome"}

// smoke has a browser go ten steps through the console of a local system of its
// own. Node and Chromium are no part of a Go machine: where one is missing the
// check says so.
func (c *checker) smoke(ctx context.Context) error {
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			return notRun(name + " is not on this machine (https://nodejs.org, 20.19 or newer)")
		}
	}
	if !hasBrowser() {
		return notRun("there is no Chromium: apt-get install chromium, or name one in CHROMIUM")
	}
	web := filepath.Join(c.root, "functions", "console", "web")
	install := c.command(ctx, "npm", "ci", "--no-audit", "--no-fund")
	install.Dir = web
	if out, err := install.CombinedOutput(); err != nil {
		if ctx.Err() == nil && strings.Contains(string(out), "EUSAGE") {
			return fmt.Errorf("npm ci: package-lock.json does not fit package.json:\n%s", out)
		}
		return notRun(fmt.Sprintf("npm ci: %v: %.300s", err, out))
	}
	steps := c.command(ctx, "node", "e2e/run.mjs", "smoke")
	steps.Dir = web
	steps.Stdout, steps.Stderr = c.out, c.out
	return steps.Run()
}

func hasBrowser() bool {
	if named := os.Getenv("CHROMIUM"); named != "" {
		_, err := os.Stat(named)
		return err == nil
	}
	for _, name := range browsers {
		if _, err := exec.LookPath(name); err == nil {
			return true
		}
	}
	return false
}
