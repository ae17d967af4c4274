// Package inbox makes a message that is delivered many times take effect once:
// its key is recorded in the transaction that does its work.
package inbox

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// First records that consumer handles the event called key and reports whether
// it is the first to do so. A concurrent twin waits until this transaction ends.
// subject says whose data the event is about, such as contact/77, or is empty.
func First(ctx context.Context, tx pgx.Tx, consumer, key, subject string) (first bool, err error) {
	batch := &pgx.Batch{}
	QueueFirst(ctx, batch, consumer, key, subject, &first)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return false, fmt.Errorf("record event %s of %s: %w", key, consumer, err)
	}
	return first, nil
}

// QueueFirst has what First returns put into first when the batch is sent.
func QueueFirst(ctx context.Context, batch *pgx.Batch, consumer, key, subject string, first *bool) {
	batch.Queue(`
		INSERT INTO gv.inbox (tenant_id, consumer, event_key, subject)
		VALUES (gv.tenant(), @consumer, @key, nullif(@subject, ''))
		ON CONFLICT DO NOTHING`,
		pgx.StrictNamedArgs{"consumer": consumer, "key": key, "subject": subject}).Exec(func(done pgconn.CommandTag) error {
		if *first = done.RowsAffected() > 0; !*first {
			telemetry.InboxDuplicates.Add(ctx, 1, consumer)
		}
		return nil
	})
}

// Seen reports whether consumer has handled the event called key, for work that
// must use the network before its transaction begins.
func Seen(ctx context.Context, tx pgx.Tx, consumer, key string) (seen bool, err error) {
	batch := &pgx.Batch{}
	QueueSeen(ctx, batch, consumer, key, &seen)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return false, fmt.Errorf("look up event %s of %s: %w", key, consumer, err)
	}
	return seen, nil
}

// QueueSeen has what Seen returns put into seen when the batch is sent.
func QueueSeen(ctx context.Context, batch *pgx.Batch, consumer, key string, seen *bool) {
	batch.Queue(`
		SELECT EXISTS (SELECT FROM gv.inbox WHERE tenant_id = gv.tenant() AND consumer = @consumer AND event_key = @key)`,
		pgx.StrictNamedArgs{"consumer": consumer, "key": key}).QueryRow(func(row pgx.Row) error {
		err := row.Scan(seen)
		if err == nil && *seen {
			telemetry.InboxDuplicates.Add(ctx, 1, consumer)
		}
		return err
	})
}

// Erase deletes the tenant's keys of the events about subject, such as contact/77.
func Erase(ctx context.Context, tx pgx.Tx, subject string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM gv.inbox WHERE tenant_id = gv.tenant() AND subject = $1`, subject); err != nil {
		return fmt.Errorf("erase keys of the events about %s: %w", subject, err)
	}
	return nil
}
