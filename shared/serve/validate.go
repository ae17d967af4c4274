package serve

import (
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
)

// maxErrors is how many broken rules an answer names; of the rest it says how
// many there are.
const maxErrors = 20

// rules checks a JSON body by an operation's schema. It does what huma.Validate
// does, but stops collecting after maxErrors: huma's own keeps an error and its
// path for each bad element, some hundred bytes for each byte of a hostile body.
type rules struct {
	registry huma.Registry
	root     func() *node
}

// node is a schema whose members are checked one by one.
type node struct {
	schema *huma.Schema // of a leaf, or of a composite without its members
	items  *node
	props  []property
	known  map[string]bool
	closed bool
	others *node // of the members that have no property
	object bool
	plain  bool // the schema's type alone decides which kind of value may stand here
}

type property struct {
	name               string
	required, nullable bool
	node               *node
}

// bodyRules returns the rules of an operation's JSON body; nil where it has none.
// The schemas are complete once every operation is registered, so the first
// request compiles them.
func bodyRules(registry huma.Registry, op *huma.Operation) *rules {
	if op == nil || op.RequestBody == nil || op.RequestBody.Content["application/json"] == nil {
		return nil
	}
	schema := op.RequestBody.Content["application/json"].Schema
	if schema == nil {
		return nil
	}
	r := &rules{registry: registry}
	r.root = sync.OnceValue(func() *node { return r.compile(schema, map[*huma.Schema]*node{}) })
	return r
}

func (r *rules) compile(s *huma.Schema, seen map[*huma.Schema]*node) *node {
	for s.Ref != "" {
		s = r.registry.SchemaFromRef(s.Ref)
	}
	if n := seen[s]; n != nil {
		return n
	}
	n := &node{schema: s}
	seen[s] = n
	if s.OneOf != nil || s.AnyOf != nil || s.AllOf != nil || s.Not != nil || len(s.DependentRequired) > 0 {
		return n
	}
	n.plain = true
	switch s.Type {
	case huma.TypeArray:
		if s.Items == nil {
			return n
		}
		n.schema = &huma.Schema{
			Type: s.Type, Nullable: s.Nullable, MinItems: s.MinItems, MaxItems: s.MaxItems, UniqueItems: s.UniqueItems,
			Items: &huma.Schema{},
		}
		n.schema.PrecomputeMessages()
		n.items = r.compile(s.Items, seen)
	case huma.TypeObject:
		n.schema = &huma.Schema{Type: s.Type, Nullable: s.Nullable, MinProperties: s.MinProperties, MaxProperties: s.MaxProperties}
		n.schema.PrecomputeMessages()
		n.object, n.known = true, map[string]bool{}
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
			member := s.Properties[name]
			n.known[name] = true
			n.props = append(n.props, property{
				name: name, required: slices.Contains(s.Required, name) && !member.ReadOnly, nullable: s.Nullable,
				node: r.compile(member, seen),
			})
		}
		switch others := s.AdditionalProperties.(type) {
		case bool:
			n.closed = !others
		case *huma.Schema:
			n.others = r.compile(others, seen)
		}
	}
	return n
}

// check returns the problem that a body deserves, or nil.
func (r *rules) check(contentType string, body []byte) *problem {
	if kind, _, err := mime.ParseMediaType(contentType); contentType != "" &&
		(err != nil || kind != "application/json" && !strings.HasSuffix(kind, "+json")) {
		return fieldProblem(http.StatusUnsupportedMediaType, []fieldError{{"body", "must be sent as application/json"}}, 1)
	}
	if len(body) == 0 {
		return nil // huma says whether there must be one
	}
	if len(body) > heavyBody {
		if short, ok := r.pruned(body); ok {
			if p := r.checked(short); p != nil && p.Status == http.StatusUnprocessableEntity {
				return p
			}
		}
	}
	return r.checked(body)
}

// checked checks a body that is there.
func (r *rules) checked(body []byte) *problem {
	var tree any
	if err := jsonFormat.Unmarshal(body, &tree); err != nil {
		return fieldProblem(http.StatusBadRequest, []fieldError{{"body", err.Error()}}, 1)
	}
	run := &checking{registry: r.registry, path: huma.NewPathBuffer([]byte("body"), 0)}
	run.path.Reset()
	run.path.Push("body")
	run.visit(r.root(), tree)
	if run.total == 0 {
		return nil
	}
	return fieldProblem(http.StatusUnprocessableEntity, run.found, run.total)
}

