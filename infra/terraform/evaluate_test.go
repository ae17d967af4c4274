// Package terraform_test reads this folder's .tf files and works out, with the
// manifest as it is, which resources they make: what a review of the rights, of the
// routes and of the provider's schema needs, without Terraform and without a project.
package terraform_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// root is the root module: its blocks, and what has been worked out of them so far.
type root struct {
	schema    map[string]schema
	resources map[string]*hclsyntax.Block // by TYPE.NAME
	locals    map[string]hclsyntax.Expression
	variables map[string]*hclsyntax.Block
	outputs   map[string]*hclsyntax.Block
	checks    []*hclsyntax.Block
	given     map[string]cty.Value

	values  map[string]cty.Value // of var.X, local.X and TYPE.NAME
	pending []string
}

// deployment is what an operator gives in these tests.
var deployment = map[string]cty.Value{
	"project_id":        cty.StringVal("acme-ads"),
	"domain":            cty.StringVal("api.example.com"),
	"supabase_url":      cty.StringVal("https://abcdefghijklmnopqrst.supabase.co"),
	"optional_secrets":  cty.SetVal([]cty.Value{cty.StringVal("GEMINI_API_KEY")}),
	"settings":          cty.MapVal(map[string]cty.Value{"GEMINI_VERTEX_LOCATION": cty.StringVal("global")}),
	"github_repository": cty.StringVal("acme/ads"),
}

