package functions

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// tiers say which shared package may import which: those of an earlier tier, and
// of its own, but for domain packages and joints: those a function joins in one
// transaction.
var tiers = []struct {
	name     string
	packages []string
}{
	{"pure", []string{"creative", "fault", "fatigue", "message", "money", "adreport", "sampler", "backtest", "changes", "standardwebhook"}},
	{"plumbing", []string{
		"auth", "members", "deadletter", "idempotency", "inbox", "lease", "notice", "outbox", "pg", "publish", "secrets", "serve",
		"settings", "telemetry", "dealtimes", "clock", "fair", "spool", "ads/budgets", "winners/figures",
	}},
	{"clients", []string{"bucket", "embed", "gemini", "hubspot", "live", "meta", "slack", "webhook"}},
	{"domain", []string{
		"accounts", "ads", "attribution", "datahealth", "changes/queue", "decisions", "director", "crmsync", "dealsource", "learning", "leads", "ledger", "oracle", "hubspotconn", "metaconn", "revenue", "schedules", "slackconn", "sweep", "video", "webhookconn", "winners", "writeback",
	}},
	// What several functions would join alike is joined here, once.
	{"joints", []string{"dealsync", "grounding", "remedy", "selflearning"}},
}

// tier returns the place of a shared package, by its path below the module.
func tier(path string) (place int, name string, ok bool) {
	rest, ok := strings.CutPrefix(path, "shared/")
	if !ok {
		return 0, "", false
	}
	name, _, _ = strings.Cut(rest, "/")
	for _, known := range []string{rest, name} { // a package below another may have a tier of its own
		for i, t := range tiers {
			if slices.Contains(t.packages, known) {
				return i, known, true
			}
		}
	}
	return -1, name, true
}

// own returns those of imports that are of this module, below it.
func own(imports []string) []string {
	var all []string
	for _, path := range imports {
		if below, ok := strings.CutPrefix(path, module+"/"); ok {
			all = append(all, below)
		}
	}
	return all
}

func TestSharedPackagesImportOnlyEarlierTiers(t *testing.T) {
	t.Parallel()
	_, all := shape(t)
	domain := len(tiers) - 2
	for path, p := range all {
		place, name, shared := tier(path)
		if !shared {
			continue
		}
		if place < 0 {
			t.Errorf("%s has no tier: put it into tiers, here, where design.md would", path)
			continue
		}
		for _, imported := range own(p.Imports) {
			other, otherName, ok := tier(imported)
			switch {
			case otherName == name:
			case !ok:
				t.Errorf("%s imports %s: the library stands below what uses it", path, imported)
			case other > place:
				t.Errorf("%s (%s) imports %s (%s): a tier imports those before it", path, tiers[place].name, imported, tiers[other].name)
			case other == place && place >= domain:
				t.Errorf("%s imports %s: domain packages do not import each other, a function joins them", path, imported)
			}
		}
	}
}

func TestOnlyTheLocalSystemImportsFunctions(t *testing.T) {
	t.Parallel()
	m, all := shape(t)
	for path, p := range all {
		for _, imported := range own(p.Imports) {
			name, ok := strings.CutPrefix(imported, "functions/")
			if !ok || path == "infra/local" || path == "infra/bench" { // bench load measures handlers beside their floors
				continue
			}
			t.Errorf("%s imports the function %s: nothing does but tests, infra/local, infra/bench and generated mains", path, name)
		}
	}
	local := all["infra/local"]
	for i, file := range parsed(t, local) {
		var linked []string
		for _, spec := range file.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			if name, ok := strings.CutPrefix(path, module+"/functions/"); ok {
				linked = append(linked, name)
			}
		}
		if local.GoFiles[i] != "functions_gen.go" {
			if len(linked) > 0 {
				t.Errorf("infra/local/%s imports functions: only functions_gen.go does", local.GoFiles[i])
			}
			continue
		}
		var want []string
		for _, f := range m.Functions {
			want = append(want, f.Name)
		}
		slices.Sort(want)
		if !slices.Equal(linked, want) {
			t.Errorf("infra/local/functions_gen.go is stale, run go generate ./infra/local\n has %v\nwant %v", linked, want)
		}
	}
}

func TestNothingDeployedLinksInfra(t *testing.T) {
	t.Parallel()
	m, all := shape(t)
	for _, f := range m.Functions {
		for _, path := range own(all["functions/"+f.Name].Deps) {
			if strings.HasPrefix(path, "infra/") {
				t.Errorf("the function %s links %s: infra holds what tests, laptops and operators need, and is not deployed", f.Name, path)
			}
		}
	}
}

func TestEverySharedPackageIsDeployed(t *testing.T) {
	t.Parallel()
	m, all := shape(t)
	linked := map[string]bool{}
	for _, f := range m.Functions {
		for _, path := range own(all["functions/"+f.Name].Deps) {
			linked[path] = true
		}
	}
	for path := range all {
		if strings.HasPrefix(path, "shared/") && !linked[path] {
			t.Errorf("no function links %s: what only tests and commands use belongs to infra", path)
		}
	}
}

// The testkit and the simulators are for tests and for the commands that run on
// one machine.
func TestOnlyTestsAndLocalCommandsImportTheTestkit(t *testing.T) {
	t.Parallel()
	_, all := shape(t)
	for path, p := range all {
		for _, imported := range own(p.Imports) {
			if !strings.HasPrefix(imported, "infra/testkit/") && !strings.HasPrefix(imported, "infra/sim/") {
				continue
			}
			allowed := []string{"infra/testkit/", "infra/sim/", "infra/local", "infra/bench", "infra/monitoring"}
			if !slices.ContainsFunc(allowed, func(prefix string) bool { return strings.HasPrefix(path, prefix) }) {
				t.Errorf("%s imports %s, which is for tests, infra/local, infra/bench and infra/monitoring", path, imported)
			}
		}
	}
}

func TestWhatStrangersReachDoesNotLinkTheWorker(t *testing.T) {
	t.Parallel()
	m, all := shape(t)
	for _, f := range m.Functions {
		if f.Trigger != HTTP {
			continue
		}
		for _, path := range own(append(slices.Clone(all["functions/"+f.Name].Deps), module+"/functions/"+f.Name)) {
			if path != "shared/pg" && opensWorker(t, all[path]) {
				t.Errorf("%s is reached by strangers and links %s, which opens the database as gv_worker", f.Name, path)
			}
		}
	}
}

func opensWorker(t *testing.T, p goPackage) bool {
	t.Helper()
	found := false
	for _, file := range parsed(t, p) {
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				name := expression(s)
				found = found || name == "pg.OpenWorker" || name == "pg.WorkerConfig"
			}
			return !found
		})
	}
	return found
}
