package functions

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// across checks what no entry can tell alone.
func (p *reader) across() {
	p.routes()
	m := p.manifest
	pubsub := slices.IndexFunc(m.Functions, func(f Function) bool { return f.Trigger == PubSub })
	if pubsub >= 0 && len(m.Subscribers(DeadLetterTopic)) == 0 {
		p.complain([]string{"functions", m.Functions[pubsub].Name},
			"%s: no function has the topic %s, so what fails its last attempt would vanish",
			m.Functions[pubsub].Name, DeadLetterTopic)
	}
	if sum := m.ConnectionsRollingOut(); sum > m.Pooler.Clients() && m.Pooler.Clients() > 0 {
		p.complain([]string{"defaults", "pooler"}, "all functions together may open %d database connections during a roll-out "+
			"(max_instances x %d for each database secret, times %g), but the pooler of a database of size %s admits %d: lower some max_instances or take a larger size",
			sum, connectionsPerPool, m.Pooler.RollOut, m.Pooler.Compute, m.Pooler.Clients())
	}
}

// routes refuses a path that another function has: the load balancer chooses
// the function by path alone, whatever the method.
func (p *reader) routes() {
	mux, owner := http.NewServeMux(), map[string]Function{}
	for _, f := range p.manifest.Functions {
		seen := map[string]bool{}
		for _, path := range f.Paths {
			if seen[path.String()] {
				p.complainAt(path.line, "%s: path %s is here twice", f.Name, path)
				continue
			}
			seen[path.String()] = true
			switch other, taken := owner[path.Pattern]; {
			case !taken:
				owner[path.Pattern] = f
				if err := register(mux, path.Pattern); err != nil {
					p.complainAt(path.line, "%s: path %s: %v", f.Name, path, err)
				}
			case other.Name != f.Name:
				p.complainAt(path.line, "%s: path %s is %s's (line %d)", f.Name, path, other.Name, other.line)
			}
		}
	}
}

var position = regexp.MustCompile(` \(registered at [^)]*\)`)

// register returns as an error what ServeMux panics with, such as two patterns
// that both match one request.
func register(mux *http.ServeMux, pattern string) (err error) {
	defer func() {
		if v := recover(); v != nil {
			text, _, _ := strings.Cut(position.ReplaceAllString(fmt.Sprint(v), ""), "\n")
			err = errors.New(strings.TrimSuffix(text, ":"))
		}
	}()
	mux.Handle(pattern, http.NotFoundHandler())
	return nil
}
