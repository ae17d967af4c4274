package main

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/geminivideo/geminivideo/shared/telemetry"
)

func rules(t *testing.T) *ruleFile {
	t.Helper()
	f, err := readRules("alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestTheDashboardsFilesAreFresh(t *testing.T) {
	t.Parallel()
	want, err := files()
	if err != nil {
		t.Fatal(err)
	}
	there, err := filepath.Glob("dashboards/*")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range there {
		found = append(found, filepath.Base(path))
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(text, want[filepath.Base(path)]) {
			t.Errorf("%s is not what dashboards.go says: go run ./infra/monitoring write", path)
		}
	}
	if names := slices.Sorted(maps.Keys(want)); !slices.Equal(names, found) {
		t.Errorf("dashboards has %v, want %v: go run ./infra/monitoring write", found, names)
	}
}

// Google's own metrics that are read, which no table of ours lists.
var googles = []string{
	"pubsub_googleapis_com:subscription_num_undelivered_messages", "pubsub_googleapis_com:subscription_oldest_unacked_message_age",
}

func TestEveryMetricThatIsReadIsInTheListAndEveryOneOfTheListIsShown(t *testing.T) {
	t.Parallel()
	listed := map[string]telemetry.Kind{}
	labels := map[string][]string{}
	for _, m := range telemetry.Metrics() {
		listed[m.Name] = m.Kind
		for _, l := range m.Labels {
			labels[m.Name] = append(labels[m.Name], l.Name)
		}
	}
	histogram := func(name string) bool { return listed[name] == telemetry.HistogramKind }
	shown := map[string]bool{}
	judge := func(where, expr string) {
		ours, theirs := metricsOf(expr, histogram)
		for _, name := range ours {
			shown[name] = true
			if listed[name] == "" {
				t.Errorf("%s reads %s, which shared/telemetry does not list", where, name)
			}
		}
		for _, name := range theirs {
			if !slices.Contains(googles, name) {
				t.Errorf("%s reads %s, which is not known", where, name)
			}
		}
		if len(ours)+len(theirs) == 0 {
			t.Errorf("%s reads no metric: %s", where, expr)
		}
	}
	for _, d := range dashboards() {
		for _, p := range d.panels {
			for _, q := range p.queries {
				judge(d.title+", "+p.title, q.expr)
			}
		}
	}
	for name := range listed {
		if !shown[name] {
			t.Errorf("no panel shows %s", name)
		}
	}
	for _, r := range rules(t).all() {
		judge(r.Alert, r.Expr)
	}
}

func TestEachAlertHasASectionInTheRunbook(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	var sections []string
	for _, part := range strings.Split(string(text), "\n### ")[1:] {
		name, body, _ := strings.Cut(part, "\n")
		sections = append(sections, name)
		if len(strings.Fields(body)) < 10 {
			t.Errorf("the runbook says too little of %s", name)
		}
	}
	for _, r := range rules(t).all() {
		if !slices.Contains(sections, r.Alert) {
			t.Errorf("the runbook has no section ### %s", r.Alert)
		}
		if want := "infra/docs/runbook.md#" + strings.ToLower(r.Alert); r.Annotations["runbook"] != want {
			t.Errorf("%s: the annotation runbook is %q, want %q", r.Alert, r.Annotations["runbook"], want)
		}
		if r.Annotations["summary"] == "" || r.Labels["severity"] != "page" && r.Labels["severity"] != "ticket" {
			t.Errorf("%s needs a summary and a severity of page or ticket", r.Alert)
		}
		if !strings.HasSuffix(r.For, "m") {
			t.Errorf("%s: for is %q, and Terraform reads minutes", r.Alert, r.For)
		}
		if want := r.Annotations["threshold"]; want != "" && !strings.Contains(r.Expr, "> "+want) && !strings.Contains(r.Expr, ">= "+want) {
			t.Errorf("%s has no threshold of %s", r.Alert, want)
		}
	}
}

func TestEachAlertHasAFaultThatTheCheckInjects(t *testing.T) {
	t.Parallel()
	fired := map[string]bool{}
	for _, f := range faults(nil, nil) {
		for _, name := range slices.Concat(f.alerts, f.late) {
			fired[name] = true
		}
	}
	for _, r := range rules(t).all() {
		if !fired[r.Alert] {
			t.Errorf("no fault of the check fires %s", r.Alert)
		}
		delete(fired, r.Alert)
	}
	if len(fired) > 0 {
		t.Errorf("faults fire %v, which are no alerts", fired)
	}
}

// promtool is no part of a developer's set-up: Debian's package prometheus has it.
func TestPromtoolLoadsTheRulesAndEachAlertFiresAndClears(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("alerts_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	var units struct {
		Tests []struct {
			Expressions []struct {
				Expr    string `yaml:"expr"`
				Samples []any  `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		} `yaml:"tests"`
	}
	if err := yaml.Unmarshal(text, &units); err != nil {
		t.Fatal(err)
	}
	for _, r := range rules(t).all() {
		fires, clears := false, false
		for _, unit := range units.Tests {
			for _, e := range unit.Expressions {
				if strings.Contains(e.Expr, `alertname="`+r.Alert+`"`) {
					fires, clears = fires || len(e.Samples) > 0, clears || len(e.Samples) == 0
				}
			}
		}
		if !fires || !clears {
			t.Errorf("alerts_test.yml: %s fires: %v, clears: %v", r.Alert, fires, clears)
		}
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Log("NOT RUN: promtool check rules and test rules: there is no promtool on this machine (Debian's package prometheus has it)")
		return
	}
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
