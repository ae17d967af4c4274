package functions

import (
	"cmp"
	"errors"
	"fmt"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	"go.yaml.in/yaml/v3"
)

// Parse reads and checks a manifest. The error holds one line for each thing
// that is wrong, "functions.yaml:LINE: what".
func Parse(data []byte) (*Manifest, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("functions.yaml: %w", err)
	}
	p := &reader{manifest: &Manifest{}}
	if len(doc.Content) == 0 {
		p.complain(1, "the file is empty")
	} else {
		p.top(doc.Content[0])
		p.across()
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	return p.manifest, nil
}

type reader struct {
	manifest   *Manifest
	defaults   Function
	poolerLine int
	faults     []fault
}

type fault struct {
	line int
	text string
}

func (p *reader) complain(line int, format string, args ...any) {
	p.faults = append(p.faults, fault{line, fmt.Sprintf(format, args...)})
}

func (p *reader) err() error {
	slices.SortStableFunc(p.faults, func(a, b fault) int { return cmp.Compare(a.line, b.line) })
	errs := make([]error, len(p.faults))
	for i, f := range p.faults {
		errs[i] = fmt.Errorf("functions.yaml:%d: %s", f.line, f.text)
	}
	return errors.Join(errs...)
}

// fields calls the reader of each key of the mapping n, and complains about
// keys that have none and keys that stand there twice.
func (p *reader) fields(n *yaml.Node, what string, readers map[string]func(*yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		p.complain(n.Line, "%s must be a mapping", what)
		return
	}
	seen := map[string]int{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read, known := readers[key.Value]
		switch {
		case !known:
			p.complain(key.Line, "%s: unknown key %q", what, key.Value)
		case seen[key.Value] > 0:
			p.complain(key.Line, "%s: %q is here twice, first on line %d", what, key.Value, seen[key.Value])
		default:
			read(value)
		}
		seen[key.Value] = key.Line
	}
}

func (p *reader) top(root *yaml.Node) {
	// Defaults count for every function, wherever they stand in the file.
	var defaults, functions *yaml.Node
	p.fields(root, "the manifest", map[string]func(*yaml.Node){
		"defaults":  func(n *yaml.Node) { defaults = n },
		"functions": func(n *yaml.Node) { functions = n },
	})
	if defaults == nil {
		p.complain(root.Line, "defaults are missing")
	} else {
		readers := p.resources("defaults", &p.defaults)
		readers["pooler_connections"] = func(n *yaml.Node) {
			p.poolerLine = n.Line
			p.manifest.PoolerConnections = p.number(n, "defaults", "pooler_connections", 1, 100000)
		}
		p.fields(defaults, "defaults", readers)
		if p.manifest.PoolerConnections == 0 && len(p.faults) == 0 {
			p.complain(defaults.Line, "defaults: pooler_connections is missing: how many clients the database's pooler admits")
		}
	}
	switch {
	case functions == nil || functions.Kind == yaml.ScalarNode && functions.Value == "":
		p.complain(root.Line, "functions are missing")
		return
	case functions.Kind != yaml.MappingNode:
		p.complain(functions.Line, "functions must be a mapping")
		return
	}
	seen := map[string]int{}
	for i := 0; i < len(functions.Content); i += 2 {
		key, value := functions.Content[i], functions.Content[i+1]
		if line := seen[key.Value]; line > 0 {
			p.complain(key.Line, "function %s is here twice, first on line %d", key.Value, line)
			continue
		}
		seen[key.Value] = key.Line
		p.function(key, value)
	}
}

var word = regexp.MustCompile(`^[a-z][a-z0-9]{1,30}$`)

