package functions

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/shared/pg"
)

var printTable = flag.Bool("table", false, "print the settings table that the README must hold")

// setting is one environment name and who reads it.
type setting struct {
	named
	doc string
	// direct is set for what is read without shared/settings, and so never a
	// Secret Manager name.
	direct bool
	by     []string
}

// named is one environment name that a configuration reads.
type named struct {
	Name     string
	Default  string
	Required bool
}

// namedIn lists what settings.Load reads for a type.
func namedIn(t reflect.Type) []named {
	var all []named
	for i := range t.NumField() {
		field := t.Field(i)
		tag, tagged := field.Tag.Lookup("env")
		if !tagged {
			if field.Type.Kind() == reflect.Struct {
				all = append(all, namedIn(field.Type)...)
			}
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		before, value, _ := strings.Cut(options, "default=") // the last option: its value may have commas
		all = append(all, named{Name: name, Default: value, Required: strings.Contains(before, "required")})
	}
	return all
}

// laptop names what only local runs and tests set.
var laptop = []string{"FIRESTORE_EMULATOR_HOST", "SECRETS_ENDPOINT", "WEBHOOK_ALLOW_LOCAL"}

// platform names what Cloud Run itself sets; nobody configures it.
var platform = []string{"FUNCTION_TARGET", "PORT", "K_SERVICE", "K_REVISION", "CLOUD_RUN_TIMEOUT_SECONDS"}

// read returns every setting of every function.
func read(t *testing.T) map[string]*setting {
	t.Helper()
	m, all := shape(t)
	found := map[string]*setting{}
	for _, f := range m.Functions {
		for _, s := range configOf(t, all, f.Name) {
			add(found, s, f.Name)
		}
		for _, path := range own(append(slices.Clone(all["functions/"+f.Name].Deps), module+"/functions/"+f.Name)) {
			for _, name := range getenvs(t, all[path]) {
				if !slices.Contains(platform, name) {
					add(found, setting{named: named{Name: name}, direct: true}, f.Name)
				}
			}
		}
	}
	return found
}

func add(found map[string]*setting, s setting, function string) {
	known := found[s.Name]
	if known == nil {
		known = &s
		found[s.Name] = known
	}
	known.direct = known.direct && s.direct
	known.Required = known.Required || s.Required
	known.Default = cmp.Or(known.Default, s.Default)
	known.doc = cmp.Or(known.doc, s.doc)
	if !slices.Contains(known.by, function) {
		known.by = append(known.by, function)
	}
}

// configOf resolves what settings.Load reads in a function, through the structs
// of other packages.
func configOf(t *testing.T, all map[string]goPackage, function string) []setting {
	t.Helper()
	p := all["functions/"+function]
	var found []setting
	for _, file := range parsed(t, p) {
		ast.Inspect(file, func(n ast.Node) bool {
			if load, ok := n.(*ast.IndexExpr); ok && expression(load.X) == "settings.Load" {
				found = append(found, fieldsOf(t, all, p, expression(load.Index))...)
			}
			return true
		})
	}
	return found
}

func fieldsOf(t *testing.T, all map[string]goPackage, p goPackage, name string) []setting {
	t.Helper()
	var found []setting
	for _, file := range parsed(t, p) {
		imports := map[string]string{}
		for _, spec := range file.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			short := path[strings.LastIndex(path, "/")+1:]
			if spec.Name != nil {
				short = spec.Name.Name
			}
			imports[short] = strings.TrimPrefix(path, module+"/")
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != name {
				return true
			}
			body, ok := spec.Type.(*ast.StructType)
			if !ok {
				return false
			}
			for _, field := range body.Fields.List {
				if s, ok := tagged(field); ok {
					found = append(found, s)
					continue
				}
				switch kind := field.Type.(type) {
				case *ast.Ident:
					found = append(found, fieldsOf(t, all, p, kind.Name)...)
				case *ast.SelectorExpr:
					if other, ok := all[imports[expression(kind.X)]]; ok {
						found = append(found, fieldsOf(t, all, other, kind.Sel.Name)...)
					}
				}
			}
			return false
		})
	}
	return found
}

// tagged reads a field's env tag the way shared/settings does.
func tagged(field *ast.Field) (setting, bool) {
	if field.Tag == nil {
		return setting{}, false
	}
	tag := reflect.StructTag(strings.Trim(field.Tag.Value, "`"))
	if _, ok := tag.Lookup("env"); !ok {
		return setting{}, false
	}
	one := reflect.StructOf([]reflect.StructField{{Name: "F", Type: reflect.TypeFor[string](), Tag: tag}})
	text := strings.Join(strings.Fields(field.Doc.Text()+" "+field.Comment.Text()), " ")
	return setting{named: namedIn(one)[0], doc: text}, true
}

// getenvs returns the names that a package reads from the environment directly.
func getenvs(t *testing.T, p goPackage) []string {
	t.Helper()
	var names []string
	files := parsed(t, p)
	constants := constantsOf(files)
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 1 || expression(call.Fun) != "os.Getenv" && expression(call.Fun) != "os.LookupEnv" {
				return true
			}
			if name, ok := text(call.Args[0], constants); ok {
				names = append(names, name)
			} else {
				t.Errorf("%s reads an environment name that is not a constant", p.name())
			}
			return true
		})
	}
	return names
}

