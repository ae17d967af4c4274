package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
)

func TestOneFunctionServesTheDataOfARunningSystem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	system := launch(t, "-addr", anyPort, "-db", pgtest.Empty(t).AdminURL, "-data", dir, "-demo=false").ready(dir)
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	one := launch(t, "-function", "campaigns", "-addr", "127.0.0.1:"+port, "-data", dir)
	one.url, one.env = "http://127.0.0.1:"+port, system.env
	ended := make(chan error, 1)
	go func() { <-one.done; ended <- one.err }()
	if status, body, err := health(t.Context(), one.url+"/health", ended); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s %v\n%s", status, body, err, one.output())
	}
	one.want(http.StatusOK, "GET", "/api/campaigns", "TOKEN", "")
	one.want(http.StatusUnauthorized, "GET", "/api/campaigns", "", "")
	one.want(http.StatusNotFound, "GET", "/api/me", "TOKEN", "") // another function's
	if code := one.end(syscall.SIGTERM); code != 0 {
		t.Errorf("after SIGTERM it ended with %d\n%s", code, one.output())
	}
	if info, err := os.Stat(filepath.Join(dir, settingsFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file of settings: %v, %v", info, err)
	}
}

func TestAWrongNameOfAFunctionIsSaid(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		`functions.yaml has no function "allocator"`: {"-function", "allocator"},
		"only -addr and -data go with it":            {"-function", "allocate", "-fresh"},
	} {
		var log bytes.Buffer
		if code := run(context.Background(), args, io.Discard, &log); code == 0 || !strings.Contains(log.String(), want) {
			t.Errorf("%v: %d %s", args, code, fmt.Sprint(&log))
		}
	}
}
