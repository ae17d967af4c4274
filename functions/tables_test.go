package functions

import (
	"flag"
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// byTrigger writes a table that only a trigger of another table changes.
const byTrigger = "migrations"

// writers names the package that writes each table, and what a row is; packages below
// it may write it, too. Others call it. infra/docs/design.md repeats this list.
var writers = map[string]struct{ writer, row string }{
	"accounts":            {"shared/accounts", "an ad account: currency, time zone, mode, settings"},
	"ad_change_history":   {"shared/changes", "what was done at the platform, or would have been"},
	"ad_fatigue":          {"shared/sweep", "an ad's latest fatigue status and why"},
	"ad_figures":          {"shared/ads", "an ad's totals from feedback and imports"},
	"ad_metrics":          {"shared/ads", "an ad's figures of one day"},
	"ad_observations":     {"functions/allocate", "the latest observations that requests carried, by bucket of ads"},
	"ad_sets":             {"shared/ads", "an ad set and the budget that it holds"},
	"ads":                 {"shared/ads", "an ad with its totals, budget and creative DNA"},
	"budget_objects":      {"shared/changes", "what is known of a budget object at the platform"},
	"campaigns":           {"shared/ads", "a campaign"},
	"change_requests":     {"shared/changes", "who asked for which changes, by the caller's key"},
	"click_days":          {"functions/clicks", "what of the daily limit on strangers' clicks is used up"},
	"clicks":              {"shared/attribution", "a click on an ad"},
	"contact_hashes":      {"shared/ledger", "a hash of what a contact was known by, which outlives the contact"},
	"contact_keys":        {"shared/ledger", "an identifier of a contact that a click may share"},
	"contacts":            {"shared/ledger", "a contact of the CRM"},
	"conversions":         {"shared/attribution", "a conversion and the click that it is credited to"},
	"dead_letters":        {"shared/deadletter", "a message that failed for good"},
	"crm_refusals":        {"shared/crmsync", "a deal that the CRM refuses to show"},
	"crm_syncs":           {"shared/crmsync", "how far reading a portal has come"},
	"deal_contacts":       {"shared/ledger", "which contacts a deal has"},
	"deal_credits":        {"shared/ledger", "an ad's part of a deal whose credit several ads share"},
	"deal_stages":         {"shared/ledger", "when a deal reached which stage"},
	"deal_touches":        {"shared/ledger", "a click of a deal's contact before it converted"},
	"deals":               {"shared/ledger", "the deal ledger: a deal's stage, value and credit"},
	"decisions":           {"shared/decisions", "an allocation with its inputs and answer"},
	"embedding_models":    {"shared/winners", "which model a tenant's winners are embedded with"},
	"erasures":            {"shared/ledger", "a contact that must not come back"},
	"fatigue_remedies":    {"shared/sweep", "what was done once for a tired ad"},
	"gemini_days":         {"shared/gemini", "a day's spending on models, reserved and used"},
	"gemini_usage":        {"shared/gemini", "a day's calls and tokens by model"},
	"hubspot_connections": {"shared/hubspotconn", "a tenant's HubSpot portal"},
	"idempotency_keys":    {"shared/idempotency", "the answer to a write, by the caller's key"},
	"inbox":               {"shared/inbox", "the key of a message whose work is done"},
	"lead_keys":           {"shared/leads", "the name of the key that a tenant's contacts' addresses are hashed with"},
	"leases":              {"shared/lease", "which run of a job goes on, and until when"},
	"members":             {"shared/members", "a member of a tenant and its role"},
	"meta_pages":          {"shared/leads", "a page whose lead forms are read"},
	"meta_connections":    {"shared/metaconn", "a tenant's Meta ad account"},
	"model_registry":      {"shared/oracle", "a trained model"},
	"outbox":              {"shared/outbox", "a message that is yet to be published"},
	"pending_ad_changes":  {"shared/changes", "the queue of changes"},
	"plans":               {"shared/director", "a battle plan or a fix plan"},
	"publishable_keys":    {"functions/tenants", "a key of the click beacon, with its origins"},
	"refreshes":           {"shared/director", "a request for a tired ad's replacement"},
	"search_recall":       {"shared/winners", "how exact a sampled search was"},
	"stage_maps":          {"shared/ledger", "a portal's stage and the name that it has here"},
	"stage_value_history": {"shared/revenue", "what a stage was worth before"},
	"stage_values":        {"shared/revenue", "what a stage is worth"},
	"sweep_progress":      {"shared/sweep", "how far a sweep has come"},
	"sweeps":              {"shared/sweep", "a completed sweep's report"},
	"tenants":             {"functions/tenants", "a tenant"},
	"uploads":             {"shared/video", "an upload that is under way"},
	"videos":              {"shared/video", "an uploaded video and its analysis"},
	"slack_connections":   {"shared/slackconn", "a tenant's Slack channel, and when its summaries are due"},
	"slack_notices":       {"shared/notice", "a notice that waits for its Slack message"},
	"webhooks":            {"shared/webhookconn", "a tenant's webhook"},
	"winner_codes":        {byTrigger, "the code of a winner that searches find; gv.winners has the trigger"},
	"winners":             {"shared/winners", "a winner's creative, once per embedding model"},
	"account_alerts":      {"shared/sweep", "a fall of a whole account"},
	"creative_patterns":   {"shared/learning", "what the winners of an account have in common"},
	"niche_contributions": {"shared/learning", "what a tenant that opted in gives to its niche"},
	"niche_priors":        {"shared/learning", "the pooled figures of a niche"},
	"predictions":         {"shared/learning", "a prediction and what became of it"},
	"learning_cycles":     {"shared/learning", "a run of the self-learning cycle"},
	"learning_steps":      {"shared/learning", "a step of such a run"},
	"schedules":           {"shared/schedules", "a schedule that an admin has set"},
	"report_parts":        {"shared/ads", "a part of a report that is being imported"},
	"ad_periods":          {"shared/ads", "an ad's figures of a period of several days"},
	"webhook_attempts":    {"shared/webhookconn", "a try to deliver a notice, and its answer"},
	"writebacks":          {"shared/writeback", "what a deal was given in the CRM"},
	"deal_sources":        {"shared/dealsource", "a CRM without a connector of its own that sends signed deals"},
	"source_ids":          {"shared/dealsource", "the number that a source's own id of a record has here"},
	"source_reports":      {"shared/dealsource", "the latest report of a source's record"},
}

var update = flag.Bool("update", false, "write the generated parts of documents anew")

var written = regexp.MustCompile(`(?i)\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO|TRUNCATE(?:\s+TABLE)?)\s+(?:ONLY\s+)?gv\.([a-z_]+)`)

// TestATableHasOneWriter reads the string literals of what is deployed.
func TestATableHasOneWriter(t *testing.T) {
	t.Parallel()
	_, all := shape(t)
	seen := map[string]bool{}
	for path, p := range all {
		if !strings.HasPrefix(path, "functions/") && !strings.HasPrefix(path, "shared/") {
			continue
		}
		for _, file := range parsed(t, p) {
			ast.Inspect(file, func(n ast.Node) bool {
				lit, ok := n.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING {
					return true
				}
				text, err := strconv.Unquote(lit.Value)
				if err != nil {
					return true
				}
				for _, m := range written.FindAllStringSubmatch(text, -1) {
					table := m[1]
					seen[table] = true
					owner := writers[table].writer
					switch {
					case owner == "":
						t.Errorf("%s writes gv.%s, which has no writer: name one in writers, in functions/tables_test.go", path, table)
					case owner != path && !strings.HasPrefix(path, owner+"/"):
						t.Errorf("%s writes gv.%s: the statement belongs to %s, which others call", path, table, owner)
					}
				}
				return true
			})
		}
	}
	for table, w := range writers {
		if !seen[table] && w.writer != byTrigger {
			t.Errorf("writers says that %s writes gv.%s; nothing does", w.writer, table)
		}
	}
}

func TestTheDesignListsEveryTableWithItsWriter(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../infra/docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	want.WriteString("| table | written by | a row is |\n|---|---|---|\n")
	names := make([]string, 0, len(writers))
	for table := range writers {
		names = append(names, table)
	}
	slices.Sort(names)
	for _, table := range names {
		fmt.Fprintf(&want, "| `gv.%s` | `%s` | %s |\n", table, writers[table].writer, writers[table].row)
	}
	before, rest, ok1 := strings.Cut(string(raw), "against the code -->\n")
	got, after, ok2 := strings.Cut(rest, "<!-- end of tables -->")
	switch {
	case !ok1 || !ok2:
		t.Error("infra/docs/design.md has lost the comments around its list of tables")
	case got == want.String():
	case *update:
		text := before + "against the code -->\n" + want.String() + "<!-- end of tables -->" + after
		if err := os.WriteFile("../infra/docs/design.md", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Error("infra/docs/design.md: its list of tables is not that of functions/tables_test.go; run\n\tgo test ./functions -run TestTheDesignListsEveryTableWithItsWriter -update")
	}
}
