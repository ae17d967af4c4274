package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestACheckIsRunByItsNameAndAWrongNameIsSaid(t *testing.T) {
	t.Parallel()
	c := &checker{}
	all, err := c.checks("")
	if err != nil || len(all) < 2 {
		t.Fatalf("%d checks, %v", len(all), err)
	}
	for _, one := range all {
		if found, err := c.checks(one.name); err != nil || len(found) != 1 || found[0].name != one.name {
			t.Errorf("%q: %d checks, %v", one.name, len(found), err)
		}
	}
	if _, err := c.checks("gofmt"); err == nil || !strings.Contains(err.Error(), "the checks are lint, go test -race, ") {
		t.Errorf("a wrong name: %v", err)
	}
}

// A test that infra/testkit/simulation marks is skipped under the race detector: its
// package must be in the list of those that are tested once more without.
func TestEverySimulationIsRunWithoutTheRaceDetector(t *testing.T) {
	t.Parallel()
	var marked []string
	for _, below := range []string{"functions", "infra", "migrations", "shared"} {
		err := filepath.WalkDir(filepath.Join("..", "..", below), func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.Name() == "node_modules" {
				return filepath.SkipDir
			}
			if !strings.HasSuffix(path, "_test.go") {
				return nil
			}
			text, err := os.ReadFile(path)
			if err == nil && bytes.Contains(text, []byte("\tsimulation.Test(t)\n")) {
				rel, _ := filepath.Rel(filepath.Join("..", ".."), filepath.Dir(path))
				marked = append(marked, "./"+filepath.ToSlash(rel))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(marked)
	if marked = slices.Compact(marked); !slices.Equal(marked, simulated) {
		t.Errorf("simulated, in check.go, has %v; marked tests are in %v", simulated, marked)
	}
}
