package functions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/geminivideo/geminivideo"

// goPackage is what `go list -json` says of a package of this module.
type goPackage struct {
	ImportPath, Dir                    string
	GoFiles, TestGoFiles, XTestGoFiles []string
	Imports, TestImports, XTestImports []string
	Deps                               []string
}

// name is the package's path below the module.
func (p goPackage) name() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

var packages = sync.OnceValues(func() (map[string]goPackage, error) {
	// What go list reads, the test cache does not see: reading each folder here makes
	// a cached result stale when any file of the module changes.
	err := filepath.WalkDir("..", func(path string, entry os.DirEntry, err error) error {
		if entry != nil && entry.IsDir() && path != ".." && (entry.Name() == "node_modules" || strings.HasPrefix(entry.Name(), ".")) {
			return filepath.SkipDir
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,TestGoFiles,XTestGoFiles,Imports,TestImports,XTestImports,Deps", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if refused := (*exec.ExitError)(nil); errors.As(err, &refused) {
		return nil, fmt.Errorf("go list: %w: %s", err, bytes.TrimSpace(refused.Stderr))
	}
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	all := map[string]goPackage{}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all[p.name()] = p
	}
})

// shape returns the manifest and the module's packages.
func shape(t *testing.T) (*Manifest, map[string]goPackage) {
	t.Helper()
	m, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	all, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	return m, all
}

// parsed returns the syntax trees of a package's own files, without its tests.
func parsed(t *testing.T, p goPackage) []*ast.File {
	t.Helper()
	var files []*ast.File
	for _, name := range p.GoFiles {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

func TestEveryFolderIsAnEntryAndEveryEntryAFolder(t *testing.T) {
	t.Parallel()
	m, all := shape(t)
	for _, f := range m.Functions {
		if _, ok := all["functions/"+f.Name]; !ok {
			t.Errorf("functions.yaml:%d: there is no package functions/%s", f.line, f.Name)
		}
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := m.Get(e.Name()); e.IsDir() && !ok {
			t.Errorf("the folder functions/%s has no entry in functions.yaml", e.Name())
		}
	}
}

func TestAFunctionRegistersItsOwnNameWithItsTriggersKind(t *testing.T) {
	t.Parallel()
	m, all := shape(t)
	kinds := map[Trigger]string{HTTP: "serve.HTTP", PubSub: "serve.PubSub", Schedule: "serve.Schedule"}
	for _, f := range m.Functions {
		want := kinds[f.Trigger] + "(" + strconv.Quote(f.Name) + ", build)"
		var inits []string
		for _, file := range parsed(t, all["functions/"+f.Name]) {
			if file.Name.Name != f.Name {
				t.Errorf("functions/%s: its package is called %s", f.Name, file.Name.Name)
			}
			for _, d := range file.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
					inits = append(inits, statements(fn))
				}
			}
		}
		if len(inits) != 1 || inits[0] != want {
			t.Errorf("functions/%s: init must have the one line %s; found %q", f.Name, want, inits)
		}
	}
}

// statements writes a function's calls as in the source, one a line.
func statements(fn *ast.FuncDecl) string {
	var lines []string
	for _, s := range fn.Body.List {
		line := fmt.Sprintf("%T", s)
		if e, ok := s.(*ast.ExprStmt); ok {
			if c, ok := e.X.(*ast.CallExpr); ok {
				var args []string
				for _, a := range c.Args {
					args = append(args, expression(a))
				}
				line = expression(c.Fun) + "(" + strings.Join(args, ", ") + ")"
			}
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func expression(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.BasicLit:
		return e.Value
	case *ast.SelectorExpr:
		return expression(e.X) + "." + e.Sel.Name
	}
	return fmt.Sprintf("%T", e)
}

func TestAFunctionServesJustItsPathsOfTheManifest(t *testing.T) {
	t.Parallel()
	m, all := shape(t)
	for _, f := range m.Functions {
		var want []string
		for _, p := range f.Paths {
			want = append(want, p.String())
		}
		got := served(t, all["functions/"+f.Name])
		slices.Sort(want)
		slices.Sort(got)
		for _, path := range got {
			if !slices.Contains(want, path) {
				t.Errorf("functions/%s serves %s, which functions.yaml does not say", f.Name, path)
			}
		}
		for _, path := range want {
			if !slices.Contains(got, path) {
				t.Errorf("functions.yaml:%d: %s has the path %s, which it does not serve", f.line, f.Name, path)
			}
		}
	}
}

// served returns the method and path of every operation of a function, from its
// calls of serve.Get, Post, Put and Raw.
func served(t *testing.T, p goPackage) []string {
	t.Helper()
	files := parsed(t, p)
	constants := constantsOf(files)
	var all []string
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 2 {
				return true
			}
			fun := call.Fun
			if generic, ok := fun.(*ast.IndexListExpr); ok {
				fun = generic.X
			}
			method, ok := strings.CutPrefix(expression(fun), "serve.")
			if !ok || !slices.Contains([]string{"Get", "Post", "Put", "Patch", "Delete", "Raw"}, method) {
				return true
			}
			path, ok := text(call.Args[1], constants)
			if !ok {
				t.Errorf("%s: the path of a serve.%s is not a constant", p.name(), method)
			} else if method == "Raw" {
				all = append(all, path)
			} else {
				all = append(all, strings.ToUpper(method)+" "+path)
			}
			return true
		})
	}
	return all
}

func constantsOf(files []*ast.File) map[string]ast.Expr {
	constants := map[string]ast.Expr{}
	for _, file := range files {
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, s := range g.Specs {
				spec := s.(*ast.ValueSpec)
				for i, name := range spec.Names {
					if i < len(spec.Values) {
						constants[name.Name] = spec.Values[i]
					}
				}
			}
		}
	}
	return constants
}

// text evaluates a constant string.
func text(e ast.Expr, constants map[string]ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil && e.Kind == token.STRING
	case *ast.Ident:
		value, ok := constants[e.Name]
		if !ok {
			return "", false
		}
		return text(value, constants)
	case *ast.BinaryExpr:
		left, ok1 := text(e.X, constants)
		right, ok2 := text(e.Y, constants)
		return left + right, ok1 && ok2 && e.Op == token.ADD
	}
	return "", false
}

func TestTheTopLevelHoldsWhatTheMapSays(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("git", "-C", "..", "ls-files").Output()
	if err != nil {
		t.Logf("not a git checkout: %v", err)
		return
	}
	allowed := []string{"functions", "shared", "infra", "migrations", "go.mod", "go.sum", "cloudbuild.yaml", "README.md"}
	for name := range strings.Lines(string(out)) {
		top, _, _ := strings.Cut(strings.TrimSpace(name), "/")
		if !slices.Contains(allowed, top) && !strings.HasPrefix(top, ".") {
			t.Errorf("%s: design.md's map has no %s at the top", strings.TrimSpace(name), top)
		}
	}
}