// load reads the folder's files, and those given by name and text.
func load(t *testing.T, more map[string]string) *root {
	t.Helper()
	r := &root{
		schema: readSchema(t), resources: map[string]*hclsyntax.Block{}, locals: map[string]hclsyntax.Expression{},
		variables: map[string]*hclsyntax.Block{}, outputs: map[string]*hclsyntax.Block{}, given: map[string]cty.Value{}, values: map[string]cty.Value{},
	}
	for name, v := range deployment {
		r.given[name] = v
	}
	names, err := filepath.Glob("*.tf")
	if err != nil || len(names) == 0 {
		t.Fatalf("there are no .tf files: %v", err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		r.add(t, name, text)
	}
	for name, text := range more {
		r.add(t, name, []byte(text))
	}
	return r
}

func (r *root) add(t *testing.T, name string, text []byte) {
	t.Helper()
	file, wrong := hclsyntax.ParseConfig(text, name, hcl.InitialPos)
	if wrong.HasErrors() {
		t.Fatal(wrong)
	}
	for _, b := range file.Body.(*hclsyntax.Body).Blocks {
		switch b.Type {
		case "resource":
			key := b.Labels[0] + "." + b.Labels[1]
			if r.resources[key] != nil {
				t.Fatalf("%s: %s is there twice", name, key)
			}
			r.resources[key] = b
		case "locals":
			for local, a := range b.Body.Attributes {
				r.locals[local] = a.Expr
			}
		case "variable":
			r.variables[b.Labels[0]] = b
		case "output":
			r.outputs[b.Labels[0]] = b
		case "check":
			r.checks = append(r.checks, b)
		case "terraform", "provider", "data":
		default:
			t.Fatalf("%s: a block %s: one root module has no others", name, b.Type)
		}
	}
}

// eval works out an expression; scope holds each and dynamic blocks' iterators.
func (r *root) eval(e hclsyntax.Expression, scope map[string]cty.Value) (cty.Value, error) {
	context, err := r.context(e.Variables(), scope)
	if err != nil {
		return cty.NilVal, err
	}
	v, wrong := e.Value(context)
	if wrong.HasErrors() {
		return cty.NilVal, wrong
	}
	return v, nil
}

func (r *root) context(names []hcl.Traversal, scope map[string]cty.Value) (*hcl.EvalContext, error) {
	groups := map[string]map[string]cty.Value{}
	for _, name := range names {
		top := name.RootName()
		if _, ok := scope[top]; ok || top == "path" || top == "data" {
			continue
		}
		step, ok := name[1].(hcl.TraverseAttr)
		if !ok {
			return nil, fmt.Errorf("%s is no reference", top)
		}
		v, err := r.value(top, step.Name)
		if err != nil {
			return nil, err
		}
		if groups[top] == nil {
			groups[top] = map[string]cty.Value{}
		}
		groups[top][step.Name] = v
	}
	variables := map[string]cty.Value{
		"path": cty.ObjectVal(map[string]cty.Value{"module": cty.StringVal(".")}),
		"data": cty.ObjectVal(map[string]cty.Value{"google_project": cty.ObjectVal(map[string]cty.Value{
			"this": cty.ObjectVal(map[string]cty.Value{"number": cty.StringVal("123456789012")}),
		})}),
	}
	for top, members := range groups {
		variables[top] = cty.ObjectVal(members)
	}
	for name, v := range scope {
		variables[name] = v
	}
	return &hcl.EvalContext{Variables: variables, Functions: functionsOfTerraform}, nil
}

// value works out a variable, a local or a resource, once.
func (r *root) value(group, name string) (cty.Value, error) {
	key := group + "." + name
	if v, ok := r.values[key]; ok {
		return v, nil
	}
	if slices.Contains(r.pending, key) {
		return cty.NilVal, fmt.Errorf("%s depends on itself: %v", key, r.pending)
	}
	r.pending = append(r.pending, key)
	defer func() { r.pending = r.pending[:len(r.pending)-1] }()
	var (
		v   cty.Value
		err error
	)
	switch group {
	case "var":
		v, err = r.variable(name)
	case "local":
		e, ok := r.locals[name]
		if !ok {
			return cty.NilVal, fmt.Errorf("there is no local.%s", name)
		}
		v, err = r.eval(e, nil)
	default:
		v, err = r.resource(key)
	}
	if err != nil {
		return cty.NilVal, fmt.Errorf("%s: %w", key, err)
	}
	r.values[key] = v
	return v, nil
}

func (r *root) variable(name string) (cty.Value, error) {
	block, ok := r.variables[name]
	if !ok {
		return cty.NilVal, fmt.Errorf("there is no variable %s", name)
	}
	v, given := r.given[name]
	if !given {
		standard, ok := block.Body.Attributes["default"]
		if !ok {
			return cty.NilVal, fmt.Errorf("the variable %s has no default, and the tests give it none", name)
		}
		var err error
		if v, err = r.eval(standard.Expr, nil); err != nil {
			return cty.NilVal, err
		}
	}
	kinds := map[string]cty.Type{
		"string": cty.String, "number": cty.Number, "bool": cty.Bool, "list(string)": cty.List(cty.String),
		"set(string)": cty.Set(cty.String), "map(string)": cty.Map(cty.String),
	}
	kind, ok := kinds[source(block.Body.Attributes["type"].Expr)]
	if !ok {
		return cty.NilVal, fmt.Errorf("the variable %s has a type that these tests do not know", name)
	}
	return convert.Convert(v, kind)
}

// source is an expression's own text, of one line.
func source(e hclsyntax.Expression) string {
	text, err := os.ReadFile(e.Range().Filename)
	if err != nil {
		return ""
	}
	return string(e.Range().SliceBytes(text))
}

// instance is one resource that is made.
type instance struct {
	kind, name, key string
	attributes      map[string]cty.Value
	blocks          map[string][]instance
}

// String is its address.
func (i instance) String() string {
	if i.key == "" {
		return i.kind + "." + i.name
	}
	return fmt.Sprintf("%s.%s[%q]", i.kind, i.name, i.key)
}

func (i instance) text(name string) string {
	v, ok := i.attributes[name]
	if !ok || v.IsNull() {
		return ""
	}
	if s, err := convert.Convert(v, cty.String); err == nil {
		return s.AsString()
	}
	return fmt.Sprintf("%#v", v)
}

// scopes are the instances of a resource: each's value by key, one without a key where
// it has no for_each.
func (r *root) scopes(b *hclsyntax.Block) (map[string]map[string]cty.Value, error) {
	each, ok := b.Body.Attributes["for_each"]
	if !ok {
		return map[string]map[string]cty.Value{"": nil}, nil
	}
	v, err := r.eval(each.Expr, nil)
	if err != nil {
		return nil, err
	}
	if !v.CanIterateElements() || v.Type().IsListType() || v.Type().IsTupleType() {
		return nil, fmt.Errorf("for_each is %s: it takes a map or a set of strings", v.Type().FriendlyName())
	}
	all := map[string]map[string]cty.Value{}
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		all[k.AsString()] = map[string]cty.Value{"each": cty.ObjectVal(map[string]cty.Value{"key": k, "value": e})}
	}
	return all, nil
}

