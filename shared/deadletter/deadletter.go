// Package deadletter stores the messages that could not be handled, with the
// reason, until somebody replays them.
package deadletter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// Topic is where the queue itself sends what failed its last attempt.
const Topic = "dead-letter"

// Reject stores m, of topic, whose handling can never succeed because of reason.
// What of reason is not for the public goes to the log, not here.
func Reject(ctx context.Context, w *pg.Worker, topic string, m message.Message, reason error) error {
	text := "internal error"
	var f *fault.Error
	if errors.As(reason, &f) {
		text = f.Message
	}
	return pg.Across(ctx, w, func(tx pgx.Tx) error { return Keep(ctx, tx, topic, m, text) })
}

// Keep stores m, of topic, with why it failed. The same message is kept once; a
// later failure of it replaces the reason and makes it open again. tx must be
// able to see m's tenant, or be a worker's; a message of no tenant that there is
// is kept for operators only.
func Keep(ctx context.Context, tx pgx.Tx, topic string, m message.Message, reason string) error {
	attributes := make(map[string]string, len(m.Attributes))
	for key, value := range m.Attributes {
		if !transport(key) {
			attributes[storable(key)] = storable(value)
		}
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO gv.dead_letters AS d (tenant_id, topic, message_id, data, attributes, subject, reason, attempts)
		VALUES ((SELECT tenant_id FROM gv.tenants WHERE tenant_id::text = lower(@tenant)), @topic, @id, @data, @attributes,
		        nullif(@subject, ''), @reason, @attempts)
		ON CONFLICT (topic, message_id) DO UPDATE
		SET reason = excluded.reason, attempts = greatest(d.attempts, excluded.attempts), received_at = now(), replayed_at = NULL,
		       replayed_by = NULL`,
		pgx.StrictNamedArgs{
			"tenant": m.Tenant(), "topic": cmp.Or(storable(topic), Topic), "id": cmp.Or(storable(m.Key()), storable(m.ID), "unnamed"),
			"data": notNil(m.Data), "attributes": attributes, "subject": storable(m.Subject()),
			"reason": cmp.Or(storable(reason), "no reason was given"), "attempts": max(m.Attempt, 1),
		})
	if err != nil {
		return fmt.Errorf("store dead letter %s of %s: %w", m.Key(), topic, err)
	}
	telemetry.DeadLetters.Add(ctx, 1, cmp.Or(topic, Topic))
	return nil
}

// transport reports an attribute that says how a message travelled and failed,
// which has columns of its own and must not travel again.
func transport(key string) bool {
	return strings.HasPrefix(key, "CloudPubSubDeadLetter") || key == message.TopicAttribute || key == message.ReasonAttribute ||
		key == message.TraceAttribute
}

// storable leaves out what Postgres cannot store in a text.
func storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
}

func notNil(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}

// Erase deletes the tenant's dead letters about subject, such as contact/77.
func Erase(ctx context.Context, tx pgx.Tx, subject string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM gv.dead_letters WHERE tenant_id = gv.tenant() AND subject = $1`, subject); err != nil {
		return fmt.Errorf("erase dead letters about %s: %w", subject, err)
	}
	return nil
}
