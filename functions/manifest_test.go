package functions

import (
	"strings"
	"testing"
	"time"
)

func TestTheManifestIsRight(t *testing.T) {
	t.Parallel()
	m, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Functions) == 0 {
		t.Fatal("there are no functions")
	}
	if sum, limit := m.ConnectionsRollingOut(), m.Pooler.Clients(); sum > limit*9/10 {
		t.Errorf("during a roll-out functions may open %d connections; of the %d that the pooler admits a tenth is to stay free", sum, limit)
	}
}

// HubSpot gives a webhook 5 s, which a cold start with a new connection may take.
func TestTheWebhookOfHubSpotHasAnInstanceThatIsWarm(t *testing.T) {
	t.Parallel()
	m, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if f, ok := m.Get("hubspot"); !ok || f.MinInstances != 1 {
		t.Errorf("hubspot has %d instances at least, want 1", f.MinInstances)
	}
}

const right = `defaults: {memory: 256Mi, timeout: 60s, concurrency: 80, max_instances: 5, cpu: "1", pooler: {compute: nano, roll_out: 1}, ingress: {http: load-balancer, pubsub: internal, schedule: internal}}
functions:
  allocate:
    summary: Splits a budget.
    trigger: http
    paths: [POST /api/select, "GET /api/decisions/{id}"]
    secrets: [DATABASE_URL]
  crmevent:
    summary: Credits a deal.
    trigger: pubsub
    topic: crm-events
    retry: {min_backoff: 10s, max_backoff: 600s, max_attempts: 10}
  dead:
    summary: Keeps what failed.
    trigger: pubsub
    topic: dead-letter
    retry: {min_backoff: 10s, max_backoff: 600s, max_attempts: 100}
  execute:
    summary: Applies changes.
    trigger: schedule
    schedule: "*/5 * * * *"
    max_instances: 1
    memory: 1Gi
`

func TestDefaultsFillWhatAnEntryLeavesOut(t *testing.T) {
	t.Parallel()
	m, err := Parse([]byte(right))
	if err != nil {
		t.Fatal(err)
	}
	f, _ := m.Get("execute")
	if f.MemoryMiB != 1024 || f.Timeout != time.Minute || f.Concurrency != 80 || f.MaxInstances != 1 || f.Schedule != "*/5 * * * *" {
		t.Errorf("execute = %+v", f)
	}
	if f.Ingress != Internal {
		t.Errorf("execute's ingress is %s", f.Ingress)
	}
	if got := m.Connections(); got != 10 {
		t.Errorf("connections = %d, want allocate's 5 instances of 2", got)
	}
	if f, _ := m.Get("allocate"); f.Paths[1].String() != "GET /api/decisions/{id}" {
		t.Errorf("second path = %s", f.Paths[1])
	}
}

