package functions

import (
	"regexp"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

func (p *reader) text(n *yaml.Node, what, field string) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		p.complain(n.Line, "%s: %s must be a text", what, field)
		return ""
	}
	return n.Value
}

func (p *reader) boolean(n *yaml.Node, what, field string) bool {
	var v bool
	if n.Tag != "!!bool" || n.Decode(&v) != nil {
		p.complain(n.Line, "%s: %s must be true or false", what, field)
	}
	return v
}

func (p *reader) number(n *yaml.Node, what, field string, low, high int) int {
	v, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || err != nil || v < low || v > high {
		p.complain(n.Line, "%s: %s must be a number from %d to %d", what, field, low, high)
		return 0
	}
	return v
}

// durationForm is what Terraform and Cloud Run take as well: whole seconds.
var durationForm = regexp.MustCompile(`^[0-9]{1,5}s$`)

func (p *reader) duration(n *yaml.Node, what, field string, low, high time.Duration) time.Duration {
	v, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || !durationForm.MatchString(n.Value) || err != nil || v < low || v > high {
		p.complain(n.Line, "%s: %s must be whole seconds from %ds to %ds", what, field, int(low.Seconds()), int(high.Seconds()))
		return 0
	}
	return v
}

// each calls read for every text of the list n.
func (p *reader) each(n *yaml.Node, what, field string, read func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		p.complain(n.Line, "%s: %s must be a list that is not empty", what, field)
		return
	}
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode || item.Tag == "!!null" {
			p.complain(item.Line, "%s: %s must hold texts only", what, field)
			continue
		}
		read(item)
	}
}

var environmentName = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

func (p *reader) secrets(n *yaml.Node, what string) []string {
	var all []string
	p.each(n, what, "secrets", func(item *yaml.Node) {
		switch {
		case !environmentName.MatchString(item.Value):
			p.complain(item.Line, "%s: secret %q must be an environment name, such as DATABASE_URL", what, item.Value)
		case slices.Contains(all, item.Value):
			p.complain(item.Line, "%s: secret %s is here twice", what, item.Value)
		default:
			all = append(all, item.Value)
		}
	})
	return all
}
