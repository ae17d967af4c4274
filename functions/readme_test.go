package functions

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// section returns what stands in the README under a heading of the second level.
func section(t *testing.T, heading string) string {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(readme), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("README.md has no section \"## %s\"", heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

func TestTheReadmeListsEveryFunctionAsTheManifestHasIt(t *testing.T) {
	t.Parallel()
	m, _ := shape(t)
	want := "| function | trigger | does |\n|---|---|---|\n"
	for _, f := range m.Functions {
		want += fmt.Sprintf("| `%s` | %s | %s |\n", f.Name, startedBy(f), f.Summary)
	}
	if *printTable {
		fmt.Print(want)
		return
	}
	if !strings.Contains(section(t, "Functions"), want) {
		t.Errorf("README.md, Functions, is not as functions.yaml has it; go test ./functions -run ReadmeListsEveryFunction -v -table prints the table")
	}
}

// startedBy is what starts a function, as the README writes it.
func startedBy(f Function) string {
	switch f.Trigger {
	case PubSub:
		return "Pub/Sub `" + f.Topic + "`"
	case Schedule:
		return "Scheduler `" + f.Schedule + "`"
	}
	var paths []string
	for _, p := range f.Paths {
		if !slices.Contains(paths, p.Pattern) {
			paths = append(paths, p.Pattern)
		}
	}
	slices.Sort(paths)
	public := ""
	if f.Public {
		public = "public "
	}
	return "HTTP " + public + strings.Join(paths, ", ")
}