func (p *reader) function(key, n *yaml.Node) {
	f := p.defaults
	f.Name, f.line = key.Value, key.Line
	f.Secrets = slices.Clone(f.Secrets)
	if !word.MatchString(f.Name) || token.IsKeyword(f.Name) {
		p.complain(key.Line, "function name %q: must be one lower-case word, for it is a folder, a package and a service", f.Name)
	}
	var at struct{ trigger, paths, public, topic, retry, schedule int }
	readers := p.resources(f.Name, &f)
	readers["summary"] = func(n *yaml.Node) { f.Summary = strings.TrimSpace(p.text(n, f.Name, "summary")) }
	readers["trigger"] = func(n *yaml.Node) {
		at.trigger = n.Line
		f.Trigger = Trigger(p.text(n, f.Name, "trigger"))
		if !f.Trigger.known() {
			p.complain(n.Line, "%s: trigger must be http, pubsub or schedule", f.Name)
		}
	}
	readers["paths"] = func(n *yaml.Node) { at.paths = n.Line; f.Paths = p.paths(n, f.Name) }
	readers["public"] = func(n *yaml.Node) { at.public = n.Line; f.Public = p.boolean(n, f.Name, "public") }
	readers["topic"] = func(n *yaml.Node) { at.topic = n.Line; f.Topic = p.topic(n, f.Name) }
	readers["retry"] = func(n *yaml.Node) { at.retry = n.Line; f.Retry = p.retry(n, f.Name) }
	readers["schedule"] = func(n *yaml.Node) { at.schedule = n.Line; f.Schedule = p.schedule(n, f.Name) }
	p.fields(n, f.Name, readers)

	if f.Summary == "" {
		p.complain(key.Line, "%s: summary is missing", f.Name)
	}
	if at.trigger == 0 {
		p.complain(key.Line, "%s: trigger is missing: http, pubsub or schedule", f.Name)
	}
	only := func(line int, field string, trigger Trigger, needed bool) {
		switch {
		case !f.Trigger.known(): // said already
		case line > 0 && f.Trigger != trigger:
			p.complain(line, "%s: %s is only for the trigger %s", f.Name, field, trigger)
		case line == 0 && needed && f.Trigger == trigger:
			p.complain(key.Line, "%s: %s is missing: the trigger %s needs it", f.Name, field, trigger)
		}
	}
	only(at.paths, "paths", HTTP, true)
	only(at.public, "public", HTTP, false)
	only(at.topic, "topic", PubSub, true)
	only(at.retry, "retry", PubSub, true)
	only(at.schedule, "schedule", Schedule, true)
	p.bounds(f)
	p.manifest.Functions = append(p.manifest.Functions, f)
}

// bounds checks what depends on more than one field.
func (p *reader) bounds(f Function) {
	longest := map[Trigger]time.Duration{HTTP: time.Hour, PubSub: 10 * time.Minute, Schedule: 30 * time.Minute}[f.Trigger]
	if longest > 0 && f.Timeout > longest {
		p.complain(f.line, "%s: timeout %s is longer than the %s that the trigger %s allows", f.Name, f.Timeout, longest, f.Trigger)
	}
	for _, missing := range []struct {
		field string
		zero  bool
	}{
		{"memory", f.MemoryMiB == 0},
		{"timeout", f.Timeout == 0},
		{"concurrency", f.Concurrency == 0},
		{"max_instances", f.MaxInstances == 0},
	} {
		if missing.zero && len(p.faults) == 0 {
			p.complain(f.line, "%s: %s is missing, here and in the defaults", f.Name, missing.field)
		}
	}
	if f.MaxInstances > 0 && f.MinInstances > f.MaxInstances {
		p.complain(f.line, "%s: min_instances %d is above max_instances %d", f.Name, f.MinInstances, f.MaxInstances)
	}
}

var (
	pathForm  = regexp.MustCompile(`^(GET|POST|PUT|PATCH|DELETE) (/\S*)$`)
	topicForm = regexp.MustCompile(`^[a-z][a-z0-9-]{2,60}$`)
	cronForm  = regexp.MustCompile(`^[0-9*/,\-]+( [0-9A-Za-z*/,\-]+){4}$`)
)

// reserved are served for all functions alike, here or on one machine.
var reserved = []string{"/health", "/healthz", "/_local", "/auth"}