func TestEveryMistakeIsNamedByItsLine(t *testing.T) {
	t.Parallel()
	cases := []struct{ replace, with, want string }{
		{"summary: Splits a budget.", "summery: Splits a budget.", `functions.yaml:4: key summery not found`},
		{"summary: Splits a budget.\n", "\n", "functions.yaml:3: allocate: summary is missing"},
		{"  allocate:", "  allocateBudget:", `functions.yaml:3: function name "allocateBudget": must be one lower-case word`},
		{"  allocate:", "  func:", `functions.yaml:3: function name "func"`},
		{"  execute:", "  dead:", `functions.yaml:18: mapping key "dead" already defined at line 13`},
		{"POST /api/select", "/api/select", `functions.yaml:6: allocate: path "/api/select" must be a method and a path`},
		{"POST /api/select", "POST /health", "functions.yaml:6: allocate: path /health: /health is reserved"},
		{"POST /api/select", `"POST /api/decisions/{"`, "functions.yaml:6: allocate: path POST /api/decisions/{: "},
		{"POST /api/select", `"POST /api/select", POST /api/select`, "functions.yaml:6: allocate: path POST /api/select is here twice"},
		{"paths: [POST /api/select, \"GET /api/decisions/{id}\"]", "paths: []", "functions.yaml:6: allocate: paths is missing: the trigger http needs it"},
		{"    topic: crm-events\n", "", "functions.yaml:8: crmevent: topic is missing: the trigger pubsub needs it"},
		{"topic: crm-events", "topic: CRM", "functions.yaml:11: crmevent: topic must be"},
		{"    topic: crm-events", "    public: true\n    topic: crm-events", "functions.yaml:11: crmevent: public is only for the trigger http"},
		{"topic: dead-letter", "topic: dead-letters", "functions.yaml:8: crmevent: no function has the topic dead-letter"},
		{"min_backoff: 10s, max_backoff: 600s, max_attempts: 10}", "min_backoff: 10s, max_backoff: 601s, max_attempts: 10}", "functions.yaml:12: crmevent: retry: max_backoff must be whole seconds from 0s to 600s"},
		{"max_attempts: 10}", "max_attempts: 4}", "functions.yaml:12: crmevent: retry: max_attempts must be a number from 5 to 100"},
		{"max_attempts: 100}", "max_attempts: 101}", "functions.yaml:17: dead: retry: max_attempts must be a number from 5 to 100"},
		{"{min_backoff: 10s, max_backoff: 600s, max_attempts: 10}", "{min_backoff: 10s}", "functions.yaml:12: crmevent: retry: max_backoff must be whole seconds from 0s to 600s"},
		{"min_backoff: 10s, max_backoff: 600s, max_attempts: 10}", "min_backoff: 20s, max_backoff: 10s, max_attempts: 10}", "functions.yaml:12: crmevent: retry: min_backoff 20s is above max_backoff 10s"},
		{`schedule: "*/5 * * * *"`, `schedule: "*/5 * * *"`, "functions.yaml:21: execute: schedule must be a cron expression of five fields"},
		{`schedule: "*/5 * * * *"`, `schedule: "61 * * * *"`, "functions.yaml:21: execute: schedule: end of range (61) above maximum (59)"},
		{`schedule: "*/5 * * * *"`, `schedule: "@hourly"`, "functions.yaml:21: execute: schedule must be a cron expression"},
		{`    schedule: "*/5 * * * *"` + "\n", "", "functions.yaml:18: execute: schedule is missing"},
		{"memory: 1Gi", "memory: 1G", "functions.yaml:23: execute: memory must be 128Mi to 32Gi"},
		{"memory: 1Gi", "timeout: 1801s", "functions.yaml:23: execute: timeout must be whole seconds from 2s to 1800s"},
		{"memory: 1Gi", "timeout: 1m", "functions.yaml:23: execute: timeout must be whole seconds"},
		{"memory: 1Gi", "min_instances: 2", "functions.yaml:23: execute: min_instances must be a number from 0 to 1"},
		{"memory: 1Gi", "max_instances: 2", `functions.yaml:23: mapping key "max_instances" already defined at line 22`},
		{"secrets: [DATABASE_URL]", "secrets: [database]", `functions.yaml:7: allocate: "database" must be an environment name`},
		{"secrets: [DATABASE_URL]", "secrets: [DATABASE_URL, WORKER_DATABASE_URL]\n    max_instances: 51", "functions.yaml:1: all functions together may open 204 database connections"},
		{"trigger: schedule", "trigger: cron", "functions.yaml:20: execute: trigger must be http, pubsub or schedule"},
		{"compute: nano", "compute: huge", "functions.yaml:1: defaults: pooler.compute is missing, or is none of [2xl"},
		{"roll_out: 1", "roll_out: 3", "functions.yaml:1: defaults: pooler.roll_out must be a factor from 1 to 2"},
		{"pubsub: internal", "pubsub: load-balancer", "functions.yaml:1: defaults: ingress.pubsub must be internal"},
		{", ingress: {http: load-balancer, pubsub: internal, schedule: internal}", "", "functions.yaml:1: defaults: ingress.http must be load-balancer"},
		{"concurrency: 80, ", "", "functions.yaml:3: allocate: concurrency must be a number from 1 to 1000"},
		{"secrets: [DATABASE_URL]", "uses: [buckets]", `functions.yaml:7: allocate: "buckets" is none of`},
		{"secrets: [DATABASE_URL]", "publishes: [Topic]", `functions.yaml:7: allocate: "Topic" is no topic`},
		{"secrets: [DATABASE_URL]", "settings: [A, A]", `functions.yaml:7: allocate: A is here twice`},
		{"defaults: {memory: 256Mi", "extra: 1\ndefaults: {memory: 256Mi", `functions.yaml:1: key extra not found`},
		{right, "", "functions.yaml:1: the file is empty"},
		{right, "functions: [a, b]", "functions.yaml:1: cannot unmarshal !!seq"},
		{right, "a: [", "functions.yaml: yaml: line 1"},
	}
	for _, c := range cases {
		text := strings.Replace(right, c.replace, c.with, 1)
		if text == right {
			t.Fatalf("nothing to replace: %q", c.replace)
		}
		_, err := Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("with %q:\n got %v\nwant %s", c.with, err, c.want)
		}
	}
}

func TestAPathBelongsToOneFunction(t *testing.T) {
	t.Parallel()
	other := func(path string) string {
		return right + "  other:\n    summary: Another.\n    trigger: http\n    paths: [\"" + path + "\"]\n"
	}
	for path, want := range map[string]string{
		"POST /api/select":        "functions.yaml:27: other: path POST /api/select is allocate's (line 3)",
		"GET /api/select":         "functions.yaml:27: other: path GET /api/select is allocate's (line 3)",
		"GET /api/{any}/top":      `functions.yaml:27: other: path GET /api/{any}/top: pattern "/api/{any}/top"`,
		"GET /api/decisions/{no}": `functions.yaml:27: other: path GET /api/decisions/{no}: pattern "/api/decisions/{no}"`,
	} {
		if _, err := Parse([]byte(other(path))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", path, err, want)
		}
	}
	if _, err := Parse([]byte(other("GET /api/decisions/latest"))); err != nil {
		t.Errorf("a path that is more specific: %v", err)
	}
}

func TestAllMistakesAreNamedAtOnceInTheOrderOfTheFile(t *testing.T) {
	t.Parallel()
	text := strings.NewReplacer("trigger: http", "trigger: web", "max_attempts: 10}", "max_attempts: 1}", "1Gi", "1").Replace(right)
	_, err := Parse([]byte(text))
	if err == nil {
		t.Fatal("accepted")
	}
	var lines []string
	for line := range strings.Lines(err.Error()) {
		lines = append(lines, strings.Join(strings.SplitN(line, ":", 3)[:2], ":"))
	}
	got := strings.Join(lines, " ")
	if want := "functions.yaml:5 functions.yaml:12 functions.yaml:23"; got != want {
		t.Errorf("got %s, want %s\n%v", got, want, err)
	}
}
