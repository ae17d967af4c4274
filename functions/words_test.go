package functions

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// retired are the words that no Go file has, in names, comments or texts, for
// each had several private meanings. infra/docs/glossary.md says what to write
// instead. A name of the contract may contain one (total_remembered).
var retired = regexp.MustCompile(`(?i)\b(told|settle[sd]?|settling|unsettled|remember(?:s|ed|ing)?|bury|buried|buries|shelf|shelves|lumps?|unheard|barred)\b|\bso_already\b`)

// retiredNames are functions and types that said too little, whatever package
// they were in: the verb of the trade stands in their place.
var retiredNames = []string{"keep", "hold", "tell", "Tell", "Remember", "Settle", "Settled", "Bury", "Saw", "saw", "Moment", "Took", "Unheard", "Later", "Barred"}

func TestRetiredWordsStandInNoGoFile(t *testing.T) {
	t.Parallel()
	_, all := shape(t)
	for path, p := range all {
		for _, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			if path == "functions" && name == "words_test.go" {
				continue
			}
			raw, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			for i, line := range strings.Split(string(raw), "\n") {
				if word := retired.FindString(line); word != "" {
					t.Errorf("%s/%s:%d: %q is a retired word; infra/docs/glossary.md has the one to use", path, name, i+1, word)
				}
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, raw, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range file.Decls {
				for _, declared := range declaredNames(d) {
					if slices.Contains(retiredNames, declared) {
						t.Errorf("%s/%s: %s says too little; infra/docs/glossary.md has the field's words", path, name, declared)
					}
				}
			}
		}
	}
}

// declaredNames returns the functions, types, constants and variables of a
// declaration at the top of a file.
func declaredNames(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		return []string{d.Name.Name}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				names = append(names, s.Name.Name)
			case *ast.ValueSpec:
				for _, n := range s.Names {
					names = append(names, n.Name)
				}
			}
		}
	}
	return names
}
