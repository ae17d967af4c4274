package telemetry

import (
	"context"
	"time"
)

// This file is the list of the metrics: each instrument with its name, unit, labels and
// meaning. Dashboards and alert rules read the list by Metrics, so a metric is
// added, renamed or removed here alone.
//
// Names are Prometheus names, whichever way they are exported. No label holds a tenant, a
// person, an ad or a path: a label is one of a closed set of words, or of what the
// deployment itself has (functions, routes, topics, models). Only gv_sync_age_seconds
// names accounts, for the operator must know which one is behind; it has the few that
// have waited longest.

// Buckets of histograms, in seconds.
var (
	answerSeconds = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
	delaySeconds  = []float64{.1, .5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 900, 3600, 21600}
)

// Labels that several metrics have. A value that is not in a closed set, and one that
// comes after the most that an open set may have, is recorded as "other".
var (
	byFunction = upTo("function", 80)
	byTopic    = upTo("topic", 40)
	byModel    = upTo("model", 20)
	byPurpose  = upTo("purpose", 20)
	byClass    = oneOf("class", "1xx", "2xx", "3xx", "4xx", "5xx", "none") // none: no answer came
)

// What a function answers, and what is asked of others.
var (
	RequestSeconds = histogram("gv_request_duration_seconds",
		"How long requests took, by the function and the pattern of the route; _count is the number of requests.",
		answerSeconds, byFunction, upTo("route", 150), byClass)
	RequestsInFlight = upDown("gv_requests_in_flight", "Requests that are being answered.", byFunction)
	CallSeconds      = histogram("gv_call_duration_seconds", "How long calls of other services took, with each try on its own.",
		answerSeconds, byFunction, oneOf("service", "hubspot", "meta", "gemini", "slack", "webhook", "pubsub", "secretmanager", "scheduler",
			"firestore"), byClass)
	ExportFailures = counter("gv_telemetry_export_failures_total", "Exports of metrics and traces that the collector did not take.",
		oneOf("signal", "metrics", "traces"))
)

// Messages.
var (
	LedgerLagSeconds = histogram("gv_webhook_to_ledger_seconds",
		"From the time at which the queue stored a webhook's event to the commit of what it says.",
		delaySeconds, oneOf("source", "hubspot", "deal_source", "lead_form"))
	MessageLagSeconds = histogram("gv_message_lag_seconds", "From the time at which the queue stored a message to the end of its handling, by consumer.",
		delaySeconds, byFunction)
	MessagesHandled = counter("gv_messages_handled_total",
		"Deliveries of messages: handled, kept as a dead letter because they can never succeed, or failed and delivered again.",
		byFunction, oneOf("outcome", "handled", "rejected", "failed"))
	MessagesPublished = counter("gv_messages_published_total", "Messages given to the queue.", byTopic, oneOf("outcome", "stored", "failed"))
	InboxDuplicates   = counter("gv_inbox_duplicates_total", "Deliveries of an event that its consumer had handled before.", upTo("consumer", 80))
	DeadLetters       = counter("gv_dead_letters_total", "Messages kept as dead letters, by the topic that they were sent to.", byTopic)
)

// What waits in the database. The function relay measures these each minute, in one
// place; take the maximum over instances.
var (
	OutboxMessages  = gauge("gv_outbox_messages", "1", "Messages in the outbox that are due, or were tried in vain.", byTopic)
	OutboxAge       = gauge("gv_outbox_oldest_seconds", "s", "How long the oldest message of the outbox has been due, or, where it was tried in vain, has been written; absent where none is.", byTopic)
	DeadLettersOpen = gauge("gv_dead_letters_open", "1", "Dead letters that nobody has replayed.", byTopic)
	DeadLetterAge   = gauge("gv_dead_letters_oldest_seconds", "s", "Age of the oldest dead letter that nobody has replayed; 0 where there is none.", byTopic)
	InboxEvents     = gauge("gv_inbox_events", "1", "Events that the inbox has, as the planner estimates it.")
	InboxAge        = gauge("gv_inbox_oldest_seconds", "s", "Age of the oldest event of the inbox, which retention bounds.")
	QueueRows       = gauge("gv_queue_due", "1", "Rows of the job queues in the database that are due: their time has come and nobody works on them.", byQueue)
	QueueAge        = gauge("gv_queue_oldest_seconds", "s", "How long the oldest due row of a job queue has been due; 0 where none is.", byQueue)
	SyncAge         = gauge("gv_sync_age_seconds", "s",
		"Since when a connected ad account was last read to the end, or was connected; of the 50 that have waited longest.", upTo("account", 50))
	SyncAgeMax        = gauge("gv_sync_age_max_seconds", "s", "The longest of all connected ad accounts; 0 where there is none.")
	SyncAccounts      = gauge("gv_sync_accounts", "1", "Connected ad accounts.")
	CRMSyncAge        = gauge("gv_crm_sync_age_max_seconds", "s", "The longest time since a connected portal was compared with the CRM to the end; 0 where there is none.")
	ModelAccuracy     = gauge("gv_model_accuracy", "1", "Accuracy of predictions: 1 - absolute error over the sum of what happened; the mean of the accounts' latest cycles of two days, each with the weight of its judged predictions.", oneOf("target", "ctr", "value"))
	ModelCoverage     = gauge("gv_model_interval_coverage", "1", "Share of outcomes inside the 90% intervals; 0.9 is right.", oneOf("target", "ctr", "value"))
	ModelBias         = gauge("gv_model_bias", "1", "Predicted over observed, minus 1.", oneOf("target", "ctr", "value"))
	PredictionsJudged = gauge("gv_predictions", "1", "Judged predictions that the figures of accuracy are of.", oneOf("target", "ctr", "value"))
	MeasuredAt        = gauge("gv_measured_timestamp_seconds", "s", "When what waits in the database was last measured, in seconds since 1970.")
)

