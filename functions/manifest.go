// Package functions holds the manifest, the only list of the functions that
// there are. A function itself is a folder beside it; this package imports none.
package functions

import (
	_ "embed"
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
	// PoolerConnections is how many clients the database's pooler admits.
	PoolerConnections int
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
	// Secrets are the environment names whose values come from Secret Manager.
	Secrets []string

	line int
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

// Connections adds up what all functions may open at once.
func (m *Manifest) Connections() int {
	sum := 0
	for _, f := range m.Functions {
		sum += f.Connections()
	}
	return sum
}
