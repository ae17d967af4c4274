package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/functions"
	"github.com/geminivideo/geminivideo/infra/local/openapi"
	"github.com/geminivideo/geminivideo/shared/serve"
)

var update = flag.Bool("update", false, "write functions/console/openapi.json anew")

const checkedIn = "../../functions/console/openapi.json"

// This is also what go generate ./functions/console runs, with -update.
func TestTheOpenAPIDocumentIsFresh(t *testing.T) {
	for name, value := range openapi.Environment {
		t.Setenv(name, value)
	}
	manifest, err := functions.Load()
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := openapi.Document(t.Context(), manifest, serve.Registered())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(checkedIn, fresh, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(checkedIn)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept, fresh) {
		t.Error("functions/console/openapi.json is not what the functions say now: run go generate ./functions/console")
	}
	t.Run("and holds together", func(t *testing.T) { checkDocument(t, fresh, manifest) })
}

type operation struct {
	ID         string                     `json:"operationId"`
	Summary    string                     `json:"summary"`
	Tags       []string                   `json:"tags"`
	Responses  map[string]json.RawMessage `json:"responses"`
	Security   []map[string][]string      `json:"security"`
	Parameters []struct {
		Name     string `json:"name"`
		In       string `json:"in"`
		Required bool   `json:"required"`
	} `json:"parameters"`
}

var inBraces = regexp.MustCompile(`\{([^}]+)\}`)

// checkDocument checks what makes the document one that tools can read.
func checkDocument(t *testing.T, text []byte, manifest *functions.Manifest) {
	var doc struct {
		Paths map[string]map[string]operation `json:"paths"`
		Tags  []struct{ Name string }         `json:"tags"`
	}
	var tree any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	for path, item := range doc.Paths {
		for method, op := range item {
			where := strings.ToUpper(method) + " " + path
			if ids[op.ID] != "" || op.ID == "" {
				t.Errorf("%s: the operation id %q is also that of %s", where, op.ID, ids[op.ID])
			}
			ids[op.ID] = where
			if op.Summary == "" || len(op.Tags) != 1 || len(op.Responses) == 0 {
				t.Errorf("%s: summary %q, tags %v, %d responses", where, op.Summary, op.Tags, len(op.Responses))
			}
			var inPath, named []string
			for _, m := range inBraces.FindAllStringSubmatch(path, -1) {
				inPath = append(inPath, m[1])
			}
			for _, p := range op.Parameters {
				if p.In == "path" && p.Required {
					named = append(named, p.Name)
				}
			}
			if !slices.Equal(inPath, named) {
				t.Errorf("%s: its parameters are %v", where, named)
			}
		}
	}
	for _, ref := range refs(tree) {
		if !resolves(tree, ref) {
			t.Errorf("%s leads nowhere", ref)
		}
	}
	for _, f := range manifest.Functions {
		if _, linked := serve.Registered()[f.Name]; !linked || f.Name == "console" {
			continue
		}
		for _, p := range f.Paths {
			op, ok := doc.Paths[p.Pattern][strings.ToLower(p.Method)]
			if !ok {
				t.Errorf("%s is in functions.yaml and not in the document", p)
			}
			if public := len(op.Security) == 0; public != f.Public {
				t.Errorf("%s: public is %v in the document and %v in functions.yaml", p, public, f.Public)
			}
		}
	}
}

func refs(v any) (all []string) {
	switch v := v.(type) {
	case map[string]any:
		for key, member := range v {
			if ref, ok := member.(string); ok && key == "$ref" {
				all = append(all, ref)
			}
			all = append(all, refs(member)...)
		}
	case []any:
		for _, member := range v {
			all = append(all, refs(member)...)
		}
	}
	return all
}

func resolves(tree any, ref string) bool {
	steps, local := strings.CutPrefix(ref, "#/")
	for step := range strings.SplitSeq(steps, "/") {
		object, _ := tree.(map[string]any)
		if tree = object[step]; tree == nil {
			return false
		}
	}
	return local
}
