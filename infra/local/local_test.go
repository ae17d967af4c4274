package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/infra/testkit/cluster"
	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
)

const anyPort = "127.0.0.1:0"

func TestTheSystemServesStopsAndFindsItsDataAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	t.Cleanup(func() { // as root its files are elsewhere
		if err := cluster.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	p := launch(t, "-addr", anyPort, "-data", dir, "-demo=false").ready(dir)

	info, err := os.Stat(filepath.Join(dir, "env"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file env: %v %v", info.Mode(), err)
	}
	for _, name := range []string{
		"BASE_URL", "TOKEN", "ADMIN_TOKEN", "VIEWER_TOKEN", "OTHER_TENANT_TOKEN", "HUBSPOT_CLIENT_SECRET", "PUBLIC_BASE_URL", "PUBLISHABLE_KEY", "SERVER_KEY",
		"DATABASE_URL", "ADMIN_DATABASE_URL", "TENANT_ID", "ACCOUNT_ID", "PORTAL_ID", "HUBSPOT_API_URL", "META_API_URL",
	} {
		if p.env[name] == "" {
			t.Errorf("env has no %s", name)
		}
	}
	if p.env["BASE_URL"] != p.url || p.env["PUBLIC_BASE_URL"] != p.url {
		t.Errorf("BASE_URL %s, PUBLIC_BASE_URL %s, ready at %s", p.env["BASE_URL"], p.env["PUBLIC_BASE_URL"], p.url)
	}

	for _, path := range []string{"/health", "/healthz"} {
		if text := p.want(200, "GET", path, "", ""); !strings.Contains(text, `"status":"ok"`) || !strings.Contains(text, `"crmevent":"ok"`) {
			t.Errorf("%s: %s", path, text)
		}
	}
	for _, token := range []string{"TOKEN", "ADMIN_TOKEN", "VIEWER_TOKEN", "OTHER_TENANT_TOKEN"} {
		if text := p.want(200, "GET", "/api/campaigns", token, ""); !strings.Contains(text, `"campaigns":[]`) {
			t.Errorf("campaigns of an empty system: %s", text)
		}
	}
	p.want(401, "GET", "/api/campaigns", "", "")
	p.want(403, "POST", "/api/ml/synthetic-revenue/get-stages", "OTHER_TENANT_TOKEN", `{"tenant_id": "`+p.env["TENANT_ID"]+`"}`)
	if text := p.want(404, "GET", "/nothing/here", "TOKEN", ""); !strings.Contains(text, `"status":404`) {
		t.Errorf("not a problem: %s", text)
	}
	p.want(404, "POST", "/crmevent", "TOKEN", "{}")
	p.want(405, "DELETE", "/api/campaigns", "TOKEN", "")
	if n := query[int](p, "DATABASE_URL", `SELECT count(*) FROM gv.accounts`); n != 0 {
		t.Errorf("without a tenant gv_app sees %d accounts", n)
	}
	if n := query[int](p, "ADMIN_DATABASE_URL", `SELECT count(*) FROM gv.accounts`); n != 2 {
		t.Errorf("%d accounts", n)
	}

	click := func(p *process, id string) {
		p.want(200, "POST", "/api/ml/attribution/track-click", "", `{"ad_id": "1", "campaign_id": "1", "tenant_id": "`+
			p.env["TENANT_ID"]+`", "publishable_key": "`+p.env["PUBLISHABLE_KEY"]+`", "fbclid": "`+id+`"}`)
	}
	click(p, "first")
	p.want(200, "PUT", "/api/schedules/learning", "ADMIN_TOKEN", `{"cron": "0 6 * * *", "time_zone": "America/Chicago"}`)
	if code := p.end(syscall.SIGTERM); code != 0 {
		t.Errorf("after SIGTERM it ended with %d:\n%s", code, p.output())
	}
	if conn, err := pgx.Connect(t.Context(), p.env["ADMIN_DATABASE_URL"]); err == nil {
		conn.Close(t.Context())
		t.Error("PostgreSQL outlived the system")
	}

	again := launch(t, "-addr", anyPort, "-data", dir, "-demo=false").ready(dir)
	if again.env["PUBLISHABLE_KEY"] != p.env["PUBLISHABLE_KEY"] || again.env["HUBSPOT_CLIENT_SECRET"] != p.env["HUBSPOT_CLIENT_SECRET"] {
		t.Error("the second start has other keys")
	}
	click(again, "second")
	if own := again.want(200, "GET", "/api/schedules/learning", "ADMIN_TOKEN", ""); !strings.Contains(own, `"source":"tenant"`) || !strings.Contains(own, `"corrected":[]`) {
		t.Errorf("the tenant's own schedule after a restart: %s", own)
	}
	again.end(syscall.SIGKILL)

	third := launch(t, "-addr", anyPort, "-data", dir, "-demo=false").ready(dir)
	if n := query[int](third, "ADMIN_DATABASE_URL", `SELECT count(*) FROM gv.clicks`); n != 2 {
		t.Errorf("after a hard kill there are %d clicks, want 2", n)
	}
	server, _, _ := strings.Cut(query[string](third, "ADMIN_DATABASE_URL", `SELECT pg_read_file('postmaster.pid')`), "\n")
	pid, err := strconv.Atoi(server)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := third.wait(); code != 1 || !strings.Contains(third.output(), "PostgreSQL ended under the running system; start again") {
		t.Errorf("after its database was killed it ended with %d:\n%s", code, third.output())
	}
	fourth := launch(t, "-addr", anyPort, "-data", dir, "-demo=false").ready(dir)
	if n := query[int](fourth, "ADMIN_DATABASE_URL", `SELECT count(*) FROM gv.clicks`); n != 2 {
		t.Errorf("after the database was killed there are %d clicks, want 2", n)
	}
	fourth.end(os.Interrupt.(syscall.Signal))

	fresh := launch(t, "-addr", anyPort, "-data", dir, "-demo=false", "-fresh").ready(dir)
	if n := query[int](fresh, "ADMIN_DATABASE_URL", `SELECT count(*) FROM gv.clicks`); n != 0 {
		t.Errorf("after -fresh there are %d clicks", n)
	}
}

func TestWhatIsInUseIsNamedBeforeAnythingStarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := launch(t, "-addr", anyPort, "-db", pgtest.Empty(t).AdminURL, "-data", dir, "-demo=false").ready(dir)

	same := launch(t, "-addr", anyPort, "-data", dir)
	if code := same.wait(); code != 1 || !strings.Contains(same.output(), "another local system has the data in "+dir) ||
		!strings.Contains(same.output(), fmt.Sprintf("process %d", p.cmd.Process.Pid)) {
		t.Errorf("the same -data twice: %d\n%s", code, same.output())
	}

	other := t.TempDir()
	taken := launch(t, "-addr", strings.TrimPrefix(p.url, "http://"), "-data", other)
	if code := taken.wait(); code != 1 || !strings.Contains(taken.output(), "is in use by another program; stop it, or take another one with -addr") {
		t.Errorf("the same -addr twice: %d\n%s", code, taken.output())
	}
	inside, err := filepath.Glob(filepath.Join(other, "postgres*"))
	if err != nil || len(inside) > 0 {
		t.Errorf("it began with %v before it looked at the address", inside)
	}

	db := launch(t, "-addr", anyPort, "-db", p.env["ADMIN_DATABASE_URL"], "-data", t.TempDir())
	if code := db.wait(); code != 1 || !strings.Contains(db.output(), "another local system uses this database") {
		t.Errorf("the same -db twice: %d\n%s", code, db.output())
	}
	p.want(200, "GET", "/health", "", "")
}

func TestTwoSystemsOnOneServerDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	first, second := t.TempDir(), t.TempDir()
	a := launch(t, "-addr", anyPort, "-db", pgtest.Empty(t).AdminURL, "-data", first, "-demo=false").ready(first)
	b := launch(t, "-addr", anyPort, "-db", pgtest.Empty(t).AdminURL, "-data", second, "-demo=false").ready(second)
	for _, p := range []*process{a, b, a} {
		p.want(200, "GET", "/health", "", "")
		p.want(200, "GET", "/api/campaigns", "TOKEN", "")
		if n := query[int](p, "DATABASE_URL", `SELECT count(*) FROM gv.tenants`); n != 0 {
			t.Errorf("without a tenant gv_app sees %d tenants", n)
		}
	}
	a.env["TOKEN"] = b.env["TOKEN"]
	a.want(401, "GET", "/api/campaigns", "TOKEN", "")
}