func (p *reader) paths(n *yaml.Node, name string) []Path {
	var all []Path
	p.each(n, name, "paths", func(item *yaml.Node) {
		m := pathForm.FindStringSubmatch(item.Value)
		if m == nil {
			p.complain(item.Line, "%s: path %q must be a method and a path, such as \"GET /api/campaigns/{id}\"", name, item.Value)
			return
		}
		first, _, _ := strings.Cut(m[2][1:], "/")
		if slices.Contains(reserved, "/"+first) {
			p.complain(item.Line, "%s: path %s: /%s is reserved", name, m[2], first)
			return
		}
		all = append(all, Path{Method: m[1], Pattern: m[2], line: item.Line})
	})
	return all
}

func (p *reader) topic(n *yaml.Node, name string) string {
	topic := p.text(n, name, "topic")
	if topic != "" && (!topicForm.MatchString(topic) || strings.HasPrefix(topic, "goog")) {
		p.complain(n.Line, "%s: topic must be 3 to 61 lower-case letters, digits and dashes, beginning with a letter other than of \"goog\"", name)
	}
	return topic
}

func (p *reader) schedule(n *yaml.Node, name string) string {
	expression := p.text(n, name, "schedule")
	_, err := cron.ParseStandard(expression)
	switch {
	case expression == "":
	case !cronForm.MatchString(expression):
		p.complain(n.Line, "%s: schedule must be a cron expression of five fields, in UTC, such as \"0 */2 * * *\"", name)
	case err != nil:
		p.complain(n.Line, "%s: schedule: %v", name, err)
	}
	return expression
}

func (p *reader) retry(n *yaml.Node, name string) Retry {
	var r Retry
	what := name + ": retry"
	seen := 0
	p.fields(n, what, map[string]func(*yaml.Node){
		"min_backoff":  func(n *yaml.Node) { seen++; r.MinBackoff = p.duration(n, what, "min_backoff", 0, 10*time.Minute) },
		"max_backoff":  func(n *yaml.Node) { seen++; r.MaxBackoff = p.duration(n, what, "max_backoff", 0, 10*time.Minute) },
		"max_attempts": func(n *yaml.Node) { seen++; r.MaxAttempts = p.number(n, what, "max_attempts", 5, 100) },
	})
	switch {
	case seen < 3:
		p.complain(n.Line, "%s needs min_backoff, max_backoff and max_attempts", what)
	case r.MinBackoff > r.MaxBackoff:
		p.complain(n.Line, "%s: min_backoff %s is above max_backoff %s", what, r.MinBackoff, r.MaxBackoff)
	}
	return r
}

// resources returns the readers of what defaults and functions share.
func (p *reader) resources(name string, f *Function) map[string]func(*yaml.Node) {
	return map[string]func(*yaml.Node){
		"memory":        func(n *yaml.Node) { f.MemoryMiB = p.memory(n, name) },
		"timeout":       func(n *yaml.Node) { f.Timeout = p.duration(n, name, "timeout", 2*time.Second, time.Hour) },
		"concurrency":   func(n *yaml.Node) { f.Concurrency = p.number(n, name, "concurrency", 1, 1000) },
		"min_instances": func(n *yaml.Node) { f.MinInstances = p.number(n, name, "min_instances", 0, 1000) },
		"max_instances": func(n *yaml.Node) { f.MaxInstances = p.number(n, name, "max_instances", 1, 1000) },
		"secrets":       func(n *yaml.Node) { f.Secrets = p.secrets(n, name) },
	}
}

var memoryForm = regexp.MustCompile(`^([0-9]{1,5})(Mi|Gi)$`)

func (p *reader) memory(n *yaml.Node, name string) int {
	m := memoryForm.FindStringSubmatch(p.text(n, name, "memory"))
	mib := 0
	if m != nil {
		mib, _ = strconv.Atoi(m[1])
		if m[2] == "Gi" {
			mib *= 1024
		}
	}
	if mib < 128 || mib > 32*1024 {
		p.complain(n.Line, "%s: memory must be 128Mi to 32Gi", name)
	}
	return mib
}