type checking struct {
	registry huma.Registry
	path     *huma.PathBuffer
	res      huma.ValidateResult
	found    []fieldError
	total    int
}

func (c *checking) visit(n *node, v any) {
	if !c.self(n.schema, v) {
		return
	}
	switch v := v.(type) {
	case []any:
		if n.items != nil {
			for i, item := range v {
				c.path.PushIndex(i)
				c.visit(n.items, item)
				c.path.Pop()
			}
		}
	case map[string]any:
		if n.object {
			c.members(n, v)
		}
	}
}

// self checks v without its members; a list that is too long is not looked into.
func (c *checking) self(s *huma.Schema, v any) bool {
	huma.Validate(c.registry, s, c.path, huma.ModeWriteToServer, v, &c.res)
	if len(c.res.Errors) == 0 {
		return true
	}
	for _, err := range c.res.Errors {
		var d huma.ErrorDetailer
		if errors.As(err, &d) {
			c.add(d.ErrorDetail().Location, plainRule(d.ErrorDetail().Message))
		}
	}
	c.res.Reset()
	return false
}

func (c *checking) members(n *node, m map[string]any) {
	present := 0
	for _, p := range n.props {
		v, has := m[p.name]
		if has {
			present++
		}
		switch {
		case !has && p.required:
			c.addMember(p.name, "is required")
		case !has, v == nil && (!p.required || p.nullable):
		default:
			c.path.Push(p.name)
			c.visit(p.node, v)
			c.path.Pop()
		}
	}
	if present == len(m) || !n.closed && n.others == nil {
		return
	}
	before, kept := c.total, len(c.found)
	if c.rest(n, maps.Keys(m), m); c.total == before {
		return
	}
	// There is something to name: name it in an order that is the same each time.
	c.total, c.found = before, c.found[:kept]
	c.rest(n, slices.Values(slices.Sorted(maps.Keys(m))), m)
}

// rest checks the members that have no property of their own.
func (c *checking) rest(n *node, names func(func(string) bool), m map[string]any) {
	for name := range names {
		switch {
		case n.known[name]:
		case n.closed:
			c.addMember(name, "holds a field that is not known here")
		default:
			c.path.Push(name)
			c.visit(n.others, m[name])
			c.path.Pop()
		}
	}
}

func (c *checking) addMember(name, rule string) {
	if c.total++; len(c.found) < maxErrors {
		c.path.Push(name)
		c.found = append(c.found, fieldError{c.path.String(), rule})
		c.path.Pop()
	}
}

func (c *checking) add(location, rule string) {
	if c.total++; len(c.found) < maxErrors {
		c.found = append(c.found, fieldError{location, rule})
	}
}

// The longest texts that an answer to bad input holds, in bytes: a member's name
// is the caller's, and may be as long as the body.
const (
	maxLocation = 200
	maxRule     = 500
)

// fieldProblem is the answer to a request in which total rules are broken, of
// which errs are some.
func fieldProblem(status int, errs []fieldError, total int) *problem {
	p := &problem{Status: status, Title: http.StatusText(status)}
	p.Errors = make([]fieldError, min(len(errs), maxErrors))
	for i := range p.Errors {
		p.Errors[i] = fieldError{cut(errs[i].Location, maxLocation), cut(errs[i].Message, maxRule)}
	}
	p.MoreErrors = total - len(p.Errors)
	p.Detail = sentence(status, p.Errors[0], total)
	return p
}

// sentence says the first broken rule in one line, so that a caller who shows
// only the detail still shows something useful.
func sentence(status int, first fieldError, total int) string {
	text := strings.TrimSpace(first.Location + ": " + first.Message)
	if status == http.StatusBadRequest || total == 1 {
		return text
	}
	return fmt.Sprintf("%s (and %d more)", text, total-1)
}

// cut shortens text to n bytes, at the end of a character.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "") + "…"
}
