package main

// The dashboards. Each panel answers one question of an operator; together they show
// every metric of the list in shared/telemetry.

type dashboard struct {
	uid, title, about string
	panels            []panel
}

type panel struct {
	title, unit, about string
	queries            []query
}

// query is an expression of Prometheus, and how its series are named.
type query struct{ expr, legend string }

// Units, as Grafana calls them.
const (
	share      = "percentunit"
	seconds    = "s"
	perSecond  = "ops"
	number     = "short"
	usd        = "currencyUSD"
	inLedger   = `gv_webhook_to_ledger_seconds_bucket{le=~"60|60[.]0"`
	intakeOnes = `function=~"hubspot|leadads|dealhook|clicks"`
)

// window is a range long enough for four scrapes.
const window = "[$__rate_interval]"

func rate(metric, by string) string { return "sum by (" + by + ") (rate(" + metric + window + "))" }

func quantile(q, histogram, by string) string {
	if by != "" {
		by = ", " + by
	}
	return "histogram_quantile(" + q + ", sum by (le" + by + ") (rate(" + histogram + "_bucket" + window + ")))"
}

func dashboards() []dashboard {
	return []dashboard{
		{"gv-levels", "Service levels", "Whether what was promised is so: 99.5% of webhook events in the ledger within 60 s, intake answered 99.9%.", []panel{
			{"Events in the ledger within 60 s, last hour", share, "The goal is 99.5%.", []query{
				{"sum(rate(" + inLedger + "}[1h])) / sum(rate(gv_webhook_to_ledger_seconds_count[1h]))", "within 60 s"},
			}},
			{"Ledger: budget left of 30 days", share, "1 is all of it; below 0 the goal is missed.", []query{
				{"1 - (1 - sum(rate(" + inLedger + "}[30d])) / sum(rate(gv_webhook_to_ledger_seconds_count[30d]))) / 0.005", "left"},
			}},
			{"Webhook to ledger", seconds, "From the queue to the commit.", []query{
				{quantile("0.5", "gv_webhook_to_ledger_seconds", ""), "median"}, {quantile("0.995", "gv_webhook_to_ledger_seconds", ""), "99.5%"},
			}},
			{"Events by source", perSecond, "", []query{{rate("gv_webhook_to_ledger_seconds_count", "source"), "{{source}}"}}},
			{"Intake answered, last hour", share, "Without errors of ours. The goal is 99.9%.", []query{
				{"1 - (sum(rate(gv_request_duration_seconds_count{" + intakeOnes + `,class="5xx"}[1h])) or vector(0)) / sum(rate(gv_request_duration_seconds_count{` + intakeOnes + "}[1h]))", "answered"},
			}},
			{"Intake: budget left of 30 days", share, "1 is all of it; below 0 the goal is missed.", []query{
				{"1 - (sum(rate(gv_request_duration_seconds_count{" + intakeOnes + `,class="5xx"}[30d])) or vector(0)) / sum(rate(gv_request_duration_seconds_count{` + intakeOnes + "}[30d])) / 0.001", "left"},
			}},
		}},
		{"gv-messages", "Messages and queues", "What waits, what failed, what came twice.", []panel{
			{"Oldest message of each subscription", seconds, "On Google Cloud: Pub/Sub's own metric.", []query{
				{"max by (subscription) (gv_subscription_oldest_seconds)", "{{subscription}}"},
				{`max by (subscription_id) (pubsub_googleapis_com:subscription_oldest_unacked_message_age{monitored_resource="pubsub_subscription"})`, "{{subscription_id}}"},
			}},
			{"Messages that are not acknowledged", number, "", []query{
				{"max by (subscription) (gv_subscription_messages)", "{{subscription}}"},
				{`max by (subscription_id) (pubsub_googleapis_com:subscription_num_undelivered_messages{monitored_resource="pubsub_subscription"})`, "{{subscription_id}}"},
			}},
			{"Deliveries by outcome", perSecond, "", []query{{rate("gv_messages_handled_total", "function, outcome"), "{{function}} {{outcome}}"}}},
			{"From the queue to the end of the handling, 95%", seconds, "", []query{{quantile("0.95", "gv_message_lag_seconds", "function"), "{{function}}"}}},
			{"Published", perSecond, "", []query{{rate("gv_messages_published_total", "topic, outcome"), "{{topic}} {{outcome}}"}}},
			{"Events that came again", perSecond, "", []query{{rate("gv_inbox_duplicates_total", "consumer"), "{{consumer}}"}}},
			{"Outbox: messages that are due", number, "", []query{{"max by (topic) (gv_outbox_messages) or vector(0)", "{{topic}}"}}},
			{"Outbox: oldest", seconds, "", []query{{"max by (topic) (gv_outbox_oldest_seconds) or vector(0)", "{{topic}}"}}},
			{"Dead letters", perSecond, "", []query{{rate("gv_dead_letters_total", "topic"), "{{topic}}"}}},
			{"Dead letters that nobody has replayed", number, "", []query{{"max by (topic) (gv_dead_letters_open) or vector(0)", "{{topic}}"}}},
			{"The oldest of them", seconds, "", []query{{"max by (topic) (gv_dead_letters_oldest_seconds) or vector(0)", "{{topic}}"}}},
			{"Job queues: due rows", number, "", []query{{"max by (queue) (gv_queue_due)", "{{queue}}"}}},
			{"Job queues: oldest due row", seconds, "", []query{{"max by (queue) (gv_queue_oldest_seconds)", "{{queue}}"}}},
			{"Inbox: events", number, "", []query{{"max(gv_inbox_events)", "events"}}},
			{"Inbox: oldest event", seconds, "Retention bounds it.", []query{{"max(gv_inbox_oldest_seconds)", "oldest"}}},
		}},
		{"gv-functions", "Functions, database and others' services", "How much is asked, how long it takes, what refuses.", []panel{
			{"Requests", perSecond, "", []query{{rate("gv_request_duration_seconds_count", "function"), "{{function}}"}}},
			{"Share of requests that fail", share, "", []query{
				{
					// A function without a failure has no series of the class: its share is 0.
					"(" + rate(`gv_request_duration_seconds_count{class="5xx"}`, "function") + " or 0 * " + rate("gv_request_duration_seconds_count", "function") + ") / " +
						rate("gv_request_duration_seconds_count", "function"), "{{function}}",
				},
			}},
			{"Answers by class", perSecond, "", []query{{rate("gv_request_duration_seconds_count", "class"), "{{class}}"}}},
			{"Time to the answer, 95%", seconds, "", []query{{quantile("0.95", "gv_request_duration_seconds", "function"), "{{function}}"}}},
			{"The ten slowest routes, 95%", seconds, "", []query{{"topk(10, " + quantile("0.95", "gv_request_duration_seconds",
				"function, route") + ")", "{{function}} {{route}}"}}},
			{"Requests in flight", number, "", []query{{"sum by (function) (gv_requests_in_flight)", "{{function}}"}}},
			{"Connections to the database", number, "", []query{{"sum by (role, state) (gv_pool_connections)", "{{role}} {{state}}"}}},
			{
				"Requests that waited for a connection", perSecond, "",
				[]query{{rate("gv_pool_waits_total", "function, role"), "{{function}} {{role}}"}},
			},
			{"Waiting for a connection, seconds in each second", seconds, "", []query{{rate("gv_pool_wait_seconds_total", "function, role"), "{{function}} {{role}}"}}},
			{"Calls of others' services", perSecond, "", []query{{
				rate("gv_call_duration_seconds_count", "service, class"),
				"{{service}} {{class}}",
			}}},
			{"Time of a call, 95%", seconds, "", []query{{quantile("0.95", "gv_call_duration_seconds", "service"), "{{service}}"}}},
			{"Exports of metrics and traces that failed", perSecond, "", []query{{rate("gv_telemetry_export_failures_total", "signal"), "{{signal}}"}}},
			{"Last look at the database", seconds, "Since relay last measured what waits there.", []query{{"time() - max(gv_measured_timestamp_seconds)", "ago"}}},
		}},
		{"gv-decisions", "Decisions and what they cost", "What the product decides, how right it is, what Gemini costs.", []panel{
			{"Credited, by layer", perSecond, "", []query{{rate("gv_attributions_total", "subject, layer"), "{{subject}} {{layer}}"}}},
			{"Share that no ad is credited for", share, "", []query{
				{"(sum(rate(gv_attributions_total{layer=\"unattributed\"}[1h])) or vector(0)) / sum(rate(gv_attributions_total[1h]))", "unattributed"},
			}},
			{"Answers of the gate", perSecond, "", []query{{rate("gv_gate_decisions_total", "gate, decision"), "{{gate}} {{decision}}"}}},
			{"Verdicts on ads", perSecond, "", []query{{rate("gv_fatigue_verdicts_total", "status"), "{{status}}"}}},
			{"Changes by outcome", perSecond, "", []query{{rate("gv_changes_total", "outcome"), "{{outcome}}"}}},
			{"Changes that were not made, and why", perSecond, "", []query{{rate(`gv_changes_total{why_not!="none"}`, "why_not") + " or vector(0)", "{{why_not}}"}}},
			{"Deals that differ from the CRM", share, "", []query{
				{"(sum(rate(gv_reconcile_deals_total{result=\"repaired\"}[6h])) or vector(0)) / sum(rate(gv_reconcile_deals_total[6h]))", "repaired"},
			}},
			{"Accuracy of predictions", share, "", []query{{"max by (target) (gv_model_accuracy)", "{{target}}"}}},
			{"Outcomes inside the 90% intervals", share, "", []query{{"max by (target) (gv_model_interval_coverage)", "{{target}}"}}},
			{"Predicted over observed, minus 1", share, "", []query{{"max by (target) (gv_model_bias)", "{{target}}"}}},
			{"Judged predictions", number, "", []query{{"max by (target) (gv_predictions)", "{{target}}"}}},
			{"Calls of Gemini", perSecond, "", []query{{rate("gv_gemini_calls_total", "purpose, outcome"), "{{purpose}} {{outcome}}"}}},
			{"Tokens", perSecond, "", []query{{rate("gv_gemini_tokens_total", "model, direction"), "{{model}} {{direction}}"}}},
			{"Gemini's cost, last 24 hours", usd, "", []query{{"sum by (model) (increase(gv_gemini_cost_usd_total[24h]))", "{{model}}"}}},
			{"Accounts read longest ago", seconds, "", []query{{"topk(10, max by (account) (gv_sync_age_seconds))", "{{account}}"}}},
			{"The longest of all", seconds, "", []query{
				{"max(gv_sync_age_max_seconds)", "ad account"},
				{"max(gv_crm_sync_age_max_seconds)", "portal"},
			}},
			{"Connected ad accounts", number, "", []query{{"max(gv_sync_accounts)", "accounts"}}},
		}},
	}
}
