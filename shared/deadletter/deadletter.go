// Package deadletter keeps the messages that could not be handled, with the
// reason, until somebody replays them.
package deadletter

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/message"
)

// Topic is where the queue itself sends what failed its last attempt.
const Topic = "dead-letter"

// Keep stores m, of topic, with why it failed. The same message is kept once; a
// later failure of it replaces the reason and makes it open again. tx must be
// able to see m's tenant, or be a worker's.
func Keep(ctx context.Context, tx pgx.Tx, topic string, m message.Message, reason string) error {
	attributes := m.Attributes
	if attributes == nil {
		attributes = map[string]string{}
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO gv.dead_letters AS d (tenant_id, topic, message_id, data, attributes, subject, reason, attempts)
		VALUES (nullif(@tenant, '')::uuid, @topic, @id, @data, @attributes, nullif(@subject, ''), @reason, @attempts)
		ON CONFLICT (topic, message_id) DO UPDATE
		SET reason = excluded.reason, attempts = greatest(d.attempts, excluded.attempts), received_at = now(), replayed_at = NULL, replayed_by = NULL`,
		pgx.StrictNamedArgs{
			"tenant": m.Tenant(), "topic": topic, "id": m.Key(), "data": m.Data,
			"attributes": attributes, "subject": m.Subject(), "reason": reason, "attempts": max(m.Attempt, 1),
		})
	if err != nil {
		return fmt.Errorf("keep dead letter %s of %s: %w", m.Key(), topic, err)
	}
	return nil
}