// rows returns the README's settings table, by name.
func rows(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| *`([A-Z][A-Z0-9_]*)` *\\|.*$").FindAllStringSubmatch(section(t, "Settings"), -1) {
		found[m[1]] = m[0]
	}
	return found
}

func TestTheReadmeListsEverySettingWithItsDefault(t *testing.T) {
	t.Parallel()
	all := read(t)
	if *printTable {
		fmt.Print(table(all))
		return
	}
	listed := rows(t)
	for name, s := range all {
		row, ok := listed[name]
		cells := strings.Split(row, "|")
		switch {
		case !ok:
			t.Errorf("README.md, Settings: no row for `%s`, which %s reads", name, strings.Join(s.by, ", "))
		case len(cells) < 4 || strings.TrimSpace(cells[2]) == "":
			t.Errorf("README.md, Settings: `%s` has no meaning", name)
		case !strings.Contains(cells[3], standard(s)):
			t.Errorf("README.md, Settings: `%s` must say %s in the column Default; it says %s", name, standard(s), strings.TrimSpace(cells[3]))
		case len(cells) < 6 || !readBy(strings.TrimSpace(cells[5]), s.by):
			t.Errorf("README.md, Settings: `%s` must say %s in the column Read by", name, strings.Join(s.by, ", "))
		}
	}
	for name := range listed {
		if all[name] == nil {
			t.Errorf("README.md, Settings: no function reads `%s`", name)
		}
	}
}

// readBy reports whether the column Read by names the functions, or says of a group of
// them that all do.
func readBy(cell string, by []string) bool {
	return strings.HasPrefix(cell, "all") || strings.HasPrefix(cell, "HTTP functions") || cell == strings.Join(by, ", ")
}

// standard is what the column Default says.
func standard(s *setting) string {
	switch {
	case s.Required:
		return "required"
	case s.Default != "":
		return "`" + s.Default + "`"
	default:
		return "none"
	}
}

// table is the README's table as the code has it; meanings come from the
// fields' comments, and want a person's hand.
func table(all map[string]*setting) string {
	var b strings.Builder
	b.WriteString("| Name | Meaning | Default | May be a Secret Manager name | Read by |\n|---|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		s := all[name]
		secret := "yes"
		if s.direct {
			secret = "no"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", name, s.doc, standard(s), secret, strings.Join(s.by, ", "))
	}
	return b.String()
}

// isSecret tells the settings whose values must not stand in a deployment's text.
func isSecret(name string) bool {
	if strings.HasSuffix(name, "_PER_KEY") {
		return false
	}
	return strings.HasSuffix(name, "DATABASE_URL") || strings.HasSuffix(name, "_SECRET") || strings.HasSuffix(name, "_KEY") || strings.HasSuffix(name, "_TOKEN") || strings.HasSuffix(name, "_DSN")
}

// needs is what a function reads, as the manifest has it.
type needs struct{ secrets, optional, settings []string }

func needsOf(t *testing.T, all map[string]goPackage, function string) needs {
	t.Helper()
	found := map[string]setting{}
	for _, s := range configOf(t, all, function) {
		before := found[s.Name]
		s.Required = s.Required || before.Required
		found[s.Name] = s
	}
	for _, path := range own(append(slices.Clone(all["functions/"+function].Deps), module+"/functions/"+function)) {
		for _, name := range getenvs(t, all[path]) {
			if _, known := found[name]; !known && !slices.Contains(platform, name) {
				found[name] = setting{named: named{Name: name}}
			}
		}
	}
	var n needs
	for _, name := range slices.Sorted(maps.Keys(found)) {
		switch {
		case slices.Contains(laptop, name):
		case !isSecret(name):
			n.settings = append(n.settings, name)
		case found[name].Required:
			n.secrets = append(n.secrets, name)
		default:
			n.optional = append(n.optional, name)
		}
	}
	return n
}

func TestTheManifestNamesJustWhatAFunctionReads(t *testing.T) {
	t.Parallel()
	m, all := shape(t)
	for _, f := range m.Functions {
		n := needsOf(t, all, f.Name)
		for key, lists := range map[string][2][]string{
			"secrets": {f.Secrets, n.secrets}, "optional_secrets": {f.OptionalSecrets, n.optional}, "settings": {f.Settings, n.settings},
		} {
			if has := slices.Sorted(slices.Values(lists[0])); !slices.Equal(has, lists[1]) {
				t.Errorf("functions.yaml:%d: %s reads other %s than it lists; the line is\n    %s: [%s]", f.line, f.Name, key, key, strings.Join(lists[1], ", "))
			}
		}
	}
}

func TestAPoolHasAsManyConnectionsAsTheManifestCounts(t *testing.T) {
	t.Parallel()
	want := fmt.Sprint(connectionsPerPool)
	for _, config := range []reflect.Type{reflect.TypeFor[pg.Config](), reflect.TypeFor[pg.WorkerConfig]()} {
		i := slices.IndexFunc(namedIn(config), func(s named) bool { return s.Name == "DATABASE_MAX_CONNS" })
		if i < 0 || namedIn(config)[i].Default != want {
			t.Errorf("%s: its default is not the %s that the manifest counts with", config, want)
		}
	}
}
