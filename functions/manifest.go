// Package functions holds the manifest, the only list of the functions that
// there are. A function itself is a folder beside it; this package imports none.
package functions

import (
	"cmp"
	_ "embed"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed functions.yaml
var source []byte

// Trigger is what makes a function run.
type Trigger string

// The triggers.
const (
	HTTP     Trigger = "http"
	PubSub   Trigger = "pubsub"
	Schedule Trigger = "schedule"
)

func (t Trigger) known() bool { return t == HTTP || t == PubSub || t == Schedule }

// DeadLetterTopic receives what failed its last attempt on any other topic.
const DeadLetterTopic = "dead-letter"

// Manifest is functions.yaml, checked, with the defaults filled in.
type Manifest struct {
	// Pooler is the database's, in front of which all functions queue.
	Pooler Pooler
	// Functions are in the file's order.
	Functions []Function
}

// Function is one entry.
type Function struct {
	Name    string
	Summary string
	Trigger Trigger

	// Paths are what an HTTP function serves. Public ones ask for no Supabase
	// token, because the function verifies its caller itself.
	Paths  []Path
	Public bool

	// Topic is a Pub/Sub function's, and Retry how a message that fails comes again.
	Topic string
	Retry Retry

	// Schedule is a scheduled function's cron expression, in UTC.
	Schedule string

	MemoryMiB    int
	Timeout      time.Duration
	Concurrency  int
	MinInstances int
	MaxInstances int
	// CPU is how many processors an instance has, such as "1".
	CPU string

	// Secrets are the environment names whose values come from Secret Manager;
	// OptionalSecrets those that a deployment may leave out. Settings are the
	// names whose values stand in the deployment's own text.
	Secrets, OptionalSecrets, Settings []string
	// Publishes are the topics that it publishes to.
	Publishes []string
	// Uses are the services of Google that it needs rights on.
	Uses []Use
	// Ingress is who can reach its address at all.
	Ingress Ingress

	line int
}

// Processors is Go's GOMAXPROCS in an instance: one more than it has, so that the system,
// and not Go's own scheduler, shares them out between a large body that is decoded and
// everybody else, within a millisecond and not ten.
func (f Function) Processors() int {
	cpu, _ := strconv.ParseFloat(f.CPU, 64) // checked when the manifest was read
	return int(math.Ceil(cpu)) + 1
}

// Ingress is who can reach a function's address at all, before any right is checked.
type Ingress string

// The ingresses. LoadBalancer admits strangers, by the load balancer only; Internal
// admits this project's own Pub/Sub and Cloud Scheduler.
const (
	LoadBalancer Ingress = "load-balancer"
	Internal     Ingress = "internal"
)

func ingress(t Trigger) Ingress {
	if t == HTTP {
		return LoadBalancer
	}
	return Internal
}

// Use is a service that a function needs rights on.
type Use string

// The services. SecretWriter makes and destroys the secrets that tenants bring;
// SecretReader reads them.
const (
	Bucket       Use = "bucket"
	Vertex       Use = "vertex"
	Firestore    Use = "firestore"
	Scheduler    Use = "scheduler"
	SecretReader Use = "secret-reader"
	SecretWriter Use = "secret-writer"
)

var uses = []Use{Bucket, Vertex, Firestore, Scheduler, SecretReader, SecretWriter}

// Pooler is what the database's transaction pooler admits.
type Pooler struct {
	// Compute is the size of the Supabase project's database.
	Compute string `yaml:"compute"`
	// RollOut is how many instances there are while a new revision takes over
	// from an old one, as a multiple of the instances before.
	RollOut float64 `yaml:"roll_out"`
}

// clients is how many clients Supavisor admits in transaction mode, by compute
// size (Supabase's table of compute add-ons).
var clients = map[string]int{"nano": 200, "micro": 200, "small": 400, "medium": 600, "large": 800, "xl": 1000, "2xl": 1500, "4xl": 3000}

// Clients is how many clients the pooler admits; 0 for a size that is not known.
func (p Pooler) Clients() int { return clients[p.Compute] }

func computeSizes() []string { return slices.Sorted(maps.Keys(clients)) }

// SmallestPooler is the smallest compute size whose pooler admits a roll-out with a
// tenth of its clients left free; empty where none does.
func (m *Manifest) SmallestPooler() string {
	sizes := slices.DeleteFunc(computeSizes(), func(size string) bool { return m.ConnectionsRollingOut() > clients[size]*9/10 })
	slices.SortFunc(sizes, func(a, b string) int { return cmp.Or(clients[a]-clients[b], -strings.Compare(a, b)) })
	if len(sizes) == 0 {
		return ""
	}
	return sizes[0]
}

// Path is one method and pattern of net/http's ServeMux.
type Path struct {
	Method  string
	Pattern string

	line int
}

// String returns the path as the ServeMux takes it, such as "GET /api/campaigns/{id}".
func (p Path) String() string { return p.Method + " " + p.Pattern }

// Retry is a push subscription's policy.
type Retry struct {
	MinBackoff  time.Duration
	MaxBackoff  time.Duration
	MaxAttempts int
}

// Load returns the manifest that this program was built with. The error names
// everything that is wrong with it by line.
var Load = sync.OnceValues(func() (*Manifest, error) { return Parse(source) })

// Get returns the function of that name.
func (m *Manifest) Get(name string) (Function, bool) {
	for _, f := range m.Functions {
		if f.Name == name {
			return f, true
		}
	}
	return Function{}, false
}

// Subscribers returns the functions of a topic.
func (m *Manifest) Subscribers(topic string) []Function {
	var all []Function
	for _, f := range m.Functions {
		if f.Trigger == PubSub && f.Topic == topic {
			all = append(all, f)
		}
	}
	return all
}

// connectionsPerPool is the default of shared/pg's DATABASE_MAX_CONNS.
const connectionsPerPool = 2

// Connections is how many database connections f opens when it runs on as many
// instances as it may: each role that it connects as has a pool of its own.
func (f Function) Connections() int {
	pools := 0
	for _, name := range f.Secrets {
		if name == "DATABASE_URL" || name == "WORKER_DATABASE_URL" {
			pools++
		}
	}
	return f.MaxInstances * pools * connectionsPerPool
}

// ConnectionsRollingOut is what all functions may open while new revisions take
// over from old ones.
func (m *Manifest) ConnectionsRollingOut() int {
	return int(math.Ceil(float64(m.Connections()) * m.Pooler.RollOut))
}

// Connections adds up what all functions may open at once.
func (m *Manifest) Connections() int {
	sum := 0
	for _, f := range m.Functions {
		sum += f.Connections()
	}
	return sum
}
