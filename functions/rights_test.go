package functions

import (
	"go/ast"
	"maps"
	"slices"
	"strings"
	"testing"
)

// calls reports whether a package's own files name any of the expressions, such
// as publish.New.
func calls(t *testing.T, p goPackage, names ...string) bool {
	t.Helper()
	found := false
	for _, file := range parsed(t, p) {
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				found = found || slices.Contains(names, expression(s))
			}
			return !found
		})
	}
	return found
}

// topicsOf returns the topics that a package gives to the messages it makes.
func topicsOf(t *testing.T, all map[string]goPackage, p goPackage) []string {
	t.Helper()
	files := parsed(t, p)
	constants := constantsOf(files)
	var topics []string
	for _, file := range files {
		imports := map[string]string{}
		for _, spec := range file.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			imports[path[strings.LastIndex(path, "/")+1:]] = strings.TrimPrefix(path, module+"/")
		}
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if !ok || literal.Type == nil || expression(literal.Type) != "message.Message" {
				return true
			}
			for _, element := range literal.Elts {
				pair, ok := element.(*ast.KeyValueExpr)
				if !ok || expression(pair.Key) != "Topic" {
					continue
				}
				known := constants
				value := pair.Value
				if s, ok := value.(*ast.SelectorExpr); ok {
					known, value = constantsOf(parsed(t, all[imports[expression(s.X)]])), s.Sel
				}
				if topic, ok := text(value, known); ok {
					topics = append(topics, topic)
				}
			}
			return true
		})
	}
	return topics
}

// Relay and replay publish what is stored, whatever its topic.
var anyTopic = []string{"relay", "replay"}

func TestAFunctionListsTheTopicsThatItPublishesTo(t *testing.T) {
	t.Parallel()
	m, all := shape(t)
	every := map[string]bool{}
	for _, f := range m.Functions {
		if f.Trigger == PubSub {
			every[f.Topic] = true
		}
	}
	delete(every, DeadLetterTopic) // Pub/Sub itself puts messages there
	for _, f := range m.Functions {
		topics := map[string]bool{}
		if slices.Contains(anyTopic, f.Name) {
			topics = every
		} else if calls(t, all["functions/"+f.Name], "publish.New") {
			for _, path := range own(append(slices.Clone(all["functions/"+f.Name].Deps), module+"/functions/"+f.Name)) {
				for _, topic := range topicsOf(t, all, all[path]) {
					topics[topic] = true
				}
			}
		}
		want := slices.Sorted(maps.Keys(topics))
		if has := slices.Sorted(slices.Values(f.Publishes)); !slices.Equal(has, want) {
			t.Errorf("functions.yaml:%d: %s publishes to other topics than it lists; the line is\n    publishes: [%s]", f.line, f.Name, strings.Join(want, ", "))
		}
		for _, topic := range f.Publishes {
			if !every[topic] {
				t.Errorf("functions.yaml:%d: %s publishes to %s, which no function receives", f.line, f.Name, topic)
			}
		}
	}
}

func TestAFunctionListsTheServicesThatItUses(t *testing.T) {
	t.Parallel()
	m, all := shape(t)
	for _, f := range m.Functions {
		p := all["functions/"+f.Name]
		used := map[Use]bool{
			Bucket:       slices.Contains(f.Settings, "VIDEO_BUCKET"),
			Vertex:       slices.Contains(f.Settings, "GEMINI_VERTEX_LOCATION"),
			Firestore:    slices.Contains(p.Deps, "cloud.google.com/go/firestore/apiv1"),
			Scheduler:    slices.ContainsFunc(p.Deps, func(dep string) bool { return strings.HasPrefix(dep, "cloud.google.com/go/scheduler/") }),
			SecretReader: calls(t, p, "secrets.Default"),
			SecretWriter: writesSecrets(t, p),
		}
		var want []string
		for _, use := range uses {
			if used[use] {
				want = append(want, string(use))
			}
		}
		var has []string
		for _, use := range uses {
			if slices.Contains(f.Uses, use) {
				has = append(has, string(use))
			}
		}
		if !slices.Equal(has, want) {
			t.Errorf("functions.yaml:%d: %s uses other services than it lists; the line is\n    uses: [%s]", f.line, f.Name, strings.Join(want, ", "))
		}
	}
}

// writesSecrets reports a function that makes a secret of what a tenant brings:
// it calls Put or Disable of the vault that it was given.
func writesSecrets(t *testing.T, p goPackage) bool {
	t.Helper()
	found := false
	for _, file := range parsed(t, p) {
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				name := strings.ToLower(expression(call.Fun))
				found = found || strings.HasSuffix(name, "vault.put") || strings.HasSuffix(name, "secrets.put")
			}
			return !found
		})
	}
	return found
}
