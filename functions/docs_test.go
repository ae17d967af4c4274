package functions

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var link = regexp.MustCompile(`\]\(([^)#]+)\)`)

// TestDocumentsPointToWhatIsThere follows the relative links of every document,
// and looks for every test that a document names.
func TestDocumentsPointToWhatIsThere(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("git", "-C", "..", "ls-files", "*.md").Output()
	if err != nil {
		t.Logf("not a git checkout: %v", err)
		return
	}
	tests := namedTests(t)
	for name := range strings.Lines(string(out)) {
		path := filepath.Join("..", strings.TrimSpace(name))
		raw, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue // deleted and not yet committed
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(raw), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", strings.TrimSpace(name), m[1])
			}
		}
		for _, test := range testName.FindAllString(string(raw), -1) {
			if !tests[test] && test != "TestName" {
				t.Errorf("%s names %s: there is no such test", strings.TrimSpace(name), test)
			}
		}
	}
}

var testName = regexp.MustCompile(`\bTest[A-Z][A-Za-z0-9]{5,}\b`)

// namedTests returns the names of all tests of the module.
func namedTests(t *testing.T) map[string]bool {
	t.Helper()
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	_, all := shape(t)
	names := map[string]bool{}
	for _, p := range all {
		for _, file := range append(append([]string{}, p.TestGoFiles...), p.XTestGoFiles...) {
			raw, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range declared.FindAllStringSubmatch(string(raw), -1) {
				names[m[1]] = true
			}
		}
	}
	return names
}
