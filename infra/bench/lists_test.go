package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// declared returns the names that begin with prefix and are declared in a folder's tests.
func declared(t *testing.T, folder, prefix string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`(?m)^func (`+prefix+`\w+)\(`).FindAllStringSubmatch(string(text), -1) {
			names[found[1]] = true
		}
	}
	return names
}

func TestEachFaultHasATestAndEachParserATarget(t *testing.T) {
	t.Parallel()
	kinds := map[string]bool{}
	for _, f := range faultKinds {
		if !declared(t, f.folder, "Test")[f.test] {
			t.Errorf("%s: %s has no test %s", f.kind, f.folder, f.test)
		}
		if kinds[f.kind] {
			t.Errorf("%s stands there twice", f.kind)
		}
		kinds[f.kind] = true
	}
	listed := map[string]bool{}
	for _, f := range fuzzTargets {
		if !declared(t, f.folder, "Fuzz")[f.name] {
			t.Errorf("%s has no target %s", f.folder, f.name)
		}
		listed[f.folder+f.name] = true
	}
	// A target of a package whose parsers strangers reach is run with the others.
	for _, f := range fuzzTargets {
		for name := range declared(t, f.folder, "Fuzz") {
			if !listed[f.folder+name] {
				t.Errorf("%s of %s is not run: add it to fuzzTargets", name, strings.TrimPrefix(f.folder, "./"))
			}
		}
	}
}
