package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/attribution"
	"github.com/geminivideo/geminivideo/shared/ledger"
	"github.com/geminivideo/geminivideo/shared/pg"
)

// old are the rows that have had their time, by table: each is longer than
// anything that may still ask for them. The condition stands twice, so that a
// row that has been renewed meanwhile stays.
var old = []struct{ table, condition string }{
	{"leases", `expires_at < now() - interval '1 hour'`},
	{"idempotency_keys", `created_at < now() - interval '24 hours'`},
	{"inbox", `received_at < now() - interval '60 days'`},               // Pub/Sub keeps a message 7 days, HubSpot tries for one
	{"pending_ad_changes", `finished_at < now() - interval '400 days'`}, // gv.ad_change_history stays
	{"change_requests", `created_at < now() - interval '400 days'`},
	{"sweeps", `completed_at < now() - interval '90 days'`}, // twelve a day and tenant
	{"webhook_attempts", `at < now() - interval '30 days'`},
	{"slack_notices", `put_at < now() - interval '30 days'`},
	{"ad_observations", `updated_at < now() - interval '400 days'`},
}

// clearBatch is what one transaction deletes: few enough to be quick.
const clearBatch = 5000

// clearAll deletes what is old, and makes and drops the decisions' partitions. A
// table that cannot be cleared does not keep the others from it.
func clearAll(ctx context.Context, db *pg.Worker, cleared map[string]int64) error {
	var errs []error
	for _, o := range old {
		sql := fmt.Sprintf(`DELETE FROM gv.%[1]s WHERE ctid IN (SELECT ctid FROM gv.%[1]s WHERE %[2]s LIMIT %[3]d) AND %[2]s`,
			o.table, o.condition, clearBatch)
		for ctx.Err() == nil {
			n, err := execute(ctx, db, sql)
			cleared[o.table] += n
			if err != nil {
				errs = append(errs, fmt.Errorf("clear %s: %w", o.table, err))
			}
			if n < clearBatch {
				break
			}
		}
	}
	if err := retain(ctx, db, time.Now().UTC(), cleared); err != nil {
		errs = append(errs, err)
	}
	if _, err := execute(ctx, db, `SELECT gv.partition_decisions((now() AT TIME ZONE 'UTC')::date)`); err != nil {
		errs = append(errs, fmt.Errorf("partition decisions: %w", err))
	}
	return errors.Join(errs...)
}

// retain clears the personal data of visitors whose time is over at now.
func retain(ctx context.Context, db *pg.Worker, now time.Time, cleared map[string]int64) error {
	for more := true; more && ctx.Err() == nil; {
		var done attribution.Cleared
		err := pg.Across(ctx, db, func(tx pgx.Tx) (err error) {
			done, more, err = attribution.Retain(ctx, tx, now, clearBatch)
			return err
		})
		if err != nil {
			return err
		}
		for what, n := range map[string]int64{
			"click_devices": done.Devices, "clicks": done.Deleted, "conversion_keys": done.Conversions, "lead_people": done.People,
		} {
			if n > 0 {
				cleared[what] += n
			}
		}
	}
	for more := true; more && ctx.Err() == nil; {
		var n int64
		err := pg.Across(ctx, db, func(tx pgx.Tx) (err error) {
			n, more, err = ledger.RetainPeople(ctx, tx, now.Add(-attribution.PeopleRetention), clearBatch)
			return err
		})
		if err != nil {
			return err
		}
		if n > 0 {
			cleared["contact_people"] += n
		}
	}
	return nil
}

func execute(ctx context.Context, db *pg.Worker, sql string) (n int64, err error) {
	err = pg.Across(ctx, db, func(tx pgx.Tx) error {
		done, err := tx.Exec(ctx, sql)
		n = done.RowsAffected()
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}
