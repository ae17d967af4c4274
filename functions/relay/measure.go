package relay

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/learning"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// waiting are what waits in the database, each as the values of one label, how many
// there are and the age of the oldest in seconds.
var waiting = []struct {
	sql         string
	number, age *telemetry.Measured
}{
	{
		`
		-- A message that was tried in vain is put off again and again: its age is since it was written.
		SELECT topic, count(*)::float8, extract(epoch FROM now() - min(CASE WHEN last_error IS NULL THEN due_at ELSE created_at END))::float8
		FROM   gv.outbox WHERE due_at <= now() OR last_error IS NOT NULL GROUP BY topic`,
		telemetry.OutboxMessages, telemetry.OutboxAge,
	},
	{
		`
		SELECT topic, count(*)::float8, extract(epoch FROM now() - min(received_at))::float8
		FROM   gv.dead_letters WHERE replayed_at IS NULL GROUP BY topic`,
		telemetry.DeadLettersOpen, telemetry.DeadLetterAge,
	},
	{
		`
		SELECT queue, count(due_at)::float8, coalesce(extract(epoch FROM now() - min(due_at)), 0)::float8
		FROM  (SELECT 'changes' AS queue, due_at FROM gv.pending_ad_changes
		       WHERE  status IN ('pending', 'applying', 'unknown') AND due_at <= now() AND (lease_until IS NULL OR lease_until < now())
		       UNION ALL
		       SELECT 'crm_syncs', due_at FROM gv.crm_syncs WHERE due_at <= now() AND (claimed_until IS NULL OR claimed_until < now())
		       UNION ALL
		       SELECT 'embedding_models', due_at FROM gv.embedding_models WHERE due_at <= now()
		       UNION ALL
		       SELECT unnest(ARRAY['changes', 'crm_syncs', 'embedding_models']), NULL) AS due
		GROUP  BY queue`,
		telemetry.QueueRows, telemetry.QueueAge,
	},
}

// slowestAccounts is how many ad accounts gv_sync_age_seconds names.
const slowestAccounts = 50

// measure reads what waits in the database, for all functions: a query a minute in one
// place instead of one in each instance. It is called where metrics are exported only.
func measure(ctx context.Context, db *pg.Worker, now time.Time) error {
	err := pg.Across(ctx, db, func(tx pgx.Tx) error {
		for _, w := range waiting {
			rows, _ := tx.Query(ctx, w.sql)
			var numbers, ages []telemetry.Value
			var label string
			var number, age float64
			_, err := pgx.ForEachRow(rows, []any{&label, &number, &age}, func() error {
				numbers = append(numbers, telemetry.Value{Value: number, Labels: []string{label}})
				ages = append(ages, telemetry.Value{Value: age, Labels: []string{label}})
				return nil
			})
			if err != nil {
				return err
			}
			w.number.Replace(numbers...)
			w.age.Replace(ages...)
		}
		if err := measureSyncs(ctx, tx); err != nil {
			return err
		}
		if err := measureModels(ctx, tx); err != nil {
			return err
		}
		var events, oldest float64
		err := tx.QueryRow(ctx, `
			SELECT greatest((SELECT reltuples FROM pg_class WHERE oid = 'gv.inbox'::regclass), 0)::float8,
			       coalesce(extract(epoch FROM now() - (SELECT min(received_at) FROM gv.inbox)), 0)::float8`).Scan(&events, &oldest)
		telemetry.InboxEvents.Replace(telemetry.Value{Value: events})
		telemetry.InboxAge.Replace(telemetry.Value{Value: oldest})
		return err
	})
	if err != nil {
		return fmt.Errorf("measure what waits: %w", err)
	}
	telemetry.MeasuredAt.Replace(telemetry.Value{Value: float64(now.Unix())})
	return nil
}

// measureSyncs measures how long ago accounts and portals were last read to the end.
func measureSyncs(ctx context.Context, tx pgx.Tx) error {
	rows, _ := tx.Query(ctx, `
		SELECT account_id, extract(epoch FROM now() - coalesce(synced_at, connected_at))::float8, count(*) OVER ()::float8
		FROM   gv.meta_connections WHERE disconnected_at IS NULL
		ORDER  BY coalesce(synced_at, connected_at)
		LIMIT  $1`, slowestAccounts)
	var ages []telemetry.Value
	var account string
	var age, longest, accounts float64
	_, err := pgx.ForEachRow(rows, []any{&account, &age, &accounts}, func() error {
		ages, longest = append(ages, telemetry.Value{Value: age, Labels: []string{account}}), max(longest, age)
		return nil
	})
	if err != nil {
		return err
	}
	telemetry.SyncAge.Replace(ages...)
	telemetry.SyncAgeMax.Replace(telemetry.Value{Value: longest})
	telemetry.SyncAccounts.Replace(telemetry.Value{Value: accounts})
	var portals float64
	err = tx.QueryRow(ctx, `
		SELECT coalesce(max(extract(epoch FROM now() - coalesce(s.last_finished_at, c.connected_at))), 0)::float8
		FROM   gv.crm_syncs s JOIN gv.hubspot_connections c USING (tenant_id, portal_id)
		WHERE  c.disconnected_at IS NULL`).Scan(&portals)
	telemetry.CRMSyncAge.Replace(telemetry.Value{Value: portals})
	return err
}

// measureModels measures how good predictions were, from what the learning cycles of
// the last two days found. Nothing is measured where no cycle has judged enough.
func measureModels(ctx context.Context, tx pgx.Tx) error {
	rows, _ := tx.Query(ctx, `
		SELECT target, sum(judged)::float8, (sum(judged * accuracy) / sum(judged))::float8,
		       (sum(judged * interval_coverage) / sum(judged))::float8,
		       (sum(judged * bias) / sum(judged))::float8
		FROM  (SELECT DISTINCT ON (c.tenant_id, c.account_id) s.result
		       FROM   gv.learning_cycles c JOIN gv.learning_steps s USING (tenant_id, cycle_id)
		       WHERE  c.started_at > now() - interval '2 days' AND s.step = $1 AND s.status = 'completed'
		       ORDER  BY c.tenant_id, c.account_id, c.started_at DESC) AS latest
		CROSS  JOIN LATERAL (VALUES ('ctr', result->'ctr'), ('value', result->'value')) AS of (target, quality)
		CROSS  JOIN LATERAL jsonb_to_record(quality) AS q (judged float8, accuracy float8, interval_coverage float8, bias float8)
		WHERE  judged > 0 AND accuracy IS NOT NULL AND interval_coverage IS NOT NULL AND bias IS NOT NULL
		GROUP  BY target`, learning.CalculateAccuracy)
	var target string
	var judged, accuracy, coverage, bias float64
	var counts, accuracies, coverages, biases []telemetry.Value
	_, err := pgx.ForEachRow(rows, []any{&target, &judged, &accuracy, &coverage, &bias}, func() error {
		of := func(value float64) telemetry.Value { return telemetry.Value{Value: value, Labels: []string{target}} }
		counts, accuracies = append(counts, of(judged)), append(accuracies, of(accuracy))
		coverages, biases = append(coverages, of(coverage)), append(biases, of(bias))
		return nil
	})
	if err != nil {
		return err
	}
	telemetry.PredictionsJudged.Replace(counts...)
	telemetry.ModelAccuracy.Replace(accuracies...)
	telemetry.ModelCoverage.Replace(coverages...)
	telemetry.ModelBias.Replace(biases...)
	return nil
}