// resource is what other expressions see of a resource: the attributes that are
// written, and for those that Google fills in, the address as text.
func (r *root) resource(key string) (cty.Value, error) {
	b, ok := r.resources[key]
	if !ok {
		return cty.NilVal, fmt.Errorf("there is no such resource")
	}
	scopes, err := r.scopes(b)
	if err != nil {
		return cty.NilVal, err
	}
	instances := map[string]cty.Value{}
	for k, scope := range scopes {
		i := instance{kind: b.Labels[0], name: b.Labels[1], key: k}
		seen := map[string]cty.Value{}
		for name := range r.schema[i.kind].attributes {
			seen[name] = cty.StringVal(i.String() + "." + name)
		}
		for name, a := range b.Body.Attributes {
			if slices.Contains(meta, name) {
				continue
			}
			if seen[name], err = r.eval(a.Expr, scope); err != nil {
				return cty.NilVal, err
			}
		}
		instances[k] = cty.ObjectVal(seen)
	}
	if one, ok := instances[""]; ok {
		return one, nil
	}
	return cty.ObjectVal(instances), nil
}

// meta are the arguments that every resource takes.
var meta = []string{"for_each", "count", "depends_on", "provider"}

// all works out every resource, with its blocks, in the order of their addresses.
func (r *root) all(t *testing.T) []instance {
	t.Helper()
	var found []instance
	for key, b := range r.resources {
		scopes, err := r.scopes(b)
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		for k, scope := range scopes {
			i, err := r.body(b.Body, scope)
			if err != nil {
				t.Fatalf("%s[%q]: %v", key, k, err)
			}
			i.kind, i.name, i.key = b.Labels[0], b.Labels[1], k
			found = append(found, i)
		}
	}
	slices.SortFunc(found, func(a, b instance) int { return strings.Compare(a.String(), b.String()) })
	return found
}

func (r *root) body(b *hclsyntax.Body, scope map[string]cty.Value) (instance, error) {
	i := instance{attributes: map[string]cty.Value{}, blocks: map[string][]instance{}}
	for name, a := range b.Attributes {
		if slices.Contains(meta, name) {
			continue
		}
		v, err := r.eval(a.Expr, scope)
		if err != nil {
			return i, err
		}
		i.attributes[name] = v
	}
	for _, inner := range b.Blocks {
		switch inner.Type {
		case "lifecycle":
		case "dynamic":
			if err := r.dynamic(&i, inner, scope); err != nil {
				return i, err
			}
		default:
			one, err := r.body(inner.Body, scope)
			if err != nil {
				return i, err
			}
			i.blocks[inner.Type] = append(i.blocks[inner.Type], one)
		}
	}
	return i, nil
}

func (r *root) dynamic(i *instance, b *hclsyntax.Block, scope map[string]cty.Value) error {
	each, err := r.eval(b.Body.Attributes["for_each"].Expr, scope)
	if err != nil {
		return err
	}
	name := b.Labels[0]
	for it := each.ElementIterator(); it.Next(); {
		k, e := it.Element()
		inner := map[string]cty.Value{name: cty.ObjectVal(map[string]cty.Value{"key": k, "value": e})}
		for n, v := range scope {
			inner[n] = v
		}
		one, err := r.body(b.Body.Blocks[0].Body, inner)
		if err != nil {
			return err
		}
		i.blocks[name] = append(i.blocks[name], one)
	}
	return nil
}
