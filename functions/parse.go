package functions

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"go/token"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// document is functions.yaml as it is written; yaml refuses keys that it lacks.
type document struct {
	Defaults struct {
		Resources `yaml:",inline"`
		Pooler    Pooler              `yaml:"pooler"`
		Ingress   map[Trigger]Ingress `yaml:"ingress"`
	} `yaml:"defaults"`
	Functions map[string]entry `yaml:"functions"`
}

// Resources are what the defaults and each function may set.
type Resources struct {
	Memory       string   `yaml:"memory"`
	CPU          string   `yaml:"cpu"`
	Timeout      string   `yaml:"timeout"`
	Concurrency  int      `yaml:"concurrency"`
	MinInstances *int     `yaml:"min_instances"`
	MaxInstances int      `yaml:"max_instances"`
	Secrets      []string `yaml:"secrets"`
}

type entry struct {
	Resources `yaml:",inline"`
	Summary   string   `yaml:"summary"`
	Trigger   Trigger  `yaml:"trigger"`
	Paths     []string `yaml:"paths"`
	Public    bool     `yaml:"public"`
	Topic     string   `yaml:"topic"`
	Schedule  string   `yaml:"schedule"`
	Retry     *struct {
		MinBackoff  string `yaml:"min_backoff"`
		MaxBackoff  string `yaml:"max_backoff"`
		MaxAttempts int    `yaml:"max_attempts"`
	} `yaml:"retry"`
	OptionalSecrets []string `yaml:"optional_secrets"`
	Settings        []string `yaml:"settings"`
	Publishes       []string `yaml:"publishes"`
	Uses            []Use    `yaml:"uses"`
}

// Parse reads and checks a manifest. The error holds one line for each thing
// that is wrong, "functions.yaml:LINE: what".
func Parse(data []byte) (*Manifest, error) {
	var (
		doc  document
		tree yaml.Node
	)
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, errors.New("functions.yaml:1: the file is empty")
	} else if err != nil {
		return nil, inFile(err)
	}
	if err := yaml.Unmarshal(data, &tree); err != nil {
		return nil, inFile(err)
	}
	p := &reader{root: tree.Content[0], manifest: &Manifest{Pooler: doc.Defaults.Pooler}}
	if doc.Defaults.Pooler.Compute == "" || doc.Defaults.Pooler.Clients() == 0 {
		p.complain([]string{"defaults", "pooler"}, "defaults: pooler.compute is missing, or is none of %s", computeSizes())
	}
	if doc.Defaults.Pooler.RollOut < 1 || doc.Defaults.Pooler.RollOut > 2 {
		p.complain([]string{"defaults", "pooler"}, "defaults: pooler.roll_out must be a factor from 1 to 2")
	}
	for _, trigger := range []Trigger{HTTP, PubSub, Schedule} {
		if got, want := doc.Defaults.Ingress[trigger], ingress(trigger); got != want {
			p.complain([]string{"defaults", "ingress"}, "defaults: ingress.%s must be %s", trigger, want)
		}
	}
	if len(doc.Functions) == 0 {
		p.complain([]string{"functions"}, "functions are missing")
	}
	for _, name := range p.names() {
		p.function(name, doc.Functions[name], doc.Defaults.Resources)
	}
	p.across()
	if err := p.err(); err != nil {
		return nil, err
	}
	return p.manifest, nil
}

// inFile puts yaml's own complaints, which begin with "line 4: ", into our form.
func inFile(err error) error {
	var kinds *yaml.TypeError
	if !errors.As(err, &kinds) {
		return fmt.Errorf("functions.yaml: %w", err)
	}
	var all []error
	for _, text := range kinds.Errors {
		text = strings.NewReplacer(" in type functions.entry", "", " in type functions.document", "", "field ", "key ").Replace(text)
		all = append(all, errors.New("functions.yaml:"+strings.TrimPrefix(text, "line ")))
	}
	return errors.Join(all...)
}

type reader struct {
	root     *yaml.Node
	manifest *Manifest
	faults   []fault
}

type fault struct {
	line int
	text string
}

// complain notes a fault on the line of the key at path, or of the nearest key
// above it that is there.
func (p *reader) complain(path []string, format string, args ...any) {
	p.complainAt(p.line(path), format, args...)
}

func (p *reader) complainAt(line int, format string, args ...any) {
	p.faults = append(p.faults, fault{line, fmt.Sprintf(format, args...)})
}