func TestAWrongCallIsRefused(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"flag provided but not defined: -nonsense": {"-nonsense"},
		"flag provided but not defined: -other":    {"demo", "-other"},
		`unexpected "start"`:                       {"start"},
		`unexpected "test"`:                        {"demo", "test"},
		"-fresh removes only a cluster that":       {"-fresh", "-db", "postgres://a@b/c"},
		"-db must be a URL":                        {"-db", "host=localhost", "-addr", anyPort},
		"-addr 1.2.3.4.5:x":                        {"-addr", "1.2.3.4.5:x"},
		"-check names one check of":                {"demo", "-check", "lint"},
	} {
		p := launch(t, args...)
		if code := p.wait(); code == 0 || !strings.Contains(p.output(), want) || strings.Contains(p.output(), "goroutine") {
			t.Errorf("%v: %d %s", args, code, p.output())
		}
	}
	if p := launch(t, "-h"); p.wait() != 0 || !strings.Contains(p.output(), "-data folder") {
		t.Errorf("-h: %s", p.output())
	}
}

func TestFlagsStandBeforeOrAfterTheSubcommand(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-addr", "127.0.0.1:1", "demo", "-data", "/tmp/x"},
		{"demo", "-addr=127.0.0.1:1", "-data", "/tmp/x"},
		{"-data=/tmp/x", "-addr", "127.0.0.1:1", "demo"},
	} {
		o, err := parse(args, io.Discard)
		if err != nil || o.command != "demo" || o.addr != "127.0.0.1:1" || !o.addrSet || o.dir != "/tmp/x" {
			t.Errorf("%v: %+v, %v", args, o, err)
		}
	}
	o, err := parse(nil, io.Discard)
	if err != nil || o.addr != "127.0.0.1:8080" || o.addrSet || filepath.Base(o.dir) != ".local" || !o.demo {
		t.Errorf("defaults: %+v, %v", o, err)
	}
}

