package main

import (
	"regexp"
	"strings"

	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// rare are the metrics of the list that a small run on an empty system does not have,
// and what they wait for. `go run ./infra/monitoring check` shows all of them.
var rare = map[string]string{
	"gv_telemetry_export_failures_total": "a collector that refuses",
	"gv_inbox_duplicates_total":          "an event that comes twice",
	"gv_outbox_messages":                 "a message that is due",
	"gv_outbox_oldest_seconds":           "a message that is due",
	"gv_sync_age_seconds":                "a connected ad account",
	"gv_model_accuracy":                  "predictions that are judged",
	"gv_model_interval_coverage":         "predictions that are judged",
	"gv_model_bias":                      "predictions that are judged",
	"gv_predictions":                     "predictions that are judged",
	"gv_webhook_to_ledger_seconds":       "an event of a deal that the CRM has",
	"gv_attributions_total":              "a deal that the CRM has",
	"gv_fatigue_verdicts_total":          "ads with days enough",
	"gv_changes_total":                   "a change that somebody approves",
	"gv_reconcile_deals_total":           "a comparison with the CRM",
	"gv_gemini_calls_total":              "a key of Gemini",
	"gv_gemini_tokens_total":             "a key of Gemini",
	"gv_gemini_cost_usd_total":           "a key of Gemini",
}

var typeLine = regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`)

// metered reads the page of metrics: it must have every family of the list that a small
// run emits, each of the list's kind and with a value, and none besides.
func (p *process) metered() {
	p.t.Helper()
	p.want(200, "POST", "/_local/run/relay", "", "") // it measures what waits
	page := p.want(200, "GET", metricsPath, "", "")
	kinds := map[string]string{}
	for _, line := range typeLine.FindAllStringSubmatch(page, -1) {
		kinds[line[1]] = line[2]
	}
	for _, m := range telemetry.Metrics() {
		kind, there := kinds[m.Name]
		delete(kinds, m.Name)
		switch {
		case !there && rare[m.Name] == "":
			p.t.Errorf("%s has no %s", metricsPath, m.Name)
		case there && kind != string(m.Kind):
			p.t.Errorf("%s is a %s, and a %s in the list", m.Name, kind, m.Kind)
		case there && !strings.Contains(page, "\n"+m.Name+"{") && !strings.Contains(page, "\n"+m.Name+" ") && !strings.Contains(page, "\n"+m.Name+"_count"):
			p.t.Errorf("%s has no value", m.Name)
		}
	}
	for name := range kinds {
		p.t.Errorf("%s has %s, which is not in the list", metricsPath, name)
	}
}