func (p *reader) line(path []string) int {
	at, line := p.root, p.root.Line
	for _, key := range path {
		k, v := member(at, key)
		if k == nil {
			break
		}
		at, line = v, k.Line
	}
	return line
}

func member(n *yaml.Node, key string) (k, v *yaml.Node) {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				return n.Content[i], n.Content[i+1]
			}
		}
	}
	return nil, nil
}

// names are the functions in the file's order.
func (p *reader) names() []string {
	var all []string
	if _, functions := member(p.root, "functions"); functions != nil {
		for i := 0; i+1 < len(functions.Content); i += 2 {
			all = append(all, functions.Content[i].Value)
		}
	}
	return all
}

func (p *reader) err() error {
	slices.SortStableFunc(p.faults, func(a, b fault) int { return cmp.Compare(a.line, b.line) })
	errs := make([]error, len(p.faults))
	for i, f := range p.faults {
		errs[i] = fmt.Errorf("functions.yaml:%d: %s", f.line, f.text)
	}
	return errors.Join(errs...)
}

var word = regexp.MustCompile(`^[a-z][a-z0-9]{1,30}$`)

func (p *reader) function(name string, e entry, defaults Resources) {
	here := []string{"functions", name}
	f := Function{
		Name: name, Summary: strings.TrimSpace(e.Summary), Trigger: e.Trigger, Public: e.Public, Topic: e.Topic, Schedule: e.Schedule,
		CPU: cmp.Or(e.CPU, defaults.CPU), Concurrency: cmp.Or(e.Concurrency, defaults.Concurrency),
		MaxInstances: cmp.Or(e.MaxInstances, defaults.MaxInstances),
		Secrets:      slices.Concat(defaults.Secrets, e.Secrets), OptionalSecrets: e.OptionalSecrets, Settings: e.Settings,
		Publishes: e.Publishes, Uses: e.Uses, Ingress: ingress(e.Trigger), line: p.line(here),
	}
	if e.MinInstances != nil {
		f.MinInstances = *e.MinInstances
	}
	say := func(key, format string, args ...any) {
		p.complain(append(slices.Clone(here), key), "%s: "+format, append([]any{name}, args...)...)
	}
	if !word.MatchString(name) || token.IsKeyword(name) {
		p.complain(here, "function name %q: must be one lower-case word, for it is a folder, a package and a service", name)
	}
	if f.Summary == "" {
		say("summary", "summary is missing")
	}
	f.MemoryMiB = mebibytes(cmp.Or(e.Memory, defaults.Memory))
	if f.MemoryMiB < 128 || f.MemoryMiB > 32*1024 {
		say("memory", "memory must be 128Mi to 32Gi")
	}
	f.Timeout = p.seconds(say, "timeout", cmp.Or(e.Timeout, defaults.Timeout), 2*time.Second, longest(f.Trigger))
	for _, n := range []struct {
		key            string
		got, low, high int
	}{
		{"concurrency", f.Concurrency, 1, 1000},
		{"max_instances", f.MaxInstances, 1, 1000},
		{"min_instances", f.MinInstances, 0, f.MaxInstances},
	} {
		if n.got < n.low || n.got > n.high {
			say(n.key, "%s must be a number from %d to %d", n.key, n.low, n.high)
		}
	}
	if cpu, err := strconv.ParseFloat(f.CPU, 64); f.CPU == "" {
		say("cpu", "cpu is missing, here and in the defaults")
	} else if err != nil || !(cpu > 0 && cpu <= 8) {
		say("cpu", "cpu must be a number of processors, up to 8")
	}
	p.trigger(say, &f, e)
	p.lists(say, f)
	p.manifest.Functions = append(p.manifest.Functions, f)
}

type sayer func(key, format string, args ...any)

var environmentName = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

// lists checks the names in the function's lists.
func (p *reader) lists(say sayer, f Function) {
	for key, names := range map[string][]string{
		"secrets": f.Secrets, "optional_secrets": f.OptionalSecrets, "settings": f.Settings,
		"publishes": f.Publishes,
	} {
		seen := map[string]bool{}
		for _, name := range names {
			switch {
			case key == "publishes" && !topicName(name):
				say(key, "%q is no topic", name)
			case key != "publishes" && !environmentName.MatchString(name):
				say(key, "%q must be an environment name, such as DATABASE_URL", name)
			case seen[name]:
				say(key, "%s is here twice", name)
			}
			seen[name] = true
		}
	}
	for _, use := range f.Uses {
		if !slices.Contains(uses, use) {
			say("uses", "%q is none of %v", use, uses)
		}
	}
}
