// Package outbox sends messages about data that has committed: a message is
// written beside the data, in its transaction, and published afterwards, at once
// by the function that wrote it or, where that did not happen, by the relay.
package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/geminivideo/geminivideo/shared/message"
	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

// Publisher sends messages to topics. It returns once every message is stored by
// the queue, or an error if any is not.
type Publisher interface {
	Publish(ctx context.Context, messages ...message.Message) error
}

// Put writes messages beside the data of tx, in one statement. A message that
// names its tenant may be written across tenants; one that does not is of the
// transaction's. The key attribute of each becomes its outbox row's id, so that
// consumers know it again if it is sent twice.
func Put(ctx context.Context, tx pgx.Tx, messages ...message.Message) error {
	return put(ctx, tx, nil, messages)
}

// PutAt is Put for messages that are to be sent at due, by the relay, and not
// before.
func PutAt(ctx context.Context, tx pgx.Tx, due time.Time, messages ...message.Message) error {
	return put(ctx, tx, &due, messages)
}

func put(ctx context.Context, tx pgx.Tx, due *time.Time, messages []message.Message) error {
	if len(messages) == 0 {
		return nil
	}
	var (
		tenants, topics, attributes, subjects = make([]string, len(messages)), make([]string, len(messages)), make([]string, len(messages)),
			make([]string, len(messages))
		data        = make([][]byte, len(messages))
		traceparent = telemetry.Traceparent(ctx)
	)
	for i, m := range messages {
		if traceparent != "" { // whoever sends it, it belongs to the trace of who wrote it
			m.Attributes = maps.Clone(m.Attributes)
			if m.Attributes == nil {
				m.Attributes = map[string]string{}
			}
			m.Attributes[message.TraceAttribute] = traceparent
		}
		said, err := json.Marshal(m.Attributes)
		if err != nil {
			return fmt.Errorf("write messages for %s: %w", m.Topic, err)
		}
		tenants[i], topics[i], data[i], attributes[i], subjects[i] = m.Tenant(), m.Topic, m.Data, string(said), m.Subject()
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO gv.outbox (tenant_id, topic, data, attributes, subject, due_at)
		SELECT coalesce(nullif(m.tenant, '')::uuid, gv.tenant()), m.topic, m.data,
		       coalesce(nullif(m.attributes::jsonb, 'null'), '{}'), nullif(m.subject, ''), coalesce(@due::timestamptz, now())
		FROM   unnest(@tenants::text[], @topics::text[], @data::bytea[], @attributes::text[], @subjects::text[])
		       WITH ORDINALITY AS m (tenant, topic, data, attributes, subject, place)
		ORDER  BY m.place`,
		pgx.StrictNamedArgs{"tenants": tenants, "topics": topics, "data": data, "attributes": attributes, "subjects": subjects, "due": due})
	if err != nil {
		return fmt.Errorf("write messages for %s: %w", messages[0].Topic, err)
	}
	return nil
}

// claimFor is how long a claim holds: a sender that dies frees its messages then.
const claimFor = 30 * time.Second

const batch = 100

// flushBatches bounds what one request sends of a backlog; the relay has the rest.
const flushBatches = 10

// Flush publishes what tenant has waiting. It is called after a commit; what it
// cannot send the relay will, so its failure is logged and not returned.
func Flush(ctx context.Context, db *pg.DB, tenant string, to Publisher) {
	_, err := drain(ctx, to, flushBatches, func(ctx context.Context, fn func(tx pgx.Tx) error) error {
		return pg.InTenant(ctx, db, tenant, fn)
	})
	if err != nil {
		slog.WarnContext(ctx, "outbox: left for the relay", "tenant", tenant, "error", err.Error())
	}
}

// Relay publishes what any tenant has waiting, until ctx ends, and returns how
// much it sent. An error says that something could not be sent and waits again.
func Relay(ctx context.Context, db *pg.Worker, to Publisher) (int, error) {
	return drain(ctx, to, math.MaxInt, func(ctx context.Context, fn func(tx pgx.Tx) error) error {
		return pg.Across(ctx, db, fn)
	})
}

type transact func(ctx context.Context, fn func(tx pgx.Tx) error) error

// drain sends batch after batch until nothing is due. One message that cannot be
// sent does not hold up the others; a queue that takes none at all ends it.
func drain(ctx context.Context, to Publisher, batches int, in transact) (sent int, err error) {
	var failed error
	for range batches {
		var claimed []row
		err := in(ctx, func(tx pgx.Tx) (err error) { claimed, err = claim(ctx, tx); return err })
		if err != nil || len(claimed) == 0 {
			return sent, errors.Join(failed, err)
		}
		stored, err := send(ctx, to, claimed, in)
		sent += stored
		failed = errors.Join(failed, err)
		if stored == 0 {
			return sent, failed
		}
	}
	return sent, failed
}

// putDown bounds how long it takes to put down what became of a batch. That must
// be done even if the caller's time is up: what was sent would go out again.
const putDown = 5 * time.Second

// send publishes one batch and puts down what became of it.
func send(ctx context.Context, to Publisher, claimed []row, in transact) (stored int, err error) {
	messages := make([]message.Message, len(claimed))
	for i, r := range claimed {
		messages[i] = r.message()
	}
	failed := to.Publish(ctx, messages...)
	unsent := message.UnsentOf(failed, len(messages))
	var gone, waiting []string
	for i, r := range claimed {
		if unsent[i] {
			waiting = append(waiting, r.MessageID)
		} else {
			gone = append(gone, r.MessageID)
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putDown)
	defer cancel()
	err = in(ctx, func(tx pgx.Tx) error {
		if err := remove(ctx, tx, gone); err != nil || len(waiting) == 0 {
			return err
		}
		return postpone(ctx, tx, waiting, failed)
	})
	return len(gone), errors.Join(failed, err)
}

type row struct {
	MessageID  string
	TenantID   string
	Topic      string
	Data       []byte
	Attributes map[string]string
}

func (r row) message() message.Message {
	attributes := map[string]string{message.KeyAttribute: r.MessageID, message.TenantAttribute: r.TenantID}
	for k, v := range r.Attributes {
		attributes[k] = v
	}
	return message.Message{Topic: r.Topic, Data: r.Data, Attributes: attributes}
}

func claim(ctx context.Context, tx pgx.Tx) ([]row, error) {
	rows, _ := tx.Query(ctx, `
		UPDATE gv.outbox SET attempt = attempt + 1, due_at = now() + @ttl::interval
		WHERE  message_id IN (SELECT message_id FROM gv.outbox WHERE due_at <= now()
		                      ORDER BY due_at LIMIT @n FOR UPDATE SKIP LOCKED)
		RETURNING message_id, tenant_id, topic, data, attributes`,
		pgx.StrictNamedArgs{"ttl": claimFor, "n": batch})
	claimed, err := pgx.CollectRows(rows, pgx.RowToStructByName[row])
	if err != nil {
		return nil, fmt.Errorf("claim messages: %w", err)
	}
	return claimed, nil
}

// postpone doubles the wait with each attempt, from 2 s to 10 minutes.
func postpone(ctx context.Context, tx pgx.Tx, ids []string, cause error) error {
	_, err := tx.Exec(ctx, `
		UPDATE gv.outbox SET last_error = @cause,
		       due_at = now() + least(interval '10 minutes', interval '1 second' * 2 ^ least(attempt, 10))
		WHERE  message_id = ANY (@ids::uuid[])`,
		pgx.StrictNamedArgs{"ids": ids, "cause": cause.Error()})
	if err != nil {
		return fmt.Errorf("postpone messages: %w", err)
	}
	return nil
}

func remove(ctx context.Context, tx pgx.Tx, ids []string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM gv.outbox WHERE message_id = ANY ($1::uuid[])`, ids); err != nil {
		return fmt.Errorf("remove sent messages: %w", err)
	}
	return nil
}

// Erase deletes the tenant's messages about subject, such as contact/77.
func Erase(ctx context.Context, tx pgx.Tx, subject string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM gv.outbox WHERE tenant_id = gv.tenant() AND subject = $1`, subject); err != nil {
		return fmt.Errorf("erase messages about %s: %w", subject, err)
	}
	return nil
}
