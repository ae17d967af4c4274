package main

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/functions"
)

// clone copies the repository's own files, as they are here, to a folder that the test
// may change.
func clone(t *testing.T) string {
	t.Helper()
	root, err := repository(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, part := range []string{"go.mod", "go.sum", "functions", "shared", "migrations", "infra"} {
		if out, err := exec.Command("cp", "-r", filepath.Join(root, part), dir).CombinedOutput(); err != nil {
			t.Fatalf("copy %s: %v %s", part, err, out)
		}
	}
	return dir
}

func edit(t *testing.T, path string, change func(string) string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	after := change(string(text))
	if after == string(text) {
		t.Fatalf("%s is as before", path)
	}
	if err := os.WriteFile(path, []byte(after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// fatigue and sweep use shared/fatigue; privacy does not.
var packed = []string{"fatigue", "sweep", "privacy"}

func hashes(t *testing.T, root string) map[string]string {
	t.Helper()
	m, err := functions.Load()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, name := range packed {
		f, _ := m.Get(name)
		a, err := pack(t.Context(), root, f, filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = a.hash
	}
	return all
}

// changed lists the functions whose hashes differ.
func changed(before, after map[string]string) string {
	var all []string
	for _, name := range packed {
		if before[name] != after[name] {
			all = append(all, name)
		}
	}
	return strings.Join(all, " ")
}

func TestAnArchiveChangesOnlyWithWhatItsFunctionLinks(t *testing.T) {
	t.Parallel()
	root := clone(t)
	before := hashes(t, root)
	comment := func(text string) string { return text + "\n// One line more.\n" }

	edit(t, filepath.Join(root, "functions/privacy/privacy.go"), comment)
	edit(t, filepath.Join(root, "infra/local/main.go"), comment)
	edit(t, filepath.Join(root, "shared/fatigue/property_test.go"), comment)
	// A requirement that none of these links comes, as another function would bring it,
	// and one that tests alone have goes.
	edit(t, filepath.Join(root, "go.mod"), func(text string) string {
		var kept []string
		for line := range strings.Lines(text) {
			if !strings.Contains(line, "hashicorp/hcl") && !strings.Contains(line, "zclconf/go-cty") {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, "") + "\nrequire golang.org/x/tools v0.51.0 // indirect\n"
	})
	after := hashes(t, root)
	if got := changed(before, after); got != "privacy" {
		t.Errorf("a line in one function changed the archives of %q", got)
	}
	edit(t, filepath.Join(root, "shared/fatigue/fatigue.go"), comment)
	if got := changed(after, hashes(t, root)); got != "fatigue sweep" {
		t.Errorf("a line in shared/fatigue changed the archives of %q", got)
	}
}

func TestAnArchiveNamesOnlyTheRequirementsOfItsFunction(t *testing.T) {
	t.Parallel()
	root, err := repository(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m, err := functions.Load()
	if err != nil {
		t.Fatal(err)
	}
	for name, wants := range map[string]bool{"schedules": true, "privacy": false} {
		f, _ := m.Get(name)
		a, err := pack(t.Context(), root, f, filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		unpacked, err := zip.NewReader(bytes.NewReader(a.zip), int64(len(a.zip)))
		if err != nil {
			t.Fatal(err)
		}
		mod, err := unpacked.Open("go.mod")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(mod)
		if err != nil {
			t.Fatal(err)
		}
		if has := strings.Contains(string(text), "cloud.google.com/go/scheduler "); has != wants || strings.Contains(string(text), "hashicorp") {
			t.Errorf("%s requires the client of Cloud Scheduler: %t\n%s", name, has, text)
		}
	}
}
