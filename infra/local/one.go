package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"

	"github.com/geminivideo/geminivideo/functions"
)

// settingsFile is where a running system leaves what its functions were given.
const settingsFile = "settings"

// onlyLocal are the names that functions read and no deployment sets.
var onlyLocal = []string{"SECRETS_ENDPOINT", "FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "WEBHOOK_ALLOW_LOCAL"}

// serveOne serves one function by the Functions Framework alone. Functions register
// by FUNCTION_TARGET while the program starts, so it starts itself anew with that
// set, and with no setting but those that the manifest names for the function.
func serveOne(o options, log io.Writer) error {
	manifest, err := functions.Load()
	if err != nil {
		return err
	}
	f, ok := manifest.Get(o.function)
	if !ok {
		return fmt.Errorf("-function: functions.yaml has no function %q", o.function)
	}
	host, port, err := net.SplitHostPort(o.addr)
	if err != nil {
		return fmt.Errorf("-addr %s: %w", o.addr, err)
	}
	if os.Getenv("FUNCTION_TARGET") == f.Name {
		fmt.Fprintf(log, "local: %s answers at http://%s\n", f.Name, net.JoinHostPort(cmp.Or(host, "127.0.0.1"), port))
		return funcframework.StartHostPort(host, port)
	}
	given, err := readSettings(filepath.Join(o.dir, settingsFile))
	if err != nil {
		return err
	}
	if given == nil {
		fmt.Fprintf(log, "local: no system has run with its data in %s: settings come from the environment alone\n", o.dir)
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	env := cloudRun(f, port, func(name string) string { return cmp.Or(os.Getenv(name), given[name]) })
	for _, name := range slices.Concat(onlyLocal, processNames) {
		if value := cmp.Or(os.Getenv(name), given[name]); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return syscall.Exec(program, os.Args, env)
}

// processNames are what a program on a developer's machine needs of its environment:
// where Google's own libraries find credentials, and where temporary files go.
var processNames = []string{"HOME", "PATH", "TMPDIR", "GOOGLE_APPLICATION_CREDENTIALS", "GV_LOCAL_TEST"}

// cloudRun is the environment of a function on Cloud Run: what the platform sets, and
// of the deployment's values only those that the manifest names for the function.
func cloudRun(f functions.Function, port string, value func(name string) string) []string {
	env := []string{
		"FUNCTION_TARGET=" + f.Name, "K_SERVICE=" + f.Name, "PORT=" + port,
		"CLOUD_RUN_TIMEOUT_SECONDS=" + strconv.Itoa(int(f.Timeout.Seconds())),
	}
	for _, name := range slices.Concat(f.Secrets, f.OptionalSecrets, f.Settings) {
		if v := value(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// readSettings reads a file of NAME='value' lines; nil where there is none.
func readSettings(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(name, "#") {
			found[name] = strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(value, "'"), "'"), `'\''`, `'`)
		}
	}
	return found, nil
}