func TestEventsSurviveAHardKillInTheMiddle(t *testing.T) { eventsSurvive(t, syscall.SIGKILL) }

func TestEventsSurviveAStopInTheMiddle(t *testing.T) { eventsSurvive(t, syscall.SIGTERM) }

// eventsSurvive plays deals while the whole system gets the signal, twice, and is started again.
func eventsSurvive(t *testing.T, signal syscall.Signal) {
	t.Helper()
	t.Parallel()
	dir := t.TempDir()
	database := pgtest.Empty(t).AdminURL
	start := func() *process {
		return launch(t, "-addr", anyPort, "-db", database, "-data", dir, "-demo=false").ready(dir)
	}
	p := start()
	const deals = 40
	stages := []string{"appointmentscheduled", "closedwon", "closedlost"}
	portal := "/_local/hubspot/control/portals/" + p.env["PORTAL_ID"]
	var want []string
	for i := range deals {
		var made struct{ ID json.Number }
		text := p.want(200, "POST", portal+"/deals", "", `{"name": "d", "stage": "appointmentscheduled", "amount": "100.00"}`)
		if err := json.Unmarshal([]byte(text), &made); err != nil {
			t.Fatal(err)
		}
		last := stages[i%len(stages)]
		if i%len(stages) > 0 {
			p.want(200, "POST", portal+"/deals/"+made.ID.String()+"/stage", "", `{"stage": "`+last+`"}`)
		}
		want = append(want, made.ID.String()+" "+map[string]string{"appointmentscheduled": "appointment_scheduled", "closedwon": "closed_won", "closedlost": "closed_lost"}[last])
		if i == deals/2 || i == deals*3/4 {
			if code := p.end(signal); signal == syscall.SIGTERM && code != 0 {
				t.Errorf("a stop ends with %d:\n%s", code, p.output())
			}
			p = start()
		}
	}
	slices.Sort(want)
	p.eventually("every deal is in the ledger with its last stage", func() bool {
		got := query[[]string](p, "ADMIN_DATABASE_URL", `SELECT coalesce(array_agg(deal_id || ' ' || stage_name ORDER BY deal_id || ' ' || stage_name), '{}') FROM gv.deals`)
		return slices.Equal(got, want)
	})
	p.eventually("the queue is empty", func() bool {
		return !regexp.MustCompile(`"(due|handling|backing_off)":[1-9]`).MatchString(p.want(200, "GET", "/_local/queue", "", ""))
	})
	if n := query[int](p, "ADMIN_DATABASE_URL", `SELECT count(*) FROM gv.dead_letters`); n != 0 {
		t.Errorf("%d dead letters", n)
	}
}

func TestTheBackstageRunsFunctionsAndIsForThisMachineAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := launch(t, "-addr", anyPort, "-db", pgtest.Empty(t).AdminURL, "-data", dir, "-demo=false").ready(dir)
	p.want(200, "POST", "/_local/run/relay", "", "")
	p.want(404, "POST", "/_local/run/crmevent", "", "")
	p.want(404, "POST", "/_local/run/nothing", "", "")
	p.want(400, "POST", "/_local/deliver/crmevent", "", "")
	if text := p.want(200, "GET", "/_local/", "", ""); !strings.Contains(text, "/_local/run/FUNCTION") {
		t.Errorf("help: %s", text)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/_local/run/relay", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("a page of another origin: %d", resp.StatusCode)
	}
}

func TestAQuotedValueIsOneWordOfTheShell(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "plain", "it's", `"$HOME" \ * ;`, "two\nlines", "''"} {
		out, err := exec.Command("sh", "-c", "X="+quoted(value)+`; printf %s "$X"`).Output()
		if err != nil || string(out) != value {
			t.Errorf("%q came back as %q, %v", value, out, err)
		}
	}
}

func TestTheAddressThatPeopleDialIsThisMachines(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{"0.0.0.0:80": "127.0.0.1:80", "[::]:81": "127.0.0.1:81", "127.0.0.1:82": "127.0.0.1:82", "[::1]:83": "[::1]:83"} {
		a, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := dialable(a); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

func TestStateIsKeptAndIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, err := loadState(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := loadState(dir)
	if err != nil || a != b {
		t.Errorf("read back %+v, %v, want %+v", b, err, a)
	}
	info, err := os.Stat(filepath.Join(dir, "state.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %s, %v", strconv.FormatInt(int64(info.Mode().Perm()), 8), err)
	}
}