var byQueue = oneOf("queue", "changes", "crm_syncs", "embedding_models")

// What the local system's own queue has. On Google Cloud the platform has these itself, as
// pubsub.googleapis.com/subscription/num_undelivered_messages and oldest_unacked_message_age.
var (
	SubscriptionMessages = gauge("gv_subscription_messages", "1", "Messages of a subscription that are not acknowledged (local system only).", upTo("subscription", 40))
	SubscriptionAge      = gauge("gv_subscription_oldest_seconds", "s", "Age of the oldest message that is not acknowledged (local system only).", upTo("subscription", 40))
)

// What the product decides.
var (
	Attributions = counter("gv_attributions_total", "Credits that were derived for conversions and deals, by the layer that matched; a deal that is looked at again counts again.",
		oneOf("subject", "conversion", "deal"), oneOf("layer", "lead_id", "url_param", "fingerprint", "probabilistic", "unattributed"))
	GateDecisions = counter("gv_gate_decisions_total", "Answers of the gate for new creatives, by what was asked.",
		oneOf("gate", "value", "ctr"), oneOf("decision", "proceed", "reject"))
	FatigueVerdicts = counter("gv_fatigue_verdicts_total", "Verdicts on ads that run.",
		oneOf("status", "INSUFFICIENT_DATA", "HEALTHY", "FATIGUING", "SATURATED", "AUDIENCE_EXHAUSTED"))
	Changes = counter("gv_changes_total", "What happened to changes on the ad platform, a member's approvals, rejections and undos among it, and why where they were not carried out.",
		oneOf("outcome", "applied", "already_set", "confirmed", "dry_run", "waiting", "awaiting_approval", "held", "failed", "retry", "unknown",
			"retry_later", "forbidden", "refused", "unreadable", "approved", "rejected", "undone"),
		oneOf("why_not", "none", "gone", "paused", "not_connected", "shape", "edited", "stale", "cooling_down", "approval", "limit",
			"tries_used_up", "platform", "member"))
	DealsCompared = counter("gv_reconcile_deals_total", "Deals that a comparison with the CRM read, and those of them that it had to repair.", oneOf("result", "same", "repaired"))
)

// What Gemini costs.
var (
	GeminiCalls  = counter("gv_gemini_calls_total", "Calls of Gemini.", byModel, byPurpose, oneOf("outcome", "answered", "failed", "capped"))
	GeminiTokens = counter("gv_gemini_tokens_total", "Tokens that Gemini charged for.", byModel, byPurpose,
		oneOf("direction", "input", "output"))
	GeminiCost = counter("gv_gemini_cost_usd_total", "What Gemini cost, in USD, by the configured prices.", byModel, byPurpose)
)

// The connections to the database, by function and role.
var (
	PoolConnections = gauge("gv_pool_connections", "1", "Connections of a pool, by what they do; max is how many it may open.",
		byFunction, oneOf("role", "app", "worker"), oneOf("state", "used", "idle", "max"))
	PoolWaits       = total("gv_pool_waits_total", "Times that a request waited for a connection, or for its tenant's turn at one, because all were in use.", byFunction, oneOf("role", "app", "worker"))
	PoolWaitSeconds = total("gv_pool_wait_seconds_total", "How long requests waited for a connection, or for their tenant's turn at one.", byFunction, oneOf("role", "app", "worker"))
)

// LedgerLag records how long an event took from the queue, which stored it at that time, to
// the ledger.
func LedgerLag(ctx context.Context, source string, stored time.Time) {
	if !stored.IsZero() {
		LedgerLagSeconds.Record(ctx, time.Since(stored).Seconds(), source)
	}
}
